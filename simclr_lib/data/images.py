"""Data sets by name, as three parts that never mix: train, validation, test.

Small images are held in memory as uint8 (N, 3, H, W); large ones stay files that worker processes
decode and crop. The test part is for reporting only; choices are made on validation, which is cut
from the training images.
"""

from __future__ import annotations

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
        self.paths, self.labels = list(paths), labels

    def __len__(self) -> int:
        return len(self.paths)

    def subset(self, indices: Tensor) -> ImageFiles:
        """The files at `indices`."""
        return ImageFiles([self.paths[i] for i in indices.tolist()], self.labels[indices])

    def decode(self, index: int) -> Tensor:
        """uint8 (3, H, W); raises `OSError` or `ValueError` if the file is not an image."""
        return torch.from_numpy(decode(self.paths[index])).permute(2, 0, 1)


class Data(NamedTuple):
    """A data set: its name, its classes, and its parts. `pretrain` needs no labels."""

    name: str
    classes: tuple[str, ...]
    train: ImageSet | ImageFiles
    validation: ImageSet | ImageFiles
    test: ImageSet | ImageFiles
    pretrain: ImageSet | ImageFiles


def split(
    name: str,
    classes: Sequence[str],
    train: ImageSet | ImageFiles,
    test: ImageSet | ImageFiles,
    config: Config,
    unlabelled: ImageSet | None = None,
) -> Data:
    """Cut a tenth (at most 5,000) off the training images for validation; apply `num_images`."""
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(SPLIT_SEED))
    held_out = max(min(len(train) // 10, 5000), 1)
    kept = order[held_out:]
    if config.num_images > len(kept):
        raise ValueError(
            f"num_images={config.num_images} is not valid: {name} has {len(kept)} training images "
            "after validation is cut off; use that many or fewer, or 0 for all"
        )
    kept = kept[: config.num_images or len(kept)]
    train, validation = train.subset(kept), train.subset(order[:held_out])
    if unlabelled is not None:
        unlabelled = unlabelled.subset(torch.arange(config.num_images or len(unlabelled)))
    return Data(name, tuple(classes), train, validation, test, unlabelled or train)


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
