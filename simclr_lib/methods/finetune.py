"""Fine-tune: the network of a run, and a classifier, trained on a share of the labels.

SimCLR, Section 6 and appendix B.5; SimCLR v2, Section 2, which goes on from inside the projection
head. The two official programs differ: the one in TensorFlow 1 never trains the layers of the head
(`finetune_head=False`), the other does, and so do we.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from .. import views
from ..checks import refuse
from ..config import Config
from ..data.images import Data, ImageFiles, ImageSet
from ..data.shares import labelled_part
from ..names import LATER, METHODS
from ..networks.doors import check_stage
from ..networks.heads import ProjectionHead, linear_classifier
from ..views import Branch
from .method import Method
from .supervised import Supervised


class FineTune(Supervised):
    """Encoder, the first `finetune_from` layers of the head, and a classifier that starts at 0."""

    name, runs_on, classifies = "fine-tune", True, True

    def __init__(self, config: Config, classes: int = 0) -> None:
        super().__init__(config, classes)
        stage, norm, draws = config.finetune_from, config.has("head_batch_norm"), self.generator
        check_stage(stage, config.head_layers)
        inputs, dim = self.encoder.features, config.projection_dim
        head = ProjectionHead(inputs, config.head_layers, dim, norm, generator=draws)
        self.layers = nn.Sequential(*head.layers[:stage])
        features = dim if 0 < stage == config.head_layers else inputs
        self.classifier = linear_classifier(features, classes, generator=draws)
        nn.init.zeros_(self.classifier.weight)
        self.freeze()

    def freeze(self) -> None:
        """What is not trained wants no gradient."""
        last = self.config.fine_tune_after_block
        parts = [self.encoder.stem, *self.encoder.block_groups][: last + 1]
        for part in [*parts, *([] if self.config.finetune_head else [self.layers])]:
            part.requires_grad_(False)
        self.still = last == 4

    @classmethod
    def recipe(cls, config: Config) -> Config:
        """That of fine-tuning: no warm-up, no decay."""
        return config.replace(
            epochs=config.finetune_epochs,
            batch_size=config.finetune_batch_size,
            augmentations=config.finetune_augmentations,
            base_learning_rate=config.finetune_learning_rate,
            learning_rate_scaling=config.finetune_scaling,
            **{"warmup_epochs": 0.0, "weight_decay": 0.0, "chunk_size": 0, "copies": 1},
        )

    @classmethod
    def needs(cls, config: Config) -> dict[str, Config | str]:
        """The run, or the file, that it starts from."""
        check_stage(config.finetune_from, config.head_layers)  # before that is trained
        if config.start in LATER:
            refuse("start", config.start, "a method of pretraining, random, or a .safetensors file")
        known = config.replace(method=config.start) if config.start in METHODS else config.start
        return {} if config.start == "random" else {"start": known}

    def receive(self, start: Method) -> None:  # type: ignore[override]
        """Take the encoder of `start`, the layers of its head, and its classifier if it is ours."""
        self.encoder.load_state_dict(start.encoder.state_dict())
        layers = getattr(getattr(start, "head", start), "layers", [])[: len(self.layers)]
        weights = nn.Sequential(*layers).state_dict()
        if weights.keys() != self.layers.state_dict().keys():
            refuse("finetune_from", len(self.layers), f"0: {start.name} has no such head of SimCLR")
        self.layers.load_state_dict(weights)
        if isinstance(start, FineTune):
            self.classifier.load_state_dict(start.classifier.state_dict())

    def images(self, data: Data) -> ImageSet | ImageFiles:
        return labelled_part(data, self.config)

    def branches(self) -> tuple[Branch, ...]:
        return (views.branch(self.config, self.config.finetune_augmentations),)

    def train(self, mode: bool = True) -> FineTune:  # noqa: FBT001, FBT002
        """An encoder frozen whole stays as at test time, as in TensorFlow 1's program; where only
        its first blocks are frozen their moving statistics move on, as in both."""
        super().train(mode)
        self.encoder.train(mode and not self.still)
        return self

    def encode(self, x: Tensor) -> Tensor:
        """Stage `finetune_from` (N, width) of images (N, 3, S, S), which the classifier sees."""
        return self.layers(self.encoder(x))

    def parameter_groups(self) -> Iterable[dict[str, Any]]:
        """SGD with Nesterov's momentum; or LARS, which neither adapts nor decays the classifier."""
        named = [(n, p) for n, p in self.named_parameters() if p.requires_grad]
        if self.config.finetune_optimizer == "SGD":
            return [{"params": named, "adapt": False, "nesterov": True, "classic": False}]
        own = [pair for pair in named if pair[0].startswith("classifier.")]
        rest = [pair for pair in named if not pair[0].startswith("classifier.")]
        return [{"params": own, "adapt": False, "decay": False}, *([{"params": rest}] * bool(rest))]
