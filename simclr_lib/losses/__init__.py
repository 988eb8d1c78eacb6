"""NT-Xent, what to read off it, and the losses it was compared with."""

from .nt_xent import (
    ContrastiveMetrics,
    contrastive_metrics,
    l2_normalize,
    nt_xent,
    nt_xent_matrix,
    positives,
    similarity_logits,
)
from .table4 import margin_triplet, nt_logistic

__all__ = [
    "ContrastiveMetrics",
    "contrastive_metrics",
    "l2_normalize",
    "margin_triplet",
    "nt_logistic",
    "nt_xent",
    "nt_xent_matrix",
    "positives",
    "similarity_logits",
]
