"""Processes that train together, started by one call from a notebook cell or a script."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing

from . import parallel, threads
from .preemption import Termination
from .progress import unheard

GRACE = 30.0  # seconds for the end of a worker that has nothing left to do, or was interrupted
PATIENCE = 600.0  # seconds for one that finishes its update and saves; the machine may allow less
SECONDARY = (signal.SIGABRT, signal.SIGTERM)  # by which a worker dies of what another did


class WorkerError(RuntimeError):
    """A worker failed or was lost; the message names its rank, and holds its traceback if any."""


def together(
    function: Callable[..., Any],
    *arguments: Any,
    processes: int,
    gpus: bool = False,
    report: Callable[..., None] | None = None,
) -> Any:
    """Call `function(*arguments, send)` in new processes that train together; what rank 0 returns.

    `function` must be importable, and its result plain values; a script must make this call under
    `if __name__ == "__main__":`. With `gpus` each process has a GPU of its own. What rank 0 tells
    `send` comes out of `report` here; the others are not heard. If a process fails or is
    killed, the rest are ended and `WorkerError` is raised within seconds. Interrupted or
    terminated, the workers are asked to end first, so that they can save.
    """
    context = torch.multiprocessing.get_context("spawn")
    with Termination() as termination, tempfile.TemporaryDirectory() as meeting:
        task = Path(meeting) / "task.pt"
        torch.save((function, arguments), task)  # not through shared memory, which may be small
        workers, readers = [], []
        try:
            for rank in range(processes):
                reader, writer = context.Pipe(duplex=False)
                readers.append(reader)
                with writer:  # so that its end in the worker is the last one
                    worker = context.Process(
                        target=_work,
                        args=(rank, processes, meeting, writer),
                        kwargs={"gpus": gpus},
                        name=f"rank {rank}",
                    )
                    worker.start()
                workers.append(worker)
            result = _watch(workers, readers, report or unheard, termination)
        finally:
            for worker in workers:
                worker.kill()
            for worker in workers:
                worker.join()
            for reader in readers:
                reader.close()
    return result  # or, if terminated, the end: see `Termination`


def _watch(workers: list, readers: list, report: Callable[..., None], termination: Any) -> Any:
    """Pass on reports until all workers are done; see `together`."""
    speaking = dict(zip(readers, workers, strict=True))  # those whose end was not heard yet
    result: list[Any] = []
    failures: dict[str, tuple[float, str]] = {}  # when, and what happened

    def hear(seconds: float) -> None:
        ready: list[Any] = connection.wait(list(speaking), seconds)
        for reader in ready:
            try:
                kind, *content = reader.recv()
            except (EOFError, OSError):  # the end, perhaps in the middle of a message
                del speaking[reader]
                continue
            if kind == "report":
                report(*content)
            elif kind == "result":
                result.extend(content)
            else:
                failures.setdefault(speaking[reader].name, tuple(content))

    def look() -> bool:
        """Whether any worker is still there; notes those that were lost."""
        for reader, worker in zip(readers, workers, strict=True):
            if worker.exitcode and not (reader in speaking and reader.poll()):
                failures.setdefault(worker.name, _loss(worker.exitcode))
        return any(worker.is_alive() for worker in workers)

    try:
        while look() and not failures and not termination.asked:
            hear(0.2)
    except BaseException:
        end(workers, GRACE)
        raise
    if termination.asked:
        end(workers, PATIENCE)
        return None
    begun = time.monotonic()
    while connection.wait(list(speaking), 0) or (failures and time.monotonic() < begun + 1):
        hear(0.1)  # whoever lost the connection to a process may be quicker than what it says
        look()
    if result:
        return result[0]
    name, (_, text) = min(failures.items(), key=lambda item: item[1][0])
    raise WorkerError(f"all were ended because {name} of {len(workers)} {text}")


def _loss(exitcode: int) -> tuple[float, str]:
    """What an exit status means: its place among the causes, and words for it."""
    if exitcode > 0:
        return 0.0, (
            f"ended with exit status {exitcode}; if this is a script, does it make its calls under "
            'if __name__ == "__main__"?'
        )
    name = signal.Signals(-exitcode).name
    memory = " (is the memory full?)" if exitcode == -signal.SIGKILL else ""
    return math.inf if -exitcode in SECONDARY else -1.0, f"was killed by {name}{memory}"


def end(workers: list, seconds: float) -> None:
    """Ask processes to end, and wait while they save, but not for ever."""
    for worker in workers:
        worker.terminate()
    deadline = time.monotonic() + seconds
    for worker in workers:
        worker.join(max(deadline - time.monotonic(), 0.0))


def _work(rank: int, processes: int, meeting: str, writer: Any, *, gpus: bool) -> None:
    """What a worker does, in its own process."""
    follow_parent()
    if processes > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(threads.cores() // processes, 1))

    def send(*message: Any) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more: there is still to save
            writer.send(("report", *message))

    try:
        # Only what this library has just written there.
        task = torch.load(Path(meeting) / "task.pt", mmap=True, weights_only=False)
        function, arguments = task
        parallel.join(rank, processes, rank if gpus else None, f"file://{meeting}/here")
        result = function(*arguments, send if rank == 0 else unheard)
        if rank == 0:
            writer.send(("result", result))
        parallel.leave()
    except Exception:
        with contextlib.suppress(OSError):
            writer.send(("error", time.time(), f"failed:\n{traceback.format_exc()}"))
        raise SystemExit(1) from None


def follow_parent() -> None:
    """Leave interrupts to the process that started this one, and end, as if terminated, with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is None:  # nobody to follow
        return

    def wait() -> None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PATIENCE)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
