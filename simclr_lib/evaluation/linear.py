"""A linear probe on frozen features, by L-BFGS (appendix B.8)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .doors import PARTS, checked, checked_grid, checked_place
from .features import Features, accuracy, moments
from .logistic import ROWS, logistic_regression, logits_of
from .scores import best_guesses, scores

L2_GRID = tuple(10.0**power for power in range(-6, 2))  # on the mean loss; the paper has 45 values
IN_FLOAT64 = 2**24  # up to so many numbers


class Probe(NamedTuple):
    """A linear probe's scores on test, percent, and the l2 weight chosen on validation."""

    accuracy: float
    l2: float
    top5: float
    per_class: float


def linear_probe(
    found: Features, l2_grid: tuple[float, ...] = L2_GRID, device: str = "cpu"
) -> Probe:
    """Multinomial logistic regression on h by L-BFGS (appendix B.8's classifier).

    Features are standardised with the training images' mean and deviation. The l2 weight (times
    half the squared weights, beside the *mean* cross-entropy) is chosen on validation; with the
    chosen one, train and validation together are fitted and test is judged, once. A fit ends when
    its loss is within a share of `logistic.TOLERANCE` of the minimum, as far as the curvature there
    says; with few labels and a weak l2 a fixed bound on the gradient would end it too early. Raises
    `ValueError` for an XLA device, which would compile anew at every look at a number, an `l2_grid`
    that is empty or not above 0, and what `doors.checked` refuses of features and labels.
    """
    place, l2_grid = checked_place(device), checked_grid(l2_grid)
    found = checked(found, *PARTS, least=2)
    mean, std = moments(found.train)
    small = found.train.numel() <= IN_FLOAT64 and place.type != "mps"
    dtype = torch.float64 if small else torch.float32

    def standardised(h: Tensor) -> Tensor:
        return h.sub(mean).div_(std).to(place, dtype)

    train, validation = (
        (standardised(h), y.to(place))
        for h, y in ((found.train, found.train_labels), (found.validation, found.validation_labels))
    )
    classes = int(max(found.train_labels.max(), found.validation_labels.max())) + 1
    weights = torch.zeros(found.train.shape[1] + 1, classes, device=place, dtype=dtype)
    tried = []
    for l2 in sorted(l2_grid, reverse=True):  # from stiff to loose, each from the last solution
        weights = logistic_regression([train], weights, l2)
        tried.append((accuracy(_predict(validation[0], weights), validation[1]), l2, weights))
    _, l2, weights = max(tried, key=lambda one: one[:2])  # of equals the stiffest
    weights = logistic_regression([train, validation], weights, l2)
    guesses = [best_guesses(logits_of(standardised(h), weights)) for h in found.test.split(ROWS)]
    judged = scores(torch.cat(guesses).cpu(), found.test_labels)
    return Probe(judged.accuracy, l2, judged.top5, judged.per_class)


def _predict(x: Tensor, weights: Tensor) -> Tensor:
    return torch.cat([logits_of(rows, weights).argmax(dim=1) for rows in x.split(ROWS)])
