"""The style of every figure: its width, its colours, and what is asked of its arguments.

A figure is as wide as a phone can show without its text becoming too small to read, and has a white
page of its own, so that a dark page around it changes nothing. Groups are told apart by place,
marker or line style as well as by colour: it survives a black-and-white printer.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence, Sized
from functools import wraps
from itertools import cycle
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from .. import checks
from ..names import METHODS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 5.6  # inches; shown 360 pixels wide, text of 9 points is 8 pixels high
LETTER = 0.077  # inches, of a letter of 9 points on average, rounded up
STYLE = {
    "figure.facecolor": "white",  # whatever the style of the user is
    "axes.facecolor": "white",
    "text.color": "black",
    "axes.edgecolor": "0.3",
    "axes.labelcolor": "black",
    "xtick.color": "black",
    "ytick.color": "black",
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.92",
    "legend.fontsize": 9,
    "legend.frameon": False,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}
LINES = ("-", "--", "-.", ":")
MARKERS = "osD^vPX<>h"  # a star is a run of the user
# After seaborn's colour-blind palette, dark enough for white paper. SimCLR is blue in every figure.
SIMCLR = "#0173b2"
GREY = "#6a6a6a"  # untrained encoders, guessing
OTHERS = ("#029e73", "#c86fb4", "#c27a00", "#7a4a21", "#6f4e9c")
COLORS = {"random": GREY, "SimCLR": SIMCLR, "supervised": "#d55e00"}
COLORS |= dict(zip([name for name in METHODS if name not in COLORS], cycle(OTHERS)))
CHOICES = ("nonlinear", "cosine", "h")  # SimCLR's own, where a figure compares it with others
P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Runs a drawing function in our style."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib.pyplot as plt

        with plt.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def subplots(rows: int, columns: int, height: float, **options: Any) -> tuple[Figure, Any]:
    """A figure of our width and `height` inches, and its axes in an array (rows, columns)."""
    import matplotlib.pyplot as plt

    size = (WIDTH, height)
    return plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **options)


def looks(names: Sequence[Any]) -> dict[Any, dict[str, Any]]:
    """Colour, marker and line style for each of `names`.

    Methods have their colours, alone or before a comma ("SimCLR, 1000 epochs"). If SimCLR is not
    among the names, its colour goes to its own choice, or to the first. Numbers, such as epochs,
    are shades of it, the largest darkest.
    """
    import seaborn as sns

    colors: dict[Any, Any]
    if len(names) > 1 and all(isinstance(name, int | float) for name in names):
        shades = sns.blend_palette(["#7fc4ea", SIMCLR, "#00233f"], len(names))
        colors = dict(zip(sorted(names), shades, strict=True))
    else:
        colors = {name: COLORS.get(str(name).split(",")[0]) for name in names}
        others = [name for name, color in colors.items() if not color]
        if others and SIMCLR not in colors.values():
            colors[next((name for name in others if name in CHOICES), others[0])] = SIMCLR
        free = cycle([color for color in OTHERS if color not in colors.values()] or OTHERS)
        colors = {name: color or next(free) for name, color in colors.items()}
    return {
        name: {
            "color": colors[name],
            "marker": MARKERS[index % len(MARKERS)],
            "linestyle": LINES[index % len(LINES)],
        }
        for index, name in enumerate(names)
    }


def folded(text: str, inches: float, size: float = 9) -> str:
    """`text` in lines that fit into `inches`, in letters of `size` points."""
    return textwrap.fill(text, max(8, int(inches / LETTER * 9 / size)))


def legend_below(figure: Figure, first: Sequence[str] = (), into: Sequence[Any] = ()) -> None:
    """One legend for all axes, each name once, those of `first` first.

    It goes below them, where height is added, or into the axes `into`, switched off, if there are.
    """
    entries: dict[str, Any] = {}
    for axis in figure.axes:
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(name, handle)
    names = sorted(entries, key=lambda name: list(first).index(name) if name in first else 99)
    handles = [entries[name] for name in names]
    if names and len(into):
        into[0].legend(handles, names, loc="center left", borderaxespad=0)
    elif names:
        columns = _columns(names)
        figure.legend(handles, names, ncols=columns, loc="outside lower center")
        figure.set_figheight(figure.get_figheight() + 0.2 * -(-len(names) // columns))


def _columns(names: Sequence[str]) -> int:
    """In how many columns a legend fits, which is filled column by column."""
    for columns in range(len(names), 1, -1):
        widest = [max(map(len, part)) for part in np.array_split(names, columns)]
        if sum(widest) * LETTER + 0.7 * columns < WIDTH:
            return columns
    return 1


def not_empty(name: str, value: Sized, valid: str) -> None:
    """Refuse what there is nothing of to draw."""
    if not len(value):
        checks.refuse(name, value, valid)


def check_runs(rows: Mapping[str, Sequence[float]]) -> None:
    """Refuse accuracies by name of which there are none, or none under a name."""
    not_empty("rows", rows, "accuracies in %, one or more, by name")
    for name, values in rows.items():
        not_empty(f"rows[{name!r}]", values, "accuracies in %, one or more")
