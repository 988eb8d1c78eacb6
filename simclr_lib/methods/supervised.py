"""Supervised: the same encoder, augmentations and optimizer, with the labels (Table 6)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .. import views
from ..config import Config
from ..networks.heads import linear_classifier
from ..views import Batch, Branch
from .method import Method


class Supervised(Method):
    """One view of each image; a linear classifier on h, trained as any other layer."""

    name, labelled, passes = "supervised", True, 1.0

    def __init__(self, config: Config, classes: int = 0) -> None:
        super().__init__(config)
        self.classifier = linear_classifier(
            self.encoder.features, classes, generator=self.generator
        )

    def branches(self) -> tuple[Branch, ...]:
        return (views.branch(self.config),)

    def logits(self, x: Tensor) -> Tensor:
        """(N, classes) of images (N, 3, S, S)."""
        return self.classifier(self.encode(x))

    def forward(self, batch: Batch) -> tuple[Tensor, ...]:
        return (self.logits(batch.views[0]),)

    def guessing(self) -> float:
        """One of the classes."""
        return 1 / self.classifier.out_features

    def loss(self, outputs: tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = outputs[0].float() if outputs[0].itemsize < 4 else outputs[0]
        return F.cross_entropy(logits, labels), (logits.argmax(1) == labels).float().mean()
