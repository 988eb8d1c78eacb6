"""MoCo v2 (Chen et al. 2020, arXiv 2003.04297; He et al., CVPR 2020): negatives from a queue.

A key is what a slow copy of the network makes of the other view; keys of earlier batches are the
negatives, so the batch need not be large. Order as in the official code: the copy moves *before* it
makes the keys, and these enter the queue after the update. Batch norm is taken over the whole
batch, so that there are no groups whose statistics could be told apart ("shuffling"). Views are
those of `augmentations`, as for every method; the paper's crops start at 0.2 of the area.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import refuse
from ..config import Config
from ..networks.heads import ProjectionHead
from ..views import Batch
from .method import Method, follow
from .queue import Queue


class MoCoV2(Method):
    """Encoder and a head without batch norm, a slow copy of both, and a queue of its keys."""

    name, passes = "MoCo v2", 1 + 1 / 3

    def __init__(self, config: Config, classes: int = 0) -> None:
        super().__init__(config)
        if config.batch_size > config.queue_size:
            refuse("queue_size", config.queue_size, f"at least batch_size={config.batch_size}")
        dim, draws = config.projection_dim, self.generator
        self.head = ProjectionHead(self.encoder.features, 2, dim, batch_norm=False, generator=draws)
        self.slow = copy.deepcopy(self.online()).requires_grad_(False)
        self.queue = Queue(config.queue_size, dim, draws)

    def online(self) -> nn.Sequential:
        """What is trained: images to z."""
        return nn.Sequential(self.encoder, self.head)

    def before_step(self, step: int, total: int) -> None:
        follow(self.slow, self.online(), self.config.ema_momentum)

    def forward(self, batch: Batch) -> tuple[Tensor, ...]:
        """Queries and keys, (N, dim) each."""
        query, key = batch.views
        with torch.no_grad():
            k = self.slow(key)
        return self.head(self.encoder(query)), k

    def guessing(self) -> float:
        """The key, or one of the K in the queue."""
        return 1 / (1 + self.config.queue_size)

    def loss(self, outputs: tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
        q, k = (F.normalize(z.float() if z.itemsize < 4 else z) for z in outputs)
        self.newest = k.detach()
        positive, negative = (q * self.newest).sum(dim=1, keepdim=True), q @ self.queue.rows.T
        logits = torch.cat([positive, negative], dim=1) / self.config.temperature  # (N, 1 + K)
        answer = torch.zeros(len(q), dtype=torch.int64, device=q.device)
        return F.cross_entropy(logits, answer), (logits.argmax(dim=1) == 0).float().mean()

    def after_step(self, step: int, total: int) -> None:
        self.queue.push(self.newest)
