"""Learning rate from batch size, warm-up and cosine; updates of a run (appendix B.1)."""

from __future__ import annotations

import math


def scaled_learning_rate(base: float, batch_size: int, scaling: str = "linear") -> float:
    """Peak learning rate: base * N / 256 ("linear") or base * sqrt(N) ("sqrt"), appendix B.1."""
    if scaling == "linear":
        return base * batch_size / 256
    if scaling == "sqrt":
        return base * math.sqrt(batch_size)
    raise ValueError(f"scaling={scaling!r} is not valid; use linear or sqrt")


def total_steps(num_images: int, batch_size: int, epochs: int) -> int:
    """Updates of a run: images * epochs // batch + 1, as officially."""
    return num_images * epochs // batch_size + 1


def warmup_steps(num_images: int, batch_size: int, warmup_epochs: float) -> int:
    """Updates of the linear warm-up: round(warm-up epochs * images // batch), as officially."""
    return round(warmup_epochs * num_images // batch_size)


def warmup_cosine(step: int, peak: float, warmup: int, total: int) -> float:
    """Learning rate of update `step` (0 for the first, which with a warm-up has rate 0).

    Linear from 0 to `peak` over `warmup` updates, then half a cosine down to 0 at `total`.
    """
    if step < warmup:
        return peak * step / warmup
    span = max(total - warmup, 1)
    return peak * 0.5 * (1 + math.cos(math.pi * min(step - warmup, span) / span))
