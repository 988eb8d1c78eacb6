"""Maps of features in the plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from .. import checks
from .described import described
from .style import LETTER, WIDTH, folded, legend_below, not_empty, styled, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PERPLEXITY = 30  # of t-SNE: about how many neighbours of a point count
MARKERS = "vsoDP*<^X>"  # of classes; those of the embedded data that have a shape have it here too
NEAR = 10  # neighbours in the map that say whether a class stands apart


@styled
def tsne(named: Mapping[str, Tensor], labels: Tensor, classes: Sequence[str]) -> Figure:
    """t-SNE maps of sets of features (n, features) of the same images, with the classes' names.

    `labels` (n,) are places in `classes`. A class has a colour and a marker, and in the map its
    name, where most of its own are together and more than half of the neighbours are of it. A point
    has about 30 neighbours, of fewer images a third of them. Raises `ValueError` for other shapes,
    and for fewer than 4 images.
    """
    import seaborn as sns
    from sklearn.manifold import TSNE

    not_empty("named", named, "one or more sets of features by name")
    for name, h in named.items():
        valid = f"(n, features) of {len(labels)} images, as there are labels; at least 4"
        checks.tensor(f"named[{name!r}]", h, valid)
        if h.ndim != 2 or len(h) != len(labels) or len(h) < 4:
            checks.refuse(f"named[{name!r}]", h, valid)
    across = min(len(named), 2)
    down = -(-len(named) // across)
    figure, axes = subplots(down, across, down * (WIDTH / across * 0.95 + 0.2))
    colors = sns.color_palette("colorblind" if len(classes) <= 10 else "husl", len(classes))
    clusters = []
    for axis, (name, h) in zip(axes.flat, named.items(), strict=False):
        map_of = TSNE(init="pca", perplexity=min(PERPLEXITY, (len(h) - 1) / 3), random_state=0)
        placed = map_of.fit_transform(h.numpy())  # (n, 2)
        for index, color in enumerate(colors):
            marker, chosen = MARKERS[index % len(MARKERS)], (labels == index).numpy()
            label = classes[index] if chosen.any() else None
            axis.scatter(
                *placed[chosen].T, s=15, lw=0.3, color=color, marker=marker, ec="black", label=label
            )
        places = together(placed, labels.numpy())
        _write_names(axis, placed, places, classes, colors)
        clusters.append(f"{name}: {', '.join(classes[index] for index in places) or 'no class'}")
        axis.set_title(folded(name, WIDTH / across - 0.3, 10))
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    for axis in axes.flat[len(named) :]:
        axis.axis("off")
    if len(classes) <= 20:
        legend_below(figure, into=axes.flat[len(named) :])
    shown = f"Maps by t-SNE of {len(labels)} images of {len(classes)} classes; which stand apart in"
    return described(figure, f"{shown} {'; '.join(clusters)}.")


def together(placed: np.ndarray, labels: np.ndarray) -> dict[int, np.ndarray]:
    """For each class that stands apart in a map (n, 2), where: its point with most of its own near.

    A class that nowhere has more than half of a point's 10 nearest neighbours is left out.
    """
    from sklearn.neighbors import NearestNeighbors

    near = min(NEAR, len(placed) - 1)
    _, others = NearestNeighbors(n_neighbors=near).fit(placed).kneighbors()  # without itself
    own = (labels[others] == labels[:, None]).mean(axis=1)  # (n,)
    found = {}
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        core = of_class[own[of_class] > 0.5]
        if 2 * len(core) > len(of_class):
            found[int(label)] = np.median(placed[core], axis=0)
    return found


def _write_names(
    axis: Any, placed: np.ndarray, places: Mapping[int, np.ndarray], classes: Sequence[str],
    colors: Sequence[Any],
) -> None:  # fmt: skip
    """The name of each class of `places` there, moved off the other names."""
    from matplotlib.patheffects import withStroke

    if not places:
        return
    size = axis.get_position().size * axis.figure.get_size_inches()  # about, inches
    room = (placed.max(axis=0) - placed.min(axis=0)) / size  # units of the map in an inch
    widths = np.array([len(classes[index]) * LETTER for index in places])
    moved = apart(np.array(list(places.values())) / room, widths, 0.17)
    corners = np.stack([widths / 2, np.full(len(widths), 0.09)], axis=1)
    axis.update_datalim(np.concatenate([moved - corners, moved + corners]) * room)
    axis.autoscale_view()
    for index, place in zip(places, moved * room, strict=True):
        axis.text(
            *place, classes[index], ha="center", va="center", fontweight="bold", zorder=5,
            color=tuple(0.45 * shade for shade in colors[index]),
            path_effects=[withStroke(linewidth=4, foreground="white")],
        )  # fmt: skip


def apart(places: np.ndarray, widths: np.ndarray, height: float) -> np.ndarray:
    """`places` (n, 2) of words, moved up and down until none of them overlap, or nearly so."""
    places = places.astype(float).copy()
    for _ in range(300):
        moved = False
        for i, j in zip(*np.triu_indices(len(places), 1), strict=True):
            beside = abs(places[i, 0] - places[j, 0]) < (widths[i] + widths[j]) / 2
            gap = places[i, 1] - places[j, 1]
            if beside and abs(gap) < height:
                push = (height - abs(gap)) / 2 + 1e-3
                upper, lower = (i, j) if gap >= 0 else (j, i)
                places[upper, 1] += push
                places[lower, 1] -= push
                moved = True
        if not moved:
            break
    return places
