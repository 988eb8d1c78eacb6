"""From a batch of images to their two views: the random draws, and the order of operations.

Every draw is made on the CPU from an explicit generator, one set for each image, and then moved to
the images' device; so a run sees the same views wherever it runs. Distributions are those of the
official code (see each sampler). Figure 5's asymmetric protocol is two different lists of
transformations for the two branches.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ..config import Config
from . import color
from . import operations as ops
from .draws import (
    CUTOUT_SHARE,
    MOTION_LENGTH,
    NOISE_STD,
    Random,
    Share,
    draw,
    sample_crop_boxes,
    sample_jitter,
    sometimes,
    uniform,
)


def _crop(images: Tensor, config: Config, generator: Random) -> Tensor:
    area = (config.crop_area_min, 1.0)
    boxes = sample_crop_boxes(len(images), *images.shape[2:], generator, area)
    return _cut(images, boxes, config.image_size, config.has("bicubic"))


def _cut(images: Tensor, boxes: Tensor, size: int, cubic: bool = True) -> Tensor:
    """Boxes (N, 4) or (4,) of uint8 or float images as float32 (N, 3, size, size)."""
    if len(images) == 1 and images.device.type == "cpu":  # a worker process, with a large image
        top, left, height, width = boxes.view(4).tolist()
        box = images[:, :, top : top + height, left : left + width]
        return ops.resize_one(to_float(box), (size, size), cubic)
    return ops.crop_and_resize(to_float(images), boxes, (size, size), cubic)


def _flip(images: Tensor, config: Config, generator: Random) -> Tensor:
    return sometimes(images, ops.flip, 0.5, generator)


def _jitter(images: Tensor, config: Config, generator: Random) -> Tensor:
    draws = sample_jitter(len(images), config.color_strength, config.brightness, generator)
    jitter = partial(color.color_jitter, brightness_kind=config.brightness)
    return sometimes(images, jitter, 0.8, generator, **draws)


def _grayscale(images: Tensor, config: Config, generator: Random) -> Tensor:
    return sometimes(images, color.to_grayscale, 0.2, generator)


def _color(images: Tensor, config: Config, generator: Random) -> Tensor:
    """Colour distortion of the paper: jitter (0.8), then colour drop (0.2)."""
    return _grayscale(_jitter(images, config, generator), config, generator)


def _blur(images: Tensor, config: Config, generator: Random) -> Tensor:
    """Sigma uniform in [0.1, 2.0] for each image; the official code draws one for each batch.

    Clipped first, as there: a bicubic crop that no jitter followed still overshoots.
    """
    images = images.clamp(0, 1)
    sigma = uniform(len(images), 0.1, 2.0, generator)
    blur = partial(ops.gaussian_blur, kernel_size=images.shape[2] // 10)
    return sometimes(images, blur, 0.5, generator, sigma=sigma)


def _cutout(images: Tensor, config: Config, generator: Random) -> Tensor:
    height, width = images.shape[2:]
    box = torch.tensor([int(height * CUTOUT_SHARE), int(width * CUTOUT_SHARE)])
    space = torch.tensor([height, width]) - box + 1
    place = (draw(torch.rand, (len(images), 2), generator) * space).long()
    return ops.cutout(images, torch.cat([place, box.expand(len(images), 2)], dim=1))


def _noise(images: Tensor, config: Config, generator: Random) -> Tensor:
    return ops.add_noise(images, draw(torch.randn, images.shape, generator), NOISE_STD)


def _rotate(images: Tensor, config: Config, generator: Random) -> Tensor:
    return ops.rotate(images, draw(partial(torch.randint, 4), (len(images),), generator))


def _motion_blur(images: Tensor, config: Config, generator: Random) -> Tensor:
    angle = uniform(len(images), 0, math.pi, generator)
    blur = partial(ops.motion_blur, length=MOTION_LENGTH)
    return sometimes(images, blur, 0.5, generator, angle=angle)


SAMPLERS: dict[str, Callable[[Tensor, Config, Random], Tensor]] = {
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
    "sobel": lambda images, config, generator: ops.sobel(images),
    "equalize": lambda images, config, g: sometimes(images, ops.equalize, 0.5, g),
    "solarize": lambda images, config, g: sometimes(images, ops.solarize, 0.5, g),
    "identity": lambda images, config, generator: images,
}


def first_crop(
    images: Tensor, transforms: str, config: Config, generator: Random
) -> tuple[Tensor, list[str]]:
    """Images brought to the size of a view, and the names of the transformations still to do.

    A leading "crop" is taken; without one the whole image is resized, if its size differs. This is
    the part of a view that needs the original image; for large images worker processes do it.
    """
    names = [name for name in transforms.split("+") if name]
    if names[:1] == ["crop"]:
        return _crop(images, config, generator), names[1:]
    if images.shape[2:] != (config.image_size, config.image_size):
        whole = torch.tensor([0, 0, *images.shape[2:]])
        return _cut(images, whole, config.image_size), names
    return to_float(images), names


def distort(images: Tensor, names: list[str], config: Config, generator: Random) -> Tensor:
    """The named transformations in order, then a clip to 0..1; (N, 3, S, S) to the same."""
    for name in names:
        images = SAMPLERS[name](images, config, generator)
    return images.clamp(0, 1)


def view(images: Tensor, transforms: str, config: Config, generator: Random) -> Tensor:
    """One random view of every image: the named transformations in order, then a clip to 0..1.

    `images` uint8 or float 0..1, (N, 3, H, W); returns float32 (N, 3, S, S) with S the
    `image_size`.
    """
    cropped, rest = first_crop(images, transforms, config, generator)
    return distort(cropped, rest, config, generator)


def branches(config: Config) -> tuple[str, str]:
    """The transformations of the two views; the same unless `second_view` is set (Figure 5)."""
    return config.augmentations, config.second_view or config.augmentations


def two_views(images: Tensor, config: Config, generator: Random) -> Tensor:
    """(2N, 3, S, S): rows i and i + N are two random views of image i (Section 2.1).

    With `shared_crop` both are made from one random crop of the image, as in Figure 5.
    """
    first, second = branches(config)
    if config.shared_crop:
        images = _crop(images, config, generator).clamp_(0, 1)
    if first == second:  # one pass over both: the draws are as independent as in two
        both = generator._replace(branches=2) if isinstance(generator, Share) else generator
        return view(images.repeat(2, 1, 1, 1), first, config, both)
    return torch.cat([view(images, names, config, generator) for names in (first, second)])


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
    return images.float() / 255 if images.dtype == torch.uint8 else images
