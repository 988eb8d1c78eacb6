"""What an XLA device computes equals what the CPU does, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import torch, torch_xla
from simclr_lib import Config, nt_xent
from simclr_lib.views import two_views

device = torch_xla.device()
z = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
images = torch.randint(0, 256, (40, 3, 32, 32), generator=torch.Generator().manual_seed(1))
names = "crop+flip+color+blur+rotate+cutout+solarize+motion_blur"
config = Config.create("quick", augmentations=names)
results = []
for place in (device, torch.device("cpu")):
    leaf = z.to(place).requires_grad_()
    loss = nt_xent(leaf)
    loss.backward()
    views = two_views(images.byte().to(place), config, torch.Generator().manual_seed(2))
    results.append([t.detach().cpu() for t in (loss, leaf.grad, views)])
for on_xla, on_cpu in zip(*results):
    torch.testing.assert_close(on_xla, on_cpu, atol=1e-5, rtol=1e-5)
"""


def test_loss_gradient_and_views_are_those_of_the_cpu():
    pytest.importorskip("torch_xla")
    environment = os.environ | {"PJRT_DEVICE": "CPU"}
    command = [sys.executable, "-c", PROGRAM]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
