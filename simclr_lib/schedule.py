"""Learning rate from batch size, warm-up and cosine; updates of a run (appendix B.1)."""

from __future__ import annotations

import math

from .checks import number, refuse


def scaled_learning_rate(base: float, batch_size: int, scaling: str = "linear") -> float:
    """Peak learning rate: base * N / 256 ("linear") or base * sqrt(N) ("sqrt"), appendix B.1.

    Raises `ValueError` for another scaling, a negative base or a batch below 1.
    """
    number("base", base, "a finite number, 0 or above", low=0)
    _whole("batch_size", batch_size, low=1)
    if scaling == "linear":
        return base * batch_size / 256
    if scaling == "sqrt":
        return base * math.sqrt(batch_size)
    refuse("scaling", scaling, "linear or sqrt")


def total_steps(num_images: int, batch_size: int, epochs: int) -> int:
    """Updates of a run: images * epochs // batch + 1, as officially."""
    _check_run(num_images, batch_size)
    _whole("epochs", epochs, low=0)
    return num_images * epochs // batch_size + 1


def warmup_steps(num_images: int, batch_size: int, warmup_epochs: float) -> int:
    """Updates of the linear warm-up: round(warm-up epochs * images // batch), as officially."""
    _check_run(num_images, batch_size)
    number("warmup_epochs", warmup_epochs, "a finite number, 0 or above", low=0)
    return round(warmup_epochs * num_images // batch_size)


def warmup_cosine(step: int, peak: float, warmup: int, total: int) -> float:
    """Learning rate of update `step` (0 for the first, which with a warm-up has rate 0).

    Linear from 0 to `peak` over `warmup` updates, then half a cosine down to 0 at `total`. Raises
    `ValueError` for a negative or fractional number of updates, or a peak that is not finite.
    """
    number("peak", peak, "a finite number, 0 or above", low=0)
    for name, updates in (("step", step), ("warmup", warmup), ("total", total)):
        _whole(name, updates, low=0)
    if step < warmup:
        return peak * step / warmup
    span = max(total - warmup, 1)
    return peak * 0.5 * (1 + math.cos(math.pi * min(step - warmup, span) / span))


def _check_run(num_images: int, batch_size: int) -> None:
    _whole("num_images", num_images, low=0)
    _whole("batch_size", batch_size, low=1)


def _whole(name: str, value: int, low: int) -> None:
    valid = f"a whole number, {low} or above"
    number(name, value, valid, low)
    if not isinstance(value, int):
        refuse(name, value, valid)
