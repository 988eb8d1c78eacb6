"""Data sets by name, as three parts that never mix: train, validation, test.

Small images are held in memory as uint8 (N, 3, H, W); large ones stay files that worker processes
decode and crop. The test part is for reporting only; choices are made on validation, which is cut
from the training images.
"""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..checks import refuse
from ..config import Config

SPLIT_SEED, SYNTHETIC_SEED = 20200213, 2002  # the same split and images for every run

UTF8 = "utf-8", "surrogateescape"  # a name on a disk may be any bytes

# What Pillow raises on damaged files beside `OSError` and `ValueError`.
DAMAGED = (
    Image.DecompressionBombError,
    EOFError,
    IndexError,
    SyntaxError,
    struct.error,
    zlib.error,
)


class ImageSet(NamedTuple):
    """Images in memory: uint8 (N, 3, H, W), and labels int64 (N,), -1 where unknown."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:  # of images, not of fields
        return self.labels.numel()

    def subset(self, indices: Tensor) -> ImageSet:
        """The images at `indices`."""
        return ImageSet(self.images[indices], self.labels[indices])


class ImageFiles:
    """Images on disk: paths and labels int64 (N,). `decode(i)` gives uint8 (3, H, W).

    Raises `ValueError` if there is not one label for each path.
    """

    def __init__(self, paths: Sequence[Path], labels: Tensor) -> None:
        if not isinstance(labels, Tensor) or labels.shape != (len(paths),):
            refuse("labels", labels, f"an int64 tensor of shape ({len(paths)},), one a path")
        self.paths, self.labels = [Path(path) for path in paths], labels

    def __len__(self) -> int:
        return len(self.paths)

    def subset(self, indices: Tensor) -> ImageFiles:
        """The files at `indices`."""
        return ImageFiles([self.paths[i] for i in indices.tolist()], self.labels[indices])

    def decode(self, index: int) -> Tensor:
        """uint8 (3, H, W); raises `OSError` or `ValueError` if the file is not an image."""
        return torch.from_numpy(decode(self.paths[index])).permute(2, 0, 1)


class Origin(NamedTuple):
    """What a loader has read: which set it is, how it was asked, a hash of what it handed out."""

    fingerprint: str
    num_images: int
    image_size: int
    content: str


class Data(NamedTuple):
    """A data set: its name, its classes, and its parts. `pretrain` needs no labels.

    `origin` is for loaders; leave it out in a set of your own making.
    """

    name: str
    classes: tuple[str, ...]
    train: ImageSet | ImageFiles
    validation: ImageSet | ImageFiles
    test: ImageSet | ImageFiles
    pretrain: ImageSet | ImageFiles
    origin: Origin | None = None


def split(
    name: str,
    classes: Sequence[str],
    train: ImageSet | ImageFiles,
    test: ImageSet | ImageFiles,
    config: Config,
    unlabelled: ImageSet | None = None,
) -> Data:
    """Cut a tenth (at most 5,000) off the training images for validation; apply `num_images`.

    For sets that do not change: an image is drawn by its number.
    """
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(SPLIT_SEED))
    held_out = max(min(len(train) // 10, 5000), 1)
    kept = _first(order[held_out:], name, config)
    train, validation = train.subset(kept), train.subset(order[:held_out])
    if unlabelled is not None:
        unlabelled = unlabelled.subset(torch.arange(config.num_images or len(unlabelled)))
    return Data(name, tuple(classes), train, validation, test, unlabelled or train)


def by_name(names: Sequence[str], part: str, share: float) -> tuple[Tensor, Tensor]:
    """Which images stay and which go to `part`, about a `share` of them, int64 indices.

    Each name is drawn by its hash alone: a new file moves no other. Both are in the order of the
    draws, so that the first of them are a sample of all.
    """
    words = [f"{part} {name}".encode(*UTF8) for name in names]
    draws = [hashlib.blake2b(word, digest_size=8).digest() for word in words]
    order = sorted(range(len(draws)), key=draws.__getitem__)
    limit = int(share * 2**64).to_bytes(8, "big")
    taken = sum(draw < limit for draw in draws)
    return torch.tensor(order[taken:]).long(), torch.tensor(order[:taken]).long()


def split_by_name(
    name: str,
    classes: Sequence[str],
    train: ImageSet | ImageFiles,
    names: Sequence[str],
    test: ImageSet | ImageFiles | None,
    config: Config,
) -> Data:
    """Cut parts off `train` by its images' `names`; apply `num_images`.

    A tenth for test if there is no such part; of what is left a tenth for validation, or of more
    than 50,000 images half, a quarter, ... of a tenth, so that it has about 5,000 at most. Raises
    `ValueError` if a part would be empty.
    """
    if test is None:
        kept, held_out = by_name(names, "test", 0.1)
        _not_empty(name, "test", len(held_out), len(names))
        train, test = train.subset(kept), train.subset(held_out)
        names = [names[i] for i in kept.tolist()]
    share = 0.1 / 2 ** max(math.ceil(math.log2(max(len(names), 1) / 50_000)), 0)
    kept, held_out = by_name(names, "validation", share)
    _not_empty(name, "validation", len(held_out), len(names))
    _not_empty(name, "training", len(kept), len(names))
    part = train.subset(_first(kept, name, config))
    return Data(name, tuple(classes), part, train.subset(held_out), test, part)


def _not_empty(name: str, part: str, found: int, of: int) -> None:
    if not found:
        raise ValueError(
            f"dataset {name}: its {part} part would be empty, for each image is drawn by its name, "
            f"and there are {of}; add images, or make a train/ and a test/ folder"
        )


def _first(kept: Tensor, name: str, config: Config) -> Tensor:
    """The first `num_images` of them, or all."""
    if config.num_images > len(kept):
        raise ValueError(
            f"num_images={config.num_images} is not valid: {name} has {len(kept)} training images "
            "after validation is cut off; use that many or fewer, or 0 for all"
        )
    return kept[: config.num_images or len(kept)]


def decode(path: Path, size: int = 0) -> np.ndarray:
    """uint8 (H, W, 3) RGB; with `size`, the central square resized to size x size if it differs.

    Raises `OSError` or `ValueError` if the file is not an image or too large to be one.
    """
    try:
        with Image.open(path) as file:
            image = file if file.mode == "RGB" else file.convert("RGB")
            if size and image.size != (size, size):
                side = min(image.size)
                left, top = (image.width - side) // 2, (image.height - side) // 2
                box = (left, top, left + side, top + side)
                image = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
            return np.asarray(image).copy()
    except DAMAGED as error:
        raise ValueError(f"{path} is not an image that can be read: {error}") from error
