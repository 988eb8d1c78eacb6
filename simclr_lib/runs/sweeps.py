"""Many runs as one: a list of configurations, run or found in the records, as one tidy table.

A run that is recorded is not made again, so a sweep that was interrupted goes on where it stopped,
and sweeps that have a configuration in common share its run. On a CPU several runs go on at a time,
each in a process with one thread: small networks leave more threads idle.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from typing import Any

import torch

from ..config import Config
from ..machine import devices, threads, workers
from ..machine.preemption import Termination
from ..machine.progress import Progress
from ..machine.versions import commit
from ..methods import class_of
from .jobs import sorted_out, stages, work
from .one import check_labels, make
from .records import provenance


def run(jobs: Sequence[Config], label: str = "sweep", processes: int = 0) -> None:
    """Train, evaluate and record every job that the user's records do not hold yet.

    One line of progress for all of them. What they begin with (`Method.needs`) is made first, where
    no weights of it are there. `processes` runs go on at a time; 0 means as many as there are cores
    on a CPU, at most 8, and one on anything else, or if a run takes several processes for itself.
    From a script, call this under `if __name__ == "__main__":`. A run that diverges is recorded as
    such, with its message and no metrics; any other error ends the sweep, and what is recorded
    stays recorded. Terminated (SIGTERM), all runs write their checkpoints and end; called
    again, the sweep goes on from there.
    """
    todo, known = sorted_out(jobs)
    if known:
        count = f"{len(known)} of {len(known) + len(todo)} already recorded"
        print(f"{label}: {count} ({provenance(known)})")
    commit()  # the code that runs is that of the beginning
    parts = stages(todo)
    for job in (job for part in parts[1:] for job in part):
        check_labels(job)  # not after hours of pretraining
    for part in parts:
        _run(part, label if len(parts) == 1 else f"{label}, {part[0].method}", processes)


def _run(todo: list[Config], label: str, processes: int) -> None:
    """Runs that need nothing of each other."""
    if processes == 0:
        processes = min(threads.cores(), 8) if _on_cpu(todo) and not _together(todo) else 1
    line, processes = _Whole(label, todo), min(processes, len(todo))
    if processes == 1:
        for index, job in enumerate(todo):
            _make(job, index, line.done, line.show)
            line.show()
    else:
        _run_in_processes(todo, processes, line)


def _on_cpu(jobs: Sequence[Config]) -> bool:
    return all(devices.choose(job.device).type == "cpu" for job in jobs)


def _together(jobs: Sequence[Config]) -> bool:
    return any(devices.processes(class_of(job).recipe(job)) > 1 for job in jobs)


class _Whole(Progress):
    """One line for all runs; `done` holds how much of each is done, 0 to 1."""

    def __init__(self, label: str, jobs: Sequence[Config]) -> None:
        super().__init__(label, 1000)
        self.weights = [work(job) + 1e-3 for job in jobs]
        self.done: Any = [0.0] * len(jobs)

    def show(self, note: str = "") -> None:
        whole = sum(w * d for w, d in zip(self.weights, self.done, strict=True)) / sum(self.weights)
        runs = sum(d >= 1 for d in self.done)
        complete = runs == len(self.done)
        count = f"{runs}/{len(self.done)} runs"
        self.update(1000 if complete else min(int(1000 * whole), 999), note, count)


def _make(job: Config, index: int, done: Any, show: Callable[[str], None]) -> int:
    """`make`, noting in `done[index]` how much is done, from 0 to 1. Returns `index`."""

    def report(updates: int, total: int, note: str) -> None:
        done[index] = min(updates / total, 0.999)
        show(note)

    make(job, report)
    done[index] = 1.0
    return index


_done: Any = None  # in a worker process: how much of every run is done, for all to see


def _run_in_processes(jobs: Sequence[Config], processes: int, line: _Whole) -> None:
    """`_make` for every job, `processes` at a time; the first error stops them all."""
    context = multiprocessing.get_context("spawn")
    line.done = context.Array("d", len(jobs), lock=False)
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        processes, context, _begin, (line.done, max(threads.cores() // processes, 1))
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


def _begin(done: Any, number: int) -> None:
    global _done
    _done = done
    workers.follow_parent()
    torch.set_num_threads(number)


def _make_in_process(index: int, job: Config) -> int:
    return _make(job, index, _done, lambda note: None)
