"""Sweeps: every run once, whatever happens in between, and the right rows in the table."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from simclr_lib import paths, runs
from simclr_lib.config import Config
from simclr_lib.identity import run_id
from simclr_lib.machine.threads import cores
from simclr_lib.runs import one, records
from simclr_lib.train import files as checkpoints


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path)
    return Config.create(
        "smoke", output_dir=str(tmp_path / "mine"), num_images=64, epochs=1, precision="fp32"
    )


def test_grid_has_every_combination_the_last_axis_fastest(config):
    jobs = runs.grid(config, method=["supervised"], temperature=[0.1, 0.5], seed=[0, 1])
    assert [(j.temperature, j.seed) for j in jobs] == [
        (0.1, 0), (0.1, 1), (0.5, 0), (0.5, 1),
    ]  # fmt: skip
    assert {j.method for j in jobs} == {"supervised"}
    with pytest.raises(ValueError, match="did you mean 'temperature'"):
        runs.grid(config, temprature=[0.1])
    with pytest.raises(ValueError, match="temperature=0"):
        runs.grid(config, temperature=[0])


def test_what_is_possible_leaves_out_what_a_configuration_refuses(config):
    long = config.replace(epochs=8, warmup_epochs=4)
    found = runs.possible(long, epochs=[2, 6], batch_size=[32, 64])
    assert [(job.epochs, job.batch_size) for job in found] == [(6, 32), (6, 64)]
    assert found == runs.grid(long, epochs=[6], batch_size=[32, 64])


def test_choice_takes_all_some_or_other_numbers():
    assert runs.choice("heads", "all", ["none", "linear"]) == ["none", "linear"]
    assert runs.choice("heads", "linear", ["none", "linear"]) == ["linear"]
    assert runs.choice("temperatures", "0.1+2", [0.1, 0.5]) == [0.1, 2.0]
    assert runs.choice("temperatures", 0.3, [0.1, 0.5]) == [0.3]  # papermill gives numbers
    assert runs.choice("epochs", 5, [1, 2]) == [5]
    for name, given, every in (
        ("heads", "liner", ["none", "linear"]),
        ("heads", "", ["none", "linear"]),
        ("epochs", "1.5", [1, 2]),
        ("temperatures", "hot", [0.1]),
    ):
        with pytest.raises(ValueError, match=f"{name}='{given}' is not valid; use all, or some"):
            runs.choice(name, given, every)


def test_a_sweep_makes_every_run_once_and_goes_on_after_an_error(config, monkeypatch, capsys):
    jobs = runs.grid(config, seed=[0, 1]) + [config.replace(method="random")]
    real, made = one.train, []

    def failing(its_config, *args, **kwargs):
        made.append(its_config.seed)
        if its_config.seed == 1 and made.count(1) == 1:
            raise KeyboardInterrupt
        return real(its_config, *args, **kwargs)

    monkeypatch.setattr(one, "train", failing)
    with pytest.raises(KeyboardInterrupt):
        runs.run(jobs, processes=1)
    assert len(records.read(config)) == 1
    runs.run([*jobs, jobs[0]], "again", processes=1)
    assert made == [0, 1, 1]
    assert "again: 1 of 3 already recorded" in capsys.readouterr().out
    runs.run(jobs, processes=1)
    assert made == [0, 1, 1]
    found = records.read(config)
    assert sorted((r["method"], r["seed"]) for r in found) == [
        ("SimCLR", 0), ("SimCLR", 1), ("random", 0),
    ]  # fmt: skip
    simclr = next(r for r in found if r["method"] == "SimCLR")
    assert {"linear", "linear_z", "entropy", "parameters_M"} <= set(simclr["metrics"])
    assert simclr["history"]["step"]


def test_processes_give_what_one_process_gives(config, tmp_path):
    jobs = runs.grid(config, seed=[0, 1])
    runs.run(jobs, processes=2)
    found = {r["seed"]: r["metrics"] for r in records.read(config)}
    elsewhere = config.replace(output_dir=str(tmp_path / "other"))
    threads = torch.get_num_threads()
    torch.set_num_threads(max(cores() // 2, 1))  # as each of the two had
    runs.run(runs.grid(elsewhere, seed=[0, 1]), processes=1)
    torch.set_num_threads(threads)
    assert {r["seed"]: r["metrics"] for r in records.read(elsewhere)} == found


def test_an_error_in_a_worker_reaches_the_user(config):
    jobs = runs.grid(config, batch_size=[512, 64])  # 64 images are too few for the first
    with pytest.raises(ValueError, match="batch_size=512 is not valid"):
        runs.run(jobs, processes=2)


def test_a_run_that_diverges_is_recorded_and_does_not_end_the_sweep(config):
    wild = config.replace(base_learning_rate=1e20, momentum=0.99, without="lars_exclusions")
    jobs = [wild, config.replace(method="random")]
    runs.run(jobs, processes=1)
    found = {r["method"]: r for r in records.read(config)}
    assert "try a lower base_learning_rate" in found["SimCLR"]["failed"]
    assert set(found["SimCLR"]["metrics"]) == {"parameters_M"}
    assert "failed" not in found["random"]
    table = runs.table(jobs, "momentum", config=config)
    summary = runs.summary(table, "momentum")
    assert summary["seeds"].tolist() == [0, 1]
    assert summary["diverged"].tolist() == [1, 0]
    assert table["failed"].tolist().count(True) == 1


def test_the_table_has_the_runs_asked_for_of_any_seed_and_no_others(config, tmp_path):
    reference = tmp_path / "reproductions" / "records"
    for seed, temperature, method, value in (
        (0, 0.1, "SimCLR", 50.0), (1, 0.1, "SimCLR", 60.0), (0, 0.5, "SimCLR", 70.0),
        (0, 0.1, "random", 20.0),
    ):  # fmt: skip
        made = config.replace(seed=seed, temperature=temperature, device="cpu", method=method)
        record = records.make(made, {"linear": value})
        records.write(record, reference, f"{method}-{seed}-{temperature}")
    records.add(config.replace(temperature=0.1), {"linear": 52.0})
    jobs = runs.grid(config, temperature=[0.1])
    found = runs.table(jobs, "temperature", config=config)
    assert sorted(zip(found["source"], found["linear"], strict=True)) == [
        ("reference", 50.0), ("reference", 60.0), ("yours", 52.0),
    ]  # fmt: skip
    assert found["linear_z"].isna().all()
    (row,) = runs.summary(found, "temperature").to_dict("records")
    assert (row["mean"], row["seeds"]) == (56.0, 2)  # of seed 0 the user's own counts
    assert len(runs.table(jobs, "temperature")) == 2  # without the user's
    assert len(runs.table([], "temperature", config=config)) == 0
    wider = runs.grid(config, temperature=[0.1], width=[2.0])
    assert len(runs.table(wider, "temperature", config=config)) == 0


def test_a_record_that_was_written_again_is_read_again_and_one_that_was_not_is_not(config):
    records.add(config, {"linear": 52.0})
    first, again = runs.read(config), runs.read(config)
    assert first[0]["metrics"] is again[0]["metrics"]
    records.add(config, {"linear": 53.0})  # as long as the other
    assert [record["metrics"]["linear"] for record in runs.read(config)] == [53.0]


def test_a_jpeg_copy_counts_as_the_data_set(config, tmp_path):
    record = records.make(config, {"linear": 61.0})
    record["identity"]["data"] = "cifar10-jpeg"  # what a loader says of it, wherever it lies
    records.write(record, tmp_path / "reproductions" / "records", "one")
    jobs = [config.replace(dataset="cifar10")]
    assert runs.table(jobs)["linear"].tolist() == [61.0]


def test_records_of_a_folder_are_found_by_what_was_in_it_without_the_folder(
    config, tmp_path, capsys
):
    folder = {"data": "4e6f", "method": "SimCLR"}
    for seed in (0, 1):
        record = records.make(config.replace(seed=seed), {"linear": 50.0 + seed})
        record["identity"] |= folder
        records.write(record, tmp_path / "reproductions" / "records", f"folder-{seed}")
    assert runs.table([config], data="4e6f")["linear"].tolist() == [50.0, 51.0]
    assert len(runs.table([config], data="4e70")) == 0
    assert "no records of these 1 runs on the data 4e70" in capsys.readouterr().out


def test_cost_counts_what_is_left(config):
    from simclr_lib import data

    jobs = runs.grid(config, seed=[0, 1])
    assert runs.cost(jobs, data.load(config)).startswith("2 runs to train, about")
    runs.run(jobs, processes=1)
    assert runs.cost(jobs, data.load(config)) == "all recorded: nothing to train"


def test_a_sweep_shows_one_line_for_all_its_runs(config, capsys):
    runs.run(runs.grid(config, seed=[0, 1]), "two seeds", processes=1)
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert len(lines) == 1
    assert lines[0].startswith("two seeds 2/2 runs, ")


def test_a_network_that_is_not_trained_leaves_the_checkpoints_of_others(config):
    place = paths.output_dir(config) / "checkpoints"
    place.mkdir(parents=True)
    names = [run_id(config.replace(method=name)) for name in ("SimCLR", "supervised")]
    others = [place / f"{name}.pt" for name in names]
    for other in others:
        other.touch()
    runs.run([config.replace(method="random")], processes=1)
    assert sorted(place.iterdir()) == sorted(others)


def test_records_are_plain_json(config):
    runs.run([config.replace(method="random")], processes=1)
    (path,) = (paths.output_dir(config) / "records").glob("*.json")
    assert json.loads(path.read_text())["method"] == "random"
    assert isinstance(runs.table([], "width"), pd.DataFrame)


PROGRAM = """
import sys
from simclr_lib import runs
from simclr_lib.config import Config

if __name__ == "__main__":
    config = Config.create("smoke", output_dir=sys.argv[1], epochs=20, checkpoint_minutes=0.02)
    config = config.replace(num_images=128, processes=int(sys.argv[3]), precision="fp32")
    config = config.replace(base_learning_rate=0.01)
    runs.run(runs.grid(config, seed=[0, 1]), processes=int(sys.argv[2]))
"""


@pytest.mark.parametrize(("at_a_time", "together"), [(1, 1), (2, 1), (1, 2)])
def test_terminated_it_saves_and_the_same_command_goes_on(at_a_time, together, tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)

    def start(place):
        command = [sys.executable, script, tmp_path / place, str(at_a_time), str(together)]
        return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})

    def steps(place):
        found = (tmp_path / place / "checkpoints").glob("*.pt")
        return [checkpoints.load(path)["step"] for path in found]

    with start("disturbed") as program:
        while not steps("disturbed"):
            time.sleep(0.1)
        seen = steps("disturbed")
        time.sleep(0.3)
        program.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert program.wait() == -signal.SIGTERM
        assert time.monotonic() - begun < 20
    assert len(steps("disturbed")) == at_a_time
    assert max(steps("disturbed")) > max(seen)  # saved then, not at the last regular time
    for place in ("disturbed", "left_alone"):
        with start(place) as program:
            assert program.wait() == 0
    first, second = (
        {
            record["seed"]: record
            for record in map(
                json.loads, map(Path.read_text, (tmp_path / place / "records").iterdir())
            )
        }
        for place in ("disturbed", "left_alone")
    )
    assert first.keys() == second.keys() == {0, 1}
    for seed in first:
        assert first[seed]["metrics"] == second[seed]["metrics"]
        for name in ("step", "loss", "accuracy"):
            assert first[seed]["history"][name] == second[seed]["history"][name]
