"""Many runs as one: a list of configurations, run or found in the records, as one tidy table.

A run that is recorded is not made again, so a sweep that was interrupted goes on where it stopped,
and sweeps that have a configuration in common share its run. On a CPU several runs go on at a time,
each in a process with one thread: small networks leave more threads idle.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from . import costs, data, devices, evaluation, parallel, records, trainer, workers
from .config import Config, reject_unknown
from .encoders import parameter_count
from .preemption import Termination
from .progress import Progress, Report

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("random", "SimCLR", "supervised")
METRICS = ("linear", "linear_z", "knn", "contrastive_accuracy", "entropy")


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


def run(jobs: Sequence[Job], label: str = "sweep", processes: int = 0) -> None:
    """Make, evaluate and record every job that the user's records do not hold yet.

    One line of progress for all of them. `processes` runs go on at a time; 0 means as many as there
    are cores on a CPU, at most 8, and one on anything else, or if a run takes several processes for
    itself. From a script, call this under `if __name__ == "__main__":`. A run that diverges is
    recorded as such, with its message and no metrics; any other error ends the sweep, and what is
    recorded stays recorded. Terminated (SIGTERM), all runs write their checkpoints and end; called
    again, the sweep goes on from there.
    """
    for job in jobs:
        reject_unknown([job.method], METHODS)
    todo = not_recorded(jobs)
    known = len(set(jobs)) - len(todo)
    if known:
        print(f"{label}: {known} of {known + len(todo)} already recorded")
    if not todo:
        return
    records.commit()  # the code that runs is that of the beginning
    if processes == 0:
        processes = min(_cores(), 8) if _on_cpu(todo) and not _share(todo) else 1
    line, processes = _Whole(label, todo), min(processes, len(todo))
    if processes == 1:
        for index, job in enumerate(todo):
            _make(job, index, line.done, line.show)
            line.show()
    else:
        _run_in_processes(todo, processes, line)


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

    wanted = {(_identity(job.config.as_record()), job.method) for job in jobs}
    rows = [
        {name: record["config"][name] for name in axes}
        | {name: record[name] for name in ("method", "seed", "source")}
        | {name: record["metrics"].get(name) for name in metrics}
        | {"failed": "failed" in record}
        for record in records.read(config)
        if (_identity(record["config"]), record["method"]) in wanted
    ]
    return pd.DataFrame(rows, columns=[*axes, "method", "seed", "source", *metrics, "failed"])


def summary(found: pd.DataFrame, *by: str, metric: str = "linear") -> pd.DataFrame:
    """Mean, standard deviation and number of seeds of a metric for every value of `by`.

    A seed that both a reference run and one of the user's has counts once, as the user's.
    """
    one = found.sort_values("source").drop_duplicates([*by, "method", "seed"], keep="last")
    grouped = one.dropna(subset=[metric]).groupby(list(by), sort=False)[metric]
    return grouped.agg(mean="mean", std="std", seeds="count").reset_index()


def cost(jobs: Sequence[Job], images: data.Data) -> str:
    """What the jobs not yet recorded will take, in words, measured on a few updates of one."""
    todo = not_recorded(jobs)
    if not todo:
        return "all recorded: nothing to train"
    runs = "1 run" if len(todo) == 1 else f"{len(todo)} runs"
    simclr = Job(max(todo, key=_work).config)
    one = costs.estimate(simclr.config, images)
    minutes = one.seconds / 60 * sum(map(_work, todo)) / _work(simclr)
    return f"{runs} to train, about {minutes:.1f} min, {one.memory / 1e9:.1f} GB of memory each"


def not_recorded(jobs: Sequence[Job]) -> list[Job]:
    """Those that the user's records do not hold, each once; of several hosts, as the first says."""
    if any(job.config.device == "xla" for job in jobs):
        devices.choose("xla")  # here the hosts find each other
    once = list(dict.fromkeys(jobs))
    there = parallel.from_first(lambda: [records.path_of(*job).exists() for job in once])
    return [job for job, recorded in zip(once, there, strict=True) if not recorded]


def _identity(config: dict[str, Any]) -> tuple:
    return records.identity(
        config | {"dataset": config["dataset"].removesuffix("-jpeg")}, "seed", "probe_epochs"
    )


def _on_cpu(jobs: Sequence[Job]) -> bool:
    return all(devices.choose(job.config.device).type == "cpu" for job in jobs)


def _share(jobs: Sequence[Job]) -> bool:
    return any(devices.processes(job.config) > 1 for job in jobs)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _work(job: Job) -> float:
    """What the time of a run is about proportional to."""
    if job.method == "random":
        return 0.0
    views = 2 if job.method == "SimCLR" else 1
    return views * job.config.epochs * job.config.width * job.config.depth


class _Whole(Progress):
    """One line for all runs; `done` holds the share of each that is done, 0 to 1."""

    def __init__(self, label: str, jobs: Sequence[Job]) -> None:
        super().__init__(label, 1000)
        self.weights = [_work(job) + 1e-3 for job in jobs]
        self.done: Any = [0.0] * len(jobs)

    def show(self, note: str = "") -> None:
        share = sum(w * d for w, d in zip(self.weights, self.done, strict=True)) / sum(self.weights)
        runs = sum(d >= 1 for d in self.done)
        complete = runs == len(self.done)
        count = f"{runs}/{len(self.done)} runs"
        self.update(1000 if complete else min(int(1000 * share), 999), note, count)


def make(job: Job, report: Report | None = None) -> None:
    """Train, evaluate and record one job.

    `report` is told how far the training is, instead of a line of its own. Of several processes
    that train together only the first goes on to evaluate, on its own; the hosts of a TPU pod do
    all of it together, and each writes the record.
    """
    config, method = job
    images = parallel.in_turn(lambda: _data(*(getattr(config, name) for name in _DATA_PARAMETERS)))
    train = {"SimCLR": trainer.pretrain, "supervised": trainer.train_supervised}
    encoder, run, head, more = trainer.random_encoder(config), None, None, {}
    if method in train:
        try:
            run = train[method](config, images, report=report, until_recorded=True)
        except trainer.NotFiniteError as error:
            more = {"failed": str(error)}
        else:
            encoder, head = run.encoder, run.head if method == "SimCLR" else None
    if not devices.leave(devices.choose(config.device)):
        return
    metrics = {} if more else evaluation.evaluate(encoder, images, config, head)
    metrics["parameters_M"] = parameter_count(encoder) / 1e6
    records.add(config, method, metrics, run, **more)
    if method in train:
        trainer.forget(config, method == "SimCLR")


def _make(job: Job, index: int, done: Any, show: Callable[[str], None]) -> int:
    """`make`, noting in `done[index]` how much is done, from 0 to 1. Returns `index`."""

    def report(updates: int, total: int, note: str) -> None:
        done[index] = min(updates / total, 0.999)
        show(note)

    make(job, report)
    done[index] = 1.0
    return index


_DATA_PARAMETERS = ("dataset", "data_dir", "mirror", "num_images", "image_size")


@lru_cache(maxsize=1)
def _data(*values: Any) -> data.Data:
    """The data set of these parameters, loaded once in every process."""
    parameters = dict(zip(_DATA_PARAMETERS, values, strict=True))
    return data.load(Config.create("paper", batch_size=2, **parameters))


_shared: Any = None  # in a worker process: the shares of all runs that are done


def _run_in_processes(jobs: Sequence[Job], processes: int, line: _Whole) -> None:
    """`_make` for every job, `processes` at a time; the first error stops them all."""
    context = multiprocessing.get_context("spawn")
    line.done = context.Array("d", len(jobs), lock=False)
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        processes, context, _begin, (line.done, max(_cores() // processes, 1))
    )
    with Termination() as termination:
        try:
            waiting = {pool.submit(_make_in_process, *item) for item in enumerate(jobs)}
            while waiting and not termination.asked:
                finished, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                line.show()
        except BaseException:  # also the user's interrupt
            _end(pool, others)
            raise
        if termination.asked:
            _end(pool, others)
            termination.now()
    pool.shutdown()


def _end(pool: ProcessPoolExecutor, others: set) -> None:
    """Ask the pool's workers to end; their runs write their checkpoints, and records stay."""
    pool.shutdown(wait=False, cancel_futures=True)
    workers.end([w for w in multiprocessing.active_children() if w not in others], workers.PATIENCE)


def _begin(shared: Any, threads: int) -> None:
    global _shared
    _shared = shared
    workers.follow_parent()
    torch.set_num_threads(threads)


def _make_in_process(index: int, job: Job) -> int:
    return _make(job, index, _shared, lambda note: None)
