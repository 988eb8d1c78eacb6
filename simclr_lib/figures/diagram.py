"""The method in one drawing: a picture, two views, encoder, head, loss, with the shape of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from .. import checks
from .described import described
from .pictures import check_pictures
from .style import GREY, SIMCLR, WIDTH, styled, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS = ("x", "views", "h", "z")
ROWS = (2.35, 0.75)  # where the two views are, in the units of the drawing, 10 wide and 4 high
SIDE = 1.3  # of a picture
# What is drawn between which places from left to right: name, from, to, words below it.
BOXES = (("f", 4.05, 5.15, "encoder"), ("g", 6.3, 7.2, "head"))
BARS = (("h", 5.6, SIMCLR), ("z", 7.75, "#c27a00"))


@styled
def method(picture: Tensor, views: Tensor, shapes: Mapping[str, tuple[int, ...]]) -> Figure:
    """SimCLR (Section 2.1) as a drawing with `picture` (1, 3, H, W) and its `views` (2, 3, H, W).

    Pictures are uint8 in 0..255 or float in 0..1. `shapes` are those of a whole batch: of x, the
    views, h and z. Raises `ValueError` for other pictures and if one of the four is missing.
    """
    check_pictures("picture", picture, 1)
    check_pictures("views", views, 2)
    if set(shapes) != set(PARTS):
        checks.refuse("shapes", sorted(shapes), f"the shapes of {', '.join(PARTS)}")
    figure, axes = subplots(1, 1, WIDTH * 0.495)
    axis = axes[0, 0]
    axis.set(xlim=(0, 10), ylim=(-1.0, 3.95), aspect="equal")
    axis.axis("off")
    _image(axis, picture[0], 0, sum(ROWS) / 2)
    for row, view in zip(ROWS, views, strict=True):
        _image(axis, view, 2.3, row)
        _way(axis, row)
    axis.text(9.35, sum(ROWS) / 2, "NT-Xent", ha="center", va="center", weight="bold")
    axis.text(9.35, -0.3, "the loss:\n1 number", ha="center", va="top")
    for _, left, right, _ in BOXES:  # one network for both views
        axis.plot([(left + right) / 2] * 2, [ROWS[1] + 0.45, ROWS[0] - 0.45], ":", color=GREY)
    words = {"x": "a batch", "views": "two views each", "h": "kept", "z": "not kept"}
    places = {"x": SIDE / 2, "views": 2.3 + SIDE / 2, "h": 5.67, "z": 7.82}
    for name, place in places.items():
        shape = "×".join(map(str, shapes[name]))
        axis.text(place, 3.9, name, ha="center", va="top", style="italic", weight="bold")
        axis.text(place, -0.3, f"{words[name]}\n{shape}", ha="center", va="top")
    alt = (
        "A picture x becomes two views; the same encoder f makes h of each, the same head g makes "
        "z of h, and NT-Xent compares all z of the batch. Shapes of a batch: "
        + ", ".join(f"{name} {' x '.join(map(str, shapes[name]))}" for name in PARTS)
    )
    return described(figure, alt + ".")


def _image(axis: Any, image: Tensor, left: float, middle: float) -> None:
    """A picture with its left edge and the middle of its height there."""
    box = (left, left + SIDE, middle - SIDE / 2, middle + SIDE / 2)
    axis.imshow(image.permute(1, 2, 0).numpy(), extent=box, interpolation="nearest")


def _way(axis: Any, row: float) -> None:
    """From the picture through one view, encoder and head to the loss."""
    from matplotlib.patches import FancyBboxPatch, Rectangle

    middle = sum(ROWS) / 2
    arrows = [((SIDE + 0.1, middle), (2.2, row)), ((2.3 + SIDE + 0.1, row), (3.99, row))]
    arrows += [((5.2, row), (5.55, row)), ((5.8, row), (6.25, row)), ((7.25, row), (7.7, row))]
    arrows += [((7.95, row), (8.75, middle + 0.25 * (1 if row > middle else -1)))]
    for start, end in arrows:
        axis.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "black"})
    for name, left, right, words in BOXES:
        shape = FancyBboxPatch(
            (left, row - 0.4), right - left, 0.8, boxstyle="round,pad=0.05", fc="0.93", ec=GREY
        )
        axis.add_patch(shape)
        axis.text((left + right) / 2, row + 0.15, name, ha="center", va="center", style="italic")
        axis.text((left + right) / 2, row - 0.22, words, ha="center", va="center")
    for name, left, color in BARS:
        tall = 0.5 if name == "h" else 0.65
        axis.add_patch(Rectangle((left, row - tall), 0.14, 2 * tall, fc=color, ec="black", lw=0.6))
