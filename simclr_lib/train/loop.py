"""The training loop: SimCLR (Algorithm 1), and with labels the supervised baseline.

One loop serves both; the objective decides what a step minimises. Numbers are fetched from the
device `LOG_POINTS` times in a run. All is written for the global batch: where `parallel` has
several processes, each calls the same functions.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..config import Config
from ..data.images import Data
from ..identity import run_id
from ..losses.nt_xent import contrastive_metrics
from ..losses.table4 import contrastive_loss
from ..machine import devices, parallel, workers
from ..machine.preemption import Termination
from ..machine.progress import Report, on_a_line, unheard
from ..machine.versions import commit
from ..networks.heads import ProjectionHead, linear_classifier
from ..networks.resnet import ResNet, build_encoder
from ..paths import output_dir
from ..schedule import total_steps, warmup_cosine, warmup_steps
from ..views.batches import batches
from . import files as checkpoints
from .optimizers import EXCLUDED, LARS
from .update import Objective, train_step

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
    report: Report | None = None,
    until_recorded: bool = False,
) -> Run:
    """Train encoder and projection head on `data.pretrain` without labels (Algorithm 1).

    Interrupted, it goes on from its last checkpoint when called again with the same parameters;
    terminated (SIGTERM), it writes that checkpoint first. Finished, it leaves the weights of
    encoder and head in `OUTPUT_DIR/weights/`, and called again it trains again; but if it is to
    stay `until_recorded`, its checkpoint stays, and training is not repeated before `forget`.
    `report` is told of every log point instead of a line of its own. With several
    `config.processes` it starts them (so a script must call this under `if __name__ ==
    "__main__":`), shows their progress, and raises `WorkerError` if one is lost. Raises
    `NotFiniteError` when training diverges.
    """
    if not parallel.joined() and devices.processes(config) > 1:
        return _together(pretrain, config, data, label, report, until_recorded)

    def objective(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        z = parallel.gather(z, branches=2)  # (2N, dim)
        loss = contrastive_loss(z, config)
        metrics = contrastive_metrics(z.detach(), config.temperature, config.l2_normalize)
        return loss, metrics.accuracy

    parts = build(config)
    return _train(config, data.pretrain, parts, objective, True, label, report, until_recorded)


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
    devices.choose(config.device)  # with several hosts, what the first has counts
    path = _weights_path(config, pairs=True)
    weights = parallel.from_first(lambda: checkpoints.load(path) if path.exists() else None)
    if weights is None:
        raise FileNotFoundError(
            f"no weights of such a run in {path.parent}; delete its record, if it has one, and "
            "train it again"
        )
    return _with_weights(weights, build(config))


def _with_weights(
    weights: dict[str, Any], parts: tuple[ResNet, nn.Module]
) -> tuple[ResNet, nn.Module]:
    for part, name in zip(parts, ("encoder", "head"), strict=True):
        part.load_state_dict(weights[name])
    return parts


def train_supervised(
    config: Config,
    data: Data,
    label: str = "supervised",
    report: Report | None = None,
    until_recorded: bool = False,
) -> Run:
    """The same encoder, augmentations and optimizer on `data.train`, with the labels.

    One view of each image; the classifier is trained as any other layer. For the rest see
    `pretrain`.
    """
    if not parallel.joined() and devices.processes(config) > 1:
        return _together(train_supervised, config, data, label, report, until_recorded)

    def objective(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits, labels = parallel.gather(logits.float()), parallel.gather(labels)
        return F.cross_entropy(logits, labels), (logits.argmax(1) == labels).float().mean()

    parts = build(config, len(data.classes))
    return _train(config, data.train, parts, objective, False, label, report, until_recorded)


def _together(
    train: Callable[..., Run],
    config: Config,
    data: Data,
    label: str,
    report: Report | None,
    until_recorded: bool,
) -> Run:
    """`train`, one of the two above, by several processes; the network as they leave it."""
    pairs = train is pretrain
    commit()
    devices.free_memory()
    *found, diverged = workers.together(
        _in_worker,
        train,
        config,
        data,
        until_recorded,
        processes=devices.processes(config),
        gpus=devices.choose(config.device).type == "cuda",
        report=report or on_a_line(label),
    )
    if diverged:
        raise NotFiniteError(diverged)
    parts = build(config, 0 if pairs else len(data.classes))
    weights = checkpoints.load(_weights_path(config, pairs))
    return Run(*_with_weights(weights, parts), *found)


def _in_worker(
    train: Callable[..., Run],
    config: Config,
    data: Data,
    until_recorded: bool,
    send: Report,
) -> tuple[dict[str, list[float]], float, dict[str, Any] | None, str]:
    """What every process of `_together` does: all of `Run` but the network, and why it diverged."""
    try:
        run = train(config, data, report=send, until_recorded=until_recorded)
    except NotFiniteError as error:
        return {}, 0.0, None, str(error)
    return run.history, run.seconds, run.facts, ""


def _train(
    config: Config,
    images: Any,
    parts: tuple[ResNet, nn.Module],
    objective: Objective,
    pairs: bool,
    label: str,
    report: Report | None,
    until_recorded: bool,
) -> Run:
    commit()  # the code that runs is that of the beginning, whatever is committed meanwhile
    devices.keep_freed_memory()
    device = devices.choose(config.device)
    devices.check_batch(config, device)
    if not parallel.same((len(images), zlib.crc32(images.labels.numpy()))):
        raise ValueError("the images of those who train together are not the same")
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
    chunks, total = config.chunks, total_steps(len(images), config.batch_size, config.epochs)
    warmup = warmup_steps(len(images), config.batch_size, config.warmup_epochs)
    log_every = min(max(total // LOG_POINTS, 1), LOG_AT_LEAST)

    history: dict[str, list[float]] = {name: [] for name in HISTORY}
    path = _checkpoint_path(config, pairs)
    pending: list[Tensor] = []  # (2,) of each update since the last log point
    first, before = _resume(path, network, optimizer, history, pending)
    begun = saved = logged = time.perf_counter()
    report = report or (on_a_line(label) if parallel.rank() == 0 else unheard)
    report(first, total, "")

    def save(step: int) -> None:
        if devices.writes(device):
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
                report(step + 1, total, f"loss {loss:.3f}, accuracy {accuracy:.1%}")
                if watch:
                    watch.update(step + 1 - first)

            due = time.perf_counter() - saved > 60 * config.checkpoint_minutes
            end, due = parallel.anyone(termination.asked, due)
            if end or (due and step + 1 < total):
                save(step + 1)
                saved = time.perf_counter()
            if end:
                parallel.wait_for_all()  # the first still needs what the others have computed
                termination.now()

        if devices.writes(device):
            keep(config, *parts, pairs)
            if until_recorded:
                save(total)
            else:
                forget(config, pairs)
    facts = watch.facts() if watch else None
    return Run(*parts, history, before + time.perf_counter() - begun, facts)


def forget(config: Config, pairs: bool = True) -> None:
    """Remove the checkpoint of a run, so that it is trained anew when it is asked for again."""
    checkpoints.remove(_checkpoint_path(config, pairs))


def _checkpoint_path(config: Config, pairs: bool) -> Path:
    """One file for each objective and set of parameters; another run never meets it."""
    objective = "pretrain" if pairs else "supervised"
    return output_dir(config) / "checkpoints" / f"{run_id(config, objective)}.pt"


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
