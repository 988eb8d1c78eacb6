"""The training loop: SimCLR (Algorithm 1), and with labels the supervised baseline.

One loop serves both; the objective decides what a step minimises. The step has static shapes and
reads nothing back from the device; numbers are fetched `LOG_POINTS` times in a run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from . import checkpoints, devices, records
from .config import Config
from .data import Data
from .encoders import ResNet, build_encoder
from .heads import ProjectionHead, linear_classifier
from .losses import contrastive_metrics
from .optimizers import EXCLUDED, LARS, total_steps, warmup_cosine, warmup_steps
from .other_losses import contrastive_loss
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
    config: Config, data: Data, label: str = "SimCLR", progress: Progress | None = None
) -> Run:
    """Train encoder and projection head on `data.pretrain` without labels (Algorithm 1).

    Interrupted, it goes on from its last checkpoint when called again with the same parameters;
    finished, it leaves the weights of encoder and head in `OUTPUT_DIR/weights/`. `progress` is
    told of every log point instead of a line of its own. Raises `NotFiniteError` when training
    diverges.
    """

    def objective(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        loss = contrastive_loss(z, config)
        metrics = contrastive_metrics(z.detach(), config.temperature, config.l2_normalize)
        return loss, metrics.accuracy

    return _train(config, data.pretrain, build(config), objective, True, label, progress)


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
    weights, (encoder, head) = checkpoints.load(path), build(config)
    encoder.load_state_dict(weights["encoder"])
    head.load_state_dict(weights["head"])
    return encoder, head


def train_supervised(
    config: Config, data: Data, label: str = "supervised", progress: Progress | None = None
) -> Run:
    """The same encoder, augmentations and optimizer on `data.train`, with the labels.

    One view of each image; the classifier is trained as any other layer.
    """

    def objective(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = logits.float()
        return F.cross_entropy(logits, labels), (logits.argmax(1) == labels).float().mean()

    parts = build(config, len(data.classes))
    return _train(config, data.train, parts, objective, False, label, progress)


def train_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    views: Tensor,
    labels: Tensor,
    objective: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    dtype: torch.dtype,
    passes: int = 1,
) -> Tensor:
    """One update; returns (2,) loss and accuracy, still on the device.

    With 2 `passes` each of the two views goes through the network alone: same arithmetic, but
    batch norm then normalises them apart.
    """
    with devices.autocast(views.device, dtype):
        parts = views.contiguous(memory_format=torch.channels_last).chunk(passes)
        outputs = network(parts[0]) if passes == 1 else torch.cat([network(x) for x in parts])
    loss, accuracy = objective(outputs, labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return torch.stack([loss.detach(), accuracy])


def _train(
    config: Config,
    images: Any,
    parts: tuple[ResNet, nn.Module],
    objective: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    pairs: bool,
    label: str,
    progress: Progress | None,
) -> Run:
    records.commit()  # the code that runs is that of the beginning, whatever is committed meanwhile
    devices.keep_freed_memory()
    device = devices.choose(config.device)
    dtype = devices.number_format(device, config.precision)
    network = nn.Sequential(*parts).to(device, memory_format=torch.channels_last).train()
    optimizer = LARS(
        network.named_parameters(),
        lr=0.0,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        exclude_from_weight_decay=EXCLUDED if config.has("lars_exclusions") else (),
    )
    passes = 1 if config.has("joint_views") or not pairs else 2
    total = total_steps(len(images), config.batch_size, config.epochs)
    warmup = warmup_steps(len(images), config.batch_size, config.warmup_epochs)
    log_every = min(max(total // LOG_POINTS, 1), LOG_AT_LEAST)

    history: dict[str, list[float]] = {name: [] for name in HISTORY}
    path = _checkpoint_path(config, pairs)
    pending: list[Tensor] = []  # (2,) of each update since the last log point
    first, before = _resume(path, network, optimizer, history, pending)
    begun = saved = logged = time.perf_counter()
    progress = progress or Progress(label, total, first)

    for step, (views, labels) in enumerate(
        batches(images, config, device, first, total, pairs), start=first
    ):
        rate = warmup_cosine(step, config.learning_rate, warmup, total)
        for group in optimizer.param_groups:
            group["lr"] = rate
        metrics = train_step(network, optimizer, views, labels, objective, dtype, passes)
        pending.append(metrics)

        if (step + 1) % log_every == 0 or step + 1 == total:
            loss, accuracy = torch.stack(pending).mean(dim=0).tolist()
            _check_finite(loss, step, rate, config)
            now = time.perf_counter()
            speed = len(pending) * config.batch_size / (now - logged)
            for name, value in zip(HISTORY, (step + 1, loss, accuracy, rate, speed), strict=True):
                history[name].append(value)
            pending, logged = [], now
            progress.update(step + 1, f"loss {loss:.3f}, accuracy {accuracy:.1%}")

        now = time.perf_counter()
        if now - saved > 60 * config.checkpoint_minutes and step + 1 < total:
            state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
            facts = {"history": history, "pending": pending, "step": step + 1}
            checkpoints.save(path, state | facts | {"seconds": before + now - begun})
            saved = now

    # Finished: the weights stay, the checkpoint goes, so that the next call trains again.
    keep(config, *parts, pairs)
    path.unlink(missing_ok=True)
    return Run(*parts, history, before + time.perf_counter() - begun)


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
    """Restore the checkpoint at `path`, if there is one; (updates made, seconds spent)."""
    if not path.exists():
        return 0, 0.0
    state = checkpoints.load(path)
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

    def objective(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return contrastive_loss(z, config), z.new_zeros(())

    warm = 2  # the first updates build caches and are not counted
    times = []
    for views, labels in batches(data.pretrain, config, device, 0, warm + measured):
        train_step(network, optimizer, views, labels, objective, dtype).tolist()
        times.append(time.perf_counter())
    total = total_steps(len(data.pretrain), config.batch_size, config.epochs)
    seconds = (times[-1] - times[warm - 1]) / measured * total
    return Cost(total, seconds, devices.peak_memory(device))
