"""Five updates of a small method, the same wherever they run: what tests of devices compare."""

from __future__ import annotations

import contextlib
import sys
from unittest import mock

import torch
from torch import Generator, Tensor, nn

from simclr_lib.config import Config
from simclr_lib.machine import devices, parallel
from simclr_lib.methods import Batch, Method, build
from simclr_lib.networks.layers import BatchNorm
from simclr_lib.networks.resnet import conv_norm_relu, residual_block
from simclr_lib.train import LARS, update

IMAGES, UPDATES, CLASSES = 24, 5, 3
METHODS = ("SimCLR", "supervised", "rotation", "MoCo v2", "BYOL", "fine-tune", "distill")


class Encoder(nn.Module):
    """The library's own parts: stem and a residual block. Few, as rounding grows with depth."""

    features = 16

    def __init__(self, config: Config, generator: Generator) -> None:
        super().__init__()
        make = {"bottleneck": False, "project": True, "sk_ratio": 0.0, "generator": generator}
        self.stem = conv_norm_relu(3, 8, 3, 2, generator=generator)
        self.block_groups = nn.Sequential(residual_block(8, 16, 2, **make))

    def forward(self, x: Tensor) -> Tensor:
        return self.block_groups(self.stem(x)).mean(dim=(2, 3))


@contextlib.contextmanager
def small_encoders():
    """Methods are built with the encoder above."""
    with (
        mock.patch("simclr_lib.methods.method.build_encoder", Encoder),
        mock.patch("simclr_lib.methods.byol.build_encoder", Encoder),
    ):
        yield


def make(name: str = "SimCLR", dtype: torch.dtype = torch.float64, norm: bool = True) -> Method:
    """A method, untrained. The queue is no multiple of the batch, so that keys wrap around.

    Of the network of fine-tuning a layer of the head is a part, and a teacher's answers differ.
    """
    config = Config.create("smoke", method=name, batch_size=IMAGES, projection_dim=8)
    config = config.replace(queue_size=36, ema_momentum=0.9, finetune_from=1)
    with small_encoders():
        method = build(config, CLASSES)
    if name == "distill":
        nn.init.normal_(method.teacher.classifier.weight, generator=Generator().manual_seed(2))
    method.to(dtype)
    for place, module in list(method.named_modules()):
        if isinstance(module, BatchNorm):
            nn.init.ones_(module.gamma)  # the block counts from the first update on
            if not norm:
                method.set_submodule(place, nn.Identity())
    return method


def batches(method: Method, dtype: torch.dtype = torch.float64) -> list[Batch]:
    """One for each update: noisy views (IMAGES, 3, 16, 16) of images of one colour each."""
    generator, exact = Generator().manual_seed(1), {"dtype": torch.float64}
    colour = torch.rand(UPDATES, 1, IMAGES, 3, 1, 1, generator=generator, **exact)
    noise = torch.randn(UPDATES, 2, IMAGES, 3, 16, 16, generator=generator, **exact)
    views = (2 * colour + 0.3 * noise).to(dtype)[:, : len(method.branches())]
    labels = torch.randint(CLASSES, (UPDATES, IMAGES), generator=generator)
    index = torch.arange(IMAGES)
    return [Batch(tuple(x), y, index) for x, y in zip(views, labels, strict=True)]


def updates(
    method: Method, stream: list[Batch], chunks: int = 1, device: str = "cpu"
) -> dict[str, Tensor]:
    """Loss, first gradients, and all that the method has after the updates, in float64."""
    place = devices.choose(device)
    method.to(place).train()
    rate = devices.number(0.1, place)
    optimizer = LARS(method.parameter_groups(), lr=rate, weight_decay=1e-4)
    losses, first = [], {}
    for step, whole in enumerate(stream):
        dtype = whole.views[0].dtype
        views, labels, index = method.prepare(whole, Generator())
        views = tuple(devices.put(x, place) for x in views)
        batch = Batch(views, devices.put(labels, place), devices.put(index, place))
        found = update(method, optimizer, batch, step, UPDATES, dtype, chunks)
        if not step:
            named = method.named_parameters()
            first = {f"gradient of {n}": p.grad.clone() for n, p in named if p.grad is not None}
        losses.append(found[0])
    everything = {"losses": torch.stack(losses)} | first | method.state_dict()
    return {name: value.detach().cpu().double() for name, value in everything.items()}


def variants(name: str) -> dict[str, tuple[torch.dtype, int]]:
    """Of a method: type of the numbers, and chunks."""
    kinds = {"float64": (torch.float64, 1), "float32": (torch.float32, 1)}
    kinds |= {"float64 in chunks": (torch.float64, 3)}
    return kinds | ({"float32 in chunks": (torch.float32, 3)} if name == "SimCLR" else {})


def in_processes(send) -> dict[str, dict[str, list]]:
    """Every method and variant with this process's rows of every batch; as lists, to be sent."""
    everything = {}
    for name in METHODS:
        for kind, (dtype, chunks) in variants(name).items():
            method, own = make(name, dtype), parallel.own_rows(IMAGES)
            found = updates(method, [b.rows(own) for b in batches(method, dtype)], chunks)
            flat = torch.cat([v.flatten() for v in found.values()])
            numbers = parallel.stack_over_processes(flat)
            assert (numbers == numbers[0]).all(), f"the processes disagree: {name}, {kind}"
            everything[f"{kind}, {name}"] = {key: value.tolist() for key, value in found.items()}
    return everything


def on_xla(path: str) -> None:
    """What XLA can compute of it, on all its devices."""
    from simclr_lib.machine import xla

    found = {}
    for name in METHODS:
        for kind, (dtype, chunks) in variants(name).items():
            if dtype == torch.float32:
                method = make(name, dtype)
                found[f"{kind}, {name}"] = updates(method, batches(method, dtype), chunks, "xla")
    torch.save({"devices": xla.count(), "found": found}, path)


if __name__ == "__main__":
    on_xla(sys.argv[1])
