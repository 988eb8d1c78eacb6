"""Figures of images: in a grid, with their views, and the suite in one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .. import checks
from .described import described
from .style import LETTER, WIDTH, check_runs, folded, looks, styled, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _show(axes: Any, image: Tensor) -> None:
    """One image, uint8 or float 0..1 (3, H, W), without ticks."""
    axes.imshow(image.permute(1, 2, 0).numpy(), interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)


def check_pictures(name: str, value: Tensor, num: int | None = None) -> None:
    """Refuse what `_show` cannot show one by one, and other than `num` images if that is given."""
    valid = f"uint8 in 0..255 or float32 in 0..1, of shape ({num or 'n'}, 3, H, W)"
    checks.tensor(name, value, valid)
    if value.dtype not in (torch.uint8, torch.float32, torch.float64) or value.ndim != 4:
        checks.refuse(name, value, valid)
    if value.shape[1] not in (1, 3) or 0 in value.shape or len(value) != (num or len(value)):
        checks.refuse(name, value, valid)


def _check_views(images: Tensor, views: Sequence[Tensor]) -> None:
    """Refuse other than images (n, 3, H, W) and views of each of them."""
    check_pictures("images", images)
    for index, batch in enumerate(views):
        check_pictures(f"views[{index}]", batch, len(images))


def _headline(figure: Any, title: str) -> None:
    figure.suptitle(folded(title, WIDTH, 10), x=0.01, ha="left", fontweight="bold", fontsize=10)


@styled
def image_grid(images: Tensor, names: Sequence[str], title: str, columns: int = 10) -> Figure:
    """One image a column, (n, 3, H, W), with its name above.

    At most `columns` in a row, fewer where the longest name needs the room. Raises `ValueError`
    unless there is a name for each image.
    """
    check_pictures("images", images)
    checks.whole("columns", columns, 1)
    if len(names) != len(images):
        checks.refuse("names", names, f"{len(images)} names, one for each image")
    longest = max(len(line) for name in names for line in name.split("\n")) * LETTER + 0.1
    columns = _even(min(len(images), columns), int(WIDTH / longest), columns)
    rows = -(-len(images) // columns)
    figure, axes = subplots(rows, columns, rows * (0.92 * WIDTH / columns + 0.22) + 0.3)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, name in zip(axes.flat, images, names, strict=False):
        _show(axis, image)
        axis.set_title(name, fontsize=9, fontweight="normal", loc="center", pad=3)
    _headline(figure, title)
    return described(figure, f"{title}: {len(images)} pictures. {', '.join(names)}.")


def _even(wanted: int, fit: int, line: int) -> int:
    """How many columns: as wanted if they fit, else as many as fit, in lines of equal length."""
    if wanted <= fit or fit < 2:
        return max(1, min(wanted, fit))
    parts = -(-wanted // fit)  # a line of `line` pictures becomes so many
    return -(-wanted // parts)


@styled
def views_gallery(images: Tensor, views: Sequence[Tensor], title: str) -> Figure:
    """Images (n, 3, H, W) in the top row; below, one row for each of `views` (n, 3, S, S).

    Raises `ValueError` for other shapes.
    """
    _check_views(images, views)
    names = ["image", *(f"view {index}" for index in range(1, len(views) + 1))]
    size = (WIDTH - 0.6) / len(images)
    figure, axes = subplots(len(names), len(images), size * len(names) + 0.4)
    _rows_of_pictures(axes, names, [images, *views])
    _headline(figure, title)
    return described(figure, f"{title}: {len(images)} pictures, and below each its views.")


def _rows_of_pictures(axes: Any, names: Sequence[str], rows: Sequence[Tensor]) -> None:
    for name, line, batch in zip(names, axes, rows, strict=True):
        for axis, image in zip(line, batch, strict=True):
            _show(axis, image)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")


@styled
def overview(
    images: Tensor, views: Sequence[Tensor], rows: Mapping[str, Sequence[float]]
) -> Figure:
    """The suite in one picture: images and their views; a bar of accuracy (%) for each encoder.

    Images (n, 3, H, W), two `views` of them (n, 3, S, S); `rows` names lists of runs. Raises
    `ValueError` for other shapes, and for an encoder without runs.
    """
    import matplotlib.pyplot as plt

    _check_views(images, views)
    if len(views) != 2:
        checks.refuse("views", views, "two views of every image")
    check_runs(rows)
    size = (WIDTH - 0.6) / len(images)
    heights = (3 * size + 0.4, 2.4)
    figure = plt.figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=heights)
    _headline(top, "Which of these are views of the same picture?")
    axes = top.subplots(3, len(images), squeeze=False)
    _rows_of_pictures(axes, ("picture", "view 1", "view 2"), [images, *views])
    axis = bottom.subplots()
    said = []
    for place, (name, look) in enumerate(looks(list(rows)).items()):
        mean = np.mean(rows[name])
        axis.bar(place, mean, color=look["color"], alpha=0.75, width=0.6)
        axis.plot([place] * len(rows[name]), rows[name], "o", color="black", ms=4, mfc="white")
        axis.text(place, max(rows[name]) + 5, f"{mean:.0f} %", ha="center")
        said.append(f"{name} {mean:.0f} %")
    axis.set_xticks(range(len(rows)), [name.replace(", ", "\n") for name in rows])
    axis.set(title="What was learned, read by a linear classifier", ylim=(0, 118))
    axis.set(ylabel="test accuracy, %", yticks=range(0, 101, 25))
    axis.grid(axis="x", visible=False)
    alt = f"{len(images)} pictures with two random views of each; below, bars of accuracy: "
    return described(figure, alt + ", ".join(said) + ".")
