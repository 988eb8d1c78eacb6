"""How good a classifier is, in the numbers that the tables give."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .features import accuracy

TOP = 5


class Scores(NamedTuple):
    """Percent of the images of a part."""

    accuracy: float  # whose class is the first guess
    top5: float  # ... is among five guesses
    per_class: float  # the mean over the classes that occur of the accuracy within each


def scores(guesses: Tensor, labels: Tensor) -> Scores:
    """Of `guesses` (N, up to 5), classes in order of confidence, and the labels (N,).

    Raises `ValueError` as `accuracy` does.
    """
    first = accuracy(guesses[:, 0], labels)
    right = guesses == labels[:, None]  # (N, up to 5)
    counts = torch.bincount(labels)
    within = torch.bincount(labels, weights=right[:, 0].double()) / counts.clamp_min(1)
    per_class = 100 * within[counts > 0].mean().item()
    return Scores(first, 100 * right.any(dim=1).double().mean().item(), per_class)


def best_guesses(logits: Tensor) -> Tensor:
    """The classes (N, up to 5) of the largest logits (N, classes), the largest first."""
    return logits.topk(min(TOP, logits.shape[1]), dim=1).indices


def largest_class(labels: Tensor) -> float:
    """Percent of the labels (N,) that are of the most frequent class, as guessing it gives."""
    return 100 * torch.bincount(labels).max().item() / len(labels)
