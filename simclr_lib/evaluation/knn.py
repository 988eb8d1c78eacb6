"""A vote among the nearest neighbours."""

from __future__ import annotations

import torch
from torch import Tensor

from ..checks import number, whole
from ..losses.nt_xent import l2_normalize
from ..machine import threads
from .doors import checked
from .features import Features, accuracy


def knn(found: Features, k: int = 20, temperature: float = 0.07) -> float:
    """Test accuracy, percent, of a vote among the `k` training images nearest by cosine.

    Votes weigh exp(similarity / temperature), as in the literature on instance discrimination.
    With fewer training images than `k`, all vote. A class that is not among them is never
    predicted. Raises `ValueError` if `k` or `temperature` is not above 0, or for features and
    labels that cannot be used: no rows, NaN, other widths, images without labels.
    """
    whole("k", k, low=1)
    number("temperature", temperature, "a number, 1e-6 or above", low=1e-6)
    found = checked(found, "train", "test")
    with threads.for_numbers(found.train.numel()):
        predicted = _votes(found, int(k), temperature)
    return accuracy(predicted, found.test_labels)


def _votes(found: Features, k: int, temperature: float) -> Tensor:
    """The class (N,) of every test image that its neighbours vote for."""
    train = found.train
    length = torch.cat([_inverse_length(rows) for rows in train.split(8192)])  # (N,)
    classes = int(found.train_labels.max()) + 1
    predicted = []
    rows = min(max(2**23 // len(train), 1), len(found.test))
    room = torch.empty(rows, len(train))  # at most 32 MB of similarities, and always the same
    for part in found.test.split(rows):
        queries = l2_normalize(part)
        # (n, N), without a second copy of all features of length 1
        similar = torch.mm(queries, train.T, out=room[: len(part)]).mul_(length)
        similarity, nearest = similar.topk(min(k, len(train)), dim=1)  # (n, k)
        weights = similarity / temperature
        nearest_weight = weights[:, :1]
        weights -= nearest_weight - nearest_weight.clamp(-60, 60)  # or exp would overflow, or be 0
        votes = torch.zeros(len(queries), classes)
        votes.scatter_add_(1, found.train_labels[nearest], weights.exp())
        predicted.append(votes.argmax(dim=1))
    return torch.cat(predicted)


def _inverse_length(rows: Tensor) -> Tensor:
    """1 / |h| of rows h (n, features), bounded as in `l2_normalize`."""
    return rows.square().sum(dim=1).clamp_min(1e-12).rsqrt()
