"""Logistic regression to its optimum, by L-BFGS in coordinates of even curvature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..machine import threads

TOLERANCE = 1e-5  # how far, as a share, the loss may be above its minimum
ROUNDS, ITERATIONS = 20, 20  # at most; of L-BFGS between two looks at the curvature
ROWS = 4096  # images at a time: more than these have no room beside their features

Part = tuple[Tensor, Tensor]  # standardised h (n, features), class numbers (n,)


def logistic_regression(parts: Sequence[Part], start: Tensor, l2: float) -> Tensor:
    """Weights (features + 1, classes), the last row the bias, that minimise the loss above.

    L-BFGS in coordinates in which the curvature is about one in all directions: W = P V with
    P P^T the inverse of the Hessian, averaged over the classes. It changes as the classifier grows
    sure, so it is looked at anew every `ITERATIONS`. In these coordinates half the squared gradient
    is how far the loss is above its minimum. On few numbers by one thread.
    """
    with threads.for_numbers(sum(h.numel() for h, _ in parts)):
        return _minimised(parts, start, l2)


def _minimised(parts: Sequence[Part], start: Tensor, l2: float) -> Tensor:
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
        error = logits_of(x, weights).log_softmax(dim=1)  # (n, classes)
        loss = loss - error.gather(1, y[:, None]).sum() / total
        error = error.exp_().sub_(F.one_hot(y, weights.shape[1])).div_(total)
        gradient[:-1].addmm_(x.T, error)
        gradient[-1] += error.sum(dim=0)
    return loss, gradient


def _root_of_curvature(parts: Sequence[Part], weights: Tensor, l2: float) -> Tensor:
    """Lower triangle L (features + 1, features + 1), float64: L L^T is the mean Hessian."""
    size, total = len(weights), sum(len(y) for _, y in parts)
    place = "cpu" if weights.device.type == "mps" else weights.device  # that has no float64
    hessian = torch.zeros(size, size, dtype=torch.float64, device=place)
    for x, _ in _rows(parts):
        p = logits_of(x, weights).softmax(dim=1)
        x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)  # (n, features + 1)
        hessian += ((x * (p * (1 - p)).mean(dim=1, keepdim=True)).T @ x / total).to(hessian)
    diagonal = hessian.diagonal()
    diagonal += 10 * torch.finfo(weights.dtype).eps * diagonal.max()  # what rounding may take
    diagonal[:-1] += l2  # not of the bias
    return torch.linalg.cholesky(hessian)


def _rows(parts: Sequence[Part]) -> Iterator[Part]:
    for x, y in parts:
        yield from zip(x.split(ROWS), y.split(ROWS), strict=True)


def logits_of(x: Tensor, weights: Tensor) -> Tensor:
    """(n, classes) of standardised h (n, features)."""
    return torch.addmm(weights[-1], x, weights[:-1])
