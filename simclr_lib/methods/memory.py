"""SimCLR with the memory of v2: embeddings of earlier batches are negatives too (v2, Section 2).

Published are 64K entries, made by a copy of the network that follows with a momentum of 0.999, and
a gain of about one point. How the batch and the memory are combined is not, nor whether the copy's
moving statistics follow. Ours: the loss of SimCLR as it is, where every view has to be told from
the memory's entries as well. Entries are the copy's embeddings of the second views, which enter
after the update, the oldest going out; of the copy the weights follow, before it is used. With
`memory_size` 0 it is SimCLR itself.
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
from .queue import Queue
from .simclr import SimCLR


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

    def __init__(self, config: Config, classes: int = 0) -> None:
        super().__init__(config)
        if config.batch_size > config.memory_size:
            refuse("memory_size", config.memory_size, f"at least batch_size={config.batch_size}")
        if config.loss != "nt_xent" or not config.l2_normalize:
            refuse("memory_size", config.memory_size, "0 with another loss than NT-Xent of cosines")
        self.slow = copy.deepcopy(nn.Sequential(self.encoder, self.head)).requires_grad_(False)
        self.queue = Queue(config.memory_size, self.head.features, self.generator)

    def before_step(self, step: int, total: int) -> None:
        online = nn.Sequential(self.encoder, self.head)
        follow(self.slow, online, self.config.memory_momentum)

    def forward(self, batch: Batch) -> tuple[Tensor, ...]:
        """z of both views, and the copy's of the second, (N, dim) each."""
        with torch.no_grad():
            key = self.slow(batch.views[1])
        return *super().forward(batch), key

    def loss(self, outputs: tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
        """That of SimCLR, by the `contrast` below; the accuracy is without the memory, as ever."""
        key = outputs[2].float() if outputs[2].itemsize < 4 else outputs[2]
        self.newest = l2_normalize(key.detach())
        return super().loss(outputs[:2], labels)

    def contrast(self, z: Tensor) -> Tensor:
        z = z.float() if z.itemsize < 4 else z
        return nt_xent_with_memory(z, self.queue.rows, self.config.temperature)

    def after_step(self, step: int, total: int) -> None:
        self.queue.push(self.newest)
