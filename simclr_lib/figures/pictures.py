"""Figures of images: in a grid, with their views, and the suite in one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .. import checks
from .style import OURS, check_runs, styled, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _show(axes: Any, image: Tensor) -> None:
    """One image, uint8 or float 0..1 (3, H, W), without ticks."""
    axes.imshow(image.permute(1, 2, 0).numpy(), interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)


def _check_pictures(name: str, value: Tensor, num: int | None = None) -> None:
    """Refuse what `_show` cannot show one by one, and other than `num` images if that is given."""
    valid = f"uint8 in 0..255 or float32 in 0..1, of shape ({num or 'n'}, 3, H, W)"
    checks.tensor(name, value, valid)
    if value.dtype not in (torch.uint8, torch.float32, torch.float64) or value.ndim != 4:
        checks.refuse(name, value, valid)
    if value.shape[1] not in (1, 3) or 0 in value.shape or len(value) != (num or len(value)):
        checks.refuse(name, value, valid)


def _check_views(images: Tensor, views: Sequence[Tensor]) -> None:
    """Refuse other than images (n, 3, H, W) and views of each of them."""
    _check_pictures("images", images)
    for index, batch in enumerate(views):
        _check_pictures(f"views[{index}]", batch, len(images))


@styled
def image_grid(images: Tensor, names: Sequence[str], title: str, columns: int = 10) -> Figure:
    """One image a column, (n, 3, H, W), with its name above; at most `columns` in a row.

    Raises `ValueError` unless there is a name for each image.
    """
    _check_pictures("images", images)
    checks.whole("columns", columns, 1)
    if len(names) != len(images):
        checks.refuse("names", names, f"{len(images)} names, one for each image")
    columns = min(len(images), columns)
    rows = -(-len(images) // columns)
    figure, axes = subplots(rows, columns, (columns, 1.2 * rows + 0.4))
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, name in zip(axes.flat, images, names, strict=False):
        _show(axis, image)
        axis.set_title(name, fontsize=8, fontweight="normal", loc="center")
    figure.suptitle(title, x=0.02, ha="left", fontweight="bold", fontsize=11)
    figure.tight_layout()
    return figure


@styled
def views_gallery(images: Tensor, views: Sequence[Tensor], title: str) -> Figure:
    """Images (n, 3, H, W) in the top row; below, one row for each of `views` (n, 3, S, S).

    Raises `ValueError` for other shapes.
    """
    _check_views(images, views)
    rows = [images, *views]
    figure, axes = subplots(len(rows), len(images), (len(images), len(rows) + 0.4))
    for index, (line, batch) in enumerate(zip(axes, rows, strict=True)):
        for axis, image in zip(line, batch, strict=True):
            _show(axis, image)
        label = f"view {index}" if index else "image"
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    figure.suptitle(title, x=0.02, ha="left", fontweight="bold", fontsize=11)
    figure.tight_layout()
    return figure


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
    figure = plt.figure(figsize=(10, 3.1), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.15, 1))
    left.suptitle("Which of these are views of the same picture?", fontweight="bold", fontsize=11)
    axes = left.subplots(3, len(images), squeeze=False)
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
