"""The trainer: learns, repeats itself exactly, and survives being killed."""

from __future__ import annotations

import json
import os
import platform
import random
import signal
import subprocess
import sys
import time

import pytest
import torch
from conftest import train_needs

from simclr_lib import evaluation
from simclr_lib.config import Config
from simclr_lib.data import Data, ImageSet
from simclr_lib.methods import METHODS, build, simclr
from simclr_lib.runs import costs
from simclr_lib.train import files as checkpoints
from simclr_lib.train import log
from simclr_lib.train import loop as trainer
from simclr_lib.views.batches import batch_indices, batches, step_generator


@pytest.fixture
def smoke(tmp_path):
    return Config.create("smoke", output_dir=str(tmp_path), precision="fp32", device="cpu")


@pytest.fixture(scope="module")
def data():
    """64 images of two classes: horizontal and vertical stripes in random colours."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(64) % 2
    wave = (torch.arange(32) // 4 % 2).float()
    stripes = torch.stack([wave.view(32, 1).expand(32, 32), wave.view(1, 32).expand(32, 32)])
    color = torch.rand(64, 3, 1, 1, generator=generator)
    images = ImageSet((stripes[labels][:, None] * color * 255).byte(), labels)
    return Data("stripes", ("horizontal", "vertical"), images, images, images, images)


def weights(run):
    return run.method.state_dict()


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def test_every_image_is_seen_once_an_epoch():
    seen = torch.cat(list(batch_indices(10, 3, 0, 0, 6))).view(2, 9)
    assert all(len(epoch.unique()) == 9 for epoch in seen)
    assert not torch.equal(seen[0], seen[1])
    later = torch.cat(list(batch_indices(10, 3, 0, 2, 6)))
    assert torch.equal(later, seen.flatten()[6:])  # a run that starts at update 2


def test_a_batch_has_copies_of_its_images_with_views_of_their_own(data):
    config = Config.create("smoke", num_images=64, batch_size=8, copies=4, device="cpu")
    how = build(config).branches()
    made = list(batches(data.pretrain, how, config, torch.device("cpu"), 0, 32))
    index = torch.stack([batch.index for batch in made])  # (32, 8)
    assert torch.equal(index.view(32, 4, 2), index[:, None, :2].expand(32, 4, 2))
    assert index[:, :2].flatten().sort().values.tolist() == list(range(64))  # each once a pass
    first, second = made[0].views[0][[0, 2]]
    assert not torch.equal(first, second)
    with pytest.raises(ValueError, match="copies=3 is not valid: it must divide batch_size=8"):
        config.replace(copies=3)


def test_every_update_and_every_seed_has_draws_of_its_own():
    draws = [torch.rand(8, generator=step_generator(*which)) for which in ((0, 0), (0, 1), (1, 0))]
    assert torch.equal(draws[0], torch.rand(8, generator=step_generator(0, 0)))
    assert len(torch.stack(draws).unique()) == 24


def test_pretraining_finds_the_other_view(smoke, data):
    config = smoke.replace(epochs=40, batch_size=32, warmup_epochs=2.0, base_channels=8)
    config = config.replace(augmentations="crop+flip")
    history = trainer.train(config, data).history
    assert history["loss"][-1] < config.chance_loss - 0.7
    assert history["accuracy"][-1] > 5 / 32


def test_supervised_training_fits_the_labels(smoke, data):
    config = smoke.replace(epochs=30, batch_size=32, augmentations="flip", base_channels=8)
    run = trainer.train(config.replace(method="supervised"), data)
    assert run.history["accuracy"][-1] > 0.9


def test_the_same_seed_gives_the_same_weights(smoke, data):
    first, second = (weights(trainer.train(smoke, data)) for _ in range(2))
    assert_same(first, second)
    other = weights(trainer.train(smoke.replace(seed=1), data))
    assert not torch.equal(first["encoder.stem.0.weight"], other["encoder.stem.0.weight"])


@pytest.mark.parametrize("name", METHODS)
def test_all_methods_start_from_the_same_encoder(smoke, name):
    first, other = build(smoke), build(smoke.replace(method=name), classes=5)
    assert_same(first.encoder.state_dict(), other.encoder.state_dict())


@pytest.mark.parametrize("name", [n for n in METHODS if n != "random"])
def test_resuming_gives_the_weights_of_an_undisturbed_run(name, smoke, data, monkeypatch):
    config = smoke.replace(method=name, epochs=6, checkpoint_minutes=0.0)
    monkeypatch.setattr(log, "LOG_POINTS", 2)  # so that it stops between log points
    config = config.replace(finetune_epochs=3)
    train_needs(config, data)
    expected = trainer.train(config, data)

    class Stop(Exception):  # noqa: N818 - not an error
        pass

    calls = iter(range(100))
    step = trainer.update

    def interrupted(*args, **kwargs):
        if next(calls) in (3, 5):
            raise Stop
        return step(*args, **kwargs)

    monkeypatch.setattr(trainer, "update", interrupted)
    for _ in range(2):
        with pytest.raises(Stop):
            trainer.train(config, data)
    resumed = trainer.train(config, data)
    assert_same(weights(resumed), weights(expected))
    assert resumed.history["loss"] == expected.history["loss"]
    assert len(expected.history["loss"]) < 5


def test_weights_are_kept_when_a_run_is_finished(smoke, data, tmp_path):
    run = trainer.train(smoke, data)
    (path,) = (tmp_path / "weights").iterdir()
    assert_same(checkpoints.load(path)["method"], run.method.state_dict())
    assert list((tmp_path / "checkpoints").glob("*")) == []


def test_an_encoder_can_be_trained_after_its_features_were_taken(smoke, data):
    encoder = build(smoke).encoder
    evaluation.encode(encoder, data.test, smoke)
    encoder.train()(torch.rand(4, 3, 32, 32)).sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


PROGRAM = """
import sys, torch
from simclr_lib import data
from simclr_lib.config import Config
from simclr_lib.train import train
torch.set_num_threads(1)
c = Config.create("smoke", epochs=12, checkpoint_minutes=0.0, output_dir=sys.argv[1])
c = c.replace(device="cpu", precision="fp32")
print("ready", flush=True)
torch.save(train(c, data.load(c)).method.state_dict(), sys.argv[2])
"""


def test_killed_three_times_the_weights_are_those_of_an_undisturbed_run(tmp_path):
    def start(out):
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / out), str(tmp_path / f"{out}.pt")]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    begun = time.monotonic()
    with start("undisturbed") as process:
        assert process.wait(timeout=120) == 0
    whole = time.monotonic() - begun
    chance = random.Random(0)
    killed = 0
    for _ in range(3):
        with start("killed") as process:
            process.stdout.readline()
            time.sleep(chance.uniform(0.1, 0.6) * whole)
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                killed += 1
    assert killed >= 1
    with start("killed") as process:
        assert process.wait(timeout=120) == 0
    expected, actual = (torch.load(tmp_path / f"{n}.pt") for n in ("undisturbed", "killed"))
    assert_same(expected, actual)


def test_divergence_stops_with_a_clear_message(smoke, data, monkeypatch):
    monkeypatch.setattr(simclr, "contrastive_loss", lambda z, *_: z.sum() * float("nan"))
    with pytest.raises(log.NotFiniteError, match=r"nan at step 1 .*base_learning_rate.*warmup"):
        trainer.train(smoke, data)


def test_checkpoints_are_whole_or_absent(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "c.pt"
    checkpoints.save(path, {"step": 1})

    def fails(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(OSError, match="disk full"):
        checkpoints.save(path, {"step": 2})
    assert checkpoints.load(path)["step"] == 1
    assert [p.name for p in path.parent.iterdir()] == ["c.pt"]


def test_loading_runs_no_code_and_names_a_damaged_file(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, ("touch " + str(tmp_path / "ran"),)

    for name, write in (
        ("evil", lambda p: torch.save({"format": 1, "x": Evil()}, p)),
        ("cut", lambda p: p.write_bytes(b"PK\x03\x04 half a file")),
        ("other", lambda p: torch.save({"weights": 1}, p)),
    ):
        path = tmp_path / f"{name}.pt"
        write(path)
        with pytest.raises(ValueError, match=f"{name}.pt is"):
            checkpoints.load(path)
    assert not (tmp_path / "ran").exists()


def test_estimate_counts_the_steps_and_trains_nothing(smoke, data):
    cost = costs.estimate(smoke.replace(batch_size=16), data)
    assert cost.steps == 64 * smoke.epochs // 16 + 1
    assert cost.seconds > 0
    assert "steps" in str(cost)


def test_bf16_training_runs_and_stays_finite(smoke, data):
    history = trainer.train(smoke.replace(precision="bf16"), data).history
    assert all(0 < loss < 20 for loss in history["loss"])


def test_features_refuse_an_encoder_that_changes(smoke, data):
    class Counting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(1))

        def forward(self, x):
            self.calls += 1
            return x.mean(dim=(2, 3))

    with pytest.raises(RuntimeError, match="frozen"):
        evaluation.encode(Counting(), data.test, smoke)


def test_history_is_plain_numbers(smoke, data):
    history = trainer.train(smoke, data).history
    assert json.loads(json.dumps(history)) == history
    assert set(history) == set(log.HISTORY)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_freed_memory_is_kept_for_the_next_step():
    program = """
import resource, torch
from simclr_lib.machine import devices
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(2**24)  # 64 MB, 16,384 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
without = faults()
agreed = devices.keep_freed_memory()
later = [faults() for _ in range(6)]  # the first rounds still shape the heap
print(agreed, without, later[-1])
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    agreed, without, later = result.stdout.split()
    assert agreed == "True"
    assert int(later) < int(without) / 10


def test_kept_weights_come_back_and_missing_ones_are_named(smoke):
    with pytest.raises(FileNotFoundError, match="delete its record, if it has one, and train"):
        checkpoints.trained(smoke)
    method = build(smoke.replace(seed=7))  # not the weights that `build(smoke)` makes
    checkpoints.keep(method, smoke)
    assert_same(checkpoints.trained(smoke).state_dict(), method.state_dict())
