"""Fine-tune: the network of a run, and a classifier, trained on a share of the labels.

SimCLR, Section 6 and appendix B.5; SimCLR v2, Section 2, which goes on from inside the projection
head. The two official programs differ: the one in TensorFlow 1 never trains the layers of the head
(`finetune_head=False`), the other does, and so do we.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from .. import views
from ..checks import refuse
from ..config import Config
from ..data.images import Data, ImageFiles, ImageSet
from ..data.shares import labelled_part
from ..names import LATER, METHODS
from ..networks.heads import ProjectionHead, linear_classifier
from ..views import Batch, Branch
from .method import Method


class FineTune(Method):
    """Encoder, the first `finetune_from` layers of the head, and a classifier that starts at 0."""

    name, labelled, passes, runs_on, classifies = "fine-tune", True, 1.0, True, True

    def __init__(self, config: Config, classes: int = 0) -> None:
        super().__init__(config)
        layers, stage = config.head_layers, _stage(config)
        norm, draws = config.has("head_batch_norm"), self.generator
        inputs, dim = self.encoder.features, config.projection_dim
        head = ProjectionHead(inputs, layers, dim, norm, generator=draws)
        self.head = nn.Sequential(*head.layers[:stage])
        features = dim if 0 < stage == layers else inputs
        self.classifier = linear_classifier(features, classes, generator=draws)
        nn.init.zeros_(self.classifier.weight)
        self.freeze()

    def freeze(self) -> None:
        """What is not trained wants no gradient."""
        last = self.config.fine_tune_after_block
        parts = [self.encoder.stem, *self.encoder.block_groups][: last + 1]
        for part in [*parts, *([] if self.config.finetune_head else [self.head])]:
            part.requires_grad_(False)
        self.still = last == 4

    @classmethod
    def recipe(cls, config: Config) -> Config:
        """That of fine-tuning: no warm-up, no decay."""
        return config.replace(
            epochs=config.finetune_epochs,
            batch_size=config.finetune_batch_size,
            base_learning_rate=config.finetune_learning_rate,
            learning_rate_scaling=config.finetune_scaling,
            augmentations=config.finetune_augmentations,
            warmup_epochs=0.0,
            weight_decay=0.0,
            chunk_size=0,
            copies=1,
        )

    @classmethod
    def needs(cls, config: Config) -> dict[str, Config | str]:
        """The run, or the file, that it starts from."""
        _stage(config)  # before what it begins with is trained
        if config.start == "random":
            return {}
        if config.start in LATER:
            refuse("start", config.start, "a method of pretraining, random, or a .safetensors file")
        run = config.start in METHODS
        return {"start": config.replace(method=config.start) if run else config.start}

    def receive(self, start: Method) -> None:  # type: ignore[override]
        """Take the encoder and the first layers of the head of `start`."""
        self.encoder.load_state_dict(start.encoder.state_dict())
        layers = getattr(getattr(start, "head", None), "layers", [])[: len(self.head)]
        weights = nn.Sequential(*layers).state_dict()
        if weights.keys() != self.head.state_dict().keys():
            refuse("finetune_from", len(self.head), f"0: {start.name} has no such head of SimCLR")
        self.head.load_state_dict(weights)

    def images(self, data: Data) -> ImageSet | ImageFiles:
        return labelled_part(data, self.config)

    def branches(self) -> tuple[Branch, ...]:
        return (views.branch(self.config, self.config.finetune_augmentations),)

    def train(self, mode: bool = True) -> FineTune:  # noqa: FBT001, FBT002
        """An encoder frozen whole stays as it is at test time, as in TensorFlow 1's program.

        Where only its first blocks are frozen their moving statistics move on, as in both.
        """
        super().train(mode)
        self.encoder.train(mode and not self.still)
        return self

    def encode(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))

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

    def parameter_groups(self) -> Iterable[dict[str, Any]]:
        """LARS, which leaves the classifier alone; or SGD with Nesterov's momentum."""
        named = [(n, p) for n, p in self.named_parameters() if p.requires_grad]
        if self.config.finetune_optimizer == "SGD":
            return [{"params": named, "adapt": False, "nesterov": True, "classic": False}]
        return apart(named)


def _stage(config: Config) -> int:
    """`finetune_from`, which the head must have."""
    if config.finetune_from > config.head_layers:
        valid = f"at most head_layers={config.head_layers}; 0 is h"
        refuse("finetune_from", config.finetune_from, valid)
    return config.finetune_from


def apart(named: Sequence[tuple[str, Tensor]]) -> list[dict[str, Any]]:
    """Groups for LARS: the classifier is neither adapted nor decayed (TF1's `head_supervised`)."""
    ours = [pair for pair in named if pair[0].startswith("classifier.")]
    rest = [pair for pair in named if not pair[0].startswith("classifier.")]
    return [{"params": ours, "adapt": False, "decay": False}, *([{"params": rest}] if rest else [])]
