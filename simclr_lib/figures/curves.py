"""Figures of numbers: similarities, training, accuracies, maps of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from .. import checks
from .style import LINES, MARKERS, OURS, check_runs, not_empty, styled, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PERPLEXITY = 30  # of t-SNE: about how many neighbours of a point count


@styled
def similarity_matrix(*matrices: Tensor, titles: Sequence[str], label: str) -> Figure:
    """Square matrices (2N, 2N) side by side on one scale; diagonals of NaN stay white.

    Raises `ValueError` for other shapes, and unless there is a title for each.
    """
    not_empty("matrices", matrices, "one or more square tensors")
    for index, matrix in enumerate(matrices):
        checks.tensor(f"matrices[{index}]", matrix, "of shape (2N, 2N)")
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
            checks.refuse(f"matrices[{index}]", matrix, "square, of shape (2N, 2N)")
    if len(titles) != len(matrices):
        checks.refuse("titles", titles, f"{len(matrices)} titles, one for each matrix")
    size = (4.2 * len(matrices), 3.8)
    figure, axes = subplots(1, len(matrices), size, layout="constrained")
    arrays = [m.double().numpy() for m in matrices]
    low = min(np.nanmin(a) for a in arrays)
    high = max(np.nanmax(a) for a in arrays)
    for axis, array, title in zip(axes[0], arrays, titles, strict=True):
        picture = axis.imshow(array, cmap="magma", vmin=low, vmax=high)
        axis.set(title=title, xlabel="view", ylabel="view")
        axis.grid(False)
    figure.colorbar(picture, ax=axes[0].tolist(), label=label, shrink=0.85)
    return figure


@styled
def training_curves(histories: Mapping[str, Mapping[str, Any]], chance_loss: float) -> Figure:
    """Loss and contrastive accuracy against updates, one line for each named history.

    A history has lists "step", "loss" and "accuracy" (0 to 1), as a `Run` has. Raises `ValueError`
    if there is none.
    """
    not_empty("histories", histories, "one or more histories by name")
    figure, ((left, right),) = subplots(1, 2, (9, 3.3), layout="constrained")
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


@styled
def accuracy_bars(
    rows: Mapping[str, Sequence[float]], title: str, chance: float | None = None
) -> Figure:
    """A bar of mean test accuracy (%) for each named list of runs, with a dot for every run.

    Raises `ValueError` for a list without runs.
    """
    check_runs(rows)
    figure, ((axis,),) = subplots(1, 1, (7, 0.5 * len(rows) + 1.2), layout="constrained")
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


@styled
def tsne(named: Mapping[str, Tensor], labels: Tensor, classes: Sequence[str]) -> Figure:
    """t-SNE maps of sets of features (n, features) of the same images, coloured by class.

    `labels` (n,) are places in `classes`. A point has about 30 neighbours, of fewer images a third
    of them. Raises `ValueError` for other shapes, and for fewer than 4 images.
    """
    import matplotlib
    from sklearn.manifold import TSNE

    not_empty("named", named, "one or more sets of features by name")
    for name, h in named.items():
        valid = f"(n, features) of {len(labels)} images, as there are labels; at least 4"
        checks.tensor(f"named[{name!r}]", h, valid)
        if h.ndim != 2 or len(h) != len(labels) or len(h) < 4:
            checks.refuse(f"named[{name!r}]", h, valid)
    size = (4.3 * len(named) + 1.4, 4.2)
    figure, axes = subplots(1, len(named), size, layout="constrained")
    colors = matplotlib.colormaps["tab10" if len(classes) <= 10 else "tab20"]
    for axis, (name, h) in zip(axes[0], named.items(), strict=True):
        map_of = TSNE(init="pca", perplexity=min(PERPLEXITY, (len(h) - 1) / 3), random_state=0)
        placed = map_of.fit_transform(h.numpy())  # (n, 2)
        for index, label in enumerate(classes):
            chosen = (labels == index).numpy()
            axis.scatter(
                *placed[chosen].T, s=12, lw=0.3, alpha=0.8, color=colors(index % colors.N),
                marker=MARKERS[index % len(MARKERS)], label=label, edgecolors="white",
            )  # fmt: skip
        axis.set(title=name, xticks=[], yticks=[])
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", fontsize=8, markerscale=1.5)
    return figure
