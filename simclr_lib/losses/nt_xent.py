"""NT-Xent, the contrastive loss of the paper (Section 2.1, Equation 1), and what to read off it.

Both views are in one tensor z (2N, dim): rows i and i + N are the two views of image i. It may be
of any floating-point type; half precision is computed in float32. Numbers in z are not looked at,
so that no device is waited for: of NaN a loss is NaN.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .. import checks

TOGETHER = "both views go into z, as torch.cat([z1, z2])"  # other libraries take them apart


def l2_normalize(z: Tensor) -> Tensor:
    """Rows of z (views, dim) scaled to length 1.

    As officially: z / sqrt(max(|z|^2, 1e-12)). The bound is on the *squared* norm, so a row shorter
    than 1e-6 is multiplied by 1e6 and does not reach length 1. Raises `ValueError` for what is not
    float32 or float64: in half precision that bound is 0.
    """
    valid = "float32 or float64, of shape (views, dim)"
    checks.tensor("z", z, valid)
    if z.ndim != 2 or z.dtype not in (torch.float32, torch.float64):
        checks.refuse("z", z, valid)
    return z * z.square().sum(dim=1, keepdim=True).clamp_min(1e-12).rsqrt()


def similarity_logits(z: Tensor, temperature: float, l2_normalize_rows: bool = True) -> Tensor:  # noqa: FBT001, FBT002
    """(2N, 2N) similarities of all views over `temperature`, self-similarity at -1e9, float32+."""
    check_views(z, temperature, l2_normalize_rows=l2_normalize_rows)
    z = _rows(z, l2_normalize_rows=l2_normalize_rows)
    logits = z @ z.T / temperature  # (2N, 2N)
    self_pairs = torch.eye(len(z), dtype=torch.bool, device=z.device)
    return logits.masked_fill(self_pairs, -1e9)  # a view is not its own negative


def positives(views: int, device: torch.device | str = "cpu") -> Tensor:
    """(2N,) row of every view's other view: i + N modulo 2N; `views` is 2N."""
    checks.whole("views", views, 2)
    if views % 2:
        checks.refuse("views", views, "even: two of each image")
    return torch.arange(views, device=device).roll(views // 2)


def nt_xent(
    z: Tensor,
    temperature: float = 0.1,
    l2_normalize_rows: bool = True,  # noqa: FBT001, FBT002
    tile: int = 1024,
) -> Tensor:
    """The normalised temperature-scaled cross-entropy loss, a scalar in nats.

    z is float (2N, dim), *not* normalised; rows i and i + N are the two views of image i.
    Returns the paper's mean over all 2N anchors. The official code instead *adds* the means over
    the two halves, so its loss and gradients are exactly twice these. Chance, when all views are
    equally similar, is log(2N - 1). `l2_normalize_rows=False` takes plain dot products (Table 5).
    Computed in float32, or in float64 for float64 input. At no time are more than a few
    `tile` x `tile` similarities held, so memory grows with N. On XLA the compiler tiles by itself
    and is given `nt_xent_matrix`. Raises `ValueError` for an odd number of rows, or a temperature
    or tile that is not a number above 0.
    """
    check_views(z, temperature, l2_normalize_rows=l2_normalize_rows)
    checks.whole("tile", tile, 1)
    if z.device.type == "xla":
        return nt_xent_matrix(z, temperature, l2_normalize_rows)
    return _TiledNTXent.apply(_rows(z, l2_normalize_rows=l2_normalize_rows), temperature, tile)


def nt_xent_matrix(z: Tensor, temperature: float = 0.1, l2_normalize_rows: bool = True) -> Tensor:  # noqa: FBT001, FBT002
    """`nt_xent` in one expression, by the whole (2N, 2N) matrix: to read, and to compare with."""
    logits = similarity_logits(z, temperature, l2_normalize_rows)
    return F.cross_entropy(logits, positives(len(z), z.device))


class _TiledNTXent(torch.autograd.Function):
    """NT-Xent from one tile of the similarities s at a time; they are computed anew for backward.

    As s is symmetric, tiles on and above the diagonal suffice: a tile below is one above, turned.
    With M_i the log of the sum of exp(s_ik) over the negatives k, and p the other view of i,

        loss = mean_i softplus(M_i - s_ip),   L_i = log(exp(M_i) + exp(s_ip)),
        d loss / d z_i = sum_k (exp(s_ik - L_i) + exp(s_ik - L_k)) z_k - (S_i + S_p) z_p,
                         over 2N tau, with S = sigmoid(M - s_p), the share of the negatives.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, temperature: float, tile: int) -> Tensor:
        negatives = z.new_full((len(z),), -torch.inf)  # (2N,) M
        for rows, columns, s in _negative_tiles(z, temperature, tile):
            negatives[rows] = torch.logaddexp(negatives[rows], s.logsumexp(dim=1))
            if rows != columns:
                negatives[columns] = torch.logaddexp(negatives[columns], s.logsumexp(dim=0))
        positive = (z * z.roll(len(z) // 2, 0)).sum(dim=1) / temperature  # (2N,) s_ip
        ctx.save_for_backward(z, negatives, positive)
        ctx.temperature, ctx.tile = temperature, tile
        return F.softplus(negatives - positive).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor, None, None]:
        z, negatives, positive = ctx.saved_tensors
        total = torch.logaddexp(negatives, positive)  # (2N,) L
        share = torch.sigmoid(negatives - positive)  # (2N,) S
        n = len(z) // 2
        gradient = -(share + share.roll(n))[:, None] * z.roll(n, 0)  # (2N, dim)
        for rows, columns, s in _negative_tiles(z, ctx.temperature, ctx.tile):
            weights = (s - total[rows, None]).exp_()
            weights += s.sub_(total[columns]).exp_()
            gradient[rows].addmm_(weights, z[columns])
            if rows != columns:
                gradient[columns].addmm_(weights.T, z[rows])
        return gradient * (grad_loss / (2 * n * ctx.temperature)), None, None


def _negative_tiles(
    z: Tensor, temperature: float, tile: int
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Rows, columns and similarities (<= tile, <= tile) of the upper triangle; negatives only."""
    starts = range(0, len(z), tile)
    for top, left in itertools.combinations_with_replacement(starts, 2):
        rows, columns = slice(top, top + tile), slice(left, left + tile)
        with torch.autocast(z.device.type, enabled=False):  # also where the caller works in bf16
            s = (z[rows] @ z[columns].T).div_(temperature)
        for other in (-len(z) // 2, 0, len(z) // 2):  # a view itself, and its other view
            s.diagonal(other + top - left).fill_(-torch.inf)
        yield rows, columns, s


def _rows(z: Tensor, *, l2_normalize_rows: bool) -> Tensor:
    """z in float32 or float64, with rows of length 1 if wanted."""
    z = z if z.dtype == torch.float64 else z.float()
    return l2_normalize(z) if l2_normalize_rows else z


class ContrastiveMetrics(NamedTuple):
    """Scalars on the device of z; see `contrastive_metrics`."""

    accuracy: Tensor  # share of first views whose most similar second view is their own
    entropy: Tensor  # of the distribution over second views, nats, 0 to log N


@torch.no_grad()
def contrastive_metrics(
    z: Tensor,
    temperature: float = 0.1,
    l2_normalize_rows: bool = True,  # noqa: FBT001, FBT002
) -> ContrastiveMetrics:
    """Contrastive accuracy and entropy as the official code and Table 5 report them.

    z as in `nt_xent`. Only first views against second views count: N candidates, chance 1 / N.
    """
    check_views(z, temperature, l2_normalize_rows=l2_normalize_rows)
    first, second = _rows(z, l2_normalize_rows=l2_normalize_rows).chunk(2)  # (N, dim) each
    own = torch.arange(len(first), device=z.device)
    blocks = []
    for rows in own.split(max(2**20 // len(own), 1)):  # some 2**20 similarities at a time
        logits = first[rows] @ second.T / temperature  # (rows, N)
        p = logits.softmax(dim=1)
        hits = (logits.argmax(dim=1) == rows).float().sum()
        blocks.append(torch.stack([hits, -(p * torch.log(p + 1e-8)).sum()]))
    accuracy, entropy = torch.stack(blocks).sum(dim=0) / len(own)
    return ContrastiveMetrics(accuracy, entropy)


def check_views(z: Tensor, temperature: float, *, l2_normalize_rows: bool) -> None:
    """Refuse what is not z (2N, dim), a temperature above 0, and True or False."""
    checks.positive("temperature", temperature, f"a number above 0; {TOGETHER}")
    checks.flag("l2_normalize_rows", l2_normalize_rows)
    check_z(z)


def check_z(z: Tensor, images: int = 1) -> None:
    """Refuse what is not z (2N, dim) of at least `images` images, of floating-point numbers."""
    enough = f", N > {images - 1}" if images > 1 else ""
    valid = f"(2N, dim){enough}, of a floating-point type; {TOGETHER}"
    checks.tensor("z", z, valid)
    if z.ndim != 2 or not z.is_floating_point() or len(z) % 2 or len(z) < 2 * images:
        checks.refuse("z", z, valid)
    if z.shape[1] == 0:
        checks.refuse("z", z, valid)
