"""What a run will take on this machine, from a few updates of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..config import Config
from ..data.images import Data
from ..evaluation.needs import check
from ..machine import devices, threads, workers
from ..methods import build
from ..schedule import total_steps
from ..train.loop import set_up, stream
from ..train.update import update
from .jobs import not_recorded, stages, work


class Cost(NamedTuple):
    """What a run will take on this machine."""

    steps: int
    seconds: float
    memory: int  # bytes, peak of the process or GPU so far

    def __str__(self) -> str:
        short = self.seconds < 120
        words = f"{self.seconds:.0f} s" if short else f"{self.seconds / 60:.0f} min"
        return f"{self.steps} steps, about {words}, {self.memory / 1e9:.1f} GB of memory"


def estimate(config: Config, data: Data, measured: int = 4) -> Cost:
    """Time and memory that `train` will need, from a few updates of a throw-away copy."""
    method = build(config, len(data.classes))
    config = method.recipe(config)
    images = method.images(data)
    total = total_steps(len(images), config.batch_size, config.epochs)
    chunks, count = config.chunks, devices.processes(config)
    if count > 1:  # the part of one of them, without what they exchange
        size = max(config.batch_size // count // chunks, 2) * chunks
        config = config.replace(batch_size=size, chunk_size=0)
    device, dtype, optimizer = set_up(config, method)
    warm, times = 2, []  # the first updates build caches and are not counted
    last = warm + measured + threads.DEPTH  # to the end, views are made beside
    with stream(config, images, method, device, 0, last) as made:
        for step, batch in zip(range(warm + measured), made, strict=False):
            update(method, optimizer, batch, step, total, dtype, chunks).tolist()
            times.append(time.perf_counter())
    seconds = (times[-1] - times[warm - 1]) / measured * total
    return Cost(total, seconds, devices.peak_memory(device))


def estimate_apart(config: Config, data: Data) -> Cost:
    """`estimate` in a process of its own, so that its memory is that of this run alone."""
    return workers.together(_estimate, config, data, processes=1)


def _estimate(config: Config, data: Data, send: Any) -> Cost:
    return estimate(config, data)


def cost(jobs: Sequence[Config], images: Data) -> str:
    """What the jobs not yet recorded will take, in words, measured on a few updates of one.

    With the runs that they begin with, where these are to be made too. Raises `ValueError` if there
    is no room to judge one.
    """
    todo = [job for part in stages(not_recorded(jobs)) for job in part]
    largest = max(todo, key=work, default=None)
    if largest is None:
        return "all recorded: nothing to train"
    runs = "1 run" if len(todo) == 1 else f"{len(todo)} runs"
    if not work(largest):
        return f"{runs}, nothing to train"
    one = estimate(largest, images)
    minutes = one.seconds / 60 * sum(map(work, todo)) / work(largest)
    probe = check(largest, images)
    return (
        f"{runs} to train, about {minutes:.1f} min, {one.memory / 1e9:.1f} GB of memory each, "
        f"{probe / 1e9:.1f} GB to judge one"
    )
