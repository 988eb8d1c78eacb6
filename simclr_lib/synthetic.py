"""Embedded image data set: ten families of woven and printed patterns, drawn by formula."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def _cell(t: Tensor) -> Tensor:
    """Map a coordinate in periods to its offset from the nearest cell centre, in [-0.5, 0.5)."""
    return t - torch.floor(t) - 0.5


def _stripes(u: Tensor, v: Tensor) -> Tensor:
    return 0.25 - _cell(u).abs()


def _checks(u: Tensor, v: Tensor) -> Tensor:
    return 1.5 * (0.25 - _cell(u).abs()) * (0.25 - _cell(v).abs()) * 4


def _dots(u: Tensor, v: Tensor) -> Tensor:
    row = torch.floor(v)
    return 0.36 - torch.hypot(_cell(0.9 * u + 0.5 * row) / 0.9, _cell(v))


def _rings(u: Tensor, v: Tensor) -> Tensor:
    return 0.15 - (torch.hypot(_cell(0.7 * u), _cell(0.7 * v)) - 0.30).abs() / 0.7


def _zigzag(u: Tensor, v: Tensor) -> Tensor:
    return 0.25 - _cell(u + 1.2 * _cell(0.6 * v).abs()).abs()


def _bricks(u: Tensor, v: Tensor) -> Tensor:
    shift = 0.5 * torch.remainder(torch.floor(v), 2.0)
    width = (0.5 - _cell(0.5 * u + shift).abs()) * 2
    return 0.13 - torch.minimum(width, 0.5 - _cell(v).abs())


def _grid(u: Tensor, v: Tensor) -> Tensor:
    return 0.12 - torch.minimum(_cell(u).abs(), _cell(v).abs())


def _triangles(u: Tensor, v: Tensor) -> Tensor:
    row = v * 0.8
    height = row - torch.floor(row)
    return 0.5 * height - _cell(u * 0.8 + 0.5 * torch.floor(row)).abs()


def _crosses(u: Tensor, v: Tensor) -> Tensor:
    a, b = _cell(u * 0.65).abs() / 0.65, _cell(v * 0.65).abs() / 0.65
    bar = torch.minimum(a, b) - 0.17
    return -torch.maximum(bar, torch.maximum(a, b) - 0.6)


def _scales(u: Tensor, v: Tensor) -> Tensor:
    row = torch.floor(v)
    a, b = _cell(0.75 * u + 0.5 * row) / 0.75, v - row
    return 0.13 - (torch.hypot(a, b) - 0.72).abs()


_PATTERNS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "rings": _rings,
    "zigzag": _zigzag,
    "bricks": _bricks,
    "grid": _grid,
    "triangles": _triangles,
    "crosses": _crosses,
    "scales": _scales,
}
CLASS_NAMES: tuple[str, ...] = tuple(_PATTERNS)


def _uniform(rng: np.random.Generator, low: float, high: float, *shape: int) -> Tensor:
    """Draw float32 values in [low, high) of the given shape."""
    return torch.from_numpy((low + (high - low) * rng.random(shape)).astype(np.float32))


def _colours(rng: np.random.Generator, n: int) -> Tensor:
    """Draw (n, 3 parts, 3 channels) colours in [0, 1] for ink, cloth and table."""
    hue = _uniform(rng, 0, 1, n, 1, 1) + _uniform(rng, -0.25, 0.25, n, 3, 1)  # (n, 3, 1)
    phase = torch.tensor([0.0, 1 / 3, 2 / 3])
    wheel = 0.5 + 0.5 * torch.cos(2 * math.pi * (hue + phase))  # (n, 3, 3)
    sat = _uniform(rng, 0.3, 0.9, n, 3, 1)
    dark = _uniform(rng, 0.15, 0.4, n, 1, 1)
    light = dark + _uniform(rng, 0.4, 0.6, n, 1, 1)
    flip = torch.from_numpy(rng.random((n, 1, 1)) < 0.5)
    table = _uniform(rng, 0.15, 0.9, n, 1, 1)
    value = torch.cat([torch.where(flip, dark, light), torch.where(flip, light, dark), table], 1)
    tint = wheel - (wheel * torch.tensor([0.299, 0.587, 0.114])).sum(2, keepdim=True)
    room = torch.minimum(value, 1 - value)
    return (value + 1.3 * sat * room.clamp(min=0.2) * tint).clamp(0, 1)


def _draw(
    pattern: Callable[[Tensor, Tensor], Tensor], n: int, size: int, rng: np.random.Generator
) -> Tensor:
    """Draw n images of one class: float (n, 3, size, size) in [0, 1]."""

    def draw(low: float, high: float) -> Tensor:
        return _uniform(rng, low, high, n, 1, 1)

    axis = (torch.arange(size, dtype=torch.float32) + 0.5) / size - 0.5
    y, x = axis.view(1, size, 1), axis.view(1, 1, size)  # image side = 1
    # --- pattern
    angle = draw(-0.2, 0.2)
    period = draw(0.19, 0.25)
    cos, sin = torch.cos(angle) / period, torch.sin(angle) / period
    u = cos * x + sin * y + draw(0, 2)
    v = cos * y - sin * x + draw(0, 2)
    bend = draw(0, 0.12)
    u = u + bend * torch.sin(5 * y + draw(0, 6.28))
    v = v + bend * torch.sin(5 * x + draw(0, 6.28))
    soft = size * period / 1.2
    ink = (pattern(u, v) * soft + 0.5).clamp(0, 1)  # (n, size, size)
    # --- outline of the cloth
    half, power = draw(0.5, 0.66), draw(2.5, 5.0)
    dx, dy = (x - draw(-0.08, 0.08)).abs(), (y - draw(-0.08, 0.08)).abs()
    radius = (dx**power + dy**power).pow(1 / power)
    cover = ((half - radius) * size + 0.5).clamp(0, 1)
    shadow = 1 - 0.35 * (1 - (radius - half).clamp(min=0) * 12).clamp(0, 1)
    # --- paint
    ink_c, cloth_c, table_c = _colours(rng, n).unbind(1)  # (n, 3)
    mix = ink.unsqueeze(1)

    def wide(c: Tensor) -> Tensor:
        return c.view(n, 3, 1, 1)

    image = wide(cloth_c) + mix * wide(ink_c - cloth_c)
    table = wide(table_c) * shadow.unsqueeze(1)
    image = table + cover.unsqueeze(1) * (image - table)
    # --- occluder: a plain ribbon
    theta = draw(0, math.pi)
    dist = (torch.cos(theta) * x + torch.sin(theta) * y - draw(-0.4, 0.4)).abs()
    width = torch.where(draw(0, 1) < 0.3, draw(0.03, 0.05), torch.tensor(-1.0))
    ribbon = ((width - dist) * size + 0.5).clamp(0, 1).unsqueeze(1)
    image = image + ribbon * (wide(table_c) - image)
    # --- light
    theta = draw(0, 2 * math.pi)
    ramp = torch.cos(theta) * x + torch.sin(theta) * y
    light = draw(0.75, 1.15) * (1 + draw(0, 0.6) * ramp)
    noise = torch.from_numpy(rng.standard_normal((n, 3, size, size), dtype=np.float32))
    return (image * light.unsqueeze(1) + 0.02 * noise).clamp(0, 1)


def generate(num_images: int, seed: int, image_size: int = 32) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    k = len(CLASS_NAMES)
    labels = torch.from_numpy(rng.permutation(np.arange(num_images) % k))
    images = torch.empty(num_images, 3, image_size, image_size, dtype=torch.uint8)
    for index, pattern in enumerate(_PATTERNS.values()):
        rows = (labels == index).nonzero().squeeze(1)
        drawn = _draw(pattern, len(rows), image_size, rng)
        images[rows] = (drawn * 255).round().to(torch.uint8)
    return images, labels
