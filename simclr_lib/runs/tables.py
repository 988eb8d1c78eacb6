"""Records as tidy tables: a row a run, then means over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..config import Config
from ..identity import identities
from . import records

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("linear", "linear_z", "knn", "contrastive_accuracy", "entropy")


def table(
    jobs: Sequence[Config],
    *axes: str,
    config: Config | None = None,
    metrics: Sequence[str] = METRICS,
    **columns: Callable[[Config], Any],
) -> pd.DataFrame:
    """One row for each record of these jobs, of any seed, in the order of the jobs.

    Columns: the `axes`, which name parameters; one for each of `columns`, made from the job (a name
    for a plot, say); method, seed, source ("reference" or "yours"), precision; the `metrics`; for
    figures `value`, the first of them, and `kind`, the source; `failed`, true of a run that
    diverged, which has no metrics. `config` says where the user's own records are; without, only
    the committed ones are read. A JPEG copy of a data set counts as that data set. With precision
    "auto" a job has the user's records of the numbers that "auto" means on this machine, and the
    reference runs of any.
    """
    import pandas as pd

    sought = identities(jobs)
    wanted: dict[tuple, dict[tuple, int]] = {}  # jobs that differ in the seed are one row's
    labels = [
        (*(getattr(job, name) for name in axes), *(make(job) for make in columns.values()))
        for job in jobs
    ]
    for index, (found, label) in enumerate(zip(sought, labels, strict=True)):
        wanted.setdefault(_key(found), {}).setdefault(label, index)
    rows = []
    for record in records.read(config):
        for label, place in wanted.get(_key(record["identity"]), {}).items():
            job, precision = jobs[place], record["identity"]["precision"]
            any_will_do = job.precision == "auto" and record["source"] == "reference"
            if precision != sought[place]["precision"] and not any_will_do:
                continue
            values = [record["metrics"].get(name) for name in metrics]
            rows.append(
                [place, *label]
                + [record[name] for name in ("method", "seed", "source")]
                + [precision, *values, values[0], record["source"], "failed" in record]
            )
    names = [*axes, *columns, "method", "seed", "source", "precision", *metrics]
    names += ["value", "kind", "failed"]
    rows.sort(key=lambda row: row[0])
    return pd.DataFrame([row[1:] for row in rows], columns=names)


def summary(found: pd.DataFrame, *by: str, metric: str = "linear") -> pd.DataFrame:
    """Mean, standard deviation and number of seeds of a metric for every value of `by`.

    And `diverged`, how many more seeds have no result. A seed that both a reference run and one of
    the user's has counts once, as the user's; runs in other numbers than the user's (bfloat16,
    float32) are left out where there are both.
    """
    latest = found.assign(place=range(len(found))).sort_values("source", kind="stable")
    one = latest.drop_duplicates([*by, "method", "seed"], keep="last")
    last = one.groupby([*by, "method"], sort=False, dropna=False)["precision"].transform("last")
    one = one[one["precision"] == last].sort_values("place")
    grouped = one.groupby(list(by), sort=False)
    means = grouped[metric].agg(mean="mean", std="std", seeds="count")
    return means.assign(diverged=grouped["failed"].sum()).reset_index()


def _key(identity: dict[str, Any]) -> tuple:
    """What two runs that differ in the seed, or in the precision, have in common."""
    same = {k: v for k, v in identity.items() if k not in ("seed", "precision")}
    return tuple(sorted((same | {"data": same["data"].removesuffix("-jpeg")}).items()))
