"""Lists of runs to make: a job is a `Config`, and a sweep is a list of them."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..config import Config
from ..identity import run_ids
from ..machine import devices, parallel
from ..methods import class_of
from ..train import files
from . import records


def grid(config: Config, **axes: Sequence[Any]) -> list[Config]:
    """A job for every combination of the values of the axes, which are names of parameters.

    `method` is a parameter like any other. The last axis varies fastest. Raises `ValueError` for a
    name or value that `Config` refuses.
    """
    combinations = itertools.product(*axes.values())
    return [config.replace(**dict(zip(axes, values, strict=True))) for values in combinations]


def possible(config: Config, **axes: Sequence[Any]) -> list[Config]:
    """`grid` without what `Config` refuses, say a training shorter than the warm-up of a preset.

    For what is only looked up in the records; what is asked for should be refused aloud.
    """
    found: list[Config] = []
    for values in itertools.product(*axes.values()):
        with contextlib.suppress(ValueError):
            found.append(config.replace(**dict(zip(axes, values, strict=True))))
    return found


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
    method = class_of(job)
    share = job.label_share if method.classifies and method.labelled else 1.0
    return method.passes * method.recipe(job).epochs * share * job.width * job.depth


def stages(jobs: Sequence[Config]) -> list[list[Config]]:
    """The jobs, and before them the runs that they begin with where no weights of these are there.

    A list for every stage: what it needs is in those before.
    """
    own = dict(zip(run_ids(jobs), jobs, strict=True))
    stage_of, waiting = dict.fromkeys(own, 0), list(own)  # counted from the last
    while waiting:
        name = waiting.pop()
        needs = class_of(own[name]).needs(own[name]).values()
        runs = [need for need in needs if isinstance(need, Config)]
        for other, run in zip(run_ids(runs), runs, strict=True):
            if other not in own and _is_over(run):
                continue  # and so what it began with is not needed
            own.setdefault(other, run)
            if stage_of.get(other, -1) <= stage_of[name]:
                stage_of[other] = stage_of[name] + 1
                waiting.append(other)
    first = max(stage_of.values(), default=-1)
    return [[own[n] for n, at in stage_of.items() if at == part] for part in range(first, -1, -1)]


def _is_over(job: Config) -> bool:
    """Whether the run has left its weights, or diverged; of several hosts, as the first says."""
    weights = files.places(job).weights
    return parallel.from_first(lambda: weights.exists() or bool(records.failure(job)))
