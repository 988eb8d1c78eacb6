"""Lists of runs to make: a job is a `Config`, and a sweep is a list of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..config import Config
from ..machine import devices, parallel
from ..methods import METHODS
from . import records


def grid(config: Config, **axes: Sequence[Any]) -> list[Config]:
    """A job for every combination of the values of the axes, which are names of parameters.

    `method` is a parameter like any other. The last axis varies fastest. Raises `ValueError` for a
    name or value that `Config` refuses.
    """
    combinations = itertools.product(*axes.values())
    return [config.replace(**dict(zip(axes, values, strict=True))) for values in combinations]


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


def not_recorded(jobs: Sequence[Config]) -> list[Config]:
    """Those that the user's records do not hold, each once; of several hosts, as the first says."""
    return sorted_out(jobs)[0]


def sorted_out(jobs: Sequence[Config]) -> tuple[list[Config], list[Path]]:
    """`not_recorded`, and the records of the others."""
    if any(job.device == "xla" for job in jobs):
        devices.choose("xla")  # here the hosts find each other
    own: dict[Path, Config] = {}
    for path, job in zip(records.paths_of(jobs), jobs, strict=True):
        own.setdefault(path, job)  # jobs that differ in what their method does not read are one run
    there = parallel.from_first(lambda: [path.exists() for path in own])
    todo = [job for job, recorded in zip(own.values(), there, strict=True) if not recorded]
    return todo, [path for path, recorded in zip(own, there, strict=True) if recorded]


def work(job: Config) -> float:
    """What the time of a run is about proportional to; 0 if nothing is trained."""
    return METHODS[job.method].passes * job.epochs * job.width * job.depth
