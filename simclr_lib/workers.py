"""Processes that train together, started by one call from a notebook cell or a script."""

from __future__ import annotations

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

from . import parallel
from .preemption import Termination

GRACE = 30.0  # seconds a worker gets to save and end when it is asked to


class WorkerError(RuntimeError):
    """A worker failed or was lost; the message names its rank, and holds its traceback if any."""


def together(
    function: Callable[..., Any],
    *arguments: Any,
    processes: int,
    report: Callable[..., None] | None = None,
) -> Any:
    """Call `function(*arguments, send)` in new processes that train together; what rank 0 returns.

    `function` must be importable, and its result plain values. What rank 0 tells `send` comes out
    of `report` here while it works. If one fails or is killed, the others are ended and
    `WorkerError` is raised within seconds. Interrupted or terminated, the workers are asked to end
    first, so that they can save.
    """
    context = torch.multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as meeting, Termination() as termination:
        address = (Path(meeting) / "here").as_uri()
        workers, readers = [], []
        for rank in range(processes):
            reader, writer = context.Pipe(duplex=False)
            task = (rank, processes, address, writer, function, arguments)
            workers.append(context.Process(target=_work, args=task, name=f"rank {rank}"))
            workers[-1].start()
            writer.close()  # here; so that its end in the worker is the last one
            readers.append(reader)
        try:
            return _watch(workers, readers, report or (lambda *message: None), termination)
        finally:
            for worker in workers:
                worker.kill()
            for worker in workers:
                worker.join()


def _watch(workers: list, readers: list, report: Callable[..., None], termination: Any) -> Any:
    """Pass on reports until all workers are done; see `together`."""
    result, errors, running = None, {}, dict(zip(readers, workers, strict=True))
    try:
        while running and not errors and not termination.asked:
            for reader in connection.wait(list(running), timeout=0.2):
                try:
                    kind, *content = reader.recv()
                except EOFError:  # it has ended, in whatever way
                    worker = running.pop(reader)
                    worker.join()
                    if worker.exitcode:
                        errors[worker.name] = (-1.0, _how_it_ended(worker.exitcode))
                    continue
                if kind == "report":
                    report(*content)
                elif kind == "result":
                    (result,) = content
                else:
                    errors[running[reader].name] = content
    except BaseException:
        end(workers)
        raise
    if termination.asked:
        end(workers)
        termination.now()
    if errors:
        raise WorkerError(_first(workers, readers, errors))
    return result


def _how_it_ended(exitcode: int) -> str:
    if exitcode < 0:
        out_of_memory = " (is the memory full?)" if exitcode == -signal.SIGKILL else ""
        return f"was killed by {signal.Signals(-exitcode).name}{out_of_memory}"
    return f"ended with exit status {exitcode}"


def _first(workers: list, readers: list, errors: dict[str, Any]) -> str:
    """The failure behind all others in words: a lost worker, or else the earliest error."""
    time.sleep(1.0)  # whoever lost the connection to it may have been quicker to say so
    for worker, reader in zip(workers, readers, strict=True):
        try:
            while reader.poll():
                kind, *content = reader.recv()
                if kind == "error":
                    errors.setdefault(worker.name, content)
        except (EOFError, OSError):
            if worker.exitcode and worker.name not in errors:
                errors[worker.name] = (-1.0, _how_it_ended(worker.exitcode))
    name, (_, text) = min(errors.items(), key=lambda item: item[1][0])
    return f"all were ended because {name} of {len(workers)} {text}"


def end(workers: list) -> None:
    """Ask processes to end, and wait while they save, but not for ever."""
    for worker in workers:
        worker.terminate()
    deadline = time.monotonic() + GRACE
    for worker in workers:
        worker.join(max(deadline - time.monotonic(), 0.0))


def _work(
    rank: int, processes: int, address: str, writer: Any, function: Callable, arguments: tuple
) -> None:
    """What a worker does, in its own process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it decides
    follow_parent()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(max((cores or 1) // processes, 1))
    try:
        parallel.join(rank, processes, address)
        send = (lambda *message: writer.send(("report", *message))) if rank == 0 else None
        result = function(*arguments, send)
        if rank == 0:
            writer.send(("result", result))
        parallel.leave()
    except Exception:
        writer.send(("error", time.time(), f"failed:\n{traceback.format_exc()}"))
        raise SystemExit(1) from None


def follow_parent() -> None:
    """End this process, as if terminated, when the one that started it is gone."""

    def wait() -> None:
        connection.wait([parent_process().sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
