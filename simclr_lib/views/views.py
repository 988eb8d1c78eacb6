"""From a batch of images to random views: what a branch is, and the order of operations.

Every draw is made on the CPU from an explicit generator, one set for each image, and then moved to
the images' device; so a run sees the same views wherever it runs. Distributions are those of the
official code (see each sampler in `draws`). Figure 5's asymmetric protocol is two branches that
differ.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ..config import Config
from . import color
from . import operations as ops
from .draws import (
    CUTOUT_SHARE,
    MOTION_LENGTH,
    NOISE_STD,
    OwnRows,
    Random,
    draw,
    sample_crop_boxes,
    sample_jitter,
    sometimes,
    uniform,
)


class Branch(NamedTuple):
    """How one view of an image is made; as data, so that a method can say what it wants to see."""

    transforms: str  # names of `SAMPLERS` in order, joined by +
    size: int  # height and width of the view, pixels
    area: tuple[float, float] = (0.08, 1.0)  # of a crop, as shares of the image
    strength: float = 1.0  # s of the colour distortion (appendix A)
    brightness: str = "additive"  # or "multiplicative", as in v2
    bicubic: bool = True  # crops are resized bicubically, else bilinearly
    shared_crop: bool = False  # all branches work on one crop of the image, taken first (Figure 5)


class Batch(NamedTuple):
    """What a method sees of N images, or of those of a batch that this process holds."""

    views: tuple[Tensor, ...]  # one for each branch, float32 (N, 3, S, S); sizes may differ
    labels: Tensor  # (N,) int64, of the images, or the answers to the puzzle of `Method.prepare`
    index: Tensor  # type: ignore[assignment]  # (N,) int64, which images of the data these are

    def rows(self, which: slice) -> Batch:
        """The same of some rows only."""
        return Batch(tuple(x[which] for x in self.views), self.labels[which], self.index[which])


def branch(config: Config, transforms: str | None = None) -> Branch:
    """The branch that `config` describes, by `transforms` if given instead of its own."""
    return Branch(
        config.augmentations if transforms is None else transforms,
        config.image_size,
        (config.crop_area_min, 1.0),
        config.color_strength,
        config.brightness,
        config.has("bicubic"),
    )


def branches(config: Config) -> tuple[Branch, Branch]:
    """Those of the two views; the same unless `second_view` is set (Figure 5)."""
    first, second = branch(config), branch(config, config.second_view or None)
    shared = config.shared_crop
    return first._replace(shared_crop=shared), second._replace(shared_crop=shared)


def _crop(images: Tensor, how: Branch, generator: Random) -> Tensor:
    height, width = images.shape[2:]
    boxes = sample_crop_boxes(len(images), height, width, generator, how.area)
    return _cut(images, boxes, how.size, cubic=how.bicubic)


def _cut(images: Tensor, boxes: Tensor, size: int, *, cubic: bool = True) -> Tensor:
    """Boxes (N, 4) or (4,) of uint8 or float images as float32 (N, 3, size, size)."""
    if len(images) == 1 and images.device.type == "cpu":  # a worker process, with a large image
        top, left, height, width = boxes.view(4).tolist()
        box = images[:, :, top : top + height, left : left + width]
        return ops.resize_one(to_float(box), (size, size), cubic)
    return ops.crop_and_resize(to_float(images), boxes, (size, size), cubic)


def _flip(images: Tensor, how: Branch, generator: Random) -> Tensor:
    return sometimes(images, ops.flip, 0.5, generator)


def _jitter(images: Tensor, how: Branch, generator: Random) -> Tensor:
    draws = sample_jitter(len(images), how.strength, how.brightness, generator)
    jitter = partial(color.color_jitter, brightness_kind=how.brightness)
    return sometimes(images, jitter, 0.8, generator, **draws)


def _grayscale(images: Tensor, how: Branch, generator: Random) -> Tensor:
    return sometimes(images, color.to_grayscale, 0.2, generator)


def _color(images: Tensor, how: Branch, generator: Random) -> Tensor:
    """Colour distortion of the paper: jitter (0.8), then colour drop (0.2)."""
    return _grayscale(_jitter(images, how, generator), how, generator)


def _blur(images: Tensor, how: Branch, generator: Random) -> Tensor:
    """Sigma uniform in [0.1, 2.0] for each image; the official code draws one for each batch.

    Clipped first, as there: a bicubic crop that no jitter followed still overshoots.
    """
    images = images.clamp(0, 1)
    sigma = uniform(len(images), 0.1, 2.0, generator)
    blur = partial(ops.gaussian_blur, kernel_size=max(images.shape[2] // 10, 1))
    return sometimes(images, blur, 0.5, generator, sigma=sigma)


def _cutout(images: Tensor, how: Branch, generator: Random) -> Tensor:
    height, width = images.shape[2:]
    box = torch.tensor([int(height * CUTOUT_SHARE), int(width * CUTOUT_SHARE)])
    space = torch.tensor([height, width]) - box + 1
    place = (draw(torch.rand, (len(images), 2), generator) * space).long()
    return ops.cutout(images, torch.cat([place, box.expand(len(images), 2)], dim=1))


def _noise(images: Tensor, how: Branch, generator: Random) -> Tensor:
    return ops.add_noise(images, draw(torch.randn, images.shape, generator), NOISE_STD)


def _rotate(images: Tensor, how: Branch, generator: Random) -> Tensor:
    return ops.rotate(images, draw(partial(torch.randint, 4), (len(images),), generator))


def _motion_blur(images: Tensor, how: Branch, generator: Random) -> Tensor:
    angle = uniform(len(images), 0, math.pi, generator)
    blur = partial(ops.motion_blur, length=MOTION_LENGTH)
    return sometimes(images, blur, 0.5, generator, angle=angle)


# What a name in `transforms` does to images (N, 3, H, W), with draws of its own.
SAMPLERS: dict[str, Callable[[Tensor, Branch, Random], Tensor]] = {
    "crop": _crop,
    "flip": _flip,
    "color": _color,
    "jitter": _jitter,
    "grayscale": _grayscale,
    "blur": _blur,
    "cutout": _cutout,
    "noise": _noise,
    "rotate": _rotate,
    "motion_blur": _motion_blur,
    "sobel": lambda images, how, generator: ops.sobel(images),
    "equalize": lambda images, how, g: sometimes(images, ops.equalize, 0.5, g),
    "solarize": lambda images, how, g: sometimes(images, ops.solarize, 0.5, g),
    "identity": lambda images, how, generator: images,
}


def first_crop(images: Tensor, how: Branch, generator: Random) -> tuple[Tensor, list[str]]:
    """Images brought to the size of a view, and the names of the transformations still to do.

    A leading "crop" is taken; without one the whole image is resized, if its size differs. This is
    the part of a view that needs the original image; for large images worker processes do it.
    """
    names = [name for name in how.transforms.split("+") if name]
    if names[:1] == ["crop"]:
        return _crop(images, how, generator), names[1:]
    if images.shape[2:] != (how.size, how.size):
        whole = torch.tensor([0, 0, *images.shape[2:]])
        return _cut(images, whole, how.size), names
    return to_float(images), names


def distort(images: Tensor, names: Sequence[str], how: Branch, generator: Random) -> Tensor:
    """The named transformations in order, then a clip to 0..1; (N, 3, S, S) to the same."""
    for name in names:
        images = SAMPLERS[name](images, how, generator)
    return images.clamp(0, 1)


def view(images: Tensor, how: Branch, generator: Random) -> Tensor:
    """One random view of every image: the transformations of a branch, then a clip to 0..1.

    `images` uint8 or float 0..1, (N, 3, H, W); returns float32 (N, 3, S, S) with S its size.
    """
    cropped, names = first_crop(images, how, generator)
    return distort(cropped, names, how, generator)


def make_views(images: Tensor, branches: Sequence[Branch], generator: Random) -> tuple[Tensor, ...]:
    """One random view of every image for each branch, float32 (N, 3, S, S) each.

    Equal branches that follow each other are made in one pass: their draws are as independent as
    in several. With `shared_crop` all are made from one random crop of the image, as in Figure 5.
    """
    if branches[0].shared_crop:
        images = shared_crop(images, branches[0], generator)
    views: list[Tensor] = []
    for how, equal in itertools.groupby(branches):
        times, source = len(list(equal)), generator
        if isinstance(source, OwnRows):
            source = source._replace(branches=times)
        many = to_float(images).repeat(times, 1, 1, 1) if times > 1 else images
        views += view(many, how, source).chunk(times)
    return tuple(views)


def shared_crop(images: Tensor, how: Branch, generator: Random) -> Tensor:
    """The random crop that branches have in common, float32 (N, 3, S, S) in 0..1."""
    return _crop(images, how, generator).clamp_(0, 1)


def two_views(images: Tensor, config: Config, generator: Random) -> Tensor:
    """(2N, 3, S, S): rows i and i + N are two random views of image i (Section 2.1)."""
    return torch.cat(make_views(images, branches(config), generator))


def center_view(images: Tensor, size: int) -> Tensor:
    """What evaluation sees, float32 (N, 3, size, size): the central square, resized bicubically.

    Its side is 87.5 % of the image's shorter one, or all of it if `size` is at most 32, where the
    official code does not crop.
    """
    height, width = images.shape[2:]
    if size <= 32 and (height, width) == (size, size):
        return to_float(images)
    side = round((0.875 if size > 32 else 1.0) * min(height, width))
    box = torch.tensor([(height - side + 1) // 2, (width - side + 1) // 2, side, side])
    return _cut(images, box, size).clamp(0, 1)


def to_float(images: Tensor) -> Tensor:
    """uint8 0..255 to float32 0..1; float images pass unchanged. No mean or std is subtracted."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images
