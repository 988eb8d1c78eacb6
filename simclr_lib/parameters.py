"""Declaring and checking a parameter: its values, the nearest name, the notebook's cell."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import math
from collections.abc import Iterable
from typing import Any, NamedTuple


class Interval(NamedTuple):
    """The numbers from `low` to `high`, ends included unless said otherwise."""

    low: float
    high: float = math.inf
    without_low: bool = False

    def __contains__(self, value: object) -> bool:
        inside = self.low < value if self.without_low else self.low <= value  # type: ignore
        return inside and value <= self.high and math.isfinite(value)  # type: ignore

    def __str__(self) -> str:
        return f"{'above' if self.without_low else 'at least'} {self.low:g}" + (
            f" and at most {self.high:g}" if math.isfinite(self.high) else ""
        )


class Chain(tuple):
    """Any sequence of the given names, joined by +; also none at all."""

    def __contains__(self, value: object) -> bool:
        return not value or all(tuple.__contains__(self, name) for name in str(value).split("+"))

    def __str__(self) -> str:
        return f"names joined by +, from {', '.join(self)}"


class Text:
    """Any text."""

    def __contains__(self, value: object) -> bool:
        return True

    def __str__(self) -> str:
        return "any text"


def parameter(default: Any, meaning: str, valid: Any) -> Any:
    """A field of `Config`: its default, what it means, and the values it may have."""
    return dataclasses.field(default=default, metadata={"meaning": meaning, "valid": valid})


POSITIVE, NOT_NEGATIVE = Interval(0, without_low=True), Interval(0)


def reject_unknown(given: Iterable[str], valid: Iterable[str]) -> None:
    """Raise `ValueError` for the first name of `given` that is not in `valid`, with the nearest."""
    valid = list(valid)
    for name in given:
        if name not in valid:
            near = difflib.get_close_matches(name, valid, n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"unknown parameter {name!r}{hint} Valid parameters: {', '.join(sorted(valid))}"
            )


def checked(field: dataclasses.Field, value: Any) -> Any:
    """`value` in the type of the field; `ValueError` if it has another type or is out of range."""
    kind = {"int": int, "float": float, "str": str, "bool": bool}[str(field.type)]
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or value not in field.metadata["valid"]:
        raise ValueError(
            f"{field.name}={value!r} is not valid: {field.name} ({field.metadata['meaning']}) "
            f"takes {kind.__name__}: {_words(field.metadata['valid'])}"
        )
    return value


def literal_assignments(cell: str) -> list[str]:
    """The names a notebook cell sets, if all it does is to set names to literals; else none."""
    names = []
    try:
        for statement in ast.parse(cell).body:
            (target,) = getattr(statement, "targets", None) or [statement.target]  # type: ignore
            ast.literal_eval(statement.value)  # type: ignore[attr-defined]
            names.append(target.id)
    except (AttributeError, SyntaxError, TypeError, ValueError):
        return []
    return names


def _words(valid: Any) -> str:
    return ", ".join(map(str, valid)) if type(valid) is tuple else str(valid)
