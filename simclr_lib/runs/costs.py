"""What a run will take on this machine, from a few updates of it."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..config import Config
from ..data.images import Data
from ..losses.table4 import contrastive_loss
from ..machine import devices, workers
from ..schedule import total_steps
from ..train.loop import build
from ..train.optimizers import LARS
from ..train.update import train_step
from ..views.batches import batches


class Cost(NamedTuple):
    """What a run will take on this machine."""

    steps: int
    seconds: float
    memory: int  # bytes, peak of the process or GPU so far

    def __str__(self) -> str:
        time_text = (
            f"{self.seconds:.0f} s" if self.seconds < 120 else f"{self.seconds / 60:.0f} min"
        )
        return f"{self.steps} steps, about {time_text}, {self.memory / 1e9:.1f} GB of memory"


def estimate(config: Config, data: Data, measured: int = 4) -> Cost:
    """Time and memory that `pretrain` will need, from a few updates of a throw-away copy."""
    devices.keep_freed_memory()
    device = devices.choose(config.device)
    devices.check_batch(config, device)
    dtype = devices.number_format(device, config.precision)
    network = nn.Sequential(*build(config)).to(device, memory_format=torch.channels_last)
    optimizer = LARS(network.named_parameters(), lr=0.0)
    chunks, count = config.chunks, devices.processes(config)
    total = total_steps(len(data.pretrain), config.batch_size, config.epochs)
    if count > 1:  # the share of one of them, without what they exchange
        share = max(config.batch_size // count // chunks, 2) * chunks
        config = config.replace(batch_size=share, chunk_size=0)

    def objective(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return contrastive_loss(z, config), z.new_zeros(())

    warm = 2  # the first updates build caches and are not counted
    times = []
    for views, labels in batches(data.pretrain, config, device, 0, warm + measured):
        train_step(network, optimizer, views, labels, objective, dtype, 1, chunks).tolist()
        times.append(time.perf_counter())
    seconds = (times[-1] - times[warm - 1]) / measured * total
    return Cost(total, seconds, devices.peak_memory(device))


def estimate_apart(config: Config, data: Data) -> Cost:
    """`estimate` in a process of its own, so that its memory is that of this run alone."""
    return workers.together(_estimate, config, data, processes=1)


def _estimate(config: Config, data: Data, send: Any) -> Cost:
    return estimate(config, data)
