"""SimCLR with the memory of v2: embeddings of earlier batches are negatives too (v2, Section 2).

Published are 64K entries, made by a copy of the network that follows with a momentum of 0.999, and
a gain of about one point. How the batch and the memory are combined is not, nor whether the copy's
moving statistics follow. Ours: the loss of SimCLR as it is, where every view has to be told from
the memory's entries as well. Entries are the copy's embeddings of the second views, which enter
after the update, the oldest going out; of the copy the weights follow, before it is used. Without
entries it is SimCLR to the bit.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import refuse
from ..config import Config
from ..losses.nt_xent import l2_normalize, positives, similarity_logits
from ..views import Batch
from .method import follow
from .simclr import SimCLR


def remember(queue: Tensor, oldest: Tensor, newest: Tensor) -> None:
    """Write `newest` (N, dim) into `queue` (K, dim) from row `oldest` on, around its end."""
    place = torch.arange(len(newest), device=queue.device) + oldest
    queue.index_copy_(0, place % len(queue), newest)
    oldest.add_(len(newest)).remainder_(len(queue))


def nt_xent_with_memory(z: Tensor, memory: Tensor, temperature: float) -> Tensor:
    """NT-Xent of z (2N, dim), in which each view has the K rows of `memory` as negatives too.

    Rows of `memory` (K, dim) have length 1 and get no gradient. A scalar, nats, mean over views.
    """
    within = similarity_logits(z, temperature)  # (2N, 2N)
    beyond = l2_normalize(z) @ memory.T / temperature  # (2N, K)
    return F.cross_entropy(torch.cat([within, beyond], dim=1), positives(len(z), z.device))


class SimCLRWithMemory(SimCLR):
    """SimCLR, a slow copy of its networks, and a queue of the copy's embeddings."""

    passes = 2 + 1 / 3
    queue: Tensor  # (K, dim), rows of length 1
    oldest: Tensor  # the row to go next, int64

    def __init__(self, config: Config, classes: int = 0) -> None:
        super().__init__(config)
        if config.batch_size > config.memory_size:
            refuse("memory_size", config.memory_size, f"at least batch_size={config.batch_size}")
        if config.loss != "nt_xent" or not config.l2_normalize:
            refuse("memory_size", config.memory_size, "0 with another loss than NT-Xent of cosines")
        self.slow = copy.deepcopy(nn.Sequential(self.encoder, self.head)).requires_grad_(False)
        rows = torch.randn(config.memory_size, self.head.features, generator=self.generator)
        self.register_buffer("queue", l2_normalize(rows))
        self.register_buffer("oldest", torch.zeros((), dtype=torch.int64))

    def before_step(self, step: int, total: int) -> None:
        online = nn.Sequential(self.encoder, self.head)
        follow(self.slow, online, self.config.memory_momentum)

    def forward(self, batch: Batch) -> tuple[Tensor, ...]:
        """z of both views, and the copy's of the second, (N, dim) each."""
        with torch.no_grad():
            key = self.slow(batch.views[1])
        return *super().forward(batch), key

    def loss(self, outputs: tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
        """That of SimCLR with more negatives; accuracy is among the second views, as ever."""
        _, accuracy = super().loss(outputs[:2], labels)
        z, key = (x.float() if x.itemsize < 4 else x for x in (torch.cat(outputs[:2]), outputs[2]))
        self.newest = l2_normalize(key.detach())
        return nt_xent_with_memory(z, self.queue, self.config.temperature), accuracy

    def after_step(self, step: int, total: int) -> None:
        remember(self.queue, self.oldest, self.newest)
