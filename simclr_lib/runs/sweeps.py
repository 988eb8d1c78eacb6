"""Many runs as one: a list of configurations, run or found in the records, as one tidy table.

A run that is recorded is not made again, so a sweep that was interrupted goes on where it stopped,
and sweeps that have a configuration in common share its run. On a CPU several runs go on at a time,
each in a process with one thread: small networks leave more threads idle.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import torch

from ..data.images import Data
from ..machine import devices, parallel, workers
from ..machine.preemption import Termination
from ..machine.progress import Progress
from ..machine.versions import commit
from ..parameters import reject_unknown
from . import costs, records
from .jobs import Job
from .one import METHODS, make

if TYPE_CHECKING:
    pass


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
    commit()  # the code that runs is that of the beginning
    if processes == 0:
        processes = min(_cores(), 8) if _on_cpu(todo) and not _share(todo) else 1
    line, processes = _Whole(label, todo), min(processes, len(todo))
    if processes == 1:
        for index, job in enumerate(todo):
            _make(job, index, line.done, line.show)
            line.show()
    else:
        _run_in_processes(todo, processes, line)


def cost(jobs: Sequence[Job], images: Data) -> str:
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


def _make(job: Job, index: int, done: Any, show: Callable[[str], None]) -> int:
    """`make`, noting in `done[index]` how much is done, from 0 to 1. Returns `index`."""

    def report(updates: int, total: int, note: str) -> None:
        done[index] = min(updates / total, 0.999)
        show(note)

    make(job, report)
    done[index] = 1.0
    return index


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
