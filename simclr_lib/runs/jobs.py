"""Lists of runs to make."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..config import Config

if TYPE_CHECKING:
    pass


class Job(NamedTuple):
    """One network of a sweep: how it is made, one of `METHODS`, and with which parameters."""

    config: Config
    method: str = "SimCLR"


def grid(config: Config, method: str = "SimCLR", **axes: Sequence[Any]) -> list[Job]:
    """A job for every combination of the values of the axes, which are names of parameters.

    The last axis varies fastest. Raises `ValueError` for a name or value that `Config` refuses.
    """
    combinations = itertools.product(*axes.values())
    return [Job(config.replace(**dict(zip(axes, c, strict=True))), method) for c in combinations]


def choice(name: str, given: Any, everything: Sequence[Any]) -> list[Any]:
    """The values that a notebook's parameter asks for: "all", or some joined by +.

    Texts must be among `everything`; numbers may be any, in the type of `everything`'s. Raises
    `ValueError` naming the parameter otherwise.
    """
    if given == "all":
        return list(everything)
    kind = type(everything[0])
    shown = ", ".join(map(str, everything))
    try:
        values = [kind(word) for word in str(given).split("+")]
    except ValueError:
        values = []
    if not values or (kind is str and not set(values) <= set(everything)):
        raise ValueError(f"{name}={given!r} is not valid; use all, or some of {shown}, joined by +")
    return values
