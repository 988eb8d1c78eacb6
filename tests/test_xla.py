"""What XLA devices compute equals what the CPU does; each program in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from one_step import batches, make, updates, variants
from test_parallel import assert_equal_updates

from simclr_lib.config import Config
from simclr_lib.machine import devices, parallel, xla
from simclr_lib.runs import one

pytest.importorskip("torch_xla")

VIEWS = """
import torch
from simclr_lib import Config
from simclr_lib import nt_xent
from simclr_lib.machine.devices import choose
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
from simclr_lib.runs import one
from simclr_lib.machine import xla
from simclr_lib.config import Config

config = Config.create("smoke", device="xla", output_dir=sys.argv[1], num_images=208, epochs=4)
config = config.replace(batch_size=32, base_channels=2, precision=sys.argv[2])
one.make(config)
"""

SMALL = {"num_images": 208, "epochs": 1, "batch_size": 32, "base_channels": 2}
SMALL |= {"base_learning_rate": 1e-3, "precision": "fp32"}

# One of two pretended hosts. The XLA of one knows nothing of the other's, so what the runtime of a
# pod does, to make one tensor of the rows of all hosts, is done here before it gets them. After
# some updates the second host is asked to end; both do so, and begin again.
HOST = """
import os, signal, sys
from pathlib import Path
from torch_xla import runtime

rank, place = int(sys.argv[1]), sys.argv[2]
runtime.process_count, runtime.process_index = lambda: 2, lambda: rank

from simclr_lib import runs
from simclr_lib.machine import parallel
from simclr_lib.runs import records
from simclr_lib.machine import xla
from simclr_lib.config import Config

def put(x, own=False, put=xla.put, calls=[]):
    calls.append(len(x))
    if rank == 1 and len(calls) == 8:
        os.kill(os.getpid(), signal.SIGTERM)
    return put(parallel.stack_over_processes(x).flatten(0, 1) if own else x)

xla.put, xla._numbers = put, lambda: [0, 1]
jobs = [Config.create("smoke", device="xla", output_dir=place, **SMALL)]
signal.signal(signal.SIGTERM, lambda *_: None)  # what would end the process
if rank == 1:  # whether there is a record is for the first to say
    records.path_of(jobs[0]).parent.mkdir(parents=True)
    records.path_of(jobs[0]).write_text("{}")
try:
    runs.run(jobs)
except SystemExit as error:
    assert error.code == 128 + signal.SIGTERM
assert list(Path(place).glob("checkpoints/*.pt"))
runs.run(jobs)
""".replace("SMALL", repr(SMALL))

REFUSED = """
from simclr_lib import data
from simclr_lib.train import train
from simclr_lib.config import Config

config = Config.create("smoke", device="xla", batch_size=30)
train(config, data.load(config))
"""

WATCH = """
import pytest, torch
from simclr_lib.machine import xla

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
    assert len(state["found"]) == 8
    for case, found in state["found"].items():
        kind, name = case.split(", ")
        method, chunks = make(name, torch.float32), variants(name)[kind][1]
        alone = updates(method, batches(method, torch.float32), chunks)
        assert_equal_updates(found, alone, "float32", name)


@pytest.fixture(scope="module")
def records_of_runs(tmp_path_factory):
    found = {}
    for precision in ("fp32", "bf16"):
        place = tmp_path_factory.mktemp(precision)
        result = run(RUN, place, precision)
        assert result.returncode == 0, result.stderr  # a later compilation would warn
        (path,) = (place / "records").iterdir()
        found[precision] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", "float32"), ("bf16", "bfloat16")])
def test_a_run_compiles_at_its_beginning_only_and_never_falls_back(
    records_of_runs, precision, dtype
):
    record = records_of_runs[precision]
    assert (record["device"], record["precision"]) == ("xla, 4 x CPU", dtype)
    assert record["history"]["step"][-1] >= 24  # 20 after warm-up, each of them looked at
    assert record["compilations"] <= 4
    assert record["fallbacks"] == {}
    assert {"linear", "knn", "linear_z", "contrastive_accuracy"} <= set(record["metrics"])


def test_bf16_is_less_exact_than_float32_and_near_it(records_of_runs):
    exact, rough = (records_of_runs[name]["history"]["loss"] for name in ("fp32", "bf16"))
    assert rough[0] != exact[0]
    assert rough[0] == pytest.approx(exact[0], rel=1e-2)


def test_two_hosts_make_the_run_of_one_each_with_its_share_of_the_images(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    found = {"PJRT_DEVICE": "CPU", "CPU_NUM_DEVICES": "2", "MASTER_PORT": str(port)}
    command = [sys.executable, "-W", "error", "-c", HOST]
    with contextlib.ExitStack() as end:
        hosts = []
        for rank in range(2):
            host = subprocess.Popen(
                [*command, str(rank), tmp_path / str(rank)],
                stderr=subprocess.PIPE,
                env=os.environ | found,
                text=True,
            )
            end.callback(host.wait)
            end.callback(host.kill)
            hosts.append(host)
        for host in hosts:
            error = host.communicate(timeout=300)[1]
            assert host.returncode == 0, error
    config = Config.create("smoke", device="cpu", output_dir=str(tmp_path / "cpu"), **SMALL)
    one.make(config)

    (two,), (other,), (cpu,) = (
        [json.loads(path.read_text()) for path in (tmp_path / name / "records").iterdir()]
        for name in ("0", "1", "cpu")
    )
    assert two["history"]["step"] == cpu["history"]["step"]
    # Rounding grows about tenfold an update here: one CPU thread and two differ by 2e-3 at the end.
    for number, near in ((3, 1e-5), (5, 5e-4), (7, 2e-2)):
        found, expected = (run["history"]["loss"][:number] for run in (two, cpu))
        assert found == pytest.approx(expected, rel=near), number
    for name in ("loss", "accuracy"):  # every host has all of the record, for its disk is its own
        assert other["history"][name] == two["history"][name]
    assert other["metrics"] == two["metrics"]
    assert two["metrics"].keys() == cpu["metrics"].keys()
    assert two["metrics"]["entropy"] == pytest.approx(cpu["metrics"]["entropy"], rel=1e-3)


def test_hosts_that_torchrun_would_start_are_refused(monkeypatch):
    monkeypatch.setattr(xla, "hosts", lambda: 1)
    monkeypatch.setattr(parallel, "processes", lambda: 2)
    with pytest.raises(ValueError, match="device='xla' needs no torchrun"):
        devices.check_batch(Config.create("smoke"), torch.device("xla"))


def test_a_batch_that_cannot_be_divided_is_refused():
    result = run(REFUSED)
    assert "batch_size=30 is not valid for 4 XLA devices" in result.stderr


def test_the_watch_names_what_is_compiled_again_and_what_falls_back():
    result = run(WATCH)
    assert result.returncode == 0, result.stderr
