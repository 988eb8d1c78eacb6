"""What judging an encoder needs of data and memory, known before it is trained."""

from __future__ import annotations

from ..config import Config
from ..data.images import Data
from ..machine import memory
from ..networks.resnet import feature_count
from .doors import PARTS, checked_labels
from .linear import IN_FLOAT64
from .logistic import ITERATIONS, ROWS


def check(config: Config, data: Data) -> int:
    """`probe_memory` of what `config` will be judged by.

    Raises `ValueError` if this machine, or its cgroup, has less than that free; and for data that
    cannot be judged: less than two test images (the game of the loss takes two), labels that are
    missing or of no class.
    """
    if len(data.test) < 2:
        raise ValueError(
            f"dataset={config.dataset!r} cannot be judged: its test part has {len(data.test)} "
            "images; it must have 2 or more"
        )
    checked_labels(data, *PARTS)
    need = probe_memory(
        train=len(data.train),
        validation=len(data.validation),
        test=len(data.test),
        features=feature_count(config),
        classes=len(data.classes),
        probe=config.probe,
    )
    free = memory.available()
    if need > free:
        raise ValueError(
            f"dataset={config.dataset!r} cannot be judged here: the features of its "
            f"{len(data.train):,} training images and the probe take about {need / 1e9:.1f} GB, "
            f"{free / 1e9:.1f} GB are free; use fewer (num_images), a smaller width, or more memory"
        )
    return need


def probe_memory(
    train: int, validation: int, test: int, features: int, classes: int, probe: str = "L-BFGS"
) -> int:
    """Bytes, at their peak, of the features of all images and what the probe takes on top.

    L-BFGS: a standardised copy of train and validation, in float64 if they are few; some rows of
    logits; the curvature and its factors; what L-BFGS remembers. SGD on new views needs none of
    it. The vote of the nearest neighbours comes after that, and takes some rows of similarities.
    """
    held = 4 * features * (train + validation + test)
    neighbours = 4 * min(2**23, train * test) + 4 * train
    if probe == "SGD":
        return held + neighbours
    size = features + 1
    number = 8 if train * features <= IN_FLOAT64 else 4
    copies = number * features * (train + validation)
    if number == 8:
        copies += 4 * features * train  # on its way to float64
    rows = min(ROWS, max(train, validation, test))
    work = number * rows * (3 * classes + 2 * size) + 8 * 4 * size**2
    work += number * (2 * ITERATIONS + 8) * size * classes
    return held + max(copies + work, neighbours)
