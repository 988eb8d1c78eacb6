"""A figure with words for those who cannot see it, on the screen and in its file."""

from __future__ import annotations

import base64
import io
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import checks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150  # pixels an inch, in a notebook and in a file
SHOWN = 100  # of them on the screen: a figure is sharp at one and a half times its size


def described(figure: Figure, alt: str) -> Figure:
    """`figure`, closed, which a notebook shows once, with `alt` as its alternative text.

    The text goes where nbformat has it, in the metadata of the output (nbconvert writes it into its
    pages), and stands in for the picture where there is text only. Raises `ValueError` for no text.
    """
    import matplotlib.pyplot as plt

    if not isinstance(alt, str) or not alt.strip():
        checks.refuse("alt", alt, "what the figure shows, in a sentence or two")
    plt.close(figure)
    figure.set_dpi(DPI)
    # IPython asks an object itself for what it shows. Where Matplotlib is at home in a kernel, that
    # draws the pixels, as many as the figure has; the text is ours in any case.
    vars(figure).update(alt=alt, _repr_mimebundle_=partial(picture, figure))
    return figure


def picture(figure: Any, **_: Any) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """What Jupyter shows of a described figure, and its metadata."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, facecolor="auto")
    pixels = round(figure.get_figwidth() * SHOWN)
    shown = {"image/png": base64.b64encode(file.getvalue()).decode(), "text/plain": figure.alt}
    return shown, {"image/png": {"alt": figure.alt, "width": pixels}}


def save(figure: Figure, path: Path | str) -> Path:
    """Write `figure` as a PNG at `path`, with its text, making its folder; returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    words = {"Description": vars(figure).get("alt", "")}
    figure.savefig(path, dpi=DPI, facecolor="auto", metadata=words)
    return path
