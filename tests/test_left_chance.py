"""Whether and when a run left chance: in its record, and over the seeds of a table."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from simclr_lib import methods, runs
from simclr_lib.config import Config
from simclr_lib.runs import records
from simclr_lib.train.log import left_chance
from tests.one_step import METHODS


@pytest.mark.parametrize(
    ("accuracy", "left"),
    [
        ([0.1, 0.2, 0.3, 0.4], 20),  # twice as often as guessing is enough
        ([0.1, 0.19, 0.19, 0.19], None),
        ([0.5, 0.1, 0.3, 0.4], 30),  # a fall back undoes what was before
        ([0.5, 0.4, 0.3, 0.1], None),
        ([], None),
    ],
)
def test_a_run_has_left_chance_from_where_it_stays_above(accuracy, left):
    history = {"step": [10.0 * (k + 1) for k in range(len(accuracy))], "accuracy": accuracy}
    assert left_chance(history, 0.1) == left


@pytest.mark.parametrize("name", METHODS)
def test_guessing_is_what_random_outputs_reach(name):
    config = Config.create("smoke", method=name, batch_size=64, queue_size=64)
    method = methods.build(config, 10)
    draws, found = torch.Generator().manual_seed(0), []
    for _ in range(200):
        outputs = [torch.randn(64, 128, generator=draws) for _ in range(4)]
        labels = torch.randint(10, (64,), generator=draws)
        if name == "BYOL":
            found.append(method.loss(tuple(outputs), labels)[1])
        elif name in ("SimCLR", "MoCo v2"):
            found.append(method.loss(tuple(outputs[:2]), labels)[1])
        elif name == "distill":
            student, teacher = (x[:, :10] for x in outputs[:2])
            found.append(method.loss((student, teacher), labels)[1])
        else:
            classes = method.classifier.out_features
            found.append(method.loss((outputs[0][:, :classes],), labels % classes)[1])
    assert torch.stack(found).mean().item() == pytest.approx(method.guessing(), rel=0.15)


def test_a_method_of_ones_own_need_not_know(tmp_path):
    assert methods.Method.guessing(methods.build(Config.create("smoke", method="random"))) is None


def test_the_record_says_when_and_the_summary_how_many(tmp_path, monkeypatch):
    monkeypatch.setattr("simclr_lib.paths.project_root", lambda: tmp_path)
    config = Config.create("smoke", output_dir=str(tmp_path / "runs"), device="cpu")
    runs.run([config, config.replace(method="random")], processes=1)
    trained, untrained = sorted(records.read(config), key=lambda r: r["method"] == "random")
    assert trained["left_chance"] == left_chance(trained["history"], 1 / config.batch_size)
    assert "left_chance" not in untrained
    floor = untrained["metrics"]["linear"]
    for seed, value in ((1, floor + 1), (2, floor - 1), (3, floor)):
        records.add(config.replace(seed=seed), {"linear": value})
    records.add(config.replace(seed=4), {}, failed="the loss is nan")
    table = runs.table([config.replace(seed=9)], config=config)
    (row,) = runs.summary(table[table.seed > 0], "method").to_dict("records")
    assert row["learned"] == "1 of 4"  # equal is not above, and what diverged has learned nothing
    assert "learned" not in runs.summary(table, "method", metric="knn")
    untrained = runs.table([config.replace(method="random")], config=config)
    assert runs.summary(untrained, "method")["learned"].tolist() == [None]  # above itself: nothing
    table["untrained"] = float("nan")
    assert runs.summary(table, "method")["learned"].tolist() == [None]


def test_a_table_without_records_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("simclr_lib.paths.project_root", lambda: tmp_path)
    jobs = runs.grid(Config.create("smoke"), seed=[0, 1, 2])
    assert len(runs.table(jobs)) == 0
    assert "no records of these 3 runs on synthetic" in capsys.readouterr().out
    assert len(runs.table([])) == 0  # nothing was asked for
    assert capsys.readouterr().out == ""


def test_a_difference_is_shown_beyond_two_standard_errors():
    rows = [("a", s, v) for s, v in enumerate([80.0, 84.0, 88.0])]
    rows += [("b", s, v) for s, v in enumerate([70.0, 74.0, 78.0])]
    rows += [("c", s, v) for s, v in enumerate([78.0, 80.0])]
    table = pd.DataFrame(rows, columns=["kind_of", "seed", "linear"])
    table = table.assign(source="reference", run=table.kind_of, precision="float32", failed=False)
    found = runs.difference(table, "kind_of", "a", "b")
    assert found.value == pytest.approx(10)
    assert found.error == pytest.approx((16 / 3 + 16 / 3) ** 0.5)
    assert found.seeds == (3, 3)
    assert found.shown  # 10 > 2 x 3.27
    assert not runs.difference(table, "kind_of", "b", "a").shown
    assert not runs.difference(table, "kind_of", "a", "c").shown  # two seeds are too few
    assert runs.difference(table.assign(place=table.kind_of), "place", "a", "b") == found
    assert str(found) == "+10.0 ± 3.3 (3 and 3 seeds)"
    table.loc[table.kind_of == "b", "linear"] += 4
    assert not runs.difference(table, "kind_of", "a", "b").shown  # 6 < 6.5
    with pytest.raises(ValueError, match="kind_of='d' is not in the table; it has 'a', 'b', 'c'"):
        runs.difference(table, "kind_of", "a", "d")


def test_a_paired_difference_asks_each_seed_against_itself():
    rows = [("a", s, v) for s, v in enumerate([80.0, 60.0, 90.0, 50.0])]
    rows += [("b", s, v) for s, v in enumerate([78.0, 59.0, 87.0])]
    table = pd.DataFrame(rows, columns=["kind_of", "seed", "linear"])
    table = table.assign(source="reference", run=table.kind_of, precision="float32", failed=False)
    found = runs.difference(table, "kind_of", "a", "b", paired=True)
    assert found.value == pytest.approx(2)  # of 2, 1, 3: the fourth seed of a has no partner
    assert found.error == pytest.approx(1 / 3**0.5)
    assert found.seeds == (3, 3)
    assert found.shown
    assert not runs.difference(table, "kind_of", "a", "b").shown
    assert not runs.difference(table, "kind_of", "b", "a", paired=True).shown
    assert str(found) == "+2.0 ± 0.6 (3 seeds, each with itself)"
    alone = table[table.seed == 0]
    assert not runs.difference(alone, "kind_of", "a", "b", paired=True).shown
