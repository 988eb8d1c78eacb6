"""Two views of a batch in memory: ours, kornia's batched, torchvision's image by image."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from simclr_lib.config import Config
from simclr_lib.machine import devices
from simclr_lib.views import two_views

from . import peers
from .sides import Row, compare, row


def images_of(number: int, size: int) -> torch.Tensor:
    """uint8 (number, 3, size, size): smooth random colours, so that no value is special."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(number, 3, 8, 8, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    return (smooth * 255).byte()


def repeats(size: int) -> int:
    """Batches in one turn; a single one of small images is too short to be timed."""
    return 4 if size < 64 else 1


def ours(number: int, size: int, *, blur: bool) -> Callable[[], None]:
    devices.keep_freed_memory()
    images = images_of(number, size)
    names = "crop+flip+color" + ("+blur" if blur else "")
    config = Config.create("quick", image_size=size, augmentations=names)
    generator = torch.Generator().manual_seed(0)

    def work() -> None:
        for _ in range(repeats(size)):
            two_views(images, config, generator)

    return work


def kornia(number: int, size: int, *, blur: bool) -> Callable[[], None]:
    views = peers.kornia_views(images_of(number, size), size, blur=blur)

    def work() -> None:
        for _ in range(repeats(size)):
            views()

    return work


def torchvision(number: int, size: int, *, blur: bool) -> Callable[[], None]:
    views = peers.torchvision_views(images_of(number, size), size, number // 16, blur=blur)

    def work() -> None:
        for _ in range(16 * repeats(size)):  # in small batches, for few are then ready beforehand
            next(views)

    return work


def run() -> list[Row]:
    rows = []
    for number, size in ((1024, 32), (128, 224)):
        for name, peer in (("kornia", kornia), ("torchvision, 2 workers", torchvision)):
            sides = (partial(side, blur=size >= 224) for side in (ours, peer))
            times = compare(*((side, number, size) for side in sides))
            what = f"two views of {number} images, {size} px, against {name}"
            rows.append(row(what, number * repeats(size), "images/s", *times))
    return rows
