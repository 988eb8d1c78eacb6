"""A linear probe on frozen features, by L-BFGS (appendix B.8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .doors import PARTS, checked, checked_grid, checked_place
from .features import Features, accuracy
from .scores import best_guesses, scores

L2_GRID = tuple(10.0**power for power in range(-6, 2))  # on the mean loss; the paper has 45 values
TOLERANCE = 1e-5  # how far, as a share, the loss may be above its minimum
ROUNDS, ITERATIONS = 20, 20  # at most; of L-BFGS between two looks at the curvature
ROWS = 8192  # images at a time: more than these have no room beside their features
IN_FLOAT64 = 2**24  # up to so many numbers

Part = tuple[Tensor, Tensor]  # standardised h (n, features), class numbers (n,)


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
    its loss is within a share of `TOLERANCE` of the minimum, as far as the curvature there says,
    which with few labels and a weak l2 takes longer than any fixed bound on the gradient. Raises
    `ValueError` for an XLA device, which would compile anew at every look at a number, an `l2_grid`
    that is empty or not above 0, and what `doors.checked` refuses of features and labels.
    """
    place, l2_grid = checked_place(device), checked_grid(l2_grid)
    found = checked(found, *PARTS, least=2)
    mean, std = found.train.mean(dim=0), found.train.std(dim=0).clamp_min(1e-6)
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
    guesses = [best_guesses(_logits(standardised(h), weights)) for h in found.test.split(ROWS)]
    judged = scores(torch.cat(guesses).cpu(), found.test_labels)
    return Probe(judged.accuracy, l2, judged.top5, judged.per_class)


def logistic_regression(parts: Sequence[Part], start: Tensor, l2: float) -> Tensor:
    """Weights (features + 1, classes), the last row the bias, that minimise the loss above.

    L-BFGS in coordinates in which the curvature is about one in all directions: W = P V with
    P P^T the inverse of the Hessian, averaged over the classes. It changes as the classifier grows
    sure, so it is looked at anew every `ITERATIONS`. In these coordinates half the squared gradient
    is how far the loss is above its minimum.
    """
    weights = start
    for _ in range(ROUNDS):
        inverse = torch.linalg.inv(_root_of_curvature(parts, weights, l2))  # (features + 1,) * 2
        p = inverse.T.to(weights)
        v = torch.linalg.solve(p, weights).requires_grad_()
        optimizer = torch.optim.LBFGS(
            [v],
            max_iter=ITERATIONS,
            tolerance_grad=0,
            tolerance_change=0,
            history_size=ITERATIONS,
            line_search_fn="strong_wolfe",
        )

        def closure(v: Tensor = v, p: Tensor = p) -> Tensor:
            with torch.no_grad():
                loss, gradient = _loss_and_gradient(parts, p @ v, l2)
                v.grad = p.T @ gradient
            return loss

        loss = closure()
        assert v.grad is not None
        if 0.5 * v.grad.square().sum() <= TOLERANCE * loss:
            break
        optimizer.step(closure)
        weights = (p @ v).detach()
    return weights


def _loss_and_gradient(parts: Sequence[Part], weights: Tensor, l2: float) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy plus l2 / 2 times the squared weights, but the bias; its gradient."""
    penalised = torch.cat([weights[:-1], torch.zeros_like(weights[-1:])])
    loss, gradient = l2 / 2 * penalised.square().sum(), l2 * penalised
    total = sum(len(y) for _, y in parts)
    for x, y in _rows(parts):
        error = _logits(x, weights).log_softmax(dim=1)  # (n, classes)
        loss = loss - error.gather(1, y[:, None]).sum() / total
        error = error.exp_().sub_(F.one_hot(y, weights.shape[1])).div_(total)
        gradient[:-1].addmm_(x.T, error)
        gradient[-1] += error.sum(dim=0)
    return loss, gradient


def _root_of_curvature(parts: Sequence[Part], weights: Tensor, l2: float) -> Tensor:
    """Lower triangle L (features + 1, features + 1), float64: L L^T is the mean Hessian."""
    size, total = len(weights), sum(len(y) for _, y in parts)
    hessian = torch.zeros(size, size, dtype=torch.float64, device=weights.device)
    for x, _ in _rows(parts):
        p = _logits(x, weights).softmax(dim=1)
        x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)  # (n, features + 1)
        hessian += (x * (p * (1 - p)).mean(dim=1, keepdim=True)).T @ x / total
    diagonal = hessian.diagonal()
    diagonal += l2 + 10 * torch.finfo(weights.dtype).eps * diagonal.max()  # what rounding may take
    return torch.linalg.cholesky(hessian)


def _rows(parts: Sequence[Part]) -> Iterator[Part]:
    for x, y in parts:
        yield from zip(x.split(ROWS), y.split(ROWS), strict=True)


def _logits(x: Tensor, weights: Tensor) -> Tensor:
    return torch.addmm(weights[-1], x, weights[:-1])


def _predict(x: Tensor, weights: Tensor) -> Tensor:
    return torch.cat([_logits(rows, weights).argmax(dim=1) for rows in x.split(ROWS)])
