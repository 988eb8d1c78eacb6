"""The one list of parameters: what each means, in which unit, and where the paper speaks of it.

A `Config` is made by layers, later ones winning: the defaults below, the `recipe` (the era of the
official code), the `preset` (the scale), and what the user sets. Names are the same here, in a
papermill `-p`, in a run record and on a plot.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .parameters import (
    NOT_NEGATIVE,
    POSITIVE,
    Chain,
    Interval,
    Text,
    checked,
    literal_assignments,
    parameter,
    reject_unknown,
)
from .schedule import scaled_learning_rate

DATASETS = ("synthetic", "cifar10", "cifar100", "stl10", "fashion_mnist", "imagenet")
TRANSFORMS = (
    *("crop", "flip", "color", "jitter", "grayscale", "blur"),  # appendix A
    *("cutout", "sobel", "noise", "rotate"),  # Figure 5
    *("equalize", "solarize", "motion_blur"),  # appendix B.2
    "identity",  # nothing at all: the other branch of Figure 5
)
LOSSES = (
    *("nt_xent", "nt_logistic", "nt_logistic_semi_hard"),
    *("margin_triplet", "margin_triplet_semi_hard"),
)
# The methods by name, and the file and class of each in `methods/`: one line a method.
METHODS = {
    "random": "untrained.Untrained",
    "SimCLR": "simclr.SimCLR",
    "supervised": "supervised.Supervised",
    "rotation": "rotation.Rotation",
    "MoCo v2": "moco_v2.MoCoV2",
    "BYOL": "byol.BYOL",
}
# What `without` can switch off (notebook 08): batch norm's exclusion from decay and adaptation in
# LARS; batch norm in the head; scale zero at the end of a residual block; bicubic instead of
# bilinear crops; both views in one forward pass, so that they share batch-norm statistics.
DETAILS = ("lars_exclusions", "head_batch_norm", "zero_gamma", "bicubic", "joint_views")

# Where the two eras of the official code differ (v1: the paper of ICML 2020, v2: NeurIPS 2020).
RECIPES: dict[str, dict[str, Any]] = {
    "v1": {"head_layers": 2, "brightness": "additive", "weight_decay": 1e-6},
    "v2": {
        "head_layers": 3,
        "brightness": "multiplicative",
        "weight_decay": 1e-4,
        "learning_rate_scaling": "sqrt",
        "base_learning_rate": 0.075,
    },
}

# For 32 pixels appendix B.9 has no blur, and colour of strength 0.5.
_SMALL = {"image_size": 32, "augmentations": "crop+flip+color", "color_strength": 0.5, "depth": 18}
_SHORT = {"stem": "tiny", "learning_rate_scaling": "sqrt", "temperature": 0.2, "batch_size": 64}
_EMBEDDED = _SMALL | _SHORT | {"dataset": "synthetic", "base_learning_rate": 0.6}
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": _EMBEDDED
    | {"num_images": 256, "base_channels": 4, "epochs": 2}
    | {"warmup_epochs": 0.5, "probe_epochs": 2},
    "quick": _EMBEDDED
    | {"num_images": 8192, "base_channels": 8, "epochs": 5}
    | {"warmup_epochs": 1.0, "probe_epochs": 20},
    "laptop": _SMALL
    | _SHORT
    | {"dataset": "cifar10", "base_channels": 16, "batch_size": 128, "epochs": 6}
    | {"base_learning_rate": 0.3, "warmup_epochs": 1.0, "probe_epochs": 30},
    # Appendix B.9, with the ResNet-18 of the official README (the paper's own is depth 50).
    "gpu": _SMALL
    | {"dataset": "cifar10", "stem": "cifar", "batch_size": 512, "epochs": 1000}
    | {"temperature": 0.5, "probe_epochs": 100}
    | {"base_learning_rate": 1.0, "learning_rate_scaling": "linear"},
    # Section 2 and appendix A: what the defaults of `Config` are.
    "paper": {},
}


@dataclasses.dataclass(frozen=True)
class Config:
    """Every parameter of a run. Make one with `Config.create(preset, ...)`.

    Raises `ValueError` on a value that cannot work; the message names the parameter, the value
    and what is valid. An instance is immutable; `config.replace(width=2)` gives a checked copy.
    """

    preset: str = parameter("paper", "scale of the run", tuple(PRESETS))
    recipe: str = parameter("v1", "era of the official code", tuple(RECIPES))
    method: str = parameter("SimCLR", "how the encoder is trained", tuple(METHODS))
    ema_momentum: float = parameter(0.996, "of target", Interval(0, 1))
    queue_size: int = parameter(65536, "keys", POSITIVE)
    # Data
    dataset: str = parameter("imagenet", "name, or path of a folder of class folders", Text())
    data_dir: str = parameter("data", "where downloads and caches live", Text())
    mirror: str = parameter("", "address that serves the same files (empty: the original)", Text())
    num_images: int = parameter(0, "training images used (0: all)", NOT_NEGATIVE)
    image_size: int = parameter(224, "height and width of a view, pixels", Interval(8))
    # Views (Section 3, appendix A)
    augmentations: str = parameter(
        "crop+flip+color+blur", "transformations in order, joined by +", Chain(TRANSFORMS)
    )
    second_view: str = parameter(
        "", "those of the other view (empty: the same; Figure 5: identity)", Chain(TRANSFORMS)
    )
    shared_crop: bool = parameter(False, "crop once for both views first, Figure 5", (True, False))
    color_strength: float = parameter(1.0, "s of appendix A, Table 1", NOT_NEGATIVE)
    brightness: str = parameter("additive", "v1 adds, v2 scales", ("additive", "multiplicative"))
    crop_area_min: float = parameter(
        0.08, "smallest crop, share of the image", Interval(0, 1, without_low=True)
    )
    # Encoder f and projection head g (Section 4)
    depth: int = parameter(50, "layers of the ResNet", (18, 34, 50, 101, 152))
    width: float = parameter(1.0, "width multiplier, Figure 7", POSITIVE)
    base_channels: int = parameter(64, "channels of the stem at width 1 (paper 64)", POSITIVE)
    stem: str = parameter(
        "imagenet", "7x7/2 and pooling; cifar 3x3/1; tiny 3x3/2", ("imagenet", "cifar", "tiny")
    )
    sk_ratio: float = parameter(0.0, "selective kernels and ResNet-D (v2: 0.0625)", Interval(0, 1))
    head_layers: int = parameter(2, "0 none, 1 linear, 2 paper v1, 3 paper v2", (0, 1, 2, 3))
    projection_dim: int = parameter(128, "dimension of z, Figure 8", POSITIVE)
    # Loss (Section 2.1)
    loss: str = parameter("nt_xent", "of Table 4", LOSSES)
    temperature: float = parameter(0.1, "tau, Table 5", POSITIVE)
    l2_normalize: bool = parameter(True, "cosine similarity, Table 5", (True, False))
    margin: float = parameter(0.4, "m of the margin triplet loss, Table 2", NOT_NEGATIVE)
    # Optimisation (Sections 2.2, 2.3, appendix B.1)
    batch_size: int = parameter(4096, "N, images per step over all devices", Interval(2))
    chunk_size: int = parameter(
        0, "images in the network at once (0: all; else two forward passes)", NOT_NEGATIVE
    )
    epochs: int = parameter(100, "passes over the images", POSITIVE)
    base_learning_rate: float = parameter(0.3, "before scaling by batch size", POSITIVE)
    learning_rate_scaling: str = parameter("linear", "appendix B.1", ("linear", "sqrt"))
    warmup_epochs: float = parameter(10.0, "linear warm-up", NOT_NEGATIVE)
    momentum: float = parameter(0.9, "of LARS", Interval(0, 0.9999))
    weight_decay: float = parameter(1e-6, "of LARS", NOT_NEGATIVE)
    without: str = parameter("", "details switched off, joined by +", Chain(DETAILS))
    # Evaluation (appendix B.6)
    probe_epochs: int = parameter(90, "of the linear probe by SGD", POSITIVE)
    # Running
    device: str = parameter("auto", "auto, cpu, cuda, mps, xla", Text())
    processes: int = parameter(
        0, "that train together (0: one for each GPU, else one)", NOT_NEGATIVE
    )
    precision: str = parameter("auto", "auto: bf16 where native", ("auto", "fp32", "bf16"))
    seed: int = parameter(0, "of weights, order and draws", NOT_NEGATIVE)
    workers: int = parameter(2, "processes that decode large images", NOT_NEGATIVE)
    checkpoint_minutes: float = parameter(5.0, "between checkpoints", NOT_NEGATIVE)
    output_dir: str = parameter("runs", "where records and checkpoints go", Text())

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, checked(field, getattr(self, field.name)))
        if self.chunk_size and self.batch_size % self.chunk_size:
            raise ValueError(
                f"chunk_size={self.chunk_size} is not valid: it must divide batch_size="
                f"{self.batch_size}, or be 0 for the whole batch at once"
            )
        if not self.image_set_known:
            near = difflib.get_close_matches(self.dataset, DATASETS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(
                f"dataset={self.dataset!r} is neither a known name nor a folder; {hint}"
                f"valid: {', '.join(DATASETS)}, or the path of a folder of class folders"
            )

    @classmethod
    def create(cls, preset: str = "quick", recipe: str = "v1", **overrides: Any) -> Config:
        """The configuration of a preset and recipe with some parameters set by hand.

        Raises `ValueError` for an unknown preset, recipe or parameter (with the nearest valid
        name) and for an impossible value.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        checked(fields["preset"], preset)
        checked(fields["recipe"], recipe)
        reject_unknown(overrides, fields)
        layers = RECIPES[recipe] | PRESETS[preset] | overrides
        return cls(preset=preset, recipe=recipe, **layers)

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any], *own: str) -> Config:
        """The configuration set by a notebook's parameters cell and by papermill.

        Call it as `Config.from_notebook(globals())`. Parameters are the names set in the first cell
        that only sets names to literals, and in the cell that papermill injects after it.
        `own` names parameters that belong to the notebook alone. `None` means: as the preset says.
        Raises `ValueError` on any other name, so that a misspelt `-p` cannot pass unnoticed.
        """
        cells = {cell: set(literal_assignments(cell)) for cell in namespace["In"]}
        first = next((names for names in cells.values() if names), set())
        # The first such cell, edited and run again or not, and papermill's own.
        meant = (n for c, n in cells.items() if n & first or c.startswith("# Parameters"))
        parameters = {name: namespace[name] for name in sorted(set().union(*meant))}
        reject_unknown(parameters, [*own, *(field.name for field in dataclasses.fields(cls))])
        chosen = {k: v for k, v in parameters.items() if v is not None and k not in own}
        return cls.create(**chosen)

    def replace(self, **overrides: Any) -> Config:
        """A copy with some parameters changed; the same checks as `create`.

        Not for `preset` and `recipe`, which stand for many parameters: use `create`.
        """
        if "preset" in overrides or "recipe" in overrides:
            raise ValueError("preset and recipe cannot be replaced; use Config.create(preset, ...)")
        reject_unknown(overrides, [field.name for field in dataclasses.fields(self)])
        return dataclasses.replace(self, **overrides)

    def of_method(self, name: str) -> Config:
        copy = dataclasses.replace(self)
        object.__setattr__(copy, "method", name)
        return copy

    @property
    def image_set_known(self) -> bool:
        """Whether `dataset` is a name we know or an existing folder."""
        return self.dataset in DATASETS or Path(self.dataset).expanduser().is_dir()

    def has(self, detail: str) -> bool:
        """Whether a detail of the recipe, one of `DETAILS`, is on."""
        return detail not in self.without.split("+")

    @property
    def views(self) -> int:
        """2N: views in one step."""
        return 2 * self.batch_size

    @property
    def chunks(self) -> int:
        """In how many parts a batch goes through the network."""
        return self.batch_size // (self.chunk_size or self.batch_size)

    @property
    def learning_rate(self) -> float:
        """Peak learning rate, after scaling by batch size (appendix B.1)."""
        return scaled_learning_rate(
            self.base_learning_rate, self.batch_size, self.learning_rate_scaling
        )

    @property
    def chance_loss(self) -> float:
        """log(2N - 1), nats: the loss when every view is equally similar to every other."""
        return math.log(self.views - 1)

    def as_record(self) -> dict[str, Any]:
        """All parameters as plain values, without the paths of this machine."""
        values = dataclasses.asdict(self)
        values["dataset"] = Path(self.dataset).name
        for place in ("data_dir", "output_dir", "mirror"):
            del values[place]
        return values
