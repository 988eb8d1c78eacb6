"""`python -m simclr_lib`: the parameters of a notebook, alone and under torchrun."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from simclr_lib import __main__ as command
from simclr_lib.config import Config
from simclr_lib.runs import one, records

SMALL = {"preset": "smoke", "num_images": 128, "epochs": 1, "device": "cpu"}


def arguments(place, **more):
    given = SMALL | more | {"output_dir": str(place)}
    return [word for name, value in given.items() for word in ("-p", name, str(value))]


def test_it_trains_records_and_does_not_train_again(tmp_path, monkeypatch, capsys):
    command.main(arguments(tmp_path, without="zero_gamma", method="SimCLR"))
    (path,) = (tmp_path / "records").iterdir()
    record = json.loads(path.read_text())
    assert record["config"]["without"] == "zero_gamma"
    assert f'"linear": {record["metrics"]["linear"]}' in capsys.readouterr().out
    config = Config.create(**SMALL, without="zero_gamma", output_dir=str(tmp_path))
    assert records.path_of(config) == path  # a notebook will find it
    monkeypatch.setattr(one, "make", lambda job: pytest.fail("trained again"))
    command.main(arguments(tmp_path, without="zero_gamma"))


def test_a_mistake_is_named(capsys):
    with pytest.raises(SystemExit):
        command.main(["-p", "widht", "2"])
    assert "did you mean 'width'?" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["-p", "width", "two"])
    assert "width='two' is not valid" in capsys.readouterr().err


def test_under_torchrun_all_processes_train_one_network(tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    program = ["-m", "simclr_lib", *arguments(tmp_path / "two", base_learning_rate=0.001)]
    quiet = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*torchrun, "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", *program],
        capture_output=True, text=True, env=quiet,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"linear"') == 1
    command.main(arguments(tmp_path / "one", base_learning_rate=0.001))
    two, one = (
        json.loads(next((tmp_path / n / "records").iterdir()).read_text()) for n in ("two", "one")
    )
    assert two["history"]["loss"] == pytest.approx(one["history"]["loss"], rel=1e-4)
    assert two["metrics"].keys() == one["metrics"].keys()
