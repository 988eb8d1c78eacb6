"""TPUs and other XLA devices: one process a host, one program, the batch spread over all devices.

The only file that imports `torch_xla`. With SPMD ("single program, multiple data") a tensor on the
XLA device is the global one: here the rows of a batch are marked as lying on all devices, and the
compiler divides all that follows. Batch norm and loss are global without another word.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import parallel

WARM_UP = 3  # updates after which nothing should be compiled any more


def installed() -> bool:
    """Whether there is a `torch_xla` to import."""
    return importlib.util.find_spec("torch_xla") is not None


@functools.cache
def device() -> torch.device:
    """The one XLA device that stands for all; the first call decides how this process uses XLA.

    Where the devices belong to several hosts, it returns when the program runs on all of them, or
    raises an error if one does not come within five minutes. What is compiled is kept in the user's
    cache folder, or where XLA_PERSISTENT_CACHE_PATH says. Raises `ValueError` where torch_xla finds
    no TPU and nobody set PJRT_DEVICE: it would take the CPU in silence.
    """
    asked = os.environ.get("PJRT_DEVICE")
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "simclr_lib" / "xla"
    # Hosts may share this folder, but not each other's programs.
    os.environ.setdefault("XLA_PERSISTENT_CACHE_PATH", str(cache / platform.node()))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # each program would warn of a deprecation
    import torch_xla
    from torch_xla import runtime

    if not asked and os.environ.get("PJRT_DEVICE", "CPU") == "CPU":
        os.environ.pop("PJRT_DEVICE", None)  # set by the import, not by the user
        raise ValueError(
            "device='xla' is not valid: torch_xla finds no TPU here (a TPU needs libtpu: pip "
            "install torch_xla[tpu]); set PJRT_DEVICE=CPU to compute on the CPU as if it were one"
        )
    runtime.use_spmd()
    place, hosts = torch_xla.device(), runtime.process_count()
    if hosts > 1:
        from torch_xla.distributed import xla_backend  # noqa: F401 - how hosts find each other

        parallel.join(runtime.process_index(), hosts, address="xla://")
    torch.zeros((), device=place)  # before any backward pass on the CPU, or XLA's would fail later
    return place


def kind() -> str:
    """What the devices are: "TPU", "CPU" ..."""
    from torch_xla import runtime

    device()
    return runtime.device_type() or "unknown"


def hosts() -> int:
    """How many hosts the devices belong to."""
    from torch_xla import runtime

    device()
    return runtime.process_count()


def count() -> int:
    """How many devices all hosts have together."""
    from torch_xla import runtime

    device()
    return runtime.global_runtime_device_count()


@functools.cache
def _mesh() -> Any:
    from torch_xla.distributed.spmd import Mesh

    return Mesh(np.array(_numbers()), (count(),), ("rows",))


def _numbers() -> list[int]:
    """The numbers of all devices, those of one host after those of another, as rows are."""
    from torch_xla import _XLAC  # nothing public tells in which order a host has its devices

    own = torch.tensor([int(name.split(":")[1]) for name in _XLAC._xla_get_runtime_devices()])
    every = parallel.stack_over_processes(own).flatten() if hosts() > 1 else own
    return every.tolist()


def put(x: Tensor, *, own: bool = False) -> Tensor:
    """A host's tensor on the device, its rows spread over all devices if they divide evenly.

    With several hosts x is the same on all of them, or, if they are its `own` rows, a part: then
    the result has those of all hosts, one after another. Raises `ValueError` for own rows that
    do not divide evenly, for they cannot all lie everywhere.
    """
    from torch_xla import runtime
    from torch_xla.core import xla_model
    from torch_xla.distributed.spmd import ShardingSpec

    devices = runtime.addressable_runtime_device_count() if own else count()
    if x.ndim == 0 or len(x) % devices:
        if own and hosts() > 1:
            raise ValueError(f"{len(x)} rows of one host are not valid for its {devices} devices")
        return x.to(device())
    spec = ShardingSpec(_mesh(), ("rows", *[None] * (x.ndim - 1)), minibatch=own)
    # A list, whatever its annotation says.
    sent: Any = xla_model.send_cpu_data_to_device([x], device(), spec)
    (placed,) = sent
    return placed


def spread(x: Tensor) -> Tensor:
    """The same tensor of the device, with its rows spread over all devices."""
    from torch_xla.distributed.spmd import mark_sharding

    mark_sharding(x, _mesh(), ("rows", *[None] * (x.ndim - 1)))
    return x


def finish_step() -> None:
    """Send what was asked for so far to the devices, as one program."""
    import torch_xla

    torch_xla.sync()


def compilations() -> int:
    """Programs compiled so far."""
    from torch_xla.debug import metrics

    return (metrics.metric_data("CompileTime") or (0,))[0]


def fallbacks() -> dict[str, int]:
    """Operations that XLA does not have and the host computed, each with a wait: name and count."""
    from torch_xla.debug import metrics

    names = [name for name in metrics.counter_names() if name.startswith("aten::")]
    return {name: metrics.counter_value(name) for name in names}


class Watch:
    """Warns when a run compiles or falls back to the host after its first updates."""

    def __init__(self) -> None:
        device()
        self.began, self.updates = (compilations(), fallbacks()), 0
        self.last: tuple[int, dict[str, int]] | None = None

    def update(self, updates: int) -> None:
        """To be called after some updates; `updates` are those of this run so far."""
        now = compilations(), fallbacks()
        if self.last and self.last != now:
            new = now[0] - self.last[0]
            slow = [name for name, times in now[1].items() if times != self.last[1].get(name, 0)]
            cause = (
                f"{', '.join(slow)} ran on the host, which XLA has no program for"
                if slow
                else "a shape or a Python number in the update changes from one to the next"
            )
            warnings.warn(
                f"by update {updates} XLA had compiled {new} programs since it was last asked: "
                f"{cause}; PT_XLA_DEBUG_LEVEL=2 shows the lines",
                stacklevel=2,
            )
        if updates >= WARM_UP:
            self.last = now

    def facts(self) -> dict[str, Any]:
        """For the record: programs compiled, and operations that fell back, in this run."""
        before, now = self.began[1], fallbacks()
        counts = {name: times - before.get(name, 0) for name, times in now.items()}
        return {
            "compilations": compilations() - self.began[0],
            "fallbacks": {name: times for name, times in counts.items() if times},
        }
