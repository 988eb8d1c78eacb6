"""Records as tidy tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..config import Config
from ..identity import identity
from . import records
from .jobs import Job

if TYPE_CHECKING:
    import pandas as pd


METRICS = ("linear", "linear_z", "knn", "contrastive_accuracy", "entropy")


def table(
    jobs: Sequence[Job],
    *axes: str,
    config: Config | None = None,
    metrics: Sequence[str] = METRICS,
) -> pd.DataFrame:
    """One row for each record of these jobs, of any seed: axes, method, seed, source, metrics.

    `failed` is true of a run that diverged, which has no metrics. `axes` name parameters. `config`
    says where the user's own records are; without, only the committed ones are read. A JPEG copy of
    a data set counts as that data set.
    """
    import pandas as pd

    wanted = {_identity(job.config.as_record(), job.method) for job in jobs}
    rows = [
        {name: record["config"][name] for name in axes}
        | {name: record[name] for name in ("method", "seed", "source")}
        | {name: record["metrics"].get(name) for name in metrics}
        | {"failed": "failed" in record}
        for record in records.read(config)
        if _identity(record["config"], record["method"]) in wanted
    ]
    return pd.DataFrame(rows, columns=[*axes, "method", "seed", "source", *metrics, "failed"])


def summary(found: pd.DataFrame, *by: str, metric: str = "linear") -> pd.DataFrame:
    """Mean, standard deviation and number of seeds of a metric for every value of `by`.

    A seed that both a reference run and one of the user's has counts once, as the user's.
    """
    one = found.sort_values("source").drop_duplicates([*by, "method", "seed"], keep="last")
    grouped = one.dropna(subset=[metric]).groupby(list(by), sort=False)[metric]
    return grouped.agg(mean="mean", std="std", seeds="count").reset_index()


def _identity(config: dict[str, Any], method: str) -> tuple:
    plain = config | {"dataset": config["dataset"].removesuffix("-jpeg")}
    return identity(plain, method, "seed", "probe_epochs")
