"""Declaring and checking a parameter: its values, who reads it, the nearest name."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .checks import shown


class Interval(NamedTuple):
    """The numbers from `low` to `high`, ends included unless said otherwise."""

    low: float
    high: float
    without_low: bool = False

    def __contains__(self, value: object) -> bool:
        inside = isinstance(value, int | float) and self.low <= value <= self.high
        return inside and not (self.without_low and value == self.low)

    def __str__(self) -> str:
        low, high = (str(x) if isinstance(x, int) else f"{x:g}" for x in self[:2])
        return f"{'above' if self.without_low else 'at least'} {low} and at most {high}"


class Chain(tuple):
    """Any sequence of the given names, joined by +; also none at all."""

    def __contains__(self, value: object) -> bool:
        return not value or all(tuple.__contains__(self, name) for name in str(value).split("+"))

    def __str__(self) -> str:
        return f"names joined by +, from {', '.join(self)}"


class Text(NamedTuple):
    """Text without spaces at its ends and without control characters; `empty` if it may be."""

    empty: bool = False

    def __contains__(self, value: object) -> bool:
        text = str(value)
        plain = text == text.strip() and not re.search(r"[\x00-\x1f\x7f]", text)
        return plain and (self.empty or text != "")

    def __str__(self) -> str:
        return f"text{'' if self.empty else ', not empty,'} without spaces at its ends"


class Names(tuple):
    """Names as printed in papers; case, spaces, hyphens and underscores do not matter."""

    def printed(self, text: str) -> str:
        """The name that `text` means, or `text` itself."""
        return next((name for name in self if squeezed(name) == squeezed(text)), text)


class OwnName(str):
    """A name that is in no list and not to be looked for there, of a class in a notebook."""


POSITIVE = Interval(0, 1e30, without_low=True)  # float32 ends at 3e38
NOT_NEGATIVE = Interval(0, 1e30)
SHARE = Interval(0, 1, without_low=True)
COUNT = Interval(0, 2**31 - 1)  # what an index of 32 bits holds


def parameter(
    default: Any,
    meaning: str,
    valid: Any,
    methods: tuple[str, ...] | None = None,
    where: Mapping[str, tuple[Any, ...]] | None = None,
    also: Mapping[str, tuple[Any, ...]] | None = None,
) -> Any:
    """A field of `Config`: its default, what it means, and the values it may have.

    `methods` are those whose result depends on it; None means all, () none at all. A method of your
    own counts as reading whatever any method reads. `where` names parameters and the values they
    must have for it to be read; where `also` holds, it is read whatever the method. What is
    declared here decides which runs are the same (see `identity`).
    """
    facts = {"meaning": meaning, "valid": valid}
    facts |= {"methods": methods, "where": where or {}, "also": also or {}}
    return dataclasses.field(default=default, metadata=facts)


def squeezed(name: str) -> str:
    """What of a name counts when it is looked for among others."""
    return re.sub(r"[\s_-]", "", name).casefold()


def reject_unknown(given: Iterable[str], valid: Iterable[str]) -> None:
    """Raise `ValueError` for the first name of `given` that is not in `valid`, with the nearest."""
    valid = list(valid)
    for name in given:
        if name not in valid:
            raise ValueError(
                f"unknown parameter {name!r}{nearest(name, valid) or '.'} "
                f"Valid parameters: {', '.join(sorted(valid))}"
            )


def nearest(name: Any, valid: Iterable[Any], cutoff: float = 0.4) -> str:
    """The words "; did you mean NAME?" for the most similar of `valid`; empty if none is."""
    names = {squeezed(v): v for v in valid if isinstance(v, str)}
    near = difflib.get_close_matches(squeezed(str(name)), names, n=1, cutoff=cutoff)
    return f"; did you mean {names[near[0]]!r}?" if near else ""


def checked(field: dataclasses.Field, value: Any) -> Any:
    """`value` in the type of the field; `ValueError` if it has another type or is out of range.

    NumPy's scalars count as the plain numbers that they print as, and a text that reads as a value
    of the type (`1e-3`, `true`) as that value, for so a command line gives them.
    """
    kind = {"int": int, "float": float, "str": str, "bool": bool}[str(field.type)]
    valid = field.metadata["valid"]
    value = _plain(value, kind)
    if isinstance(valid, Names) and type(value) is str:
        value = valid.printed(value)
    if isinstance(valid, Names) and isinstance(value, OwnName):
        return value
    if type(value) is not kind or value not in valid:
        names = valid if type(valid) in (tuple, Names) else ()
        raise ValueError(
            f"{field.name}={shown(value)} is not valid: {field.name} ({field.metadata['meaning']}) "
            f"takes {kind.__name__}: {', '.join(map(str, names)) or valid}"
            + (nearest(value, names) if type(value) is str else "")
        )
    return value


def _plain(value: Any, kind: type) -> Any:
    """`value` as a Python value of the type `kind` if it can be taken for one, else as it is."""
    if isinstance(value, np.generic):
        value = float(str(value)) if isinstance(value, np.floating) else value.item()
    with contextlib.suppress(OverflowError, ValueError):  # a number too large, a text of no number
        if kind is bool and type(value) is str:
            return {"true": True, "false": False}.get(value.lower(), value)
        if (kind in (int, float) and type(value) is str) or (kind is float and type(value) is int):
            return kind(value)
    return value
