"""What a run takes on a given machine, from first principles: arithmetic, memory, exchange.

An optimistic estimate: it supposes that arithmetic and memory traffic run at the full rate of the
device, one behind the other, and that nobody waits for images. A strict floor would be the largest
of the three, for a device can do them at the same time.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..config import Config
from ..methods import Method, build
from ..networks.layers import BatchNorm
from ..networks.resnet import parameter_count

# How often a number that a convolution writes is moved in an update. Forward: written, read for the
# moments, read and written by the normalisation, read by the next convolution. Backward: gradient
# and value read for batch norm's sums, read again and one written, the result read twice and the
# layer's input once for the two gradients of the convolution, of which one is written.
PASSES_FORWARD, PASSES_BACKWARD = 5, 9
KEPT = 2  # ... and how many numbers backward finds of it: convolution's and ReLU's output


class Machine(NamedTuple):
    """Devices that work together; each with peak rates and a memory of its own."""

    name: str
    devices: int
    flops: float  # operations a second, of matrix products in `bytes` a number
    bandwidth: float  # bytes a second from and to memory
    memory: float  # bytes
    exchange: float  # bytes a second of an all-reduce; 0 for a single device
    bytes: int = 2  # of a number: bf16, or on the T4 fp16


# Makers' figures; of a TPU v3 half a chip, for the paper counts cores.
MACHINES = (
    Machine("TPU v3, 128 cores", 128, 61.5e12, 450e9, 16e9, 166e9),
    Machine("TPU v5e, 8", 8, 197e12, 819e9, 16e9, 200e9),
    Machine("TPU v6e, 8", 8, 918e12, 1638e9, 32e9, 400e9),
    Machine("H100, 8", 8, 989e12, 3350e9, 80e9, 450e9),
    Machine("T4", 1, 65e12, 320e9, 16e9, 0.0),
)


class Network(NamedTuple):
    """What one view costs on its way through encoder and head."""

    flops: float  # operations, forward
    activations: int  # numbers that convolutions write
    parameters: int
    channels: int  # of all batch norms together


class Prediction(NamedTuple):
    """Of a whole run, on each device: seconds, and the bytes that have to fit."""

    arithmetic: float
    traffic: float
    exchange: float
    memory: float

    @property
    def seconds(self) -> float:
        """All of it, one behind the other."""
        return self.arithmetic + self.traffic + self.exchange


def _network(method: Method) -> nn.Module:
    return nn.Sequential(method.encoder, getattr(method, "head", nn.Identity()))


def measure(config: Config) -> Network:
    """Count what a view of `config` costs; no number is computed (PyTorch's meta device)."""
    network = _network(build(config)).to("meta").train()
    written = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda m, inputs, output: written.append(output.numel()))
    views = torch.empty(2, 3, config.image_size, config.image_size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(views)
    channels = sum(len(m.gamma) for m in network.modules() if isinstance(m, BatchNorm))
    flops = counter.get_total_flops() / len(views)
    return Network(flops, sum(written) // len(views), parameter_count(network), channels)


def predict(config: Config, images: int, machine: Machine) -> Prediction:
    """What training `config` on this many images takes on `machine` at full rates.

    With a `chunk_size` one more forward pass, and the activations of one chunk at a time.
    """
    network, chunked = measure(config), bool(config.chunk_size)
    views = 2 * images * config.epochs / machine.devices  # through each device
    updates = images * config.epochs / config.batch_size
    moved = PASSES_FORWARD * (1 + chunked) + PASSES_BACKWARD
    at_once = 2 * (config.chunk_size or config.batch_size) / machine.devices
    # Gradients in 4 bytes, embeddings of all, and two sums a channel forward and two backward.
    numbers = network.parameters + config.views * config.projection_dim + 4 * network.channels
    return Prediction(
        arithmetic=views * (3 + chunked) * network.flops / machine.flops,
        traffic=views * moved * network.activations * machine.bytes / machine.bandwidth,
        exchange=updates * 4 * numbers / machine.exchange if machine.exchange else 0.0,
        # Weights, gradients and momentum in 4 bytes, and the images of the batch themselves.
        memory=at_once * KEPT * network.activations * machine.bytes
        + 3 * 4 * network.parameters
        + config.views / machine.devices * 3 * config.image_size**2 * 4,
    )
