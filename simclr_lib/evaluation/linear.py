"""A linear probe on frozen features, by L-BFGS (appendix B.8)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .doors import PARTS, checked, checked_grid, checked_place
from .features import Features, accuracy

L2_GRID = tuple(10.0**power for power in range(-6, 2))  # on the mean loss; the paper has 45 values


class Probe(NamedTuple):
    """A linear probe's test accuracy in percent, and the l2 weight chosen on validation."""

    accuracy: float
    l2: float


def linear_probe(
    found: Features, l2_grid: tuple[float, ...] = L2_GRID, device: str = "cpu"
) -> Probe:
    """Multinomial logistic regression on h by L-BFGS (appendix B.8's classifier).

    Features are standardised with the training images' mean and deviation. The l2 weight (times
    half the squared weights, beside the *mean* cross-entropy) is chosen on validation; with the
    chosen one, train and validation together are fitted and test is judged, once. Raises
    `ValueError` for an XLA device, which would compile anew at every look at a number, an `l2_grid`
    that is empty or not above 0, and what `doors.checked` refuses of features and labels.
    """
    place, l2_grid = checked_place(device), checked_grid(l2_grid)
    found = checked(found, *PARTS, least=2)
    mean, std = found.train.mean(dim=0), found.train.std(dim=0).clamp_min(1e-6)
    (train, y_train), (validation, y_validation), (test, y_test) = (
        (((h - mean) / std).to(place), y.to(place))
        for h, y in zip(found[::2], found[1::2], strict=True)
    )
    classes = int(torch.cat([found.train_labels, found.validation_labels]).max()) + 1
    weights, scores = torch.zeros(train.shape[1] + 1, classes, device=place), []
    for l2 in sorted(l2_grid, reverse=True):  # from stiff to loose, each from the last solution
        weights = _logistic_regression(train, y_train, weights, l2)
        scores.append((accuracy(_predict(validation, weights), y_validation), l2, weights))
    _, l2, weights = max(scores, key=lambda score: score[:2])  # of equals the stiffest
    together = torch.cat([train, validation]), torch.cat([y_train, y_validation])
    weights = _logistic_regression(*together, weights, l2)
    return Probe(accuracy(_predict(test, weights), y_test), l2)


def _logistic_regression(x: Tensor, y: Tensor, start: Tensor, l2: float) -> Tensor:
    """Weights (features + 1, classes), the last row the bias, that minimise the loss above."""
    weights = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weights],
        max_iter=200,
        tolerance_grad=1e-5,
        tolerance_change=1e-7,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = torch.addmm(weights[-1], x, weights[:-1])
        loss = F.cross_entropy(logits, y) + l2 / 2 * weights[:-1].square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weights.detach()


def _predict(x: Tensor, weights: Tensor) -> Tensor:
    return (x @ weights[:-1] + weights[-1]).argmax(dim=1)
