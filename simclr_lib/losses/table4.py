"""The losses that NT-Xent was compared with (Section 5.1, Tables 2 and 4).

All see the views as NT-Xent does: z float (2N, dim), rows i and i + N of one image, scaled to
length 1 first; u is a view, v+ its other view, v- any view of another image. Where NT-Xent weighs
negatives by their share of a softmax, these weigh them equally, and `semi_hard` picks one: the most
similar of those less similar than the positive. The paper does not print how it adds up negatives,
nor code; we take their mean.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import checks
from ..config import Config
from .nt_xent import TOGETHER, check_z, l2_normalize, nt_xent


def nt_logistic(z: Tensor, temperature: float, semi_hard: bool = False) -> Tensor:  # noqa: FBT001, FBT002
    """NT-Logistic: is this the other view, yes or no? A scalar, nats.

    Mean over views of -log sigmoid(u v+ / temperature) - log sigmoid(-u v- / temperature), the
    second term its mean over the negatives, or that of the one semi-hard negative (0 if there is
    none). Raises `ValueError` for a temperature that is not a number above 0.
    """
    checks.positive("temperature", temperature, f"a number above 0; {TOGETHER}")
    checks.flag("semi_hard", semi_hard)
    positive, similarity, negative = _similarities(z)
    attract = F.softplus(-positive / temperature)  # (2N,)
    if semi_hard:
        repel = F.softplus(_semi_hard(positive, similarity, negative) / temperature)  # (2N,)
    else:
        repel = _mean(F.softplus(similarity / temperature), negative)  # (2N,)
    return (attract + repel).mean()


def margin_triplet(z: Tensor, margin: float, semi_hard: bool = False) -> Tensor:  # noqa: FBT001, FBT002
    """Margin triplet loss, a scalar: the positive is to be nearer than negatives, by `margin`.

    Mean over views of max(u v- - u v+ + margin, 0), its mean over the negatives, or that of the
    one semi-hard negative (0 if there is none). Raises `ValueError` for a margin below 0.
    """
    checks.number("margin", margin, f"a number, 0 or more; {TOGETHER}", 0)
    checks.flag("semi_hard", semi_hard)
    positive, similarity, negative = _similarities(z)
    if semi_hard:
        return F.relu(_semi_hard(positive, similarity, negative) - positive + margin).mean()
    return _mean(F.relu(similarity - positive[:, None] + margin), negative).mean()


def contrastive_loss(z: Tensor, config: Config) -> Tensor:
    """The loss that `config.loss` names, of z (2N, dim): a scalar."""
    if not isinstance(config, Config):
        checks.refuse("config", config, "a Config")
    semi_hard = config.loss.endswith("semi_hard")
    if config.loss == "nt_xent":
        return nt_xent(z, config.temperature, config.l2_normalize)
    if config.loss.startswith("nt_logistic"):
        return nt_logistic(z, config.temperature, semi_hard)
    return margin_triplet(z, config.margin, semi_hard)


def _similarities(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cosines to the positive (2N,), to all views (2N, 2N), and where those are negatives."""
    check_z(z, images=2)
    u = l2_normalize(z if z.dtype == torch.float64 else z.float())
    own = torch.arange(len(z), device=z.device) % (len(z) // 2)  # (2N,) the image of a view
    return (u * u.roll(len(u) // 2, 0)).sum(dim=1), u @ u.T, own[:, None] != own


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """(2N,) mean of each row over its chosen places; shapes do not depend on values."""
    return (values * chosen).sum(dim=1) / chosen.sum(dim=1)


def _semi_hard(positive: Tensor, similarity: Tensor, negative: Tensor) -> Tensor:
    """(2N,) similarity of the hardest negative that is not harder than the positive, or -inf."""
    candidates = negative & (similarity < positive[:, None])
    return similarity.masked_fill(~candidates, -torch.inf).amax(dim=1)
