"""Figures of tables: accuracy along an axis of a sweep."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import checks
from .described import described
from .panels import ends_of, everywhere, in_order, is_number, short, words
from .style import GREY, LETTER, WIDTH, folded, legend_below, looks, not_empty, styled, subplots

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# What was reached without learning, by the name of the column that has it.
FLOORS = {"untrained": (":", "untrained encoder"), "chance": ("--", "guessing")}
SPREAD = "dots: runs; band, bars: ± 1 SD"
HOLLOW = "hollow: read off the paper's plot"


def check_columns(panels: Mapping[str, pd.DataFrame], *columns: str) -> None:
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

    Tables have columns `x`, `line` (a line for each of its values), `value` in percent, and `kind`:
    "yours" is drawn as stars; of all else the mean is, where there are several rows with a dot for
    each and one standard deviation; "digitized" is hollow. Columns "untrained" and "chance" (%), if
    there, are drawn as what was reached without learning. Numbers are equally spaced and joined,
    names stand below each other. An axis spans 20 points or more, and a table with one value of `x`
    is a line of text, not a panel. Raises `ValueError` without tables, and for one that lacks a
    column.
    """
    not_empty("panels", panels, "one or more tables by title")
    panels = {title: rows for title, rows in panels.items() if len(rows)}
    check_columns(panels, x, "value", "kind", *([line] if line else []))
    panels = {title: rows.dropna(subset=["value"]) for title, rows in panels.items()}
    panels = {title: _in_lines(rows, line) for title, rows in panels.items() if len(rows)}
    drawn = {t: rows for t, rows in panels.items() if rows[x].nunique() > 1} or panels
    styles = looks(in_order([name for rows in drawn.values() for name in rows["line"]]))
    unit = (line or "").replace("_", " ") if all(map(is_number, styles)) else ""
    numeric = all(is_number(value) for rows in drawn.values() for value in rows[x])
    figure, axes = _axes(list(drawn.values()), x, numeric=numeric)
    for axis, (title, rows), ends in zip(axes, drawn.items(), ends_of(drawn, x), strict=False):
        for name, look in styles.items():
            look["label"] = f"{name} {unit}".strip()
        (_numbers if numeric else _names)(axis, rows, x, styles, ends)
        _explain(axis, rows, x)
        if numeric or axis is axes[len(drawn) - 1]:
            axis.set_xlabel(xlabel if numeric else ylabel)
        far = "chance" in rows and rows["chance"].max() < ends[0]
        _title(axis, title + (f" (guessing: {rows['chance'].mean():.2g} %)" if far else ""))
    figure.supylabel(ylabel if numeric else xlabel, fontsize=9)
    notes = [words(title, rows, x, unit) for title, rows in panels.items() if title not in drawn]
    if notes:
        text = "\n".join(folded(f"One place only: {note}", WIDTH) for note in notes)
        figure.suptitle(text, x=0.01, ha="left", fontsize=9)
        figure.set_figheight(figure.get_figheight() + 0.2 * (text.count("\n") + 1))
    legend_below(figure, [look["label"] for look in styles.values()], into=axes[len(drawn) :])
    said = [words(title, rows, x, unit) for title, rows in drawn.items()]
    return described(figure, f"{ylabel}, by {xlabel}. " + " ".join([*said, *notes]))


def _in_lines(rows: pd.DataFrame, line: str | None) -> pd.DataFrame:
    """`rows` with a column "line", "" for all if there is only one."""
    return rows.assign(line=rows[line] if line else "")


def _axes(tables: list[pd.DataFrame], x: str, *, numeric: bool) -> tuple[Figure, list[Any]]:
    """A figure with axes for the tables: of numbers two in a row, of names one.

    If the tables are of numbers and odd, one more, switched off, has room for a legend.
    """
    if not tables:
        return subplots(1, 1, 1.0)[0], []
    if numeric:
        across = min(len(tables), 2)
        down = -(-len(tables) // across)
        figure, axes = subplots(down, across, 2.6 * down)
    else:
        heights = [
            0.75 + rows[x].nunique() * (0.2 + 0.07 * rows["line"].nunique()) for rows in tables
        ]
        figure, axes = subplots(len(tables), 1, sum(heights), height_ratios=heights)
    for axis in axes.flat[len(tables) :]:
        axis.axis("off")
    return figure, list(axes.flat)


def _title(axis: Any, title: str) -> None:
    """A title in lines as wide as the axes, that break outside of brackets."""
    whole = re.sub(r"\([^)]*\)", lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), title)
    axis.set_title(folded(whole, _inches(axis), 10))


def _inches(axis: Any) -> float:
    """About how wide axes are."""
    return WIDTH / axis.get_subplotspec().get_gridspec().ncols - 0.6


def _numbers(axis: Any, rows: pd.DataFrame, x: str, styles: dict, ends: tuple) -> None:
    """A panel along numbers, equally spaced: lines, with bands if all places have several runs."""
    import seaborn as sns

    ticks = sorted(set(rows[x]))
    for name, look in styles.items():
        group = rows[rows["line"] == name]
        own = group["kind"] == "yours"
        others, places = group[~own], group[x].map(ticks.index)
        if len(others):
            runs = others["value"].groupby(places[~own]).agg(["mean", "std", "size"])
            band = "sd" if runs["size"].min() > 1 else None
            hollow = {"markerfacecolor": "white"} if (group["kind"] == "digitized").any() else {}
            sns.lineplot(
                x=places[~own], y=others["value"], errorbar=band, ax=axis, legend=False,
                markeredgecolor=look["color"], markersize=5.5, **look, **hollow,
            )  # fmt: skip
            if runs["size"].max() > 1:
                axis.plot(places[~own], others["value"], ".", ms=3, color=look["color"], alpha=0.5)
                _bars(axis, runs.index, runs["mean"], look, yerr=None if band else runs["std"])
        _stars(axis, places[own], group[own]["value"], look)
        for place, value in zip(places[own], group[own]["value"], strict=True):
            if is_number(name):  # shades are too like to tell which line a star belongs to
                axis.annotate(f"{name:g}", (place, value), (6, 3), textcoords="offset points")
    for column, (dashes, label) in _floors(rows, ends):
        level = everywhere(rows.groupby(x)[column].mean().reindex(ticks))
        axis.plot(range(len(ticks)), level, dashes, color=GREY, lw=1.3, label=label)
    axis.set_xticks(range(len(ticks)), list(map(short, ticks)))
    if (max(len(short(tick)) for tick in ticks) + 1) * len(ticks) * LETTER > _inches(axis):
        axis.tick_params(axis="x", rotation=90)
    axis.set(xlabel="", ylabel="", xlim=(-0.4, len(ticks) - 0.6), ylim=ends)


def _names(axis: Any, rows: pd.DataFrame, x: str, styles: dict, ends: tuple) -> None:
    """A panel along names, which stand below each other: means with one standard deviation."""
    ticks = list(dict.fromkeys(rows[x]))
    styles = {name: look for name, look in styles.items() if (rows["line"] == name).any()}
    shifts = np.linspace(-0.22, 0.22, len(styles)) if len(styles) > 1 else [0.0]
    for shift, (name, look) in zip(shifts, styles.items(), strict=True):
        group = rows[rows["line"] == name]
        own = group["kind"] == "yours"
        places = group[x].map(ticks.index) + shift
        means = group[~own].groupby(places[~own])["value"].agg(["mean", "std"])
        if len(means):
            hollow = {"mfc": "white"} if (group["kind"] == "digitized").any() else {}
            _bars(axis, means["mean"], means.index, look, xerr=means["std"])
            axis.plot(means["mean"], means.index, ms=5.5, **look | hollow | {"linestyle": ""})
            if group[~own][x].duplicated().any():
                axis.plot(group[~own]["value"], places[~own], ".", ms=3, color="black", alpha=0.5)
        _stars(axis, group[own]["value"], places[own], look)
    for column, (dashes, label) in _floors(rows, ends):
        level = everywhere(rows.groupby(x)[column].mean().reindex(ticks))
        places = np.arange(len(ticks))
        style = {"linestyles": dashes, "color": GREY, "lw": 1.3, "label": label}
        axis.vlines(level, places - 0.5, places + 0.5, **style)
    axis.set_yticks(range(len(ticks)), [str(tick) for tick in ticks])
    axis.set(ylim=(len(ticks) - 0.5, -0.5), xlim=ends)


def _bars(axis: Any, x: Any, y: Any, look: dict[str, Any], **lengths: Any) -> None:
    """Bars of these `lengths`, where there are some."""
    lengths = {name: np.asarray(value) for name, value in lengths.items() if value is not None}
    if lengths:
        axis.errorbar(
            np.asarray(x), np.asarray(y), capsize=2.5, ls="", color=look["color"], **lengths
        )


def _stars(axis: Any, x: Any, y: Any, look: dict[str, Any]) -> None:
    """The user's own runs, and one entry in the legend for those of all lines."""
    if len(x):
        axis.plot(x, y, "*", ms=12, color=look["color"], mec="black", zorder=4)
        axis.plot([], [], "*", ms=12, color="white", mec="black", label="yours")


def _explain(axis: Any, rows: pd.DataFrame, x: str) -> None:
    """Entries in the legend for what is drawn of some rows only."""
    if (rows["kind"] == "digitized").any():
        axis.plot([], [], "o", ms=5.5, mfc="white", mec="black", label=HOLLOW)
    if rows[rows["kind"] != "yours"].duplicated([x, "line"]).any():
        axis.plot([], [], ".", ms=4, color="black", label=SPREAD)


def _floors(rows: pd.DataFrame, ends: tuple) -> list[tuple[str, tuple[str, str]]]:
    """What is drawn as reached without learning: what the axis has, and no line has already."""
    drawn = {"untrained"} if "random" in set(rows["line"]) else set()
    has = [name for name in FLOORS if name in rows and rows[name].max() >= ends[0]]
    return [(name, FLOORS[name]) for name in has if name not in drawn]
