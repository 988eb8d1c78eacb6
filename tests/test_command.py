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
    command.main([*arguments(tmp_path, without="zero_gamma"), "-p", "method", "simclr"])
    (path,) = (tmp_path / "records").iterdir()
    record = json.loads(path.read_text())
    assert record["config"]["without"] == "zero_gamma"
    assert f'"linear": {record["metrics"]["linear"]}' in capsys.readouterr().out
    config = Config.create(**SMALL, without="zero_gamma", output_dir=str(tmp_path))
    assert records.path_of(config) == path  # a notebook will find it
    monkeypatch.setattr(one, "make", lambda *_: pytest.fail("trained again"))
    command.main([*arguments(tmp_path, without="zero_gamma", width=None), "--method", "SimCLR"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"widht": 2}, "did you mean 'width'?"),
        ({"width": "two"}, "width='two' is not valid"),
        ({"method": "mocco"}, "did you mean 'MoCo v2'?"),
        (
            {"num_images": 0, "batch_size": 65536},
            "batch_size=65536 is not valid",
        ),
        ({"device": "abacus"}, "device='abacus' is not available"),
        (
            {"output_dir": "TMP/file/runs"},
            "file/runs' is not valid; it must be a folder that can be",
        ),
    ],
)
def test_a_mistake_ends_it_with_code_2_and_one_sentence(tmp_path, capsys, given, words):
    (tmp_path / "file").touch()
    given = {"preset": "smoke", "output_dir": "TMP"} | given
    given = {name: str(value).replace("TMP", str(tmp_path)) for name, value in given.items()}
    with pytest.raises(SystemExit) as ended:
        command.main([word for name, text in given.items() for word in ("-p", name, text)])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert words in said
    assert said.count("\n") == 1


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
