"""What public functions ask at their door: one question a kind of argument, one form of message.

Only what lies at hand is looked at, type, dtype and shape, so that no device is waited for; a
function that looks at values says so.
"""

from __future__ import annotations

import math
from typing import Any, NoReturn

import torch
from torch import Tensor


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
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    if not plain or not math.isfinite(value) or not low <= value <= high:
        refuse(name, value, valid)


def tensor(name: str, value: Any, valid: str) -> None:
    """Refuse what is not a tensor: a list, an array, a picture."""
    if not isinstance(value, Tensor):
        refuse(name, value, f"a tensor: {valid}")


def images(value: Any, channels: int | None = None, name: str = "images") -> None:
    """Refuse what is not a batch of float32 or float64 images (N, C, H, W); C fixed if given."""
    count = "C" if channels is None else str(channels)
    valid = f"float32 in 0..1, of shape (N, {count}, H, W)"
    tensor(name, value, valid)
    if value.dtype not in (torch.float32, torch.float64) or value.ndim != 4:
        refuse(name, value, valid)
    if channels is not None and value.shape[1] != channels:
        refuse(name, value, valid)
