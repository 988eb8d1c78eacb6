"""Updates of SimCLR on 32-pixel images from memory: ours against lightly, and against the limit.

Batch 256, two views each, ResNet-18 with a small-image stem, head 512-128 (features-128 for the
narrow one). The limit is the rate of a large matrix product on the same cores; arithmetic is that
of the convolutions and products of forward and backward, counted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from simclr_lib.config import Config
from simclr_lib.data import ImageSet, load
from simclr_lib.machine import devices
from simclr_lib.methods import build
from simclr_lib.train.loop import set_up
from simclr_lib.train.update import update
from simclr_lib.views.batches import batches

from . import peers
from .sides import Row, compare, row

BATCH = 256
STEPS = {1.0: 1, 0.25: 5}  # in one turn


def config_of(width: float) -> Config:
    """The recipe of appendix B.9 at ResNet-18, on the embedded images."""
    return Config.create(
        "gpu", dataset="synthetic", num_images=2048, width=width, batch_size=BATCH, device="cpu"
    )


def native_format() -> torch.dtype:
    """What `precision` "auto" chooses on this CPU."""
    return devices.number_format(torch.device("cpu"))


def ours(config: Config, steps: int) -> Callable[[], None]:
    """Updates at our defaults, of images in memory; their views are made in the same time."""
    method = build(config)
    device, dtype, optimizer = set_up(config, method)
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    side = config.image_size
    pixels = torch.randint(0, 256, (2 * config.batch_size, 3, side, side), dtype=torch.uint8)
    images = ImageSet(pixels, torch.zeros(len(pixels), dtype=torch.int64))
    stream = batches(images, method.branches(), config, device, 0, 2**40)

    def work() -> None:
        for _ in range(steps):
            metrics = update(method, optimizer, next(stream), 0, 1, dtype)
        metrics.tolist()  # wait for the device

    return work


def _parts(config: Config) -> nn.Module:
    method = build(config)
    return nn.Sequential(method.encoder, method.head)


def _network(config: Config) -> tuple[torch.device, nn.Module, torch.dtype]:
    """The device of `config`, encoder and head on it, and the number format it multiplies in."""
    device = devices.choose(config.device)
    network = _parts(config).to(device, memory_format=torch.channels_last).train()
    return device, network, devices.number_format(device, config.precision)


def lightly(width: float, *, tuned: bool) -> Callable[[], None]:
    """The same with lightly: at its defaults, or with the number format and layout we use."""
    images = load(config_of(width)).pretrain.images
    step = peers.lightly_step(images, width, BATCH, native_format(), tuned=tuned)

    def work() -> None:
        for _ in range(STEPS[width]):
            step()

    return work


def forward_backward(config: Config, steps: int) -> Callable[[], None]:
    """The network's own forward and backward on random numbers: no views, loss or optimizer."""
    devices.keep_freed_memory()
    device, network, dtype = _network(config)
    x = torch.rand(config.views, 3, config.image_size, config.image_size)
    x = devices.put(x, device).contiguous(memory_format=torch.channels_last)

    def work() -> None:
        for _ in range(steps):
            network.zero_grad(set_to_none=True)
            with devices.autocast(device, dtype):
                z = network(x)
            z.float().sum().backward()
            devices.finish_step(device)
        next(network.parameters()).grad.sum().tolist()  # wait for the device

    return work


def product(size: int = 4096) -> Callable[[], float]:
    """Operations a second of a large matrix product in the native number format."""
    a, b = (torch.randn(size, size).to(native_format()) for _ in range(2))

    def work() -> float:
        begun = time.perf_counter()
        for _ in range(4):
            a @ b
        return 4 * 2 * size**3 / (time.perf_counter() - begun)

    return work


def operations(width: float) -> int:
    """Multiplications and additions in one update's forward and backward."""
    network = _parts(config_of(width))
    with FlopCounterMode(display=False) as counter:
        network(torch.rand(16, 3, 32, 32)).sum().backward()
    return counter.get_total_flops() * 2 * BATCH // 16


def fraction(name: str, side: Callable, width: float) -> Row:
    """The share of the limit that `side` reaches."""
    seconds, limits = compare((side, config_of(width), STEPS[width]), (product,))
    done = STEPS[width] * operations(width)
    shares = [done / s / limit for s, limit in zip(seconds, limits, strict=True)]
    rates = [done / statistics.median(seconds), statistics.median(limits)]
    words = [f"{rate / 1e9:.0f} GFLOP/s" for rate in rates]
    what = f"{name}, width {width:g}, of a {str(native_format())[6:]} matrix product"
    return Row(what, *words, statistics.median(shares), (min(shares), max(shares)))


def run() -> list[Row]:
    rows = []
    for width in STEPS:
        for tuned in (False, True):
            other = (partial(lightly, tuned=tuned), width)
            times = compare((ours, config_of(width), STEPS[width]), other)
            style = f"{str(native_format())[6:]}, channels-last" if tuned else "its defaults"
            what = f"training, ResNet-18 of width {width:g}, against lightly, {style}"
            rows.append(row(what, BATCH * STEPS[width], "images/s", *times))
        rows.append(fraction("training", ours, width))
        rows.append(fraction("forward and backward", forward_backward, width))
    return rows
