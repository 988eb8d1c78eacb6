"""Two programs measured side by side: in turns, each in a process of its own, the other halted."""

from __future__ import annotations

import multiprocessing
import os
import signal
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

PAIRS = 5  # turns of each side; the machine's speed drifts, so only ratios within a pair count


class Row(NamedTuple):
    """One line of the table. `ratio` is above 1 where ours is faster, or uses less."""

    what: str
    ours: str
    other: str
    ratio: float | None = None
    spread: tuple[float, float] | None = None  # smallest and largest ratio of a pair


class Side:
    """`factory(*args)` called in a process of its own, which returns the work to be timed.

    `turn()` does the work once and returns its seconds, or what the work returns. Between turns the
    process and its children are halted, so nothing is prepared in the other side's time.
    """

    def __init__(self, factory: Callable[..., Callable[[], Any]], *args: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, factory, args))
        self.process.start()
        theirs.close()
        self._receive()  # ready
        self._signal(signal.SIGSTOP)

    def turn(self) -> Any:
        self._signal(signal.SIGCONT)
        self.pipe.send("go")
        answer = self._receive()
        self._signal(signal.SIGSTOP)
        return answer

    def close(self) -> None:
        self._signal(signal.SIGKILL)
        self.process.join()

    def _signal(self, number: int) -> None:
        os.killpg(self.process.pid, number)  # type: ignore[arg-type]

    def _receive(self) -> Any:
        try:
            answer = self.pipe.recv()
        except EOFError:
            raise RuntimeError("a side of the comparison ended early; its error is above") from None
        return answer


def _serve(pipe: Any, factory: Callable[..., Callable[[], Any]], args: tuple) -> None:
    os.setsid()  # a process group of our own, with all workers that we start
    work = factory(*args)
    work()  # the first time builds caches
    pipe.send("ready")
    while pipe.recv() == "go":
        begun = time.perf_counter()
        result = work()
        pipe.send(time.perf_counter() - begun if result is None else result)


def compare(ours: tuple, other: tuple, pairs: int = PAIRS) -> tuple[list[Any], list[Any]]:
    """What `pairs` turns of both sides give; each side is (factory, *args)."""
    sides: list[Side] = []
    try:
        for factory, *args in (ours, other):
            sides.append(Side(factory, *args))
        results = [(sides[0].turn(), sides[1].turn()) for _ in range(pairs)]
    finally:
        for side in sides:
            side.close()
    first, second = zip(*results, strict=True)
    return list(first), list(second)


def row(what: str, work: float, unit: str, ours: list[float], other: list[float]) -> Row:
    """A line of rates: `work` units in each turn of so many seconds."""
    ratios = [b / a for a, b in zip(ours, other, strict=True)]
    rates = [f"{work / statistics.median(times):,.0f} {unit}" for times in (ours, other)]
    return Row(what, *rates, statistics.median(ratios), (min(ratios), max(ratios)))
