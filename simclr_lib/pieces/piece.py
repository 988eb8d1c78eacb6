"""A piece: something to touch in a notebook, drawn from numbers that were computed beforehand.

It is one page of HTML with its style, script and data inside, and asks no server for anything, so
it lives on a static site as it does beside a kernel. Where scripts do not run (a notebook that is
not trusted, print, papermill) stands a still picture of it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import checks
from ..figures.described import picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = Path(__file__).parent
LARGEST = 200_000  # bytes of a piece, its still picture apart
KINDS = ("float32", "int16", "uint8")  # of arrays, as the script reads them
WARM = "#b34a00"  # beside SIMCLR in a still picture; base.css has both


class Piece:
    """What a notebook shows of a script `NAME.js` beside this file, its `data` and a still figure.

    `title` is read out for the piece as a whole. Values of `data` are plain, or arrays of float32,
    int16 or uint8, which the script gets flat, in a typed array. The words of the still figure
    (`figures.described`) are what is told to those who see neither. Raises `ValueError` for another
    type of array, for a number that is not finite, and if the whole is larger than 200 kB.
    """

    def __init__(self, name: str, title: str, data: Mapping[str, Any], still: Figure) -> None:
        self.title, self.still = title, still
        self.page = _page(name, title, data)
        if len(self.page.encode()) > LARGEST:
            checks.refuse("data", f"{len(self.page.encode())} bytes", f"at most {LARGEST} in all")

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        shown, about = picture(self.still)
        return {"text/html": self._html(shown["image/png"]), **shown}, about

    def _html(self, png: str) -> str:
        """The still picture, and a script that puts the page in its place."""
        mark = hashlib.sha256(self.page.encode()).hexdigest()[:12]
        words = html.escape(vars(self.still)["alt"])
        script = _source("embed.js").replace("MARK", mark)
        script = script.replace('"TITLE"', _literal(self.title), 1)
        script = script.replace('"PAGE"', _literal(self.page), 1)  # last, for it may say TITLE
        return (
            f'<div data-piece="{mark}"><img alt="{words}" style="max-width:100%" '
            f'src="data:image/png;base64,{png}"></div>\n<script>{script}</script>'
        )


def nearest(values: Sequence[float], wanted: float) -> int:
    """The place of the value nearest to `wanted`, where a slider begins."""
    return min(range(len(values)), key=lambda place: abs(values[place] - wanted))


def _literal(value: Any) -> str:
    """`value` in a script that stands in a page, where no text in it can end the script."""
    return json.dumps(value, allow_nan=False).replace("</", "<\\/").replace("<!--", "<\\!--")


def _page(name: str, title: str, data: Mapping[str, Any]) -> str:
    """The page itself, which needs nothing beside it."""
    values = _literal({key: _plain(key, value) for key, value in data.items()})
    script = f"const DATA = unpack({values});\n{_source(name + '.js')}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_source('base.css')}</style><body><main></main>"
        f"<script>{_source('base.js')}\n{script}</script></body></html>"
    )


def _plain(name: str, value: Any) -> Any:
    """`value` as JSON has it; an array as its bytes in base64, with their kind."""
    if not isinstance(value, np.ndarray):
        return value
    kind = value.dtype.name
    if kind not in KINDS:
        checks.refuse(f"data[{name!r}]", kind, f"an array of {', '.join(KINDS)}")
    if not np.isfinite(value).all():
        checks.refuse(f"data[{name!r}]", "not finite", "finite numbers")
    little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
    return {"kind": kind, "base64": base64.b64encode(little.tobytes()).decode()}


@lru_cache
def _source(name: str) -> str:
    return (HERE / name).read_text("utf-8")
