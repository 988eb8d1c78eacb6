"""Every figure of the suite. Functions take tensors or records and return a closed `Figure`.

Groups are told apart by place, marker or line style as well as by colour, so that a figure survives
a black-and-white printer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    import pandas as pd

STYLE = {
    "figure.dpi": 100,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.92",
    "legend.frameon": False,
}
LINES = ("-", "--", "-.", ":")
MARKERS = "osD^vP*X<>"
OURS = "#1f6f8b"


def _figure(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Runs a drawing function in our style, and closes its figure: shown once, by whoever asked."""

    @wraps(draw)
    def styled(*args: Any, **kwargs: Any) -> Any:
        import matplotlib.pyplot as plt

        with plt.rc_context(STYLE):
            figure = draw(plt, *args, **kwargs)
            plt.close(figure)
        return figure

    # The caller never passes pyplot; keep it out of the visible signature.
    del styled.__wrapped__
    return styled


def save(figure: Any, path: Path) -> Path:
    """Write `figure` as a PNG at `path`, making its folder; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, bbox_inches="tight")
    return path


def _show(axes: Any, image: Tensor) -> None:
    """One image, uint8 or float 0..1 (3, H, W), without ticks."""
    axes.imshow(image.permute(1, 2, 0).numpy(), interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)


@_figure
def image_grid(
    plt: Any, images: Tensor, names: Sequence[str], title: str, columns: int = 10
) -> Any:
    """One image a column, (n, 3, H, W), with its name above; at most `columns` in a row."""
    columns = min(len(images), columns)
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(columns, 1.2 * rows + 0.4), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, name in zip(axes.flat, images, names, strict=False):
        _show(axis, image)
        axis.set_title(name, fontsize=8, fontweight="normal", loc="center")
    figure.suptitle(title, x=0.02, ha="left", fontweight="bold", fontsize=11)
    figure.tight_layout()
    return figure


@_figure
def views_gallery(plt: Any, images: Tensor, views: Sequence[Tensor], title: str) -> Any:
    """Images (n, 3, H, W) in the top row; below, one row for each of `views` (n, 3, S, S)."""
    rows = [images, *views]
    size = (len(images), len(rows) + 0.4)
    figure, axes = plt.subplots(len(rows), len(images), figsize=size, squeeze=False)
    for index, (line, batch) in enumerate(zip(axes, rows, strict=True)):
        for axis, image in zip(line, batch, strict=True):
            _show(axis, image)
        label = f"view {index}" if index else "image"
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    figure.suptitle(title, x=0.02, ha="left", fontweight="bold", fontsize=11)
    figure.tight_layout()
    return figure


@_figure
def similarity_matrix(plt: Any, *matrices: Tensor, titles: Sequence[str], label: str) -> Any:
    """Square matrices (2N, 2N) side by side on one scale; diagonals of NaN stay white."""
    figure, axes = plt.subplots(
        1, len(matrices), figsize=(4.2 * len(matrices), 3.8), squeeze=False, layout="constrained"
    )
    arrays = [m.double().numpy() for m in matrices]
    low = min(np.nanmin(a) for a in arrays)
    high = max(np.nanmax(a) for a in arrays)
    for axis, array, title in zip(axes[0], arrays, titles, strict=True):
        picture = axis.imshow(array, cmap="magma", vmin=low, vmax=high)
        axis.set(title=title, xlabel="view", ylabel="view")
        axis.grid(False)
    figure.colorbar(picture, ax=axes[0].tolist(), label=label, shrink=0.85)
    return figure


@_figure
def training_curves(plt: Any, histories: Mapping[str, Mapping], chance_loss: float) -> Any:
    """Loss and contrastive accuracy against updates, one line for each named history."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.3), layout="constrained")
    for (name, history), line in zip(histories.items(), LINES * 3, strict=False):
        left.plot(history["step"], history["loss"], line, label=name)
        accuracy = 100 * np.asarray(history["accuracy"])
        right.plot(history["step"], accuracy, line, label=name)
    left.axhline(chance_loss, color="0.5", lw=1)
    left.annotate(
        f"chance log(2N-1) = {chance_loss:.2f}", (0.98, chance_loss), color="0.35", fontsize=9,
        xycoords=("axes fraction", "data"), ha="right", va="bottom",
    )  # fmt: skip
    left.set(title="NT-Xent loss", xlabel="update", ylabel="nats")
    right.set(title="The other view found among N", xlabel="update", ylabel="accuracy, %")
    right.set_ylim(0, 100)
    right.legend()
    return figure


@_figure
def accuracy_bars(
    plt: Any, rows: Mapping[str, Sequence[float]], title: str, chance: float | None = None
) -> Any:
    """A bar of mean test accuracy (%) for each named list of runs, with a dot for every run."""
    figure, axis = plt.subplots(figsize=(7, 0.5 * len(rows) + 1.2), layout="constrained")
    for place, values in enumerate(rows.values()):
        axis.barh(place, np.mean(values), color=OURS, alpha=0.75, height=0.6)
        axis.plot(values, [place] * len(values), "o", color="black", ms=4, mfc="white")
        label = f"{np.mean(values):.1f}" + (
            f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
        )
        axis.text(max(values) + 1.5, place, label, va="center", fontsize=9)
    if chance is not None:
        axis.axvline(chance, color="0.3", lw=1, ls=":")
        axis.text(chance + 0.7, len(rows) - 0.52, "chance", fontsize=8, color="0.3")
    axis.set_yticks(range(len(rows)), list(rows))
    axis.invert_yaxis()
    axis.set(title=title, xlabel="linear evaluation on test images, %", xlim=(0, 108))
    axis.grid(axis="y", visible=False)
    return figure


@_figure
def overview(
    plt: Any, images: Tensor, views: Sequence[Tensor], rows: Mapping[str, Sequence[float]]
) -> Any:
    """The suite in one picture: images and their views; a bar of accuracy (%) for each encoder."""
    figure = plt.figure(figsize=(10, 3.1), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.15, 1))
    left.suptitle("Which of these are views of the same picture?", fontweight="bold", fontsize=11)
    axes = left.subplots(3, len(images))
    for name, line, batch in zip(
        ("picture", "view 1", "view 2"), axes, [images, *views], strict=True
    ):
        for axis, image in zip(line, batch, strict=True):
            _show(axis, image)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    axis = right.subplots()
    means = [np.mean(values) for values in rows.values()]
    axis.bar(range(len(rows)), means, color=OURS, alpha=0.75, width=0.6)
    for place, (mean, values) in enumerate(zip(means, rows.values(), strict=True)):
        axis.plot([place] * len(values), values, "o", color="black", ms=4, mfc="white")
        axis.text(place, max(values) + 2, f"{mean:.0f} %", ha="center", fontsize=10)
    axis.set_xticks(range(len(rows)), [name.replace(", ", "\n") for name in rows])
    axis.set(title="What was learned, read by a linear classifier", ylim=(0, 108))
    axis.set_ylabel("test accuracy, %")
    axis.grid(axis="x", visible=False)
    return figure


@_figure
def tsne(plt: Any, named: Mapping[str, Tensor], labels: Tensor, classes: Sequence[str]) -> Any:
    """t-SNE maps of sets of features (n, features) of the same images, coloured by class."""
    from sklearn.manifold import TSNE

    size = (4.3 * len(named) + 1.4, 4.2)
    figure, axes = plt.subplots(1, len(named), figsize=size, squeeze=False, layout="constrained")
    colors = plt.get_cmap("tab10" if len(classes) <= 10 else "tab20").colors
    for axis, (name, h) in zip(axes[0], named.items(), strict=True):
        placed = TSNE(init="pca", perplexity=30, random_state=0).fit_transform(h.numpy())  # (n, 2)
        for index, label in enumerate(classes):
            chosen = (labels == index).numpy()
            axis.scatter(
                *placed[chosen].T, s=12, lw=0.3, alpha=0.8, color=colors[index % len(colors)],
                marker=MARKERS[index % len(MARKERS)], label=label, edgecolors="white",
            )  # fmt: skip
        axis.set(title=name, xticks=[], yticks=[])
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", fontsize=8, markerscale=1.5)
    return figure


@_figure
def sweep(
    plt: Any,
    panels: Mapping[str, pd.DataFrame],
    x: str,
    line: str | None = None,
    *,
    xlabel: str,
    ylabel: str = "linear evaluation, top-1 %",
) -> Any:
    """Accuracy against one axis of a sweep, a panel for each table that has rows.

    Tables have columns `x`, `line` (one line for each of its values), `value`, and `kind`: "yours"
    is drawn as stars; of all else the mean is, with the standard deviation if there are several
    rows; "digitized" is hollow. Values of `x` are equally spaced, and joined if they are numbers.
    """
    panels = {title: rows.dropna(subset=["value"]) for title, rows in panels.items()}
    panels = {title: rows for title, rows in panels.items() if len(rows)}
    lines = list(dict.fromkeys(n for rows in panels.values() for n in (rows[line] if line else [])))
    wide = max(len(panels), 1)
    size = {"figsize": (1 + 3.8 * wide, 3.5), "squeeze": False, "layout": "constrained"}
    figure, axes = plt.subplots(1, wide, **size)
    for axis, (title, rows) in zip(axes[0], panels.items(), strict=False):
        numeric = all(isinstance(value, int | float) for value in rows[x])
        ticks = sorted(set(rows[x])) if numeric else list(dict.fromkeys(rows[x]))
        for name, group in rows.groupby(line, sort=False) if line else [("", rows)]:
            index = lines.index(name) if line else 0  # one colour and marker in all panels
            _sweep_line(axis, group, x, ticks, numeric, str(name), index)
        axis.set_xticks(range(len(ticks)), [f"{t:g}" if numeric else str(t) for t in ticks])
        axis.tick_params(axis="x", rotation=0 if numeric else 25 if len(ticks) < 8 else 90)
        axis.set_xlim(-0.5, len(ticks) - 0.5)
        hollow = " (hollow: digitized)" if (rows["kind"] == "digitized").any() else ""
        axis.set(title=title + hollow, xlabel=xlabel, ylabel=ylabel)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=8)
    return figure


def _sweep_line(
    axis: Any, rows: pd.DataFrame, x: str, ticks: list, joined: bool, name: str, index: int
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


@_figure
def heat_maps(
    plt: Any, panels: Mapping[str, pd.DataFrame], names: Sequence[str], label: str
) -> Any:
    """Square tables as pictures: columns `first` (row), `second` (column), `value`, `kind`.

    Rows of one cell are averaged; a missing one stays white; one of the user's own is framed.
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(5.6 * len(panels), 5), squeeze=False, layout="constrained"
    )
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
            axis.add_patch(plt.Rectangle(corner, 1, 1, fill=False, ec="#d1495b", lw=2.5))
        axis.set_xticks(range(len(names)), names, rotation=30)
        axis.set_yticks(range(len(names)), names)
        axis.set(title=title, xlabel="second transformation", ylabel="first transformation")
        axis.grid(False)
        figure.colorbar(picture, ax=axis, label=label, shrink=0.8)
    return figure
