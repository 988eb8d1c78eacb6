"""One step on many devices: what each process holds, and the three things it exchanges.

A training step is written for the global batch. Under `torch.distributed` every process has all of
the weights and the rows of its own images. The step is that of one process because batch norm
takes its moments over the rows of all (`layers.BatchNorm`), the loss is computed by every process
from the embeddings of all (`gather`), and the gradients, each process's through its own rows, are
added (`sum_gradients`). With one process none of this does anything.

The hosts of a TPU pod are such processes as well, but only on their CPUs: each reads its own rows,
and on XLA a tensor is that of all hosts (`divided` tells), where nothing is left to exchange.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

LOST_AFTER = datetime.timedelta(hours=1)  # without an answer; the first may download meanwhile


def rank() -> int:
    """The number of this process among those that train together, 0 if it is alone."""
    return dist.get_rank() if joined() else 0


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if joined() else 1


def joined() -> bool:
    """Whether this process is one of several, or stands for several, that train together."""
    return dist.is_available() and dist.is_initialized()


def divided(device: torch.device) -> bool:
    """Whether a batch on `device` is only this process's rows of one that several hold together."""
    return processes() > 1 and device.type != "xla"


def join(rank: int, processes: int, gpu: int | None = None, address: str = "env://") -> None:
    """Make this process number `rank` of `processes`; returns when all have come.

    `gpu` is the number of the GPU that this process takes for its own, None if all work on the CPU.
    `address` is as of `init_process_group`; `torchrun` sets the default. Small facts travel over
    the CPU, so that nobody waits for a GPU to send them.
    """
    if gpu is not None:
        torch.cuda.set_device(gpu)
    with _silence():
        dist.init_process_group(
            "gloo" if gpu is None else "cpu:gloo,cuda:nccl",
            init_method=address,
            rank=rank,
            world_size=processes,
            timeout=LOST_AFTER,
        )


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Nothing goes to standard output: gloo greets there, which may be a notebook's cell."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def join_torchrun(*, gpus: bool) -> None:
    """`join` the processes that `torchrun` started, if it did: a GPU for each, or on the CPU."""
    if "TORCHELASTIC_RUN_ID" in os.environ and not joined():
        rank, processes, local = (
            int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        )
        join(rank, processes, local if gpus else None)


def leave() -> bool:
    """The end of `join`, when all have come to it; whether this process was the first, or alone."""
    if not joined():
        return True
    wait_for_all()
    first = rank() == 0
    dist.destroy_process_group()
    return first


def wait_for_all() -> None:
    """Go on when all processes have come here."""
    anyone(False)


def own_rows(batch_size: int) -> slice:
    """Which images of a batch this process holds: an equal part."""
    rows = batch_size // processes()
    return slice(rank() * rows, (rank() + 1) * rows)


def gather(x: Tensor, branches: int = 1) -> Tensor:
    """The rows of all processes, (processes * rows, ...), from this one's (rows, ...).

    With 2 `branches` the two halves of x are the two views, and so they are in the result. Backward
    gives every process its own rows of the gradient, without an exchange: right when all compute
    the *same* loss from what is gathered, as they do here.
    """
    return _Gather.apply(x, branches) if divided(x.device) else x


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, branches: int) -> Tensor:
        ctx.branches = branches
        return _swap(stack_over_processes(x).flatten(0, 1), processes(), branches)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _swap(gradient, ctx.branches, processes()).chunk(processes())[rank()], None


def _swap(x: Tensor, outer: int, inner: int) -> Tensor:
    """Rows ordered by (outer, inner, image) as rows ordered by (inner, outer, image)."""
    return x.unflatten(0, (outer, inner, -1)).transpose(0, 1).flatten(0, 2)


def add_over_processes(x: Tensor) -> Tensor:
    """The sum of the x of all processes, in place; no gradient passes."""
    if processes() > 1:
        dist.all_reduce(x)
    return x


def stack_over_processes(x: Tensor) -> Tensor:
    """(processes, ...) the x of all processes; no gradient passes."""
    found = x.new_empty(processes(), *x.shape)
    # The first is there from PyTorch 2.13 on, where the second warns that it will go.
    gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
    gather(found.view(-1), x.contiguous().view(-1))
    return found


def sum_gradients(network: nn.Module) -> None:
    """Add up the gradients of all processes, so that each has those of the global loss."""
    if not divided(next(network.parameters()).device):
        return
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    together = add_over_processes(torch.cat([g.flatten() for g in gradients]))
    for gradient, part in zip(
        gradients, together.split([g.numel() for g in gradients]), strict=True
    ):
        gradient.copy_(part.view_as(gradient))


def anyone(*here: bool) -> tuple[bool, ...]:
    """Of each of these, whether it is so in any process."""
    if processes() == 1:
        return here
    return tuple((add_over_processes(torch.tensor(here).float()) > 0).tolist())


def same(here: Any) -> bool:
    """Whether all processes have the same plain value."""
    return not anyone(from_first(lambda: here) != here)[0]


def from_first(make: Callable[[], Any]) -> Any:
    """What `make` returns in process 0, for all; the others do not call it."""
    if processes() == 1:
        return make()
    box = [make() if rank() == 0 else None]
    dist.broadcast_object_list(box)
    return box[0]


def in_turn(make: Callable[[], Any]) -> Any:
    """`make()` in every process, in 0 before the others: what it leaves on disk is there for them.

    On several nodes this needs a disk that they share, or one on which it lies already.
    """
    if rank() == 0:
        made = make()
    wait_for_all()
    return made if rank() == 0 else make()
