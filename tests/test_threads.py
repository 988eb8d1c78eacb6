"""Threads: as many as the machine gives, or as asked, and then views made beside."""

from __future__ import annotations

import os
import threading
import time

import pytest
import torch

from simclr_lib import data, runs
from simclr_lib.config import Config
from simclr_lib.evaluation import logistic
from simclr_lib.machine import groups, threads
from simclr_lib.train import NotFiniteError, train
from simclr_lib.views.batches import batches

CPU = torch.device("cpu")


@pytest.fixture
def has(monkeypatch):
    """A machine of four cores without groups, and PyTorch with four threads there."""
    before = torch.get_num_threads()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setattr(groups, "MEMBERSHIP", groups.GROUPS / "nothing here")
    torch.set_num_threads(4)
    yield 4
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("version", "quota", "expected"),
    [
        (2, "200000 100000", 2), (2, "max 100000", 4), (2, "50000 100000", 1),
        (2, "950000 100000", 4), (1, "300000", 3), (1, "-1", 4),
    ],
)  # fmt: skip
def test_cores_are_those_that_the_machine_gives(
    has, monkeypatch, tmp_path, version, quota, expected
):
    assert threads.cores() == 4
    root = tmp_path if version == 2 else tmp_path / "cpu"
    (root / "batch" / "job").mkdir(parents=True)
    if version == 2:
        (root / "batch" / "cpu.max").write_text(f"{quota}\n")  # of a group above
        (root / "batch" / "job" / "cpu.max").write_text("max 100000\n")
    else:
        (root / "batch" / "job" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
        (root / "batch" / "job" / "cpu.cfs_period_us").write_text("100000\n")
    line = "0::/batch/job\n" if version == 2 else "4:cpuset:/other\n3:cpu,cpuacct:/batch/job\n"
    (tmp_path / "member").write_text(line)
    monkeypatch.setattr(groups, "GROUPS", tmp_path)
    monkeypatch.setattr(groups, "MEMBERSHIP", tmp_path / "member")
    assert threads.cores() == expected


@pytest.mark.parametrize(
    ("changes", "given", "expected"),
    [
        ({}, 4, (1, True)),  # a narrow network
        ({}, 1, (1, False)),  # one of several processes
        ({"base_channels": 16}, 2, (1, True)),
        ({"base_channels": 16, "width": 2.0}, 4, (4, False)),
        ({"base_channels": 64}, 8, (4, False)),  # more than the machine has
        ({"threads": 1}, 4, (1, True)),
        ({"threads": 3}, 1, (3, True)),
        ({"threads": 4}, 4, (4, False)),
        ({"threads": 6}, 4, (6, False)),  # as asked
    ],
)
def test_a_run_has_the_threads_that_suit_it_and_gives_them_back(has, changes, given, expected):
    torch.set_num_threads(given)
    with threads.of_run(Config.create("smoke", **changes), CPU) as ahead:
        assert (torch.get_num_threads(), ahead) == expected
    assert torch.get_num_threads() == given
    with pytest.raises(KeyError), threads.of_run(Config.create("smoke"), CPU):
        raise KeyError
    assert torch.get_num_threads() == given
    with threads.of_run(Config.create("smoke", threads=1), torch.device("meta")) as ahead:
        assert not ahead  # only a CPU has cores to spare for views


def test_a_small_probe_has_one_thread_and_gives_them_back(has, monkeypatch):
    found = []
    monkeypatch.setattr(threads, "FEW", 200)
    kept = logistic._loss_and_gradient

    def noted(*given):
        found.append(torch.get_num_threads())
        return kept(*given)

    monkeypatch.setattr(logistic, "_loss_and_gradient", noted)
    for rows, expected in ((24, 1), (30, has)):  # 192 and 240 numbers
        part = torch.randn(rows, 8, dtype=torch.float64), torch.arange(rows) % 3
        logistic.logistic_regression([part], torch.zeros(9, 3, dtype=torch.float64), 1.0)
        assert set(found) == {expected}
        found.clear()
    assert torch.get_num_threads() == has


def workers():
    return [thread for thread in threading.enumerate() if "(work)" in thread.name]


def test_what_is_made_ahead_is_the_same_in_order():
    assert list(threads.ahead(iter(range(100)))) == list(range(100))
    assert list(threads.ahead(iter([]))) == []
    assert list(threads.ahead(iter([None, None]))) == [None, None]
    assert not workers()


def test_an_error_comes_where_its_item_would_have_come():
    def made():
        yield 1
        yield 2
        raise OSError("the disk is gone")

    stream = threads.ahead(made())
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(OSError, match="the disk is gone"):
        next(stream)
    assert not workers()


def test_no_more_is_made_than_fits_and_closing_ends_the_thread():
    made = []

    def numbers():
        for number in range(1000):
            made.append(number)
            yield number

    stream = threads.ahead(numbers())
    assert next(stream) == 0
    deadline = time.monotonic() + 10
    while len(made) < threads.DEPTH + 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    assert len(made) == threads.DEPTH + 2  # one given, two in line, one in hand
    stream.close()
    assert not workers()


def config_of(tmp_path, **changes):
    return Config.create("smoke", device="cpu", output_dir=str(tmp_path), epochs=1, **changes)


def test_batches_made_ahead_are_the_same():
    config = Config.create("smoke", device="cpu")
    images = data.load(config).pretrain
    from simclr_lib.methods import build

    branches = build(config).branches()
    both = [
        list(batches(images, branches, config, CPU, 0, 6, ahead=ahead)) for ahead in (False, True)
    ]
    for one, other in zip(*both, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one.views, other.views, strict=True))
        assert torch.equal(one.labels, other.labels)


@pytest.mark.parametrize("method", ["SimCLR", "rotation", "BYOL"])
def test_training_gives_the_same_numbers_whoever_makes_the_views(has, tmp_path, method):
    losses = []
    for asked, given in ((0, 1), (1, 4)):
        torch.set_num_threads(given)
        config = config_of(tmp_path / str(asked), method=method, threads=asked)
        losses.append(train(config, data.load(config), report=lambda *_: None).history["loss"])
        assert torch.get_num_threads() == given
        assert not workers()
    assert losses[0] == losses[1]


def test_a_run_that_diverges_leaves_no_thread(has, tmp_path):
    config = config_of(tmp_path, base_learning_rate=1e30, threads=1)
    with pytest.raises(NotFiniteError):
        train(config, data.load(config), report=lambda *_: None)
    assert not workers()
    assert torch.get_num_threads() == has


def test_an_estimate_uses_the_same_threads(has):
    config = Config.create("smoke", device="cpu", threads=1)
    assert runs.estimate(config, data.load(config)).seconds > 0
    assert not workers()
    assert torch.get_num_threads() == has
