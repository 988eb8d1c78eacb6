"""The papers' numbers as data, each with its table or figure and how it was obtained.

`confidence` is "read" (printed in the paper) or "digitized" (measured from the pixels of a figure
that prints no numbers, `uncertainty` in the unit of the value): say so wherever it is shown.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from typing import Any


@functools.cache
def numbers() -> dict[str, dict[str, Any]]:
    """All entries by id, such as "v1_table6": ref, title, measures, setup, unit, paper, values."""
    text = importlib.resources.files("simclr_lib").joinpath("paper_numbers.json").read_text("utf-8")
    return json.loads(text)


def published(entry: str, metric: str | None = None, **where: Any) -> list[dict[str, Any]]:
    """The values of an entry whose fields equal `metric` and `where`, in the paper's order.

    Raises `ValueError` for an entry that we do not carry.
    """
    if entry not in numbers():
        raise ValueError(f"entry={entry!r} is not known; valid: {', '.join(numbers())}")
    where |= {"metric": metric} if metric else {}
    return [
        value
        for value in numbers()[entry]["values"]
        if all(value.get(key) == wanted for key, wanted in where.items())
    ]
