"""The random draws of views, one set for each image, from an explicit generator.

Raises `ValueError` for numbers that are out of range, and for what is no generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from .. import checks
from . import color

# Figure 5's and appendix B.2's operations have no published parameters; these are ours.
CUTOUT_SHARE, NOISE_STD, MOTION_LENGTH = 0.5, 0.1, 5


class OwnRows(NamedTuple):
    """Stands for a generator where a process holds some of the images of a batch.

    Draws are made for the whole batch and those of the own images kept, so an image gets the same
    whoever holds it. The batch is `processes` equal parts, of which `part` is held.
    """

    generator: Generator
    part: int
    processes: int
    branches: int = 1  # views of the batch, one after the other, that are drawn for together


Random = Generator | OwnRows


def draw(
    make: Callable[..., Tensor], shape: Sequence[int], source: Random, **options: Any
) -> Tensor:
    """`make(shape)`, say `torch.rand`, with one row for each image, from `source`."""
    _check_source("source", source)
    if min(shape, default=0) < 0 or float in map(type, shape):
        checks.refuse("shape", shape, "whole numbers, 0 or more")
    if isinstance(source, Generator):
        return make(shape, generator=source, **options)
    if shape[0] % source.branches:
        checks.refuse("shape", shape, f"one row for each image in {source.branches} branches")
    whole = make((shape[0] * source.processes, *shape[1:]), generator=source.generator, **options)
    parts = whole.view(source.branches, source.processes, shape[0] // source.branches, *shape[1:])
    return parts[:, source.part].flatten(0, 1)


def _check_source(name: str, source: Random) -> None:
    """Refuse what is neither a generator nor possible `OwnRows`."""
    if isinstance(source, Generator):
        return
    divided = isinstance(source, OwnRows) and isinstance(source.generator, Generator)
    if not divided or not 0 <= source.part < source.processes:
        checks.refuse(name, source, "a torch.Generator, or OwnRows, part below processes")


def uniform(num: int, low: float, high: float, generator: Random) -> Tensor:
    """(num,) float32 between `low` and `high`."""
    checks.whole("num", num, 0)
    checks.number("low", low, "a number", -math.inf)
    checks.number("high", high, f"a number, low={low} or more", low)
    _check_source("generator", generator)
    return _uniform(num, low, high, generator)


def _uniform(num: int, low: float, high: float, generator: Random) -> Tensor:
    return low + (high - low) * draw(torch.rand, (num,), generator)


def sample_crop_boxes(
    num: int,
    height: int,
    width: int,
    generator: Random,
    area: tuple[float, float] = (0.08, 1.0),
    attempts: int = 10,
) -> Tensor:
    """(num, 4) int64 boxes (top, left, height, width) of random crops, in pixels.

    Width over height is uniform in [3/4, 4/3], for views are square; then the height is uniform
    among the whole numbers for which the box fits and its area is within `area` (shares of the
    image); then the place is uniform. That is TensorFlow's sampler, which the official code calls
    and which favours small crops: of 0.08 to 1 the mean is 0.42, not the 0.54 of the paper's
    "uniform in area". A box that rounding pushed out of bounds, or that covers less than a tenth
    of the image (the official `min_object_covered`; binding only if area[0] < 0.1), is drawn again,
    at most `attempts` times (officially 100), then the whole image is taken.
    """
    checks.whole("num", num, 0)
    checks.whole("height", height, 1)
    checks.whole("width", width, 1)
    checks.whole("attempts", attempts, 1)
    _check_area(area)
    _check_source("generator", generator)
    shape = (num, attempts)
    pixels = height * width
    low, high = area[0] * pixels, area[1] * pixels
    ratio = 3 / 4 + (4 / 3 - 3 / 4) * draw(torch.rand, shape, generator)
    smallest = (low / ratio).sqrt().round()
    largest = torch.minimum((high / ratio).sqrt().round(), ((width + 0.4999) / ratio).floor())
    largest = largest.clamp(max=height)
    smallest = torch.minimum(smallest, largest)
    tall = smallest + (draw(torch.rand, shape, generator) * (largest - smallest + 1)).floor()
    wide = (tall * ratio).round()
    covered = tall * wide
    valid = (wide >= 1) & (tall >= 1) & (wide <= width)
    # One row of slack where rounding, not the draw, broke the bounds of the area.
    slack = torch.maximum(tall, wide)
    valid &= (covered >= low - slack) & (covered <= high + slack)
    valid &= covered >= min(0.1, area[1]) * pixels
    first = valid.int().argmax(dim=1, keepdim=True)  # (num, 1) the first box that is valid
    found = valid.any(dim=1)
    tall = torch.where(found, tall.gather(1, first)[:, 0], height)
    wide = torch.where(found, wide.gather(1, first)[:, 0], width)
    place = draw(torch.rand, (num, 2), generator)
    top, left = (place[:, 0] * (height - tall)).floor(), (place[:, 1] * (width - wide)).floor()
    return torch.stack([top, left, tall, wide], dim=1).long()


def _check_area(area: tuple[float, float]) -> None:
    """Refuse what is not the smallest and the largest share of an image."""
    valid = (
        "(smallest, largest) share of the image, with 0 <= smallest <= largest and 0 < largest <= 1"
    )
    if not isinstance(area, Sequence) or len(area) != 2:
        checks.refuse("area", area, valid)
    for bound in area:
        checks.number("area", bound, valid, 0, 1)
    if not 0 <= area[0] <= area[1] or area[1] == 0:
        checks.refuse("area", area, valid)


def sample_jitter(
    num: int, strength: float, brightness: str, generator: Random
) -> dict[str, Tensor]:
    """Draws of `color_jitter` for `num` images at strength s (appendix A).

    Brightness: delta in [-0.8 s, 0.8 s] if "additive", factor in [max(1 - 0.8 s, 0), 1 + 0.8 s] if
    "multiplicative"; contrast and saturation factors likewise; hue in [-0.2 s, 0.2 s] turns; the
    order is a uniform permutation. One draw for each image.
    """
    checks.whole("num", num, 0)
    checks.number("strength", strength, "a number, 0 or more", 0)
    checks.one_of("brightness", brightness, ("additive", "multiplicative"))
    _check_source("generator", generator)
    spread = 0.8 * strength
    factors = (max(1 - spread, 0), 1 + spread)
    bright = (-spread, spread) if brightness == "additive" else factors
    return {
        "order": draw(torch.rand, (num, 4), generator).argsort(dim=1),
        "brightness": _uniform(num, *bright, generator),
        "contrast": _uniform(num, *factors, generator),
        "saturation": _uniform(num, *factors, generator),
        "hue": _uniform(num, -0.2 * strength, 0.2 * strength, generator),
    }


def sometimes(
    images: Tensor,
    change: Callable[..., Tensor],
    probability: float,
    generator: Random,
    **draws: Tensor,
) -> Tensor:
    """`change(images, **draws)` for every image with this `probability`, else the image itself.

    `draws` are one for each image, (N, ...). On a CPU, where the choice is at hand, only the chosen
    are changed; elsewhere all are, and then the choice is made, so that shapes stay the same.
    """
    checks.images(images)
    checks.number("probability", probability, "a number from 0 to 1", 0, 1)
    for name, values in draws.items():
        if not isinstance(values, Tensor) or values.shape[:1] != images.shape[:1]:
            checks.refuse(name, values, f"a tensor, one row for each of {len(images)} images")
    _check_source("generator", generator)
    chosen = draw(torch.rand, (len(images),), generator) < probability
    if images.device.type == "cpu":
        index = chosen.nonzero()[:, 0]
        some = {name: draw[index] for name, draw in draws.items()}
        return images.index_copy(0, index, change(images.index_select(0, index), **some))
    draws = {name: draw.to(images.device) for name, draw in draws.items()}
    return color.choose(chosen, change(images, **draws), images)
