"""Records as tidy tables: a row a run, then means over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..config import Config
from ..identity import identities, identity, name_of
from . import records

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("linear", "linear_z", "knn", "contrastive_accuracy", "entropy")


def table(
    jobs: Sequence[Config],
    *axes: str,
    config: Config | None = None,
    metrics: Sequence[str] = METRICS,
    data: str = "",
    **columns: Callable[[Config], Any],
) -> pd.DataFrame:
    """One row for each record of these jobs, of any seed, in the order of the jobs.

    Columns: the `axes`, which name parameters; one for each of `columns`, made from the job (a name
    for a plot, say); method, seed, source ("reference" or "yours"), precision; the `metrics`; for
    figures `value`, the first of them, and `kind`, the source; `failed`, true of a run that
    diverged, which has no metrics; `run`, a name that the runs of all seeds and precisions share;
    `untrained`, the mean `value` of such encoders before training, where there are records of them.
    If there is no record of any of the jobs, a line says so.
    `config` says where the user's own records are; without, only the committed ones are read.
    `data` is the fingerprint of a folder that need not be here, in place of what the jobs name. A
    JPEG copy of a data set counts as that data set. With precision "auto" a job has the user's
    records of the numbers that "auto" means on this machine, and the reference runs of any.
    """
    import pandas as pd

    own = [name for name in axes if name not in ("method", "seed", "precision")]  # always there
    sought = [identity(job, data) for job in jobs] if data else identities(jobs)
    wanted: dict[tuple, dict[tuple, list[int]]] = {}  # by run, by label in the table: which jobs
    for index, (job, found) in enumerate(zip(jobs, sought, strict=True)):
        label = tuple(getattr(job, name) for name in own)
        label += tuple(make(job) for make in columns.values())
        wanted.setdefault(_key(found), {}).setdefault(label, []).append(index)
    untrained = [
        _key(identity(job.replace(method="random"), found["data"]))
        for job, found in zip(jobs, sought, strict=True)
    ]
    floors: dict[tuple, list[float]] = {key: [] for key in untrained}
    rows = []
    for record in records.read(config):
        key = _key(record["identity"])
        floors.get(key, []).append(record["metrics"].get(metrics[0], math.nan))
        places = _places(record, wanted.get(key, {}), jobs, sought)
        for label, place in places.items():
            values = [record["metrics"].get(name) for name in metrics]
            rows.append(
                [place, *label]
                + [record[name] for name in ("method", "seed", "source", "precision")]
                + [*values, values[0], record["source"], "failed" in record, name_of(dict(key))]
            )
    if jobs and not rows:
        where = f"the data {data}" if data else jobs[0].dataset
        print(f"no records of these {len(jobs)} runs on {where}; `runs.run` makes them")
    names = [*own, *columns, "method", "seed", "source", "precision", *metrics]
    names += ["value", "kind", "failed", "run"]
    rows.sort(key=lambda row: row[0])
    floor = [np.mean(floors[untrained[row[0]]] or [math.nan]) for row in rows]
    return pd.DataFrame([row[1:] for row in rows], columns=names).assign(untrained=floor)


def _places(
    record: dict[str, Any],
    labels: dict[tuple, list[int]],
    jobs: Sequence[Config],
    sought: Sequence[dict[str, Any]],
) -> dict[tuple, int]:
    """Under which labels a record stands, each with the first of the jobs that it answers.

    If one of them asks for the seed of the record, those that ask for others do not count.
    """
    fits: dict[tuple, list[int]] = {}
    for label, places in labels.items():
        for place in places:
            any_will_do = jobs[place].precision == "auto" and record["source"] == "reference"
            if any_will_do or record["precision"] == sought[place]["precision"]:
                fits.setdefault(label, []).append(place)
    same = {
        label for label, places in fits.items()
        if any(jobs[place].seed == record["seed"] for place in places)
    }  # fmt: skip
    return {label: places[0] for label, places in fits.items() if label in same or not same}


def summary(found: pd.DataFrame, *by: str, metric: str = "linear") -> pd.DataFrame:
    """Mean, standard deviation and number of runs of a metric for every value of `by`.

    And `diverged`, how many more have no result; `learned`, how many of all are above `untrained`
    ("2 of 3"), if the table has that column for this metric. A seed that both a reference run and
    one of the user's has counts once, as the user's; runs in other numbers than the user's
    (bfloat16, float32) are left out where there are both. Raises `ValueError` without `by`.
    """
    if not by:
        raise ValueError("by=() is not valid; it must be one or more columns of the table")
    latest = found.assign(_order=range(len(found))).sort_values("source", kind="stable")
    one = latest.drop_duplicates([*by, "run", "seed"], keep="last")
    last = one.groupby([*by, "run"], sort=False, dropna=False)["precision"].transform("last")
    one = one[one["precision"] == last].sort_values("_order")
    grouped = one.groupby(list(by), sort=False, dropna=False)
    means = grouped[metric].agg(mean="mean", std="std", seeds="count")
    means = means.assign(diverged=grouped["failed"].sum())
    if {"untrained", "value"} <= set(one) and one["value"].equals(one[metric]):  # what it is of
        means["learned"] = [_learned(rows, metric) for _, rows in grouped]
    return means.reset_index()


def chosen(found: pd.DataFrame, *by: str) -> pd.DataFrame:
    """Of every seed the run that is best on validation, for every value of the columns `by`.

    So a rate is chosen for each of those compared from the same few: a seed that lacks one of the
    runs that others have there is left out. The table needs a column "validation"; of equals the
    first stays. Raises `ValueError` if it has none.
    """
    if "validation" not in found:
        columns = list(found)
        raise ValueError(f"found={columns} is not valid; it must have a column validation")
    tried = found.groupby([*by, "seed"], dropna=False)["run"].transform("nunique")
    most = tried.groupby([found[name] for name in by], dropna=False).transform("max")
    best = found[tried == most].sort_values("validation", ascending=False, kind="stable")
    return best.drop_duplicates([*by, "seed"]).sort_index()


class Difference(NamedTuple):
    """Between the means of two groups of runs, in the unit of the metric."""

    value: float
    error: float  # standard error, by the scatter of both groups; nan if one has a single run
    seeds: tuple[int, int]  # runs in each, or in both, seed by seed
    paired: bool = False

    @property
    def shown(self) -> bool:
        """Whether it is above zero by more than two standard errors, with three runs or more."""
        return bool(min(self.seeds) >= 3 and self.value > 2 * self.error)

    def __str__(self) -> str:
        more, less = self.seeds
        count = f"{more} seeds, each with itself" if self.paired else f"{more} and {less} seeds"
        return f"{self.value:+.1f} ± {self.error:.1f} ({count})"


def difference(
    found: pd.DataFrame,
    by: str,
    more: Any,
    less: Any,
    metric: str = "linear",
    *,
    paired: bool = False,
) -> Difference:
    """By how much the runs with `more` in the column `by` are better than those with `less`.

    Runs count as in `summary`. `paired`: seed by seed, over the seeds that both have. That is the
    sharper question where the runs of a seed share what makes seeds differ, such as a pretraining
    and the labels that were drawn. Raises `ValueError` if the table has no such runs.
    """
    means = summary(found, by, metric=metric).set_index(by)
    for value in (more, less):
        if value not in means.index:
            known = ", ".join(map(repr, means.index))
            raise ValueError(f"{by}={value!r} is not in the table; it has {known or 'no runs'}")
    if paired:
        both = found[found[by].isin([more, less])]
        of_seed = summary(both, by, "seed", metric=metric).pivot(index="seed", columns=by)["mean"]
        gains = (of_seed[more] - of_seed[less]).dropna()
        error = gains.std() / math.sqrt(len(gains)) if len(gains) > 1 else math.nan
        return Difference(gains.mean(), error, (len(gains), len(gains)), paired=True)
    a, b = means.loc[more], means.loc[less]
    error = math.sqrt(sum(side["std"] ** 2 / side["seeds"] for side in (a, b)))
    return Difference(a["mean"] - b["mean"], error, (int(a["seeds"]), int(b["seeds"])))


def _learned(runs: pd.DataFrame, metric: str) -> str | None:
    """How many of these are above the untrained encoder; None if that is not known, or if they are
    untrained themselves."""
    if runs["untrained"].isna().any() or runs["method"].eq("random").all():
        return None
    return f"{(runs[metric] > runs['untrained']).sum()} of {len(runs)}"


def _key(identity: dict[str, Any]) -> tuple:
    """What two runs that differ in the seed, or in the precision, have in common."""
    same = {k: v for k, v in identity.items() if k not in ("seed", "precision")}
    return tuple(sorted((same | {"data": same["data"].removesuffix("-jpeg")}).items()))
