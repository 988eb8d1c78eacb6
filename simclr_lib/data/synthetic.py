"""Generated image data set: printed cloth in ten pattern families, labelled by the family.

Every image shows one piece of patterned cloth on a plain table. The label is the family of the
pattern (stripes, dots, bricks, ...); everything else is drawn at random and independently of it:
ink, cloth and table colours, which of the two pattern colours is the lighter, period (scale),
orientation, phase (position), bend, outline of the cloth, a ribbon lying over it, light gradient,
soft shadow, brightness, sensor noise.

What do two views of one image share? SimCLR learns whatever makes the partner of a view easy to
find in the batch, so this question decides what is learned:

* Two plain crops share the colours, and the colours tell almost any two images apart. The network
  reads the colour histogram and ignores the pattern, hence colour distortion is needed.
* Two recoloured copies without a crop share the exact layout: the shadow, the ribbon, the outline,
  the phase. That is another way to cheat, hence the crop is needed.
* Under both distortions neither colour nor layout can be relied upon. A crop of a pattern is still
  the same pattern, so the pattern is what is left, and its family is the class.

What outlives both but is no part of the class (period, orientation) is kept in narrow ranges.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .. import checks

LUMA = (0.299, 0.587, 0.114)  # weight of R, G, B in perceived lightness (ITU-R BT.601)


def _cell(t: Tensor) -> Tensor:
    """Offset of a coordinate, in periods, from the centre of its cell: in [-0.5, 0.5)."""
    return t - torch.floor(t) - 0.5


# A pattern maps coordinates u (across) and v (down), in periods, shapes broadcastable to (n, H, W),
# to about the signed distance from the edge of the ink, in periods: > 0 in ink, < 0 on bare cloth.
def _stripes(u: Tensor, v: Tensor) -> Tensor:
    return 0.25 - _cell(u).abs()


def _checks(u: Tensor, v: Tensor) -> Tensor:
    return 6 * (0.25 - _cell(u).abs()) * (0.25 - _cell(v).abs())


def _dots(u: Tensor, v: Tensor) -> Tensor:
    return 0.36 - torch.hypot(_cell(0.9 * u + 0.5 * torch.floor(v)) / 0.9, _cell(v))


def _rings(u: Tensor, v: Tensor) -> Tensor:
    return 0.15 - (torch.hypot(_cell(0.7 * u), _cell(0.7 * v)) - 0.30).abs() / 0.7


def _zigzag(u: Tensor, v: Tensor) -> Tensor:
    return 0.25 - _cell(u + 1.2 * _cell(0.6 * v).abs()).abs()


def _bricks(u: Tensor, v: Tensor) -> Tensor:
    upright = 1 - 2 * _cell(0.5 * u + 0.5 * torch.remainder(torch.floor(v), 2)).abs()
    return 0.13 - torch.minimum(upright, 0.5 - _cell(v).abs())  # ink is the mortar


def _grid(u: Tensor, v: Tensor) -> Tensor:
    return 0.12 - torch.minimum(_cell(u).abs(), _cell(v).abs())


def _triangles(u: Tensor, v: Tensor) -> Tensor:
    row = torch.floor(0.8 * v)
    return 0.5 * (0.8 * v - row) - _cell(0.8 * u + 0.5 * row).abs()


def _crosses(u: Tensor, v: Tensor) -> Tensor:
    a, b = _cell(0.65 * u).abs() / 0.65, _cell(0.65 * v).abs() / 0.65
    return torch.minimum(0.17 - torch.minimum(a, b), 0.6 - torch.maximum(a, b))


def _scales(u: Tensor, v: Tensor) -> Tensor:
    row = torch.floor(v)
    return 0.13 - (torch.hypot(_cell(0.75 * u + 0.5 * row) / 0.75, v - row) - 0.72).abs()


_PATTERNS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    _stripes,
    _checks,
    _dots,
    _rings,
    _zigzag,
    _bricks,
    _grid,
    _triangles,
    _crosses,
    _scales,
)
CLASS_NAMES: tuple[str, ...] = tuple(pattern.__name__.strip("_") for pattern in _PATTERNS)


def _uniform(rng: np.random.Generator, low: float, high: float, *shape: int) -> Tensor:
    """Draw float32 values in [low, high) of the given shape."""
    return torch.from_numpy((low + (high - low) * rng.random(shape)).astype(np.float32))


def _colours(rng: np.random.Generator, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the colours of ink, cloth and table: three (n, 3, 1, 1) tensors in [0, 1].

    Ink and cloth differ in lightness by 0.4 to 0.6, so that the pattern survives a grey image;
    which of them is the lighter is random, so that lightness says nothing about the class.
    """
    hue = _uniform(rng, 0, 1, n, 1, 1) + _uniform(rng, -0.25, 0.25, n, 3, 1)  # (n, part, 1)
    wheel = 0.5 + 0.5 * torch.cos(2 * math.pi * (hue + torch.arange(3) / 3))  # (n, part, 3)
    tint = wheel - (wheel * torch.tensor(LUMA)).sum(2, keepdim=True)  # (n, part, 3), lightness 0
    saturation = _uniform(rng, 0.3, 0.9, n, 3, 1)  # (n, part, 1)
    dark = _uniform(rng, 0.15, 0.4, n, 1, 1)  # (n, 1, 1)
    light = dark + _uniform(rng, 0.4, 0.6, n, 1, 1)  # (n, 1, 1)
    swap = _uniform(rng, 0, 1, n, 1, 1) < 0.5  # (n, 1, 1)
    table = _uniform(rng, 0.15, 0.9, n, 1, 1)  # (n, 1, 1)
    ink, cloth = torch.where(swap, dark, light), torch.where(swap, light, dark)  # (n, 1, 1) each
    lightness = torch.cat([ink, cloth, table], dim=1)  # (n, part, 1)
    room = torch.minimum(lightness, 1 - lightness).clamp(min=0.2)  # (n, part, 1), from the gamut
    colours = (lightness + 1.3 * saturation * room * tint).clamp(0, 1)  # (n, part, 3)
    ink, cloth, table = colours[..., None, None].unbind(dim=1)  # (n, 3, 1, 1) each
    return ink, cloth, table


def _draw(
    pattern: Callable[[Tensor, Tensor], Tensor], n: int, size: int, rng: np.random.Generator
) -> Tensor:
    """Draw n images of one family: float32 (n, 3, size, size) in [0, 1]. Image side = 1 unit."""

    def draw(low: float, high: float) -> Tensor:
        return _uniform(rng, low, high, n, 1, 1)  # (n, 1, 1): one value per image

    def paint(under: Tensor, over: Tensor, distance: Tensor) -> Tensor:
        alpha = (distance * size + 0.5).clamp(0, 1)  # (n, H, W): edges are one pixel soft
        return torch.lerp(under, over, alpha.unsqueeze(1))  # (n, 3, H, W)

    axis = (torch.arange(size, dtype=torch.float32) + 0.5) / size - 0.5  # (size,)
    x, y = axis.view(1, 1, size), axis.view(1, size, 1)
    ink, cloth, table = _colours(rng, n)  # (n, 3, 1, 1) each

    # Pattern: rotate, scale, shift, bend.
    angle, period = draw(-0.2, 0.2), draw(0.19, 0.25)  # radians, image sides
    cos, sin, bend = torch.cos(angle) / period, torch.sin(angle) / period, draw(0, 0.12)
    u = cos * x + sin * y + draw(0, 2) + bend * torch.sin(5 * y + draw(0, 2 * math.pi))  # (n, H, W)
    v = cos * y - sin * x + draw(0, 2) + bend * torch.sin(5 * x + draw(0, 2 * math.pi))  # (n, H, W)
    printed = paint(cloth, ink, pattern(u, v) * period)  # (n, 3, H, W)

    # Outline: a superellipse, between round and square, which casts a shadow on the table.
    half, power = draw(0.5, 0.66), draw(2.5, 5.0)
    dx, dy = (x - draw(-0.08, 0.08)).abs(), (y - draw(-0.08, 0.08)).abs()  # (n, 1, W), (n, H, 1)
    outside = (dx**power + dy**power) ** (1 / power) - half  # (n, H, W)
    shadow = 0.35 * (1 - 12 * outside.clamp(min=0)).clamp(min=0)  # (n, H, W)
    image = paint(table * (1 - shadow).unsqueeze(1), printed, -outside)  # (n, 3, H, W)

    # Occlusion: three images in ten have a ribbon of the table's colour across.
    theta, reach = draw(0, math.pi), draw(0.03, 0.05)
    reach = torch.where(draw(0, 1) < 0.3, reach, -torch.ones(()))  # (n, 1, 1); < 0: no ribbon
    across = (torch.cos(theta) * x + torch.sin(theta) * y - draw(-0.4, 0.4)).abs()  # (n, H, W)
    image = paint(image, table, reach - across)  # (n, 3, H, W)

    # Light: brightness, a gradient in a random direction, a soft shadow; then sensor noise.
    theta = draw(0, 2 * math.pi)
    ramp = draw(0, 0.5) * (torch.cos(theta) * x + torch.sin(theta) * y)  # (n, H, W)
    square = (x - draw(-0.5, 0.5)) ** 2 + (y - draw(-0.5, 0.5)) ** 2  # (n, H, W)
    shade = draw(0.2, 0.6) * torch.exp(-square / (2 * draw(0.15, 0.35) ** 2))  # (n, H, W)
    light = draw(0.85, 1.25) * (1 + ramp) * (1 - shade)  # (n, H, W)
    noise = torch.from_numpy(rng.standard_normal((n, 3, size, size), dtype=np.float32))
    return (image * light.unsqueeze(1) + 0.02 * noise).clamp(0, 1)  # (n, 3, H, W)


def generate(num_images: int, seed: int, image_size: int = 32) -> tuple[Tensor, Tensor]:
    """Draw a shuffled, balanced, labelled data set; different seeds give independent images.

    Args:
        num_images: number of images, >= 1; class sizes differ by at most one.
        seed: seed of the random numbers, >= 0; equal arguments give equal results.
        image_size: height and width in pixels, >= 8; below 24 the patterns blur together.

    Returns:
        images: uint8 (num_images, 3, image_size, image_size), RGB in 0..255.
        labels: int64 (num_images,), indices into CLASS_NAMES.

    Raises:
        ValueError: an argument is not an integer or is out of range.
    """
    checks.whole("num_images", num_images, 1)
    checks.whole("seed", seed, 0)
    checks.whole("image_size", image_size, 8)
    rng = np.random.default_rng(seed)
    order = rng.permutation(np.arange(num_images, dtype=np.int64) % len(CLASS_NAMES))
    labels = torch.from_numpy(order)  # (N,)
    images = torch.empty(num_images, 3, image_size, image_size, dtype=torch.uint8)
    for index, pattern in enumerate(_PATTERNS):
        rows = torch.nonzero(labels == index).squeeze(1)  # (n,)
        drawn = _draw(pattern, len(rows), image_size, rng)  # (n, 3, H, W)
        images[rows] = (drawn * 255).round().to(torch.uint8)
    return images, labels
