"""NT-Xent and its gradient, dimension 128: in tiles against the whole matrix, time and memory."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Callable

import torch

from simclr_lib import losses

from .sides import Row, Side, compare


def side(form: str, images: int) -> Callable[[], tuple[float, float]]:
    """Seconds of forward and backward, and the peak of memory above the inputs, in MB."""
    loss = getattr(losses, form)
    z = torch.randn(2 * images, 128, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss(torch.randn(8, 128, requires_grad=True)).backward()  # libraries are loaded by now
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def work() -> tuple[float, float]:
        z.grad = None
        begun = time.perf_counter()
        loss(z).backward()
        seconds = time.perf_counter() - begun
        return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024

    return work


def words(seconds: list[float], megabytes: float) -> str:
    return f"{statistics.median(seconds) * 1000:,.0f} ms, {megabytes:,.0f} MB"


def alone(images: int) -> Row:
    """One turn of ours, where the whole matrix would not fit."""
    ours = Side(side, "nt_xent", images)
    seconds, megabytes = ours.turn()
    ours.close()
    return Row(f"NT-Xent, N = {images}", words([seconds], megabytes), "does not fit")


def run() -> list[Row]:
    rows = []
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for images in (512, 1024, 2048, 4096, 8192, 16384, 65536):
        if 14 * (2 * images) ** 2 > 0.7 * memory:  # the whole matrix and its copies take so much
            rows.append(alone(images))
            continue
        ours, whole = compare((side, "nt_xent", images), (side, "nt_xent_matrix", images))
        seconds = [[turn[0] for turn in results] for results in (ours, whole)]
        memory_of = [max(turn[1] for turn in results) for results in (ours, whole)]
        ratios = [b / a for a, b in zip(*seconds, strict=True)]
        texts = [words(*pair) for pair in zip(seconds, memory_of, strict=True)]
        spread = (min(ratios), max(ratios))
        rows.append(Row(f"NT-Xent, N = {images}", *texts, statistics.median(ratios), spread))
    return rows
