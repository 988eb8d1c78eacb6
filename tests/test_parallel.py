"""Several processes: the same update as one, the same views, and a clear end if one is lost."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest
import torch
from conftest import train_needs
from one_step import IMAGES, METHODS, batches, in_processes, make, updates, variants
from PIL import Image

from simclr_lib import data
from simclr_lib.config import TRANSFORMS, Config
from simclr_lib.losses import nt_xent
from simclr_lib.machine import parallel, workers
from simclr_lib.train import loop as trainer
from simclr_lib.views import OwnRows, branch, branches, two_views, view
from simclr_lib.views import batches as streams

# Relative, of every tensor. In float32 gradients are small differences of large numbers: with the
# images of a batch in another order one process differs from itself by 6e-6.
LIMITS = {"float64": 1e-10, "float32": 1e-6, "float32 gradients and weights": 2e-5}


# Before a batch norm, which takes it out again, a bias of BYOL has a gradient of rounding only: in
# float32 it wanders, and the mean that batch norm keeps with it.
WANDERS = re.compile(r"(gradient of )?(head|predictor|target\.1)\.(0\.bias|1\.moving_mean)")


def assert_equal_updates(found, expected, kind, method="SimCLR"):
    """By `LIMITS`: each tensor of SimCLR by its own length.

    Other methods have tensors that are nearly nothing (a target's gradient-free kin, a bias before
    a norm), so theirs are measured by a tenth of the longest where that is more; and in float32
    their statistics may differ by twice the limit: 1.2e-6 was found on XLA.
    """
    assert found.keys() == expected.keys()
    largest = dict.fromkeys((True, False), 0.0)
    for name, value in expected.items():
        largest["gradient" in name] = max(largest["gradient" in name], value.norm().item())
    for name, value in expected.items():
        if kind == "float32" and WANDERS.fullmatch(name):
            continue
        rounded = not (name == "losses" or "moving" in name)
        limit = LIMITS[kind + " gradients and weights" * (rounded and kind == "float32")]
        limit *= 2 if "moving" in name and kind == "float32" and method != "SimCLR" else 1
        difference = (torch.as_tensor(found[name], dtype=torch.float64) - value).norm()
        kin = 0.0 if method == "SimCLR" else 0.1 * largest["gradient" in name]
        size = max(value.norm().item(), kin)
        assert difference <= limit * size, (name, difference / size)


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_make_the_updates_of_one(processes):
    found = workers.together(in_processes, processes=processes)
    for name in METHODS:
        for kind, (dtype, chunks) in variants(name).items():
            method = make(name, dtype)
            alone = updates(method, batches(method, dtype), chunks)
            assert_equal_updates(found[f"{kind}, {name}"], alone, kind.split()[0], name)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_chunks_make_the_updates_of_the_whole_where_nothing_depends_on_the_batch(kind, name):
    dtype = getattr(torch, kind)
    whole, parts = (
        updates(make(name, dtype, norm=False), batches(make(name), dtype), chunks)
        for chunks in (1, 4)
    )
    assert_equal_updates(parts, whole, kind, name)


def test_batch_norm_sees_one_chunk_at_a_time():
    net, chunks = make(), 3
    batch = batches(net)[0]
    parts = [net(batch.rows(slice(chunk, None, chunks))) for chunk in range(chunks)]
    one, two = (torch.stack(z, dim=1).flatten(0, 1) for z in zip(*parts, strict=True))
    loss = nt_xent(torch.cat([one, two]), net.config.temperature)
    loss.backward()
    found = updates(make(), [batch], chunks)
    assert found["losses"].item() == pytest.approx(loss.item(), rel=1e-12)
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(found[f"gradient of {name}"], parameter.grad)
    for name, moving in net.named_buffers():  # moved once for each chunk, and by no other pass
        torch.testing.assert_close(found[name], moving)


@pytest.mark.parametrize("processes", [2, 3])
def test_an_image_has_the_same_views_whoever_holds_it(processes):
    images = torch.randint(0, 256, (6, 3, 24, 24), generator=torch.Generator().manual_seed(0))
    config = Config.create("smoke", image_size=20, augmentations="+".join(TRANSFORMS))

    def whole():
        return torch.Generator().manual_seed(1)

    together = two_views(images.byte(), config, whole()).unflatten(0, (2, processes, -1))
    single = view(images.byte(), branch(config), whole())
    for part, own in enumerate(images.byte().chunk(processes)):
        source = OwnRows(whole(), part, processes)
        expected = together[:, part].flatten(0, 1)
        torch.testing.assert_close(two_views(own, config, source), expected)
        source = OwnRows(whole(), part, processes)
        expected = single.chunk(processes)[part]
        torch.testing.assert_close(view(own, branch(config), source), expected)


@pytest.mark.parametrize("on_disk", [False, True])
def test_the_batches_of_all_processes_are_those_of_one(on_disk, tmp_path, monkeypatch):
    config = Config.create("smoke", batch_size=6, image_size=48 if on_disk else 32, workers=0)
    if on_disk:
        for place in (tmp_path / part / label for part in ("train", "test") for label in "ab"):
            place.mkdir(parents=True)
            for number in range(8):
                pixels = torch.randint(0, 256, (60, 70, 3), dtype=torch.uint8).numpy()
                Image.fromarray(pixels).save(place / f"{number}.png")
        config = config.replace(dataset=str(tmp_path), num_images=0, image_size=224)
        images = data.load(config).pretrain
        assert isinstance(images, data.ImageFiles)
        config = config.replace(image_size=48)
    else:
        images = data.load(config).pretrain
    cpu = torch.device("cpu")
    whole = list(streams.batches(images, branches(config), config, cpu, 0, 2))
    monkeypatch.setattr(parallel, "processes", lambda: 3)
    for rank in range(3):
        monkeypatch.setattr(parallel, "rank", lambda rank=rank: rank)
        mine = streams.batches(images, branches(config), config, cpu, 0, 2)
        for own, all_rows in zip(mine, whole, strict=True):
            expected = all_rows.rows(slice(2 * rank, 2 * rank + 2))
            torch.testing.assert_close(own.views, expected.views)
            assert torch.equal(own.labels, expected.labels)
            assert torch.equal(own.index, expected.index)


def test_what_cannot_be_divided_evenly_is_refused(monkeypatch, tmp_path):
    config = Config.create("smoke", device="cpu", processes=4, output_dir=str(tmp_path))
    images = data.load(config)
    tuned = {"method": "fine-tune", "start": "random", "batch_size": 8, "finetune_batch_size": 6}
    for wrong in ({"batch_size": 6}, {"batch_size": 8, "chunk_size": 2}, tuned):
        (name, size), *_ = reversed(wrong.items())
        name = name.removeprefix("finetune_")
        message = rf"{name}={size} is not valid for 4 processes.*multiple of 4"
        with pytest.raises(ValueError, match=message):  # before any process is started
            trainer.train(config.replace(**wrong), images)
        with monkeypatch.context() as patch:  # and where torchrun has started them
            patch.setattr(parallel, "processes", lambda: 4)
            patch.setattr(parallel, "joined", lambda: True)
            patch.setattr(parallel, "rank", lambda: 1)
            with pytest.raises(ValueError, match=message):
                trainer.train(config.replace(**wrong), images)


def test_a_run_goes_on_with_another_number_of_processes(tmp_path, monkeypatch):
    config = Config.create("smoke", device="cpu", precision="fp32", batch_size=IMAGES, epochs=1)
    config = config.replace(num_images=64, base_learning_rate=1e-3, output_dir=str(tmp_path))
    images = data.load(config)
    expected = trainer.train(config, images)

    step, calls = trainer.update, iter(range(9))

    def terminated(*args, **kwargs):
        if next(calls) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(*args, **kwargs)

    monkeypatch.setattr(trainer, "update", terminated)
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # instead of ending this process
    with pytest.raises(SystemExit):
        trainer.train(config, images)
    signal.signal(signal.SIGTERM, before)
    monkeypatch.undo()
    assert list(tmp_path.glob("checkpoints/*.pt"))
    resumed = trainer.train(config.replace(processes=2), images)
    assert not list(tmp_path.glob("checkpoints/*"))
    assert resumed.history["step"] == expected.history["step"]
    assert resumed.history["loss"] == pytest.approx(expected.history["loss"], rel=1e-4)
    for name, value in expected.encoder.state_dict().items():
        torch.testing.assert_close(resumed.encoder.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def test_the_same_in_bf16(tmp_path):
    config = Config.create("smoke", device="cpu", precision="bf16", batch_size=IMAGES, epochs=1)
    config = config.replace(num_images=64, base_learning_rate=1e-3, output_dir=str(tmp_path))
    images = data.load(config)
    one, two = (trainer.train(config.replace(processes=p), images) for p in (1, 2))
    assert two.history["loss"] == pytest.approx(one.history["loss"], rel=1e-2)
    exact = trainer.train(config.replace(precision="fp32"), images)
    assert one.history["loss"] == pytest.approx(exact.history["loss"], rel=1e-2)
    assert one.history["loss"] != exact.history["loss"]


@pytest.mark.parametrize("name", METHODS[1:])
def test_a_run_of_every_method_is_divided_as_well(name, tmp_path):
    config = Config.create("smoke", device="cpu", precision="fp32", batch_size=IMAGES, epochs=1)
    config = config.replace(method=name)
    config = config.replace(num_images=64, base_learning_rate=1e-3, output_dir=str(tmp_path))
    images = data.load(config)
    train_needs(config, images)
    one, two = (trainer.train(config.replace(processes=p), images) for p in (1, 2))
    assert two.history["loss"] == pytest.approx(one.history["loss"], rel=1e-4)
    assert two.history["accuracy"] == one.history["accuracy"]


def with_images_of_its_own(place, send):
    config = Config.create("smoke", device="cpu", output_dir=place, num_images=64, batch_size=8)
    config = config.replace(num_images=64 + 8 * parallel.rank())
    trainer.train(config, data.load(config))


def test_different_images_are_refused(tmp_path):
    with pytest.raises(workers.WorkerError, match="images of those who train together are not"):
        workers.together(with_images_of_its_own, str(tmp_path), processes=2)


def fail(note, send):
    if parallel.rank() == 1:
        Path(note).write_text(str(time.time()))
        raise LookupError("nothing here")
    parallel.add_over_processes(torch.ones(1))


def die(note, send):
    if parallel.rank() == 1:
        Path(note).write_text(str(time.time()))
        os.kill(os.getpid(), signal.SIGKILL)
    while True:
        parallel.add_over_processes(torch.ones(1))


@pytest.mark.parametrize(
    ("function", "message"),
    [(fail, "rank 1 of 2 failed:(.|\n)*nothing here"), (die, "rank 1 of 2 was killed by SIGKILL")],
)
def test_a_lost_worker_ends_the_run_and_is_named(function, message, tmp_path):
    note = tmp_path / "when"
    with pytest.raises(workers.WorkerError, match=message):
        workers.together(function, str(note), processes=2)
    assert time.time() - float(note.read_text()) < 30  # nobody waits for the lost one
