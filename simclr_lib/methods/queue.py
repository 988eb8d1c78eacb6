"""The newest embeddings of earlier batches as negatives: of MoCo, and of SimCLR v2's memory."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn


class Queue(nn.Module):
    """`rows` (K, dim) of length 1, random at first; `oldest` (int64) is the one to go next."""

    rows: Tensor
    oldest: Tensor

    def __init__(self, size: int, dim: int, generator: Generator) -> None:
        super().__init__()
        self.register_buffer("rows", F.normalize(torch.randn(size, dim, generator=generator)))
        self.register_buffer("oldest", torch.zeros((), dtype=torch.int64))

    def push(self, newest: Tensor) -> None:
        """Write `newest` (N, dim), N at most K, over the oldest rows, around the end."""
        place = torch.arange(len(newest), device=self.rows.device) + self.oldest
        self.rows.index_copy_(0, place % len(self.rows), newest)
        self.oldest.add_(len(newest)).remainder_(len(self.rows))
