"""What the tables of a sweep say: in which order, from where to where, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

SPAN = 20  # points that an axis has at least: on a shorter one noise would look like an effect


def is_number(value: Any) -> bool:
    """Whether values are placed by size."""
    return isinstance(value, int | float)


def in_order(names: Sequence[Any]) -> list[Any]:
    """Each name once: numbers by size, others as they come, "SimCLR, 100 epochs" after "SimCLR"."""
    once = list(dict.fromkeys(names))
    if all(map(is_number, once)):
        return sorted(once)
    first = [str(name).split(",")[0] for name in once]
    return sorted(once, key=lambda name: first.index(str(name).split(",")[0]))


def everywhere(level: pd.Series) -> pd.Series:
    """A level that is known for some places, and the same for these, for all places."""
    return level.fillna(level.mean()) if level.nunique() == 1 else level


def ends_of(tables: Mapping[str, pd.DataFrame], x: str) -> list[tuple[float, float]]:
    """The ends of each table's axis: the same ones for all if they nearly are."""
    ends = [limits(rows, x) for rows in tables.values()]
    if not ends:
        return []
    whole = min(low for low, _ in ends), max(high for _, high in ends)
    shortest = min(high - low for low, high in ends)
    return [whole] * len(ends) if whole[1] - whole[0] <= 1.5 * shortest else ends


def limits(rows: pd.DataFrame, x: str) -> tuple[float, float]:
    """The ends of an axis: all that is drawn, at least `SPAN` points, percentages within 0..100.

    What an untrained encoder has belongs to it; guessing does where it is not far below.
    """
    spread = rows[rows["kind"] != "yours"].groupby(["line", x])["value"].agg(["mean", "std"])
    bands = [spread["mean"] + sign * spread["std"].fillna(0) for sign in (-1, 1)]
    all_values = np.concatenate([rows["value"], *bands])
    low, high = all_values.min(), all_values.max()
    if "untrained" in rows:
        low = np.nanmin([low, rows["untrained"].min()])
    if "chance" in rows and rows["chance"].min() > low - SPAN:
        low = min(low, rows["chance"].min())
    margin = max(SPAN - (high - low), 0.1 * (high - low)) / 2
    low, high = low - margin, high + margin
    if rows["value"].between(0, 100).all():  # not differences; a marker at 0 or 100 is seen whole
        low, high = max(-3, min(low, 103 - SPAN)), min(103, max(high, SPAN - 3))
    return low, high


def words(title: str, rows: pd.DataFrame, x: str, unit: str) -> str:
    """A panel in words: each line by its ends and its best point, the user's own one by one."""
    said = []
    for name, group in rows[rows["kind"] != "yours"].groupby("line", sort=False):
        means = group.groupby(x, sort=is_number(group[x].iloc[0]))["value"].mean()
        points = {place: f"{value:.1f} at {short(place)}" for place, value in means.items()}
        first, last = points[means.index[0]], points[means.index[-1]]
        course = first if len(means) == 1 else f"from {first} to {last}"
        course += f", highest {points[means.idxmax()]}" if len(means) > 2 else ""
        said.append(" ".join(f"{name} {unit} {course}".split()))
    for row in rows[rows["kind"] == "yours"].to_dict("records"):
        what = " ".join(f"yours {row['line']} {unit}".split())
        said.append(f"{what} {row['value']:.1f} at {short(row[x])}")
    return f"{title}: {'; '.join(said)}."


def short(place: Any) -> str:
    """A number without zeros at its end, or a name."""
    return f"{place:g}" if is_number(place) else str(place)
