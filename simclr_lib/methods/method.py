"""What a method is: networks, the views they see, a loss, and what moves without a gradient.

A method is an `nn.Module`. What is trained are its parameters that want a gradient; what is kept
beside them (a target network, a queue, a centre) are its other parameters and its buffers. So its
`state_dict` is the checkpoint: a method cannot forget a part of itself, nor train one that is to
stay. An update (`train.update`) calls, in this order,

    prepare, before_step, forward, loss, <backward, optimizer>, after_step

where `forward` may see a chunk of the batch, and `loss` sees the rows of all processes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from .. import views
from ..config import Config
from ..data.images import Data, ImageFiles, ImageSet
from ..machine import devices
from ..networks.resnet import build_encoder
from ..views import Batch, Branch, Random


class Method(nn.Module):
    """The seam. A method has a `name`, makes its parts in `__init__`, says `forward` and `loss`.

    The rest is there to be changed where a method needs it. `self.generator` draws the weights of
    the parts that come after the encoder, which is the same for every method of one seed. A
    projection head is called `head`: then evaluation judges z = g(h) as well.
    """

    name: ClassVar[str]  # as printed in its paper: in the config, the record, the checkpoint
    labelled: ClassVar[bool] = False  # whether it is trained on the labelled images only
    runs_on: bool = False  # whether a batch may reach into the next epoch
    classifies: ClassVar[bool] = False  # whether it is judged by its own `logits`, not by probes
    trained: ClassVar[bool] = True  # false of a network that stays as it is made

    passes: ClassVar[float] = 2.0  # of an image in an update; one without a gradient is a third

    def __init__(self, config: Config, classes: int = 0) -> None:
        super().__init__()
        self.config, self.generator = config, Generator().manual_seed(config.seed)
        self.encoder = build_encoder(config, self.generator)

    @classmethod
    def recipe(cls, config: Config) -> Config:
        """What the trainer reads: batch, epochs, rate. Its own, where it is not pretraining."""
        return config

    @classmethod
    def needs(cls, config: Config) -> dict[str, Config | str]:
        """The runs, or files of weights, that it begins with: given to `receive` by these names."""
        return {}

    def receive(self, **runs: Method) -> None:
        """Take what is needed from finished runs."""

    def images(self, data: Data) -> ImageSet | ImageFiles:
        """What it is trained on."""
        return data.train if self.labelled else data.pretrain

    def branches(self) -> tuple[Branch, ...]:
        """How the views of an image are made."""
        return views.branches(self.config)

    def prepare(self, batch: Batch, generator: Random) -> Batch:
        """Set a puzzle: turned images, tiles, masks; the labels become its answers."""
        return batch

    def before_step(self, step: int, total: int) -> None:
        """Before update `step` of `total`; no gradients are recorded."""

    def forward(self, batch: Batch) -> tuple[Tensor, ...]:
        """What `loss` needs, (N, ...) each, one row for each row of the views, in their order."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(batch)")

    def loss(self, outputs: tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and accuracy (0 to 1), scalars, from the outputs for *all* images of the batch."""
        raise NotImplementedError(f"{type(self).__name__} has no loss(outputs, labels)")

    def guessing(self) -> float | None:
        """The accuracy, 0 to 1, that guessing has in the task of `loss`; None: there is none."""
        return None

    def after_step(self, step: int, total: int) -> None:
        """After update `step` of `total`; no gradients are recorded."""

    def encode(self, x: Tensor) -> Tensor:
        """h (N, features) of images (N, 3, S, S): what probes and neighbours see."""
        return self.encoder(x)

    def parameter_groups(self) -> Iterable[dict[str, Any]]:
        """What is trained, as groups for the optimizer: named parameters, and options of theirs.

        The learning rate is the schedule's in every group.
        """
        return [{"params": [(n, p) for n, p in self.named_parameters() if p.requires_grad]}]


@torch.no_grad()
def follow(target: nn.Module, online: nn.Module, momentum: float) -> None:
    """target <- momentum target + (1 - momentum) online: the weights, not moving statistics."""
    for slow, fast in zip(target.parameters(), online.parameters(), strict=True):
        slow.lerp_(fast, devices.number(1 - momentum, slow.device))
