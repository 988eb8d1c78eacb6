"""Five updates of a small network, the same wherever they run: what tests of devices compare."""

from __future__ import annotations

import sys

import torch
from torch import Generator, Tensor, nn

from simclr_lib.losses import nt_xent
from simclr_lib.machine import devices, parallel
from simclr_lib.networks.heads import ProjectionHead
from simclr_lib.networks.layers import BatchNorm
from simclr_lib.networks.resnet import conv_norm_relu, residual_block
from simclr_lib.train import loop as trainer
from simclr_lib.train.optimizers import LARS

IMAGES, UPDATES = 24, 5


class Pool(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


def network(dtype: torch.dtype = torch.float64, norm: bool = True) -> nn.Sequential:
    """The library's own parts: stem, a residual block, head. Few, as rounding grows with depth."""
    generator = Generator().manual_seed(0)
    make = {"bottleneck": False, "project": True, "sk_ratio": 0.0, "generator": generator}
    parts = [
        conv_norm_relu(3, 8, 3, 2, generator=generator),
        residual_block(8, 16, 2, **make),
        Pool(),
        ProjectionHead(16, 2, 8, generator=generator),
    ]
    net = nn.Sequential(*parts).to(dtype)
    for name, module in list(net.named_modules()):
        if isinstance(module, BatchNorm):
            nn.init.ones_(module.gamma)  # the block counts from the first update on
            if not norm:
                net.set_submodule(name, nn.Identity())
    return net


def views(dtype: torch.dtype = torch.float64) -> Tensor:
    """(2 * IMAGES, 3, 16, 16) for each update: two noisy versions of images of one colour each."""
    generator, exact = Generator().manual_seed(1), {"dtype": torch.float64}
    colour = torch.rand(UPDATES, 1, IMAGES, 3, 1, 1, generator=generator, **exact)
    noise = torch.randn(UPDATES, 2, IMAGES, 3, 16, 16, generator=generator, **exact)
    return (2 * colour + 0.3 * noise).flatten(1, 2).to(dtype)


def updates(
    net: nn.Module, batches: Tensor, chunks: int = 1, device: str = "cpu"
) -> dict[str, Tensor]:
    """Loss, first gradients, moving statistics and weights after all updates, in float64."""
    place = devices.choose(device)
    net.to(place)
    rate = devices.number(0.1, place)
    optimizer = LARS(net.named_parameters(), lr=rate, weight_decay=1e-4)

    def objective(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return nt_xent(parallel.gather(z, branches=2), 0.2), labels

    losses, nothing = [], torch.zeros((), device=place)
    for batch in batches:
        x = devices.put(batch, place)
        step = trainer.train_step(net, optimizer, x, nothing, objective, x.dtype, 1, chunks)
        if not losses:
            first = {f"gradient of {n}": p.grad.clone() for n, p in net.named_parameters()}
        losses.append(step[0])
    found = {"losses": torch.stack(losses)} | first | net.state_dict()
    return {name: value.detach().cpu().double() for name, value in found.items()}


VARIANTS = {  # type of the numbers, chunks
    "float64": (torch.float64, 1),
    "float32": (torch.float32, 1),
    "float64 in chunks": (torch.float64, 3),
    "float32 in chunks": (torch.float32, 3),
}


def in_processes(send) -> dict[str, dict[str, list]]:
    """Every variant with this process's share of every batch; as lists, to be sent."""
    everything = {}
    for name, (dtype, chunks) in VARIANTS.items():
        rows, parts = parallel.own_rows(IMAGES), views(dtype).unflatten(1, (2, IMAGES))
        found = updates(network(dtype), parts[:, :, rows].flatten(1, 2), chunks)
        numbers = parallel.stack_over_processes(torch.cat([v.flatten() for v in found.values()]))
        assert (numbers == numbers[0]).all(), "the processes disagree"
        everything[name] = {key: value.tolist() for key, value in found.items()}
    return everything


def on_xla(path: str) -> None:
    """The variants that XLA can compute, on all its devices."""
    from simclr_lib.machine import xla

    found = {}
    for name, (dtype, chunks) in VARIANTS.items():
        if dtype == torch.float32:
            found[name] = updates(network(dtype), views(dtype), chunks, "xla")
    torch.save({"devices": xla.count(), "found": found}, path)


if __name__ == "__main__":
    on_xla(sys.argv[1])
