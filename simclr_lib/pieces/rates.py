"""The learning rate of a whole run, by batch size, epochs and warm-up, under both scaling rules."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from .. import checks, schedule
from ..figures.described import described
from ..figures.style import SIMCLR, WIDTH, styled
from .piece import WARM, Piece, nearest

BASES = {"linear": 0.3, "sqrt": 0.075}  # of appendix B.1; the two rules meet at 4096 images
SIZES = (256, 512, 1024, 2048, 4096, 8192)  # of Table B.1
EPOCHS = (100, 200, 400)
WARM_UPS = (0, 5, 10, 20)  # epochs
POINTS = 81  # of a run at which its rate is shown


def rates(
    images: int,
    sizes: Sequence[int] = SIZES,
    epochs: Sequence[int] = EPOCHS,
    warm_ups: Sequence[float] = WARM_UPS,
) -> Piece:
    """The learning rate of runs over `images` photographs: a hill for each rule, and its way.

    `sizes` are numbers of images in a batch, `epochs` and `warm_ups` numbers of passes. The way of
    a run is the sum of the rates of all its updates. All rates are those of `schedule`. Raises
    `ValueError` for an empty list, a warm-up that is longer than a run, and for numbers with which
    there is no run.
    """
    checks.whole("images", images, 1)
    for name, values in {"sizes": sizes, "epochs": epochs, "warm_ups": warm_ups}.items():
        if not len(values):
            checks.refuse(name, values, "numbers, one or more")
        low = 0 if name == "warm_ups" else 1
        for value in values:
            checks.number(name, value, f"finite numbers, each at least {low}", low)
    if max(warm_ups) > min(epochs):
        checks.refuse("warm_ups", warm_ups, f"epochs, at most {min(epochs)}, the shortest run")
    drawn = [_run(images, *chosen) for chosen in product(epochs, warm_ups, sizes)]
    steps, shown, ways, counts = (np.stack(part) for part in zip(*drawn, strict=True))
    first = [nearest(epochs, 100), nearest(warm_ups, 10), nearest(sizes, 4096)]
    data: dict[str, Any] = {
        "epochs": list(epochs),
        "warmUps": list(warm_ups),
        "sizes": list(sizes),
        "first": first,
        "bases": BASES,
        "points": POINTS,
        # Runs are all epochs with all warm-ups with all sizes, the last fastest.
        "steps": steps.astype(np.float32),  # (runs, points) the numbers of the updates
        "rates": shown.astype(np.float32),  # (runs, 2 rules, points)
        "ways": ways.astype(np.float32),  # (runs, 2 rules)
        "counts": counts.astype(np.float32),  # (runs, 2) updates in all, and of the warm-up
        "top": float(np.ceil(shown.max())),
    }
    apart = nearest(sizes, 1024)  # where the rules can be told from each other
    place = (first[0] * len(warm_ups) + first[1]) * len(sizes) + apart
    still = _still(steps[place], shown[place], sizes[apart], epochs[first[0]])
    return Piece("rates", "The learning rate of a run, by batch size and rule", data, still)


def _run(images: int, epochs: int, warm_up: float, size: int) -> tuple[np.ndarray, ...]:
    """The updates shown (points,), rates (rules, points), ways (rules,), and [total, warm-up]."""
    total = schedule.total_steps(images, size, epochs)
    warm = schedule.warmup_steps(images, size, warm_up)
    steps = np.rint(np.linspace(0, total - 1, POINTS))
    if 0 < warm < total - 1:  # the peak itself is among them
        steps[1 + np.abs(steps[1:-1] - warm).argmin()] = warm
    peaks = [schedule.scaled_learning_rate(base, size, rule) for rule, base in BASES.items()]
    rates = [[schedule.warmup_cosine(s, peak, warm, total) for s in steps] for peak in peaks]
    shown = np.array(rates)
    ways = ((shown[:, 1:] + shown[:, :-1]) / 2 * np.diff(steps)).sum(axis=1)
    return steps, shown, ways, np.array([total, warm])


@styled
def _still(steps: np.ndarray, shown: np.ndarray, size: int, epochs: int):  # noqa: ANN202
    """Both hills of one run."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(WIDTH, WIDTH * 0.45), layout="constrained")
    looks = (("linear", SIMCLR, "-"), ("square root", WARM, "--"))
    for (name, color, line), rate in zip(looks, shown, strict=True):
        axis.plot(steps, rate, line, color=color, label=name)
    axis.set(xlabel="update", ylabel="learning rate", ylim=(0, None))
    axis.set_title(f"{size} images in a batch, {epochs} epochs")
    axis.legend()
    words = (
        f"The learning rate over the {steps[-1] + 1:.0f} updates of a run of {epochs} epochs with "
        f"{size} images in a batch: up to the peak, {shown[0].max():.2f} under the linear rule and "
        f"{shown[1].max():.2f} under the square root, then down along a cosine to 0."
    )
    return described(figure, words)
