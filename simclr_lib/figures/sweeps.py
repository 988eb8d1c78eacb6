"""Figures of tables: accuracy along an axis of a sweep, and for every pair of two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import checks
from .style import LINES, MARKERS, not_empty, styled, subplots

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def _check_columns(panels: Mapping[str, pd.DataFrame], *columns: str) -> None:
    """Refuse a table without one of `columns`."""
    for title, rows in panels.items():
        lacking = [name for name in columns if name not in rows]
        if lacking:
            words = f"a table that also has {' and '.join(lacking)}"
            checks.refuse(f"panels[{title!r}]", list(rows), words)


@styled
def sweep(
    panels: Mapping[str, pd.DataFrame],
    x: str,
    line: str | None = None,
    *,
    xlabel: str,
    ylabel: str = "linear evaluation, top-1 %",
) -> Figure:
    """Accuracy against one axis of a sweep, a panel for each table that has rows.

    Tables have columns `x`, `line` (one line for each of its values), `value`, and `kind`: "yours"
    is drawn as stars; of all else the mean is, with the standard deviation if there are several
    rows; "digitized" is hollow. Values of `x` are equally spaced, and joined if they are numbers.
    Raises `ValueError` without tables, and for one that lacks a column.
    """
    not_empty("panels", panels, "one or more tables by title")
    panels = {title: rows for title, rows in panels.items() if len(rows)}
    _check_columns(panels, x, "value", "kind", *([line] if line else []))
    panels = {title: rows.dropna(subset=["value"]) for title, rows in panels.items()}
    panels = {title: rows for title, rows in panels.items() if len(rows)}
    lines = list(dict.fromkeys(n for rows in panels.values() for n in (rows[line] if line else [])))
    wide = max(len(panels), 1)
    figure, axes = subplots(1, wide, (1 + 3.8 * wide, 3.5), layout="constrained")
    for axis, (title, rows) in zip(axes[0], panels.items(), strict=False):
        numeric = all(isinstance(value, int | float) for value in rows[x])
        ticks = sorted(set(rows[x])) if numeric else list(dict.fromkeys(rows[x]))
        for name, group in rows.groupby(line, sort=False) if line else [("", rows)]:
            index = lines.index(name) if line else 0  # one colour and marker in all panels
            _sweep_line(axis, group, x, ticks, str(name), index, joined=numeric)
        axis.set_xticks(range(len(ticks)), [f"{t:g}" if numeric else str(t) for t in ticks])
        axis.tick_params(axis="x", rotation=0 if numeric else 25 if len(ticks) < 8 else 90)
        axis.set_xlim(-0.5, len(ticks) - 0.5)
        hollow = " (hollow: digitized)" if (rows["kind"] == "digitized").any() else ""
        axis.set(title=title + hollow, xlabel=xlabel, ylabel=ylabel)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=8)
    return figure


def _sweep_line(
    axis: Any, rows: pd.DataFrame, x: str, ticks: list, name: str, index: int, *, joined: bool
) -> None:
    """One line of `sweep`: means with deviations, and the user's own runs on top."""
    own, color = rows["kind"] == "yours", f"C{index}"
    means = rows[~own].groupby(x)["value"].agg(["mean", "std"])
    means = means.reindex([tick for tick in ticks if tick in means.index])
    places = [ticks.index(tick) for tick in means.index]
    if len(means):
        hollow = (rows["kind"] == "digitized").any()
        axis.errorbar(
            places, means["mean"], means["std"].fillna(0), capsize=3, color=color,
            marker=MARKERS[index % len(MARKERS)], ls=LINES[index % len(LINES)] if joined else "",
            label=name or None, mfc="white" if hollow else color,
        )  # fmt: skip
    if own.any():
        at, label = map(ticks.index, rows[own][x]), f"{name}, yours" if name else "yours"
        axis.plot(list(at), rows[own]["value"], "*", ms=13, color=color, mec="black", label=label)


@styled
def heat_maps(panels: Mapping[str, pd.DataFrame], names: Sequence[str], label: str) -> Figure:
    """Square tables as pictures: columns `first` (row), `second` (column), `value`, `kind`.

    Rows of one cell are averaged; a missing one stays white; one of the user's own is framed.
    Raises `ValueError` without tables or names, and for a table that lacks a column.
    """
    from matplotlib.patches import Rectangle

    not_empty("panels", panels, "one or more tables by title")
    _check_columns(panels, "first", "second", "value", "kind")
    not_empty("names", names, "the names of rows and columns, one or more")
    figure, axes = subplots(1, len(panels), (5.6 * len(panels), 5), layout="constrained")
    for axis, (title, rows) in zip(axes[0], panels.items(), strict=True):
        cells = rows.groupby(["first", "second"])["value"].mean()
        grid = np.array([[cells.get((a, b), np.nan) for b in names] for a in names])
        picture = axis.imshow(grid, cmap="Greys_r")
        middle = (np.nanmin(grid) + np.nanmax(grid)) / 2 if cells.size else 0
        for (row, column), value in np.ndenumerate(grid):
            if not np.isnan(value):
                ink = "white" if value < middle else "black"
                axis.text(column, row, f"{value:.1f}", ha="center", va="center", color=ink)
        for _, row in rows[rows["kind"] == "yours"].iterrows():
            corner = names.index(row["second"]) - 0.5, names.index(row["first"]) - 0.5
            axis.add_patch(Rectangle(corner, 1, 1, fill=False, ec="#d1495b", lw=2.5))
        axis.set_xticks(range(len(names)), names, rotation=30)
        axis.set_yticks(range(len(names)), names)
        axis.set(title=title, xlabel="second transformation", ylabel="first transformation")
        axis.grid(False)
        figure.colorbar(picture, ax=axis, label=label, shrink=0.8)
    return figure
