"""Learning rate from batch size, warm-up and cosine; updates of a run (appendix B.1)."""

from __future__ import annotations

import math
from typing import Any

from .checks import refuse


def scaled_learning_rate(base: float, batch_size: int, scaling: str = "linear") -> float:
    """Peak learning rate: base * N / 256 ("linear") or base * sqrt(N) ("sqrt"), appendix B.1.

    Raises `ValueError` for another scaling, a batch below 1, a base that is negative or not finite.
    """
    _check(base=(base, 0), batch_size=(batch_size, 1))
    if scaling == "linear":
        return base * batch_size / 256
    if scaling == "sqrt":
        return base * math.sqrt(batch_size)
    refuse("scaling", scaling, "linear or sqrt")


def total_steps(num_images: int, batch_size: int, epochs: int) -> int:
    """Updates of a run: images * epochs // batch + 1, as officially.

    Raises `ValueError` for a batch below 1, or images or epochs below 0.
    """
    _check(num_images=(num_images, 0), batch_size=(batch_size, 1), epochs=(epochs, 0))
    return num_images * epochs // batch_size + 1


def warmup_steps(num_images: int, batch_size: int, warmup_epochs: float) -> int:
    """Updates of the linear warm-up: round(warm-up epochs * images // batch), as officially.

    Raises `ValueError` as `total_steps` does.
    """
    _check(num_images=(num_images, 0), batch_size=(batch_size, 1), warmup_epochs=(warmup_epochs, 0))
    return round(warmup_epochs * num_images // batch_size)


def warmup_cosine(step: int, peak: float, warmup: int, total: int) -> float:
    """Learning rate of update `step` (0 for the first, which with a warm-up has rate 0).

    Linear from 0 to `peak` over `warmup` updates, then half a cosine down to 0 at `total`. Raises
    `ValueError` for a number below 0 or not finite.
    """
    _check(step=(step, 0), peak=(peak, 0), warmup=(warmup, 0), total=(total, 0))
    if step < warmup:
        return peak * step / warmup
    span = max(total - warmup, 1)
    return peak * 0.5 * (1 + math.cos(math.pi * min(step - warmup, span) / span))


def _check(**given: tuple[Any, int]) -> None:
    """Refuse what is not a finite number, Python's or NumPy's, from its lowest valid value up."""
    for name, (value, low) in given.items():
        try:
            good = math.isfinite(value) and value >= low
        except (OverflowError, TypeError, ValueError):
            good = False
        if not good:
            refuse(name, value, f"a finite number, at least {low}")
