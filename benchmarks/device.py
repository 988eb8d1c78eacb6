"""Updates on the device at hand, a GPU if there is one, against the network alone.

Both sides are on the same device, in one run. Ours makes the views of images in memory, the loss
and the update as well; the other is forward and backward on random numbers. Each holds a batch of
4096 images of 32 pixels, or of 256 of 224 pixels, in one piece; on a CPU they are far smaller.
"""

from __future__ import annotations

from simclr_lib.config import Config
from simclr_lib.machine import devices

from .end_to_end import forward_backward, ours
from .sides import Row, compare, row

STEPS = 5  # in one turn
BATCHES = {"cpu": (64, 8)}  # of small and of large images


def run() -> list[Row]:
    device = devices.choose()
    small, large = BATCHES.get(device.type, (4096, 256))
    cases = {
        "ResNet-18, 32 px": Config.create("gpu", dataset="synthetic", batch_size=small),
        "ResNet-50, 224 px": Config.create("paper", batch_size=large),
    }
    rows = []
    for name, config in cases.items():
        times = compare((ours, config, STEPS), (forward_backward, config, STEPS))
        what = f"training, {name}, batch {config.batch_size}, of forward and backward alone"
        if device.type != "cpu":
            what += f", {devices.describe(device)}, {devices.number_format(device)}"
        rows.append(row(what, config.batch_size * STEPS, "images/s", *times))
    return rows
