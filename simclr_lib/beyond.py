"""Parameters beyond pretraining with SimCLR: of its relatives, of few labels and distillation.

`config.Config` has these and its own; a reader on the way to SimCLR may skip them.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from .names import LATER, TRAINED, TRANSFORMS
from .parameters import COUNT, POSITIVE, SHARE, Chain, Interval, Text, parameter

TAUGHT = ("distill",)
SOME: Any = Interval(1, 2**31 - 1)  # a range stands for its values


@dataclasses.dataclass(frozen=True)
class Beyond:
    """What `Config` inherits; each is checked there."""

    copies: int = parameter(
        1, "of every image in a batch, each with views of its own", Interval(1, 2**20), TRAINED
    )
    ema_momentum: float = parameter(
        0.996, "of the target network at first (MoCo v2 0.999)", Interval(0, 1), ("BYOL", "MoCo v2")
    )
    queue_size: int = parameter(
        65536, "earlier keys that serve as negatives", Interval(1, 2**24), ("MoCo v2",)
    )
    memory_size: int = parameter(
        0, "embeddings kept as further negatives (v2: 65536)", COUNT, ("SimCLR",)
    )
    memory_momentum: float = parameter(
        0.999, "of the network that makes them", Interval(0, 1), ("SimCLR",), {"memory_size": SOME}
    )
    # Few labels (v1 Section 6 and appendix B.5, v2 Section 2)
    start: str = parameter(
        "SimCLR",
        "method whose network is fine-tuned, random, or a .safetensors file",
        Text(),
        LATER,
    )
    label_share: float = parameter(1.0, "share of the labels that is used", SHARE, LATER)
    labels_per_class: int = parameter(
        0, "labels used of each class (0: by the share)", COUNT, LATER
    )
    label_list: str = parameter(
        "", "file that names the labelled images, one a line", Text(empty=True), LATER
    )
    finetune_from: int = parameter(0, "stage of the head, 0 is h (v2)", Interval(0, 4), LATER)
    finetune_head: bool = parameter(
        True, "train the head's layers too (TF1: false)", (True, False), LATER
    )
    fine_tune_after_block: int = parameter(
        -1, "blocks that stay frozen (-1 none, 0 stem, 4 all: a probe)", Interval(-1, 4), LATER
    )
    finetune_optimizer: str = parameter("SGD", "v1 Nesterov's SGD, v2 LARS", ("SGD", "LARS"), LATER)
    finetune_epochs: int = parameter(60, "passes over the labels", Interval(1, 10**6), LATER)
    finetune_batch_size: int = parameter(4096, "labelled images a step", Interval(2, 2**20), LATER)
    finetune_learning_rate: float = parameter(
        0.05, "before scaling by that batch size", POSITIVE, LATER
    )
    finetune_scaling: str = parameter("linear", "of that rate", ("linear", "sqrt"), LATER)
    finetune_augmentations: str = parameter(
        "crop+flip", "of fine-tuning and distillation", Chain(TRANSFORMS), LATER
    )
    # Distillation (v2 Section 2): the teacher is a run of these sizes, else as the student
    teacher: str = parameter("fine-tune", "method of the teacher", ("fine-tune", "distill"), TAUGHT)
    teacher_depth: int = parameter(
        0, "its layers (0: the student's)", (0, 18, 34, 50, 101, 152), TAUGHT
    )
    teacher_width: float = parameter(0.0, "its width (0: the student's)", Interval(0, 64), TAUGHT)
    teacher_sk_ratio: float = parameter(
        -1.0, "its selective kernels (-1: as the student)", Interval(-1, 1), TAUGHT
    )
    teacher_temperature: float = parameter(
        0.1, "of its own distillation, if it is one", POSITIVE, TAUGHT, {"teacher": ("distill",)}
    )
    student_start: str = parameter(
        "SimCLR", "what the student begins as", ("random", "SimCLR", "fine-tune"), TAUGHT
    )
    distill_temperature: float = parameter(
        1.0, "of both (v2: 1.0; 0.1 for itself)", POSITIVE, TAUGHT
    )
    distill_alpha: float = parameter(
        1.0, "weight of the teacher; the rest is the labels'", Interval(0, 1), TAUGHT
    )
    distill_images: str = parameter(
        "all", "what it is taught on: all images, or those with labels", ("all", "labelled"), TAUGHT
    )
    distill_epochs: int = parameter(0, "passes over these (0: as epochs)", COUNT, TAUGHT)
