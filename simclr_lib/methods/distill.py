"""Distill: a student that answers as a fine-tuned teacher does, on all images (v2, Section 2).

The teacher is a run of its own, of the student's size (self-distillation) or of another. Both see
the same view, the teacher as it is at test time. How the student begins is not published:
`student_start`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ..config import Config
from ..data.images import Data, ImageFiles, ImageSet
from ..data.shares import labelled_part, masked
from ..losses.distillation import distillation_loss, mixed_loss
from ..views import Batch
from .finetune import FineTune
from .method import Method


def teacher_of(config: Config) -> Config:
    """The run that is the teacher of `config`; the teacher of a teacher is of its own size."""
    size = {
        "depth": config.teacher_depth or config.depth,
        "width": config.teacher_width or config.width,
        "sk_ratio": config.sk_ratio if config.teacher_sk_ratio < 0 else config.teacher_sk_ratio,
    }
    own = {"teacher": "fine-tune", "teacher_depth": 0, "teacher_width": 0.0}
    own |= {"teacher_sk_ratio": -1.0}
    if config.teacher == "distill":  # of itself: softened less (v2, Section 2)
        own["distill_temperature"] = config.teacher_temperature
    return config.replace(method=config.teacher, **size, **own)


class Distill(FineTune):
    """The network of fine-tuning as a student, and its teacher, which is never trained."""

    name, labelled, passes, runs_on = "distill", False, 1 + 1 / 3, False

    def __init__(self, config: Config, classes: int = 0) -> None:
        super().__init__(config, classes)
        self.teacher = FineTune(teacher_of(config), classes).requires_grad_(False)
        self.runs_on = config.distill_images == "labelled"  # few, in batches as large as of all

    def freeze(self) -> None:
        """Of a student all is trained."""
        self.still = False

    @classmethod
    def recipe(cls, config: Config) -> Config:
        """That of pretraining, on views of fine-tuning."""
        return config.replace(
            epochs=config.distill_epochs or config.epochs,
            warmup_epochs=min(config.warmup_epochs, config.distill_epochs or config.epochs),
            augmentations=config.finetune_augmentations,
            chunk_size=0,
            copies=1,
        )

    @classmethod
    def needs(cls, config: Config) -> dict[str, Config | str]:
        """The teacher, and what the student begins as."""
        found: dict[str, Config | str] = {"teacher": teacher_of(config)}
        if config.student_start != "random":
            found["start"] = config.replace(method=config.student_start)
        return found

    def receive(self, teacher: FineTune, start: Method | None = None) -> None:  # type: ignore[override]
        """Take the networks of both."""
        told = {n: x for n, x in teacher.state_dict().items() if not n.startswith("teacher.")}
        self.teacher.load_state_dict(told)  # of a teacher that was a student, not its teacher
        if start is not None:
            super().receive(start)

    def images(self, data: Data) -> ImageSet | ImageFiles:
        """All there are, of which those of the share have their labels; or only these."""
        if self.config.distill_images == "labelled":
            return labelled_part(data, self.config)
        return masked(data, self.config) if self.config.distill_alpha < 1 else data.pretrain

    def train(self, mode: bool = True) -> Distill:  # noqa: FBT001, FBT002
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, batch: Batch) -> tuple[Tensor, ...]:
        """Logits of the student and of the teacher, (N, classes) each."""
        x = batch.views[0]
        with torch.no_grad():
            told = self.teacher.logits(x)
        return self.logits(x), told

    def loss(self, outputs: tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
        """Equation 2, or 3 with labels, a mean over images; accuracy: both guess the same."""
        student, teacher = (y.float() if y.itemsize < 4 else y for y in outputs)
        temperature, alpha = self.config.distill_temperature, self.config.distill_alpha
        agree = (student.argmax(1) == teacher.argmax(1)).float().mean()
        if alpha == 1:
            return distillation_loss(student, teacher, temperature), agree
        return mixed_loss(student, teacher, labels, temperature, alpha) / len(student), agree

    def parameter_groups(self) -> Iterable[dict[str, Any]]:
        """LARS as in pretraining, the classifier too: the official notebook leaves out no more."""
        return Method.parameter_groups(self)
