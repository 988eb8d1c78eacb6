"""Figures of runs: how training went, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .described import described
from .style import check_runs, legend_below, looks, not_empty, styled, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def training_curves(histories: Mapping[str, Mapping[str, Any]], chance_loss: float) -> Figure:
    """Loss and contrastive accuracy against updates, one line for each named history.

    A history has lists "step", "loss" and "accuracy" (0 to 1), as a `Run` has; `chance_loss` is
    log(2N - 1), and so says what guessing among N finds. Raises `ValueError` without a history.
    """
    not_empty("histories", histories, "one or more histories by name")
    figure, ((left, right),) = subplots(1, 2, 2.6)
    said = []
    for name, look in looks(list(histories)).items():
        history = histories[name]
        style = {"color": look["color"], "linestyle": look["linestyle"], "label": name}
        accuracy = 100 * np.asarray(history["accuracy"])
        left.plot(history["step"], history["loss"], **style)
        right.plot(history["step"], accuracy, **style)
        said.append(f"{name}: loss {history['loss'][-1]:.2f}, {accuracy[-1]:.0f} % found.")
    guess = 100 / round((math.exp(chance_loss) + 1) / 2) if chance_loss < 700 else 0.0
    left.axhline(chance_loss, color="black", ls=":", lw=1.3, label="guessing")
    right.axhline(guess, color="black", ls=":", lw=1.3)
    left.set(title="NT-Xent loss", xlabel="update", ylabel="nats")
    left.set_ylim(bottom=0)
    right.set(title="Other view found, of N", xlabel="update", ylabel="%", ylim=(0, 100))
    legend_below(figure)
    ends = f"Guessing: loss {chance_loss:.2f}, {guess:.1f} % found. At the end of training, "
    return described(figure, f"Loss and partners found against updates. {ends}{' '.join(said)}")


@styled
def accuracy_bars(
    rows: Mapping[str, Sequence[float]], title: str, chance: float | None = None
) -> Figure:
    """A bar of mean test accuracy (%) for each named list of runs, with a dot for every run.

    Raises `ValueError` for a list without runs.
    """
    check_runs(rows)
    figure, ((axis,),) = subplots(1, 1, 0.42 * len(rows) + 1.1)
    said = []
    for place, ((name, values), look) in enumerate(
        zip(rows.items(), looks(list(rows)).values(), strict=True)
    ):
        axis.barh(place, np.mean(values), color=look["color"], alpha=0.75, height=0.6)
        axis.plot(values, [place] * len(values), "o", color="black", ms=4, mfc="white")
        label = f"{np.mean(values):.1f}" + (
            f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
        )
        axis.text(max(values) + 3, place, label, va="center")
        said.append(f"{name} {label} %")
    if chance is not None:
        axis.axvline(chance, color="black", lw=1.3, ls="--")
        axis.annotate(
            "guessing", (chance, 1), (3, 1), xycoords=("data", "axes fraction"),
            textcoords="offset points", va="bottom",
        )  # fmt: skip
        said.append(f"guessing {chance:.1f} %")
    axis.set_yticks(range(len(rows)), list(rows))
    axis.invert_yaxis()
    axis.set_title(title, pad=16 if chance is not None else 6)
    axis.set(xlabel="linear evaluation on test images, %", xlim=(0, 122), xticks=range(0, 101, 20))
    axis.spines["bottom"].set_bounds(0, 100)
    axis.grid(axis="y", visible=False)
    return described(figure, f"{title}: bars of accuracy, a dot for each run. {', '.join(said)}.")
