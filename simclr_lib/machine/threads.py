"""Threads of the CPU: how many the machine gives us, and how a run uses them.

A network of few channels gains nothing by a second thread, and waits for it, up to sixty times as
long, where another program wants that core. So it has one, and another makes its next views.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

import torch

from ..config import Config
from . import groups

T = TypeVar("T")
DEPTH = 2  # batches that are made ahead
NARROW = 16  # channels of the stem up to which one thread is best
FEW = 2**22  # numbers in the features of a probe for which that holds


def cores() -> int:
    """Cores for this process: those of its affinity, or fewer if a cgroup gives less time."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([here, *_shares()])))


def _shares() -> list[float]:
    """Cores' worth of time that each limit above this process gives."""
    shares = []
    for place, version in groups.around("cpu"):
        with contextlib.suppress(OSError, ValueError):  # "max" is no number
            if version == 2:
                quota, period = map(int, (place / "cpu.max").read_text().split())
            else:
                names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
                quota, period = (int((place / name).read_text()) for name in names)
            if quota > 0:  # -1: no limit
                shares.append(quota / period)
    return shares


@contextlib.contextmanager
def of_run(config: Config, device: torch.device) -> Iterator[bool]:
    """Inside, PyTorch has as many threads as a run should; whether others are left for the views.

    `config.threads`; or if that is 0, one for a narrow network on a CPU, for another as many as
    PyTorch has and the machine gives. Afterwards PyTorch has as many as before.
    """
    most = cores()
    given, here = min(torch.get_num_threads(), most), device.type == "cpu"
    narrow = here and round(config.base_channels * config.width) <= NARROW
    number = config.threads or (1 if narrow else given)
    with limited(number):
        yield here and number < (most if config.threads else given)


@contextlib.contextmanager
def limited(number: int) -> Iterator[None]:
    """Inside, PyTorch has so many threads, afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def for_numbers(count: int) -> contextlib.AbstractContextManager[None]:
    """One thread for work on so few numbers that waiting for a second may take longer."""
    return limited(1) if count <= FEW else contextlib.nullcontext()


def ahead(made: Iterator[T]) -> Iterator[T]:
    """The items of `made`, each made by another thread while those before are in use.

    An error comes where its item would have come. The thread ends when this is closed.
    """
    line: queue.Queue[tuple[list[T], BaseException | None]] = queue.Queue(DEPTH)
    end = threading.Event()

    def put(*message: object) -> None:
        while not end.is_set():
            with contextlib.suppress(queue.Full):
                return line.put(message, timeout=0.1)  # type: ignore[arg-type]

    def work() -> None:
        try:
            for item in made:
                put([item], None)
                if end.is_set():
                    return
            put([], None)
        except BaseException as error:
            put([], error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            items, error = line.get()
            if error is not None:
                raise error
            if not items:
                return
            yield items[0]
    finally:
        end.set()
        thread.join()
