"""Which run is this: records of before keep their names, and only what is read counts."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from simclr_lib.config import DATASETS, METHODS, Config
from simclr_lib.identity import identity, run_id

RECORDS = [*(Path(__file__).parent.parent / "reproductions" / "records").glob("*.json")]


def test_runs_recorded_before_methods_were_a_parameter_keep_their_names():
    records = {path.stem: json.loads(path.read_text()) for path in RECORDS}
    rebuilt = {}
    for name, record in records.items():
        parameters, label = record["config"], record["method"]
        if parameters["dataset"] in DATASETS:  # of a folder only the name is recorded
            config = Config(**{k: v for k, v in parameters.items() if k != "method"})
            config = config.replace(method=label) if label in METHODS else config.of_method(label)
            rebuilt[name] = run_id(config)
    assert len(rebuilt) > 100
    assert [name for name, found in rebuilt.items() if name != found] == []


def test_a_run_is_what_its_method_reads(tmp_path, monkeypatch):
    def same(method, **change):
        config = Config.create("quick", method=method)
        records = [c.as_record() for c in (config, config.replace(**change))]
        first, second = run_id(config), run_id(config.replace(**change))
        assert (first == second) == (identity(records[0], method) == identity(records[1], method))
        return first == second

    assert all(same(method, ema_momentum=0.9) for method in ("random", "SimCLR", "rotation"))
    assert not any(same(method, ema_momentum=0.9) for method in ("BYOL", "MoCo v2"))
    assert same("BYOL", queue_size=64)
    assert not same("MoCo v2", queue_size=64)
    assert same("BYOL", margin=0.1)
    assert not same("SimCLR", margin=0.1)
    assert len({run_id(Config.create("quick", method=method)) for method in METHODS}) == 6
    assert run_id(Config.create("quick", method="moco-v2")).startswith("moco-v2-")
    record = Config.create("smoke").as_record()
    other = record | {"seed": 1, "device": "cuda"}
    assert identity(record, "SimCLR") != identity(other, "SimCLR")
    assert identity(record, "SimCLR", "seed") == identity(other, "SimCLR", "seed")
    before = run_id(Config.create("smoke"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "synthetic").mkdir()  # a folder called as a data set is not that data set
    assert run_id(Config.create("smoke")) == before


def test_a_method_of_your_own_has_a_config_of_its_name():
    config = Config.create("smoke").of_method("Jigsaw2")
    assert config.method == config.as_record()["method"] == "Jigsaw2"
    assert config.replace(width=2).method == pickle.loads(pickle.dumps(config)).method == "Jigsaw2"
    assert config.replace(method="byol") == Config.create("smoke", method="BYOL")
    assert run_id(config).startswith("jigsaw2-")
    assert run_id(config) != run_id(config.replace(queue_size=64))
    assert run_id(config.of_method("方法")) != run_id(config.of_method("方式"))
    for name in ("Mo-Co V2", "byol", "", 3):
        with pytest.raises(
            ValueError, match=f"method={name!r} is not valid for a class of your own"
        ):
            config.of_method(name)
    with pytest.raises(ValueError, match="method='Jigsaw2' is not valid"):
        Config.create("smoke", method="Jigsaw2")
