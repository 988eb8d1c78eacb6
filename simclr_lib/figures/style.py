"""The style of every figure, and the file it is saved in.

Groups are told apart by place, marker or line style as well as by colour, so that a figure survives
a black-and-white printer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from .. import checks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Runs a drawing function in our style, and closes its figure: shown once, by whoever asked."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib.pyplot as plt

        with plt.rc_context(STYLE):
            figure = draw(*args, **kwargs)
            plt.close(figure)
        return figure

    return drawn


def subplots(
    rows: int, columns: int, size: tuple[float, float], **options: Any
) -> tuple[Figure, Any]:
    """A figure of `size` (width, height) in inches, and its axes in an array (rows, columns)."""
    import matplotlib.pyplot as plt

    return plt.subplots(rows, columns, figsize=size, squeeze=False, **options)


def save(figure: Figure, path: Path | str) -> Path:
    """Write `figure` as a PNG at `path`, making its folder; returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, bbox_inches="tight")
    return path


def not_empty(name: str, value: Sized, valid: str) -> None:
    """Refuse what there is nothing of to draw."""
    if not len(value):
        checks.refuse(name, value, valid)


def check_runs(rows: Mapping[str, Sequence[float]]) -> None:
    """Refuse accuracies by name of which there are none, or none under a name."""
    not_empty("rows", rows, "accuracies in %, one or more, by name")
    for name, values in rows.items():
        not_empty(f"rows[{name!r}]", values, "accuracies in %, one or more")
