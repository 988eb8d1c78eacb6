"""Updates of fine-tuning and distillation: ours against forward and backward of the same networks.

ResNet-18, batch 64, images of 32 pixels that are there already; CPU time. What is left is LARS, or
SGD, and all that an update does beside. Memory: the peak of a process, above what it had before.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from simclr_lib.config import Config
from simclr_lib.losses.distillation import distillation_loss
from simclr_lib.machine import devices
from simclr_lib.methods import Batch, build
from simclr_lib.train.loop import set_up
from simclr_lib.train.update import update

from .sides import Row, compare

BATCH, CLASSES, TURNS, STEPS = 64, 10, 11, 3
LIMIT = 1.10


def config_of(method: str) -> Config:
    """The sizes of the preset `gpu`: ResNet-18 of 64 channels, a stem for small images."""
    return Config.create(
        "gpu", dataset="synthetic", method=method, device="cpu", precision="fp32", batch_size=BATCH,
        finetune_batch_size=BATCH,
    )  # fmt: skip


def batch() -> Batch:
    """The same pictures and labels each time."""
    draws = torch.Generator().manual_seed(0)
    x = torch.rand(BATCH, 3, 32, 32, generator=draws)
    labels = torch.randint(CLASSES, (BATCH,), generator=draws)
    return Batch((x,), labels, torch.arange(BATCH))


def ours(name: str, steps: int) -> Callable[[], float]:
    """Seconds of CPU for `steps` updates."""
    method = build(config_of(name), CLASSES)
    _, dtype, optimizer = set_up(method.recipe(method.config), method)
    part = batch()

    def work() -> float:
        begun = time.process_time()
        for step in range(steps):
            update(method, optimizer, part, step, steps, dtype).tolist()
        return time.process_time() - begun

    return work


def alone(name: str, steps: int) -> Callable[[], float]:
    """Seconds of CPU for as many times forward and backward, nothing else."""
    method = build(config_of(name), CLASSES).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    method.train()
    x, labels = batch().views[0].contiguous(memory_format=torch.channels_last), batch().labels

    def work() -> float:
        begun = time.process_time()
        for _ in range(steps):
            method.zero_grad(set_to_none=True)
            if name == "distill":
                with torch.no_grad():
                    told = method.teacher.logits(x)
                distillation_loss(method.logits(x), told).backward()
            else:
                F.cross_entropy(method.logits(x), labels).backward()
        return time.process_time() - begun

    return work


def peak(which: str) -> Callable[[], float]:
    """MB that the work took at its peak, above what there was before it."""
    devices.keep_freed_memory()
    name = "distill" if which == "distill" else "fine-tune"
    method = build(config_of(name), CLASSES)
    _, dtype, optimizer = set_up(method.recipe(method.config), method)
    part = batch()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def work() -> float:
        if which == "teacher":
            with torch.no_grad():
                method.eval().logits(part.views[0])
        else:
            update(method, optimizer, part, 0, 1, dtype)
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3

    return work


def step_row(name: str) -> Row:
    """CPU time of an update as a share of forward and backward alone."""
    mine, bare = compare((ours, name, STEPS), (alone, name, STEPS), TURNS)
    shares = [a / b for a, b in zip(mine, bare, strict=True)]
    middle = statistics.median(shares)
    words = [f"{1e3 * statistics.median(side) / STEPS:.0f} ms" for side in (mine, bare)]
    what = f"an update of {name}, CPU time, against forward and backward alone (limit {LIMIT})"
    spread = (LIMIT / max(shares), LIMIT / min(shares))
    return Row(what, words[0], f"{words[1]}, {middle:.2f} of it", LIMIT / middle, spread)


def memory_row() -> Row:
    """Peak of distillation against a student's update and a teacher's answers, added."""
    (both,), (student,) = compare((peak, "distill"), (peak, "student"), 1)
    (teacher,), _ = compare((peak, "teacher"), (peak, "teacher"), 1)
    what = "an update of distill, peak memory, against one of its student and one teacher's answers"
    return Row(what, f"{both:.0f} MB", f"{student + teacher:.0f} MB", (student + teacher) / both)


def run() -> list[Row]:
    return [step_row("fine-tune"), step_row("distill"), memory_row()]
