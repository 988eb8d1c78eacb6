"""What operations are told for each image: checked, and brought into the shape of the batch.

Numbers in tensors are looked at only if they are whole and on the CPU, where no device is waited
for.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .. import checks

Draw = float | Tensor


def per_image(
    value: Draw,
    images: Tensor,
    name: str = "value",
    valid: str = "a number",
    low: float = -math.inf,
) -> Tensor:
    """A number or (N,) tensor as (N, 1, 1, 1) or (1, 1, 1, 1), ready to meet `images`.

    Raises `ValueError` for anything else and for a number below `low`, in the words `name` and
    `valid`.
    """
    checks.each(name, value, len(images), valid, low)
    return torch.as_tensor(value, dtype=images.dtype, device=images.device).reshape(-1, 1, 1, 1)


def not_negative(value: Draw, images: Tensor, name: str) -> Tensor:
    """`per_image` of what is never below 0: a factor, a standard deviation."""
    return per_image(value, images, name, "a number, 0 or more", 0)


def box_of_each(boxes: Tensor, images: Tensor) -> Tensor:
    """Boxes (N, 4) or (4,) as (N, 4) on the device of `images`.

    Raises `ValueError` for other shapes, for fractions, and for a box that is not inside.
    """
    height, width = images.shape[2:]
    valid = (
        f"whole numbers (top, left, height, width) of a box inside {height} x {width} pixels, "
        f"of shape (4,) or ({len(images)}, 4)"
    )
    boxes = checks.integers("boxes", boxes, valid, (4,), (len(images), 4))
    if boxes.device.type == "cpu" and len(boxes):
        table = boxes.view(-1, 4)
        low, ends = table.amin(dim=0), (table[:, :2] + table[:, 2:]).amax(dim=0)
        (top, left, tall, wide), (bottom, right) = low.tolist(), ends.tolist()
        if min(top, left) < 0 or min(tall, wide) < 1 or bottom > height or right > width:
            wrong = (table < low.new_tensor((0, 0, 1, 1))).any(dim=1)
            wrong |= (table[:, :2] + table[:, 2:] > low.new_tensor((height, width))).any(dim=1)
            which = int(wrong.int().argmax())
            checks.refuse(f"boxes[{which}]", table[which].tolist(), valid)
    return boxes.to(images.device).expand(len(images), 4)


def order_of_each(order: Tensor, images: Tensor) -> Tensor:
    """Orders (N, 4) or (4,) of four operations as (N, 4) on the device of `images`.

    Raises `ValueError` for other shapes, and for what does not name each of 0 to 3 once.
    """
    valid = f"the numbers 0 to 3 in some order, of shape (4,) or ({len(images)}, 4)"
    order = checks.integers("order", order, valid, (4,), (len(images), 4))
    if order.device.type == "cpu" and not ((1 << order).sum(dim=-1) == 0b1111).all():
        checks.refuse("order", order, valid)
    return order.to(images.device).expand(len(images), 4)


def turns_of_each(turns: Tensor | int, images: Tensor) -> Tensor:
    """Quarter turns, a number or (N,), as (N, 1, 1, 1) or (1, 1, 1, 1) on the device of `images`.

    Raises `ValueError` for other shapes, for fractions, and for what is not 0 to 3.
    """
    valid = f"whole numbers 0 to 3, one or of shape ({len(images)},)"
    turns = checks.integers("quarter_turns", turns, valid, (), (1,), (len(images),))
    if turns.device.type == "cpu" and not ((turns >= 0) & (turns <= 3)).all():
        checks.refuse("quarter_turns", turns, valid)
    return turns.to(images.device).view(-1, 1, 1, 1)
