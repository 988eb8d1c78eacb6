"""BYOL (Grill et al., NeurIPS 2020, arXiv 2006.07733): say what a slow copy of me makes of the
other view. No negatives; that it does not collapse is the riddle.

As in the official code: hidden layers as `ProjectionHead` has them but with biases and without a
batch norm at the end, a target that starts from weights of its own, batch norm of the target in
training mode, and the target moved after the optimizer. The paper's heads have 4096 hidden and 256
outputs; ours are as wide as h, with `projection_dim` outputs. Its views differ in blur and
solarization; ours are those of `augmentations`, as for every method.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn

from ..config import Config
from ..losses.nt_xent import l2_normalize
from ..networks.layers import BatchNorm, dense
from ..networks.resnet import build_encoder
from ..views import Batch
from .method import Method, follow


def mlp(inputs: int, hidden: int, outputs: int, generator: Generator) -> nn.Sequential:
    """(N, inputs) to (N, outputs): dense with bias, batch norm, ReLU, dense without bias."""
    first = dense(inputs, hidden, bias=True, generator=generator)
    last = dense(hidden, outputs, generator=generator)
    return nn.Sequential(first, BatchNorm(hidden), nn.ReLU(), last)


def momentum_of(step: int, total: int, start: float) -> float:
    """tau of update `step`: from `start` to 1 along half a cosine."""
    return 1 - (1 - start) * (math.cos(math.pi * step / total) + 1) / 2


def regression_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over rows of |p - t|^2 of unit vectors, 0 to 4; (N, dim) both, a scalar."""
    p, t = l2_normalize(prediction), l2_normalize(target)
    return (p - t).square().sum(dim=1).mean()


class BYOL(Method):
    """Encoder, projection head and predictor; a target of the first two that follows slowly."""

    name, passes = "BYOL", 2 + 2 / 3

    def __init__(self, config: Config, classes: int = 0) -> None:
        super().__init__(config)
        features, dim, draws = self.encoder.features, config.projection_dim, self.generator
        self.head = mlp(features, features, dim, draws)
        self.predictor = mlp(dim, features, dim, draws)
        target = build_encoder(config, draws), mlp(features, features, dim, draws)
        self.target = nn.Sequential(*target).requires_grad_(False)

    def forward(self, batch: Batch) -> tuple[Tensor, ...]:
        """Predictions and targets of both views, (N, dim) each; a pass for each view."""
        with torch.no_grad():
            targets = [self.target(x) for x in batch.views]
        return *(self.predictor(self.head(self.encoder(x))) for x in batch.views), *targets

    def guessing(self) -> float:
        """One of the N targets."""
        return 1 / self.config.batch_size

    def loss(self, outputs: tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
        p1, p2, t1, t2 = (z.float() if z.itemsize < 4 else z for z in outputs)
        nearest = (l2_normalize(p1) @ l2_normalize(t2).T).argmax(dim=1)  # (N,)
        found = (nearest == torch.arange(len(p1), device=p1.device)).float().mean()
        return regression_loss(p1, t2) + regression_loss(p2, t1), found

    def after_step(self, step: int, total: int) -> None:
        online = nn.Sequential(self.encoder, self.head)
        follow(self.target, online, momentum_of(step, total, self.config.ema_momentum))
