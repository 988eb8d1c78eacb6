"""The training loop: SimCLR (Algorithm 1), and with labels the supervised baseline.

One loop serves both; the objective decides what a step minimises. The step has static shapes and
reads nothing back from the device; numbers are fetched `LOG_POINTS` times in a run. It is written
for the global batch: where `parallel` has several processes, each calls the same functions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from . import checkpoints, devices, parallel, records, workers
from .config import Config
from .data import Data
from .encoders import ResNet, build_encoder
from .heads import ProjectionHead, linear_classifier
from .losses import contrastive_metrics
from .optimizers import EXCLUDED, LARS, total_steps, warmup_cosine, warmup_steps
from .other_losses import contrastive_loss
from .preemption import Termination
from .progress import Progress
from .streams import batches

LOG_POINTS, LOG_AT_LEAST = 100, 500  # log points in a run; and one in so many updates
HISTORY = ("step", "loss", "accuracy", "learning_rate", "images_per_second")


class Run(NamedTuple):
    """A trained network. `head` is the projection head, or the classifier of a supervised run."""

    encoder: ResNet
    head: nn.Module
    history: dict[str, list[float]]  # per log point, see `HISTORY`; accuracy is of the objective
    seconds: float  # spent training, over all attempts
    facts: dict[str, Any] | None = None  # about the devices, for the record


class NotFiniteError(RuntimeError):
    """The loss became infinite or not a number; the message names the step and what to try."""


def build(config: Config, classes: int = 0) -> tuple[ResNet, nn.Module]:
    """Encoder and projection head, or with `classes` encoder and linear classifier, untrained.

    Weights depend on `config.seed` alone, so the encoder is the same for both objectives.
    """
    generator = Generator().manual_seed(config.seed)
    encoder = build_encoder(config, generator)
    if classes:
        return encoder, linear_classifier(encoder.features, classes, generator=generator)
    head = ProjectionHead(
        encoder.features,
        config.head_layers,
        config.projection_dim,
        config.has("head_batch_norm"),
        generator=generator,
    )
    return encoder, head


def random_encoder(config: Config) -> ResNet:
    """The encoder as it is before training: the baseline below every other."""
    return build(config)[0]


def pretrain(
    config: Config,
    data: Data,
    label: str = "SimCLR",
    progress: Progress | None = None,
    until_recorded: bool = False,
) -> Run:
    """Train encoder and projection head on `data.pretrain` without labels (Algorithm 1).

    Interrupted, it goes on from its last checkpoint when called again with the same parameters;
    terminated (SIGTERM), it writes that checkpoint first. Finished, it leaves the weights of
    encoder and head in `OUTPUT_DIR/weights/`, and called again it trains again; but if it is to
    stay `until_recorded`, its checkpoint stays, and training is not repeated before `forget`.
    `progress` is told of every log point instead of a line of its own. With several
    `config.processes` it starts them (so a script must call this under `if __name__ ==
    "__main__":`), shows their progress, and raises `WorkerError` if one is lost. Raises
    `NotFiniteError` when training diverges.
    """
    if not parallel.joined() and devices.processes(config) > 1:
        return _together(pretrain, config, data, label, progress, until_recorded)

    def objective(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        z = parallel.gather(z, branches=2)  # (2N, dim)
        loss = contrastive_loss(z, config)
        metrics = contrastive_metrics(z.detach(), config.temperature, config.l2_normalize)
        return loss, metrics.accuracy

    parts = build(config)
    return _train(config, data.pretrain, parts, objective, True, label, progress, until_recorded)


def keep(config: Config, encoder: ResNet, head: nn.Module, pairs: bool = True) -> Path:
    """Write the weights of a finished run to `OUTPUT_DIR/weights/`, where `trained` finds them.

    `pairs` is true of SimCLR and false of a supervised run. Returns the path.
    """
    state = {"encoder": encoder.state_dict(), "head": head.state_dict()}
    path = _weights_path(config, pairs)
    checkpoints.save(path, state | {"config": config.as_record()})
    return path


def trained(config: Config) -> tuple[ResNet, nn.Module]:
    """Encoder and projection head that `pretrain` left in `OUTPUT_DIR/weights/`.

    Raises `FileNotFoundError` if there are none of these parameters.
    """
    path = _weights_path(config, pairs=True)
    if not path.exists():
        raise FileNotFoundError(
            f"no weights of such a run in {path.parent}; delete its record, if it has one, and "
            "train it again"
        )
    return _load_weights(path, build(config))


def _load_weights(path: Path, parts: tuple[ResNet, nn.Module]) -> tuple[ResNet, nn.Module]:
    weights = checkpoints.load(path)
    for part, name in zip(parts, ("encoder", "head"), strict=True):
        part.load_state_dict(weights[name])
    return parts


def train_supervised(
    config: Config,
    data: Data,
    label: str = "supervised",
    progress: Progress | None = None,
    until_recorded: bool = False,
) -> Run:
    """The same encoder, augmentations and optimizer on `data.train`, with the labels.

    One view of each image; the classifier is trained as any other layer. For the rest see
    `pretrain`.
    """
    if not parallel.joined() and devices.processes(config) > 1:
        return _together(train_supervised, config, data, label, progress, until_recorded)

    def objective(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits, labels = parallel.gather(logits.float()), parallel.gather(labels)
        return F.cross_entropy(logits, labels), (logits.argmax(1) == labels).float().mean()

    parts = build(config, len(data.classes))
    return _train(config, data.train, parts, objective, False, label, progress, until_recorded)


def _together(
    train: Callable[..., Run],
    config: Config,
    data: Data,
    label: str,
    progress: Progress | None,
    until_recorded: bool,
) -> Run:
    """`train`, one of the two above, by several processes; the network as they leave it."""
    pairs, shown = train is pretrain, progress

    def report(done: int, note: str) -> None:
        nonlocal shown
        images = data.pretrain if pairs else data.train
        total = total_steps(len(images), config.batch_size, config.epochs)
        shown = shown or Progress(label, total, done)
        shown.update(done, note)

    records.commit()
    count, gpus = devices.processes(config), devices.choose(config.device).type == "cuda"
    if config.batch_size % count or (config.chunk_size or config.batch_size) % count:
        raise ValueError(
            f"processes={count} is not valid: it must divide batch_size={config.batch_size}, and "
            f"chunk_size={config.chunk_size}"
        )
    devices.free_memory()
    *found, diverged = workers.together(
        _in_worker, train, config, data, until_recorded, processes=count, gpus=gpus, report=report
    )
    if diverged:
        raise NotFiniteError(diverged)
    parts = build(config, 0 if pairs else len(data.classes))
    return Run(*_load_weights(_weights_path(config, pairs), parts), *found)


class _Sender:
    """Stands for `Progress` in a worker: what it is told goes to the process that shows it."""

    def __init__(self, *label: Any, send: Callable[..., None] | None = None) -> None:
        self.send = send

    def update(self, done: int, note: str = "") -> None:
        if self.send:
            self.send(done, note)


def _in_worker(
    train: Callable[..., Run],
    config: Config,
    data: Data,
    until_recorded: bool,
    send: Callable[..., None] | None,
) -> tuple[dict[str, list[float]], float, dict[str, Any] | None, str]:
    """What every process of `_together` does: all of `Run` but the network, and why it diverged."""
    sender: Any = _Sender(send=send)
    try:
        run = train(config, data, progress=sender, until_recorded=until_recorded)
    except NotFiniteError as error:
        return {}, 0.0, None, str(error)
    return run.history, run.seconds, run.facts, ""


def _chunks(config: Config) -> int:
    """In how many parts a batch goes through the network."""
    chunks = config.batch_size // (config.chunk_size or config.batch_size)
    if config.batch_size // parallel.processes() % chunks:
        raise ValueError(
            f"chunk_size={config.chunk_size} is not valid for {parallel.processes()} processes; it "
            f"must be a multiple of {parallel.processes()}"
        )
    return chunks


def train_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    views: Tensor,
    labels: Tensor,
    objective: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    dtype: torch.dtype,
    passes: int = 1,
    chunks: int = 1,
) -> Tensor:
    """One update; returns (2,) loss and accuracy, still on the device.

    `objective` gets what the network makes of this process's `views`, and their `labels`. With 2
    `passes` each of the two views goes through the network alone: same arithmetic, but batch norm
    then normalises them apart. With several `chunks` the network holds one of them at a time, see
    `_backward_in_chunks`.
    """

    def forward(x: Tensor) -> Tensor:
        with devices.autocast(x.device, dtype):
            parts = x.contiguous(memory_format=torch.channels_last).chunk(passes)
            return network(parts[0]) if passes == 1 else torch.cat([network(x) for x in parts])

    optimizer.zero_grad(set_to_none=True)
    if chunks == 1:
        loss, accuracy = objective(forward(views), labels)
        loss.backward()
    else:
        loss, accuracy = _backward_in_chunks(network, forward, views, labels, objective, chunks)
    parallel.sum_gradients(network)
    optimizer.step()
    metrics = torch.stack([loss.detach(), accuracy])
    devices.finish_step(views.device)
    return metrics


def _backward_in_chunks(
    network: nn.Module,
    forward: Callable[[Tensor], Tensor],
    views: Tensor,
    labels: Tensor,
    objective: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    chunks: int,
) -> tuple[Tensor, Tensor]:
    """Gradients of a batch whose activations do not fit: two forward passes, chunk by chunk.

    The first finds the outputs of the whole batch and, from the objective, its gradient with
    respect to them; the second hands every chunk its rows of that gradient (GradCache, arXiv
    2101.06983). All views still meet in the loss, which adding up gradients of small batches would
    not give. Batch norm sees one chunk at a time, and its moving statistics move once a chunk. A
    chunk is every `chunks`-th row, so it has both views of its images.
    """
    moving = [buffer.clone() for buffer in network.buffers()]
    parts, outputs = [views[chunk::chunks] for chunk in range(chunks)], []
    for part in parts:
        with torch.no_grad():
            outputs.append(forward(part))
        devices.finish_step(views.device)  # or XLA would do all chunks at once
    for buffer, value in zip(network.buffers(), moving, strict=True):
        buffer.copy_(value)
    cache = torch.stack(outputs, dim=1).requires_grad_()  # (rows / chunks, chunks, dim)
    loss, accuracy = objective(cache.flatten(0, 1), labels)
    loss.backward()
    for part, gradient in zip(parts, cache.grad.unbind(1), strict=True):
        forward(part).backward(gradient)
        devices.finish_step(views.device)
    return loss, accuracy


def _train(
    config: Config,
    images: Any,
    parts: tuple[ResNet, nn.Module],
    objective: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    pairs: bool,
    label: str,
    progress: Progress | None,
    until_recorded: bool,
) -> Run:
    records.commit()  # the code that runs is that of the beginning, whatever is committed meanwhile
    devices.keep_freed_memory()
    device = devices.choose(config.device)
    devices.check_batch(config.batch_size, device)
    dtype = devices.number_format(device, config.precision)
    watch = devices.watch(device)
    network = nn.Sequential(*parts).to(device, memory_format=torch.channels_last).train()
    optimizer = LARS(
        network.named_parameters(),
        lr=0.0,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        exclude_from_weight_decay=EXCLUDED if config.has("lars_exclusions") else (),
    )
    passes = 1 if config.has("joint_views") or not pairs else 2
    chunks = _chunks(config)
    total = total_steps(len(images), config.batch_size, config.epochs)
    warmup = warmup_steps(len(images), config.batch_size, config.warmup_epochs)
    log_every = min(max(total // LOG_POINTS, 1), LOG_AT_LEAST)

    history: dict[str, list[float]] = {name: [] for name in HISTORY}
    path = _checkpoint_path(config, pairs)
    pending: list[Tensor] = []  # (2,) of each update since the last log point
    first, before = _resume(path, network, optimizer, history, pending)
    begun = saved = logged = time.perf_counter()
    show: Any = Progress if parallel.rank() == 0 else _Sender
    progress = progress or show(label, total, first)

    def save(step: int) -> None:
        if parallel.rank() == 0:
            state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
            facts = {"history": history, "pending": pending, "step": step}
            seconds = before + time.perf_counter() - begun
            checkpoints.save(path, state | facts | {"seconds": seconds})

    with Termination() as termination:
        for step, (views, labels) in enumerate(
            batches(images, config, device, first, total, pairs), start=first
        ):
            rate = warmup_cosine(step, config.learning_rate, warmup, total)
            for group in optimizer.param_groups:
                group["lr"] = devices.number(rate, device)
            pending.append(
                train_step(network, optimizer, views, labels, objective, dtype, passes, chunks)
            )

            if (step + 1) % log_every == 0 or step + 1 == total:
                loss, accuracy = torch.stack([m.cpu() for m in pending]).mean(dim=0).tolist()
                _check_finite(loss, step, rate, config)
                now = time.perf_counter()
                speed = len(pending) * config.batch_size / (now - logged)
                numbers = (step + 1, loss, accuracy, rate, speed)
                for name, value in zip(HISTORY, numbers, strict=True):
                    history[name].append(value)
                pending, logged = [], now
                progress.update(step + 1, f"loss {loss:.3f}, accuracy {accuracy:.1%}")
                if watch:
                    watch.update(step + 1 - first)

            if parallel.anyone(termination.asked):
                save(step + 1)
                parallel.wait_for_all()  # the first still needs what the others have computed
                termination.now()
            elapsed = time.perf_counter() - saved
            if elapsed > 60 * config.checkpoint_minutes and step + 1 < total:
                save(step + 1)
                saved = time.perf_counter()

        if parallel.rank() == 0:
            keep(config, *parts, pairs)
            if until_recorded:
                save(total)
            else:
                forget(config, pairs)
    facts = watch.facts() if watch else None
    return Run(*parts, history, before + time.perf_counter() - begun, facts)


def forget(config: Config, pairs: bool = True) -> None:
    """Remove the checkpoint of a run, so that it is trained anew when it is asked for again."""
    _checkpoint_path(config, pairs).unlink(missing_ok=True)


def _checkpoint_path(config: Config, pairs: bool) -> Path:
    """One file for each objective and set of parameters; another run never meets it."""
    objective = "pretrain" if pairs else "supervised"
    return records.output_dir(config) / "checkpoints" / f"{records.run_id(config, objective)}.pt"


def _weights_path(config: Config, pairs: bool) -> Path:
    path = _checkpoint_path(config, pairs)
    return path.parent.parent / "weights" / path.name


def _resume(
    path: Path,
    network: nn.Module,
    optimizer: LARS,
    history: dict[str, list[float]],
    pending: list[Tensor],
) -> tuple[int, float]:
    """Restore the checkpoint at `path`, if there is one; (updates made, seconds spent).

    It has no trace of how many processes wrote it; process 0 reads it for all.
    """
    state = parallel.from_first(lambda: checkpoints.load(path) if path.exists() else None)
    if state is None:
        return 0, 0.0
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    history.update(state["history"])
    device = next(network.parameters()).device
    pending.extend(metrics.to(device) for metrics in state["pending"])
    return state["step"], state["seconds"]


def _check_finite(loss: float, step: int, rate: float, config: Config) -> None:
    if not -float("inf") < loss < float("inf"):
        raise NotFiniteError(
            f"the loss is {loss} at step {step + 1} (learning rate {rate:.3g}); try a lower "
            f"base_learning_rate (now {config.base_learning_rate:g}), a longer warmup_epochs (now "
            f"{config.warmup_epochs:g}), or precision fp32"
        )


class Cost(NamedTuple):
    """What a run will take on this machine."""

    steps: int
    seconds: float
    memory: int  # bytes, peak of the process or GPU so far

    def __str__(self) -> str:
        time_text = (
            f"{self.seconds:.0f} s" if self.seconds < 120 else f"{self.seconds / 60:.0f} min"
        )
        return f"{self.steps} steps, about {time_text}, {self.memory / 1e9:.1f} GB of memory"


def estimate(config: Config, data: Data, measured: int = 4) -> Cost:
    """Time and memory that `pretrain` will need, from a few updates of a throw-away copy."""
    devices.keep_freed_memory()
    device = devices.choose(config.device)
    dtype = devices.number_format(device, config.precision)
    network = nn.Sequential(*build(config)).to(device, memory_format=torch.channels_last)
    optimizer = LARS(network.named_parameters(), lr=0.0)
    chunks, count = _chunks(config), devices.processes(config)
    total = total_steps(len(data.pretrain), config.batch_size, config.epochs)
    if count > 1:  # the share of one of them, without what they exchange
        share = max(config.batch_size // count // chunks, 2) * chunks
        config = config.replace(batch_size=share, chunk_size=0)

    def objective(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return contrastive_loss(z, config), z.new_zeros(())

    warm = 2  # the first updates build caches and are not counted
    times = []
    for views, labels in batches(data.pretrain, config, device, 0, warm + measured):
        train_step(network, optimizer, views, labels, objective, dtype, 1, chunks).tolist()
        times.append(time.perf_counter())
    seconds = (times[-1] - times[warm - 1]) / measured * total
    return Cost(total, seconds, devices.peak_memory(device))


def estimate_apart(config: Config, data: Data) -> Cost:
    """`estimate` in a process of its own, so that its memory is that of this run alone."""
    return workers.together(_estimate, config, data, processes=1)


def _estimate(config: Config, data: Data, send: Any) -> Cost:
    return estimate(config, data)
