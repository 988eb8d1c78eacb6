"""Records as tidy tables: a row a run, then means over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..config import Config
from ..identity import identity
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
    for a plot, say); method, seed, source ("reference" or "yours"); the `metrics`; for figures
    `value`, the first of them, and `kind`, the source; `failed`, true of a run that diverged, which
    has no metrics. `config` says where the user's own records are; without, only the committed ones
    are read. A JPEG copy of a data set counts as that data set.
    """
    import pandas as pd

    wanted: dict[tuple, int] = {}
    for index, job in enumerate(jobs):
        wanted.setdefault(_key(job.as_record(), job.method), index)
    rows = []
    for record in records.read(config):
        place = wanted.get(_key(record["config"], record["method"]))
        if place is None:
            continue
        found = [record["metrics"].get(name) for name in metrics]
        rows.append(
            [place]
            + [record["config"][name] for name in axes]
            + [make(jobs[place]) for make in columns.values()]
            + [record[name] for name in ("method", "seed", "source")]
            + [*found, found[0], record["source"], "failed" in record]
        )
    names = [*axes, *columns, "method", "seed", "source", *metrics, "value", "kind", "failed"]
    rows.sort(key=lambda row: row[0])
    return pd.DataFrame([row[1:] for row in rows], columns=names)


def summary(found: pd.DataFrame, *by: str, metric: str = "linear") -> pd.DataFrame:
    """Mean, standard deviation and number of seeds of a metric for every value of `by`.

    A seed that both a reference run and one of the user's has counts once, as the user's.
    """
    latest = found.assign(place=range(len(found))).sort_values("source", kind="stable")
    one = latest.drop_duplicates([*by, "method", "seed"], keep="last").sort_values("place")
    grouped = one.dropna(subset=[metric]).groupby(list(by), sort=False)[metric]
    return grouped.agg(mean="mean", std="std", seeds="count").reset_index()


def _key(config: dict[str, Any], method: str) -> tuple:
    dataset = config["dataset"].removesuffix("-jpeg")
    return identity(config | {"dataset": dataset}, method, "seed", "probe_epochs")
