"""What a run leaves on disk: whole, its own, and refused by a sentence where it is not."""

from __future__ import annotations

import random

import pytest
import torch

from simclr_lib import data
from simclr_lib.config import Config
from simclr_lib.identity import run_id
from simclr_lib.methods import build
from simclr_lib.train import files, keep, train, trained, update
from simclr_lib.train import loop as trainer


@pytest.fixture
def config(tmp_path):
    return Config.create(
        "smoke", precision="fp32", device="cpu", num_images=64, output_dir=str(tmp_path)
    )


class Stop(Exception):  # noqa: N818 - not an error
    pass


@pytest.fixture
def cut_off(config, monkeypatch):
    """The checkpoint of a run that was interrupted at its third update."""
    calls = iter(range(9))

    def interrupted(*args, **kwargs):
        if next(calls) == 2:
            raise Stop
        return update(*args, **kwargs)

    monkeypatch.setattr(trainer, "update", interrupted)
    with pytest.raises(Stop):
        train(config.replace(checkpoint_minutes=0.0), data.load(config))
    monkeypatch.setattr(trainer, "update", update)
    return files.checkpoint_path(config)


def attempt(path):
    """What `load` says, and what it finds."""
    try:
        return "", files.load(path)
    except ValueError as error:
        return str(error), None


def test_whatever_bit_is_flipped_the_file_is_refused_by_name(cut_off):
    whole, chance = cut_off.read_bytes(), random.Random(0)
    state = files.load(cut_off)
    places = [len(whole) // 2, *(chance.randrange(len(whole)) for _ in range(60))]
    accepted = 0
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << chance.randrange(8)
        cut_off.write_bytes(damaged)
        said, found = attempt(cut_off)
        if said:
            assert str(cut_off) in said
            assert "delete it to start again" in said
        else:  # a byte that nothing reads, between the parts of the archive
            accepted += 1
            assert files.checksum(found) == files.checksum(state)
    assert accepted < len(places) / 2


def test_a_checkpoint_that_was_cut_short_is_refused(cut_off, config):
    whole = cut_off.read_bytes()
    for share in (0.0, 0.3, 0.9, 0.999):
        cut_off.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match=r"\.pt is damaged"):
            train(config, data.load(config))


def test_a_checkpoint_of_other_parameters_is_refused(cut_off, config):
    other = config.replace(temperature=0.7)
    cut_off.replace(files.checkpoint_path(other))
    message = f"is of the run {run_id(config)}, not of {run_id(other)}; delete it"
    with pytest.raises(ValueError, match=message):
        train(other, data.load(config))


@pytest.mark.parametrize("part", ["method", "optimizer", "history", "step"])
def test_a_checkpoint_that_lacks_a_part_is_refused(cut_off, config, part):
    state = files.load(cut_off)
    files.save(cut_off, {name: value for name, value in state.items() if name != part})
    with pytest.raises(ValueError, match=rf"\.pt lacks {part}; delete it to start again"):
        train(config, data.load(config))


def test_weights_that_fit_another_network_are_refused_by_a_sentence(config):
    path = keep(build(config.replace(width=2)), config)
    with pytest.raises(ValueError, match=f"{path.name} does not fit SimCLR"):
        trained(config)


def test_a_full_disk_leaves_the_checkpoint_of_before(cut_off, monkeypatch):
    before = cut_off.read_bytes()

    def full(*args, **kwargs):
        args[1].write(b"half of it")
        raise RuntimeError("PytorchStreamWriter failed writing file: file write failed")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"\.pt could not be written"):
        files.save(cut_off, {"step": 1})
    assert cut_off.read_bytes() == before
    assert [path.name for path in cut_off.parent.iterdir()] == [cut_off.name]


def test_an_output_folder_that_cannot_be_written_is_found_before_training(config, tmp_path):
    (tmp_path / "file").write_text("")
    config = config.replace(output_dir=str(tmp_path / "file"))
    with pytest.raises(ValueError, match="output_dir=.*file' is not valid; it must be a folder"):
        train(config, data.load(config), report=lambda *_: pytest.fail("it trains"))
