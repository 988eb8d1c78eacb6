"""Figures of square tables: similarities of views, accuracy for every pair of two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from .. import checks
from .described import described
from .style import WIDTH, folded, not_empty, styled, subplots
from .sweeps import check_columns

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SHADES = "mako"  # dark is low and light is high, in grey as in colour


@styled
def similarity_matrix(*matrices: Tensor, titles: Sequence[str], label: str) -> Figure:
    """Square matrices (2N, 2N) side by side on one scale; diagonals of NaN are hatched.

    Raises `ValueError` for other shapes, and unless there is a title for each.
    """
    import seaborn as sns

    not_empty("matrices", matrices, "one or more square tensors")
    for index, matrix in enumerate(matrices):
        checks.tensor(f"matrices[{index}]", matrix, "of shape (2N, 2N)")
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
            checks.refuse(f"matrices[{index}]", matrix, "square, of shape (2N, 2N)")
    if len(titles) != len(matrices):
        checks.refuse("titles", titles, f"{len(matrices)} titles, one for each matrix")
    across = min(len(matrices), 2)
    down = -(-len(matrices) // across)
    figure, axes = subplots(down, across, down * WIDTH / (across + 0.1) + 0.5)
    arrays = [m.double().numpy() for m in matrices]
    low, high = min(map(np.nanmin, arrays)), max(map(np.nanmax, arrays))
    for axis, array, title in zip(axes.flat, arrays, titles, strict=False):
        sns.heatmap(
            array, ax=axis, cmap=SHADES, vmin=low, vmax=high, square=True, cbar=False,
            xticklabels=max(1, len(array) // 5), yticklabels=max(1, len(array) // 5),
        )  # fmt: skip
        axis.patch.set(hatch="xxx", ec="0.6")  # seen through the cells that are left out
        axis.grid(visible=False)
        axis.set(title=folded(title, WIDTH / across - 0.4, 10), xlabel="view", ylabel="view")
        axis.tick_params(rotation=0)
    for axis in axes.flat[len(matrices) :]:
        axis.remove()
    figure.colorbar(
        axes[0, 0].collections[0], ax=figure.axes, label=label, location="bottom", shrink=0.7,
        aspect=35,
    )  # fmt: skip
    said = [_in_words(title, array) for title, array in zip(titles, arrays, strict=True)]
    return described(figure, f"Every view against every other, {label}. {' '.join(said)}")


def _in_words(title: str, array: np.ndarray) -> str:
    """A matrix of 2N views in words: the partners, which are N apart, and all other pairs."""
    n = len(array) // 2
    partners = np.concatenate([np.diagonal(array, n), np.diagonal(array, -n)])
    apart = ~(np.eye(len(array)) + np.eye(len(array), k=n) + np.eye(len(array), k=-n)).astype(bool)
    if not n or not apart.any():
        return f"{title}."
    pairs, rest = np.nanmean(partners), np.nanmean(array[apart])
    return f"{title}: {pairs:.2f} on average for rows N apart, {rest:.2f} for all others."


@styled
def heat_maps(panels: Mapping[str, pd.DataFrame], names: Sequence[str], label: str) -> Figure:
    """Square tables as pictures: columns `first` (row), `second` (column), `value`, `kind`.

    Rows of one cell are averaged, of one `seed` (if there is that column) the last, the user's own;
    a missing cell is hatched; one of the user's own has a star.
    Raises `ValueError` without tables or names, and for a table that lacks a column.
    """
    import seaborn as sns

    not_empty("panels", panels, "one or more tables by title")
    check_columns(panels, "first", "second", "value", "kind")
    not_empty("names", names, "the names of rows and columns, one or more")
    figure, axes = subplots(len(panels), 1, len(panels) * (1.3 + 0.36 * len(names)))
    said = []
    for axis, (title, rows) in zip(axes.flat, panels.items(), strict=True):
        cells = _once(rows).groupby(["first", "second"])["value"].mean()
        grid = np.array([[cells.get((a, b), np.nan) for b in names] for a in names], dtype=float)
        own = rows[rows["kind"] == "yours"]
        starred = set(zip(own["first"], own["second"], strict=True))
        words = np.array([
            [("★" if (a, b) in starred else "") + f"{cells.get((a, b), np.nan):.1f}" for b in names]
            for a in names
        ])  # fmt: skip
        sns.heatmap(
            grid, annot=words, fmt="", ax=axis, cmap=SHADES, mask=np.isnan(grid), linewidths=0.5,
            xticklabels=names, yticklabels=names, annot_kws={"size": 9},
            cbar_kws={"label": label, "aspect": 30},
        )  # fmt: skip
        _legible(axis)
        axis.patch.set(hatch="xxx", ec="0.6")
        axis.grid(visible=False)
        axis.set_title(title + (" (★ yours)" if starred else ""))
        axis.set(xlabel="second transformation", ylabel="first transformation")
        axis.tick_params(rotation=0)
        if len(cells):
            (low, worst), (high, best) = (
                (cells[place], " then ".join(place)) for place in (cells.idxmin(), cells.idxmax())
            )
            said.append(f"{title}: from {low:.1f} ({worst}) to {high:.1f} ({best}).")
    return described(figure, f"{label} for every pair, a number in each cell. {' '.join(said)}")


def _once(rows: pd.DataFrame) -> pd.DataFrame:
    """Of the runs of one cell and seed the last: the user's own, which repeats a recorded one."""
    seed = ["first", "second", "seed"]
    return rows.drop_duplicates(seed, keep="last") if "seed" in rows else rows


def _legible(axis: Any) -> None:
    """The numbers of a heat map in black or white, whichever stands out more from the cell."""
    import seaborn as sns

    mesh = axis.collections[0]
    mesh.update_scalarmappable()
    shown = ~np.ma.getmaskarray(mesh.get_array()).ravel()
    for text, cell in zip(axis.texts, mesh.get_facecolors()[shown], strict=True):
        text.set_color("black" if sns.utils.relative_luminance(cell) > 0.18 else "white")
