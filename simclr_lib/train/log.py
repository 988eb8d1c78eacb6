"""What a run tells: its history, and why it ended if it diverged."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..config import Config
from ..methods import Method

LOG_POINTS, LOG_AT_LEAST = 100, 500  # log points in a run; and one in so many updates
HISTORY = ("step", "loss", "accuracy", "learning_rate", "images_per_second")


class Run(NamedTuple):
    """A trained method."""

    method: Method
    history: dict[
        str, list[float]
    ]  # per log point, see `HISTORY`; accuracy is of the method's task
    seconds: float  # spent training, over all attempts
    facts: dict[str, Any] | None = None  # about the devices, for the record
    data: str = ""  # fingerprint of the images it was trained on

    @property
    def encoder(self) -> nn.Module:
        """f of h = f(x)."""
        return self.method.encoder

    @property
    def head(self) -> Any:
        """g of z = g(h); None if the method has none."""
        return getattr(self.method, "head", None)


def left_chance(history: dict[str, list[float]], guessing: float) -> int | None:
    """After how many updates a run has left chance; None: it never did.

    From there on, at every log point, it is right at least twice as often as `guessing` (0 to 1)
    is. That is about the task it is trained on, in which a shortcut counts as much as an insight.
    """
    left = None
    for step, accuracy in zip(history["step"], history["accuracy"], strict=True):
        if accuracy < 2 * guessing:
            left = None
        elif left is None:
            left = int(step)
    return left


class NotFiniteError(RuntimeError):
    """The loss became infinite or not a number; the message names the step and what to try."""


class Log:
    """Loss and accuracy of updates: held on the device, fetched then kept in `history`."""

    def __init__(self, config: Config, total: int, state: dict[str, Any] | None = None) -> None:
        self.config, self.total = config, total
        self.every = min(max(total // LOG_POINTS, 1), LOG_AT_LEAST)
        self.history: dict[str, list[float]] = (
            state["history"] if state else {n: [] for n in HISTORY}
        )
        self.pending: list[Tensor] = state["pending"] if state else []  # (2,) of each update since
        self.last = time.perf_counter()

    def add(self, metrics: Tensor, step: int, rate: float) -> str:
        """Note the update `step`; at a log point, words for it. `NotFiniteError` if it diverges."""
        self.pending.append(metrics)
        if (step + 1) % self.every and step + 1 != self.total:
            return ""
        loss, accuracy = torch.stack([m.cpu() for m in self.pending]).mean(dim=0).tolist()
        _check_finite(loss, step, rate, self.config)
        now = time.perf_counter()
        speed = len(self.pending) * self.config.batch_size / (now - self.last)
        numbers = (step + 1, loss, accuracy, rate, speed)
        for name, value in zip(HISTORY, numbers, strict=True):
            self.history[name].append(value)
        self.pending, self.last = [], now
        return f"loss {loss:.3f}, accuracy {accuracy:.1%}"


def _check_finite(loss: float, step: int, rate: float, config: Config) -> None:
    if not -float("inf") < loss < float("inf"):
        name = "base_learning_rate"
        longer = f", a longer warmup_epochs (now {config.warmup_epochs:g})"
        if config.method == "fine-tune":  # whose rate is another parameter, and has no warm-up
            name, longer = "finetune_learning_rate", ""
        raise NotFiniteError(
            f"the loss is {loss} at step {step + 1} (learning rate {rate:.3g}); try a lower "
            f"{name} (now {config.base_learning_rate:g}){longer}, or precision fp32"
        )
