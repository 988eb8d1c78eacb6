"""SimCLR: which of all the other views in the batch is the other view of my image? (Algorithm 1)

The same on one page, without the library: notebooks/04b_on_one_page.ipynb.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..config import Config
from ..losses.nt_xent import contrastive_metrics
from ..losses.table4 import contrastive_loss
from ..networks.heads import ProjectionHead
from ..views import Batch
from .method import Method


class SimCLR(Method):
    """Encoder f and projection head g, trained by the loss that `config.loss` names."""

    name = "SimCLR"

    def __init__(self, config: Config, classes: int = 0) -> None:
        super().__init__(config)
        self.head = ProjectionHead(
            self.encoder.features,
            config.head_layers,
            config.projection_dim,
            config.has("head_batch_norm"),
            generator=self.generator,
        )

    def forward(self, batch: Batch) -> tuple[Tensor, ...]:
        """z = g(f(x)) of the first and of the second views, (N, dim) each."""
        if not self.config.has("joint_views"):  # batch norm then normalises the two apart
            return tuple(self.head(self.encoder(x)) for x in batch.views)
        return self.head(self.encoder(torch.cat(batch.views))).chunk(2)

    def guessing(self) -> float:
        """One of the N second views."""
        return 1 / self.config.batch_size

    def contrast(self, z: Tensor) -> Tensor:
        """The loss of z (2N, dim), rows i and i + N of one image."""
        return contrastive_loss(z, self.config)

    def loss(self, outputs: tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
        z, config = torch.cat(outputs), self.config  # (2N, dim)
        found = contrastive_metrics(z.detach(), config.temperature, config.l2_normalize)
        loss = self.contrast(z)
        if config.loss_sum == "official":  # twice the pull; what is reported stays nats a view
            loss = 2 * loss - loss.detach()
        return loss, found.accuracy
