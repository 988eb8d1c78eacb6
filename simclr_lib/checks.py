"""What public functions ask at their door: one question a kind of argument, one form of message.

Only what lies at hand is looked at, type, dtype and shape, so that no device is waited for; a
function that looks at values says so.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

# NumPy's numbers are numbers too; asking for Python's own first is faster.
_REAL: tuple[Any, ...] = (float, int, numbers.Real)
_WHOLE: tuple[Any, ...] = (int, numbers.Integral)
_FLOATS = (torch.float32, torch.float64)


def refuse(name: str, value: object, valid: str) -> NoReturn:
    """Raise the `ValueError` that names an argument, what was given and what would be valid."""
    raise ValueError(f"{name}={shown(value)} is not valid; it must be {valid}")


def shown(value: object) -> str:
    """A value in a few words: tensors and arrays by type and shape, never by their numbers."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None:
        kind = "tensor" if isinstance(value, Tensor) else type(value).__name__
        return f"{str(dtype).removeprefix('torch.')} {kind} of shape {tuple(shape)}"
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than 4300 digits
        text = f"a huge {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:50]}... ({type(value).__name__})"


def number(name: str, value: Any, valid: str, low: float, high: float = math.inf) -> None:
    """Refuse what is not a finite number from `low` to `high`; `valid` says it in words."""
    plain = isinstance(value, _REAL) and not isinstance(value, bool)
    if not plain or not math.isfinite(value) or not low <= value <= high:
        refuse(name, value, valid)


def positive(name: str, value: Any, valid: str = "a number above 0") -> None:
    """Refuse what is not a finite number above 0."""
    number(name, value, valid, math.ulp(0.0))


def whole(name: str, value: Any, low: int, high: int | None = None) -> None:
    """Refuse what is not a whole number from `low` to `high`."""
    plain = isinstance(value, _WHOLE) and not isinstance(value, bool)
    if not plain or value < low or (high is not None and value > high):
        refuse(name, value, f"a whole number, {low} " + (f"to {high}" if high else "or more"))


def flag(name: str, value: Any) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool | np.bool_):
        refuse(name, value, "True or False")


def one_of(name: str, value: Any, choices: Sequence[str]) -> None:
    """Refuse what is not one of a few words."""
    if not isinstance(value, str) or value not in choices:
        refuse(name, value, " or ".join(choices))


def size(name: str, value: Any) -> None:
    """Refuse what is not a pair (height, width) of whole numbers above 0."""
    pair = isinstance(value, Sequence) and len(value) == 2
    if not pair or not all(isinstance(v, _WHOLE) and int(v) > 0 for v in value):
        refuse(name, value, "(height, width) in pixels, two whole numbers above 0")


def tensor(name: str, value: Any, valid: str) -> None:
    """Refuse what is not a tensor: a list, an array, a picture."""
    if not isinstance(value, Tensor):
        refuse(name, value, f"a tensor: {valid}")


def integers(name: str, value: Any, valid: str, *shapes: tuple[int, ...]) -> Tensor:
    """`value` as an int64 tensor of one of `shapes`; whole numbers in a list or array will do."""
    try:
        made = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        refuse(name, value, valid)
    if made.dtype not in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
        refuse(name, value, valid)
    if tuple(made.shape) not in shapes:
        refuse(name, value, valid)
    return made.contiguous().long()


def each(
    name: str, value: Any, count: int, valid: str = "a number", low: float = -math.inf
) -> None:
    """Refuse what is neither a number of at least `low` nor a tensor of one for each of `count`."""
    if isinstance(value, Tensor):
        numeric = not value.is_complex() and value.dtype != torch.bool
        if numeric and value.numel() in (1, count) and value.numel() == value.shape[:1].numel():
            return
        refuse(name, value, f"{valid}, or a tensor ({count},) of them")
    number(name, value, f"{valid}, or a tensor ({count},) of them", low)


def images(value: Any, channels: int | None = None, name: str = "images") -> None:
    """Refuse what is not a batch of float32 or float64 images (N, C, H, W); C fixed if given.

    A batch without images is one. Channels that come last are told by a width of 3.
    """
    if isinstance(value, Tensor) and value.dtype in _FLOATS and value.ndim == 4:
        _, depth, height, width = value.shape
        last = width == 3 and depth > 4
        if depth == (channels or depth) and depth and height and width and not last:
            return
    valid = f"float32 or float64 in 0..1, of shape (N, {channels or 'C'}, H, W)"
    tensor(name, value, valid)
    refuse(name, value, valid)
