"""NT-Xent, the contrastive loss of the paper (Section 2.1, Equation 1), and what to read off it."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


def l2_normalize(z: Tensor) -> Tensor:
    """Rows of z (views, dim) scaled to length 1.

    As officially: z / sqrt(max(|z|^2, 1e-12)). The bound is on the *squared* norm, so a row shorter
    than 1e-6 is multiplied by 1e6 and does not reach length 1.
    """
    return z * z.square().sum(dim=1, keepdim=True).clamp_min(1e-12).rsqrt()


def similarity_logits(z: Tensor, temperature: float, l2_normalize_rows: bool = True) -> Tensor:
    """(2N, 2N) similarities of all views over `temperature`, self-similarity at -1e9, float32+."""
    z = z if z.dtype == torch.float64 else z.float()
    z = l2_normalize(z) if l2_normalize_rows else z
    logits = z @ z.T / temperature  # (2N, 2N)
    self_pairs = torch.eye(len(z), dtype=torch.bool, device=z.device)
    return logits.masked_fill(self_pairs, -1e9)  # a view is not its own negative


def positives(views: int, device: torch.device | str = "cpu") -> Tensor:
    """(2N,) row of every view's other view: i + N modulo 2N."""
    return torch.arange(views, device=device).roll(views // 2)


def nt_xent(z: Tensor, temperature: float = 0.1, l2_normalize_rows: bool = True) -> Tensor:
    """The normalised temperature-scaled cross-entropy loss, a scalar in nats.

    z is float (2N, dim), *not* normalised; rows i and i + N are the two views of image i.
    Returns the paper's mean over all 2N anchors. The official code instead *adds* the means over
    the two halves, so its loss and gradients are exactly twice these. Chance, when all views are
    equally similar, is log(2N - 1). `l2_normalize_rows=False` takes plain dot products (Table 5).
    Computed in float32, or in float64 for float64 input. Raises `ValueError` for an odd number of
    rows or a temperature that is not above 0.
    """
    _check(z, temperature)
    logits = similarity_logits(z, temperature, l2_normalize_rows)
    return F.cross_entropy(logits, positives(len(z), z.device))


class ContrastiveMetrics(NamedTuple):
    """Scalars on the device of z; see `contrastive_metrics`."""

    accuracy: Tensor  # share of first views whose most similar second view is their own
    entropy: Tensor  # of the distribution over second views, nats, 0 to log N


@torch.no_grad()
def contrastive_metrics(
    z: Tensor, temperature: float = 0.1, l2_normalize_rows: bool = True
) -> ContrastiveMetrics:
    """Contrastive accuracy and entropy as the official code and Table 5 report them.

    z as in `nt_xent`. Only first views against second views count: N candidates, chance 1 / N.
    """
    _check(z, temperature)
    z = z if z.dtype == torch.float64 else z.float()
    z = l2_normalize(z) if l2_normalize_rows else z
    first, second = z.chunk(2)  # (N, dim) each
    logits = first @ second.T / temperature  # (N, N)
    own = torch.arange(len(first), device=z.device)
    accuracy = (logits.argmax(dim=1) == own).float().mean()
    p = logits.softmax(dim=1)
    return ContrastiveMetrics(accuracy, -(p * torch.log(p + 1e-8)).sum(dim=1).mean())


def _check(z: Tensor, temperature: float) -> None:
    if z.ndim != 2 or len(z) == 0 or len(z) % 2:
        raise ValueError(f"z of shape {tuple(z.shape)} is not valid; it must be (2N, dim)")
    if not temperature > 0:
        raise ValueError(f"temperature={temperature!r} is not valid; it must be above 0")
