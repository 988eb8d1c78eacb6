"""What XLA devices compute equals what the CPU does; each program in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from one_step import VARIANTS, network, updates, views
from test_parallel import assert_equal_updates

pytest.importorskip("torch_xla")

VIEWS = """
import torch
from simclr_lib import Config, nt_xent
from simclr_lib.devices import choose
from simclr_lib.views import two_views

z = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
images = torch.randint(0, 256, (40, 3, 32, 32), generator=torch.Generator().manual_seed(1))
names = "crop+flip+color+blur+rotate+cutout+solarize+motion_blur"
config = Config.create("quick", augmentations=names)
results = []
for place in (choose("xla"), choose("cpu")):
    leaf = z.to(place).requires_grad_()
    loss = nt_xent(leaf)
    loss.backward()
    views = two_views(images.byte().to(place), config, torch.Generator().manual_seed(2))
    results.append([t.detach().cpu() for t in (loss, leaf.grad, views)])
for on_xla, on_cpu in zip(*results):
    torch.testing.assert_close(on_xla, on_cpu, atol=1e-5, rtol=1e-5)
"""

# The whole of a run: 26 updates with a log point after each, evaluation, and the record.
RUN = """
import sys
from simclr_lib import sweeps, xla
from simclr_lib.config import Config

config = Config.create("smoke", device="xla", output_dir=sys.argv[1], num_images=208, epochs=4)
config = config.replace(batch_size=32, base_channels=2)
sweeps.make(sweeps.Job(config))
"""

REFUSED = """
from simclr_lib import data, trainer
from simclr_lib.config import Config

config = Config.create("smoke", device="xla", batch_size=30)
trainer.pretrain(config, data.load(config))
"""

WATCH = """
import pytest, torch
from simclr_lib import xla

watch, device = xla.Watch(), xla.device()
def update(size, number):
    (torch.ones(size, device=device) * number).sum().cpu()
for step in range(1, 4):
    update(8, 2.5)
watch.update(3)
update(8, 2.5)
watch.update(4)  # nothing new, and no warning: it would be an error here
update(9, 2.5)
with pytest.warns(UserWarning, match="by update 5 .* a shape or a Python number"):
    watch.update(5)
torch.ones(8, device=device).nonzero()
with pytest.warns(UserWarning, match="aten::nonzero ran on the host"):
    watch.update(6)
assert watch.facts()["fallbacks"] == {"aten::nonzero": 1}
"""


def run(program, *arguments, devices=4):
    """What the program, with warnings as errors, prints; standard error if it fails."""
    found = {"PJRT_DEVICE": "CPU", "CPU_NUM_DEVICES": str(devices)}
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | found)


def test_loss_gradient_and_views_are_those_of_the_cpu():
    result = run(VIEWS, devices=1)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("devices", [1, 4])
def test_devices_make_the_updates_of_the_cpu(devices, tmp_path):
    found = {"PJRT_DEVICE": "CPU", "CPU_NUM_DEVICES": str(devices)}
    program, path = Path(__file__).parent / "one_step.py", tmp_path / "found.pt"
    result = subprocess.run(
        [sys.executable, "-W", "error", program, path],
        capture_output=True,
        text=True,
        env=os.environ | found,
    )
    assert result.returncode == 0, result.stderr
    state = torch.load(path)
    assert state["devices"] == devices
    assert len(state["found"]) == 2
    for name, found in state["found"].items():
        alone = updates(network(torch.float32), views(torch.float32), VARIANTS[name][1])
        assert_equal_updates(found, alone, "float32")


def test_a_run_compiles_at_its_beginning_only_and_never_falls_back(tmp_path):
    result = run(RUN, tmp_path)
    assert result.returncode == 0, result.stderr  # a later compilation would warn
    (path,) = (tmp_path / "records").iterdir()
    record = json.loads(path.read_text())
    assert record["device"] == "xla, 4 x CPU"
    assert record["history"]["step"][-1] >= 24  # 20 after warm-up, each of them looked at
    assert record["compilations"] <= 4
    assert record["fallbacks"] == {}
    assert {"linear", "knn", "linear_z", "contrastive_accuracy"} <= set(record["metrics"])


def test_a_batch_that_cannot_be_divided_is_refused():
    result = run(REFUSED)
    assert "batch_size=30 is not valid for 4 XLA devices" in result.stderr


def test_the_watch_names_what_is_compiled_again_and_what_falls_back():
    result = run(WATCH)
    assert result.returncode == 0, result.stderr
