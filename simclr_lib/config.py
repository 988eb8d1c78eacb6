"""The one list of parameters: what each means, in which unit, and where the paper speaks of it.

A `Config` is made by layers, later ones winning: the defaults below, the `recipe` (the era of the
official code), the `preset` (the scale), and what the user sets. Names are the same here, in a
papermill `-p`, in a run record and on a plot.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .beyond import Beyond
from .names import (
    BY_SGD,
    DATASETS,
    DETAILS,
    LATER,
    LOSSES,
    METHODS,
    PAIRS,
    PROBES,
    SEEN,
    SUMS,
    TRAINED,
    TRANSFORMS,
)
from .notebook import notebook_parameters
from .parameters import (
    COUNT,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    Chain,
    Interval,
    Names,
    OwnName,
    Text,
    checked,
    nearest,
    parameter,
    reject_unknown,
    squeezed,
)
from .presets import PRESETS, RECIPES
from .schedule import scaled_learning_rate


@dataclasses.dataclass(frozen=True)
class Config(Beyond):
    """Every parameter of a run, with those of `Beyond`. Make one by `Config.create(preset, ...)`.

    Raises `ValueError` on a value that cannot work; the message names the parameter, the value
    and what is valid. An instance is immutable; `config.replace(width=2)` gives a checked copy.
    """

    preset: str = parameter("paper", "scale of the run", tuple(PRESETS), ())
    recipe: str = parameter("v1", "era of the official code", tuple(RECIPES), ())
    method: str = parameter("SimCLR", "how the network is trained", Names(METHODS), ())
    # Data
    dataset: str = parameter("imagenet", "name, or path of a folder of class folders", Text(), ())
    data_dir: str = parameter("data", "where downloads and caches live", Text(), ())
    mirror: str = parameter("", "address of the same files (empty: original)", Text(empty=True), ())
    num_images: int = parameter(0, "training images used (0: all)", COUNT)
    image_size: int = parameter(224, "height and width of a view, pixels", Interval(8, 4096))
    # Views (Section 3, appendix A)
    augmentations: str = parameter(
        "crop+flip+color+blur", "transformations in order, joined by +", Chain(TRANSFORMS), TRAINED
    )
    second_view: str = parameter(
        "", "of the other view (empty: the same)", Chain(TRANSFORMS), PAIRS
    )
    shared_crop: bool = parameter(False, "one crop for both, Figure 5", (True, False), PAIRS)
    color_strength: float = parameter(1.0, "s of appendix A, Table 1", NOT_NEGATIVE, SEEN)
    brightness: str = parameter(
        "additive", "v1 adds, v2 scales", ("additive", "multiplicative"), SEEN
    )
    crop_area_min: float = parameter(
        0.08, "smallest crop, share of the image", SHARE, SEEN, also=BY_SGD
    )
    # Encoder f and projection head g (Section 4)
    depth: int = parameter(50, "layers of the ResNet", (18, 34, 50, 101, 152))
    width: float = parameter(1.0, "width multiplier, Figure 7", Interval(0, 64, without_low=True))
    base_channels: int = parameter(64, "channels of the stem at width 1", Interval(1, 4096))
    stem: str = parameter(
        "imagenet", "7x7/2 and pooling; cifar 3x3/1; tiny 3x3/2", ("imagenet", "cifar", "tiny")
    )
    sk_ratio: float = parameter(0.0, "selective kernels and ResNet-D (v2: 0.0625)", Interval(0, 1))
    head_layers: int = parameter(
        2, "0 none, 1 linear, 2 v1, 3 v2 (its Figure 5: 4)", (0, 1, 2, 3, 4), ("SimCLR", *LATER)
    )
    projection_dim: int = parameter(128, "of z, Figure 8", Interval(1, 65536), (*PAIRS, *LATER))
    # Loss (Section 2.1)
    loss: str = parameter("nt_xent", "of Table 4", LOSSES, ("SimCLR",))
    loss_sum: str = parameter("paper", "mean over views; official: twice", SUMS, ("SimCLR",))
    # A cosine is rounded by 1e-7: divided by less than 1e-4, that alone would move the loss.
    temperature: float = parameter(0.1, "tau, Table 5", Interval(1e-4, 1e4), PAIRS)
    l2_normalize: bool = parameter(True, "cosine similarity, Table 5", (True, False), PAIRS)
    margin: float = parameter(
        0.4, "m of the triplet loss, Table 2", NOT_NEGATIVE, ("SimCLR",), {"loss": LOSSES[3:]}
    )
    # Optimisation (Sections 2.2, 2.3, appendix B.1)
    batch_size: int = parameter(
        4096, "N, images per step over all devices", Interval(2, 2**20), TRAINED
    )
    chunk_size: int = parameter(
        0, "images in the network at once (0: all; else 2 passes)", COUNT, TRAINED
    )
    epochs: int = parameter(100, "passes over the images", Interval(1, 10**6), TRAINED)
    base_learning_rate: float = parameter(0.3, "before scaling by batch size", POSITIVE, TRAINED)
    learning_rate_scaling: str = parameter("linear", "appendix B.1", ("linear", "sqrt"), TRAINED)
    warmup_epochs: float = parameter(10.0, "linear warm-up", NOT_NEGATIVE, TRAINED)
    momentum: float = parameter(0.9, "of LARS", Interval(0, 0.9999), SEEN)
    weight_decay: float = parameter(1e-6, "of LARS", NOT_NEGATIVE, TRAINED)
    without: str = parameter("", "details switched off, joined by +", Chain(DETAILS))
    # Evaluation (appendix B.6)
    probe: str = parameter("L-BFGS", "how the linear probe is trained", Names(PROBES))
    probe_epochs: int = parameter(90, "of the probe by SGD", Interval(1, 10**6), where=BY_SGD)
    probe_batch_size: int = parameter(4096, "of that probe", Interval(2, 2**20), where=BY_SGD)
    # Running
    device: str = parameter("auto", "auto, cpu, cuda, mps, xla", Text(), ())
    processes: int = parameter(0, "together (0: one a GPU, else 1)", Interval(0, 4096), ())
    # A run is of the numbers that it multiplied, which `auto` alone does not say.
    precision: str = parameter("auto", "auto: bf16 where native", ("auto", "fp32", "bf16"), ())
    # PyTorch takes seeds of 64 bits, NumPy any, scikit-learn (the probe of Table 3) 32 bits.
    seed: int = parameter(0, "of weights, order and draws", Interval(0, 2**32 - 1))
    threads: int = parameter(0, "of the network (0: 1 if narrow or all)", Interval(0, 1024), ())
    workers: int = parameter(2, "processes that decode large images", Interval(0, 1024), ())
    checkpoint_minutes: float = parameter(5.0, "between checkpoints", NOT_NEGATIVE, ())
    output_dir: str = parameter("runs", "where records and checkpoints go", Text(), ())

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, checked(field, getattr(self, field.name)))
        if self.chunk_size and self.batch_size % self.chunk_size:
            raise ValueError(
                f"chunk_size={self.chunk_size} is not valid: it must divide batch_size="
                f"{self.batch_size}, or be 0 for the whole batch at once"
            )
        if self.batch_size % self.copies:
            raise ValueError(
                f"copies={self.copies} is not valid: it must divide batch_size={self.batch_size}"
            )
        if self.warmup_epochs > self.epochs:
            raise ValueError(
                f"warmup_epochs={self.warmup_epochs:g} is not valid with epochs={self.epochs}: the "
                "warm-up must not be longer than the run; set warmup_epochs as well"
            )
        if not self.image_set_known:
            raise ValueError(
                f"dataset={self.dataset!r} is neither a known name nor a folder"
                f"{nearest(self.dataset, DATASETS) or '.'} Valid: {', '.join(DATASETS)}, or the "
                "path of a folder of class folders"
            )

    @classmethod
    def create(cls, preset: str = "quick", recipe: str = "v1", **overrides: Any) -> Config:
        """The configuration of a preset and recipe with some parameters set by hand.

        Raises `ValueError` for an unknown preset, recipe or parameter (with the nearest valid
        name) and for an impossible value.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        preset, recipe = checked(fields["preset"], preset), checked(fields["recipe"], recipe)
        reject_unknown(overrides, fields)
        layers = RECIPES[recipe] | PRESETS[preset] | overrides
        return cls(preset=preset, recipe=recipe, **layers)

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any], *own: str) -> Config:
        """The configuration set by a notebook's parameters cell and by papermill.

        Call it as `Config.from_notebook(globals())`. Parameters are the names that the parameters
        cell assigns, as it is now, and the cell that papermill injects after it; how their values
        are computed does not matter (see `notebook`). `own` names parameters that belong to the
        notebook alone. `None` means: as the preset says. Raises `ValueError` on any other name, so
        that a misspelt `-p` cannot pass unnoticed; one that begins with _ is taken for a helper.
        """
        fields = [field.name for field in dataclasses.fields(cls)]
        given = notebook_parameters(namespace, fields, own)
        return cls.create(**{k: v for k, v in given.items() if v is not None and k not in own})

    def replace(self, **overrides: Any) -> Config:
        """A copy with some parameters changed; the same checks as `create`.

        Not for `preset` and `recipe`, which stand for many parameters: use `create`.
        """
        if "preset" in overrides or "recipe" in overrides:
            raise ValueError("preset and recipe cannot be replaced; use Config.create(preset, ...)")
        reject_unknown(overrides, [field.name for field in dataclasses.fields(self)])
        return dataclasses.replace(self, **overrides)

    def of_method(self, name: str) -> Config:
        """A copy for a method of your own, a class in a notebook, of this name; `train` makes it.

        All parameters count as read by it. Raises `ValueError` for a name of `METHODS`, under which
        the library's records and checkpoints go.
        """
        if not isinstance(name, str) or squeezed(name) in ("", *map(squeezed, METHODS)):
            taken = ", ".join(METHODS)
            raise ValueError(
                f"method={name!r} is not valid for a class of your own; taken: {taken}"
            )
        return dataclasses.replace(self, method=OwnName(name))

    @property
    def image_set_known(self) -> bool:
        """Whether `dataset` is a name we know or an existing folder."""
        try:
            return self.dataset in DATASETS or Path(self.dataset).expanduser().is_dir()
        except (OSError, RuntimeError):  # a name that is too long, the home of nobody
            return False

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
        names = {name: Path(values[name]).name for name in ("dataset", "start", "label_list")}
        values |= {"method": str(self.method)} | names
        return {k: v for k, v in values.items() if k not in ("data_dir", "output_dir", "mirror")}
