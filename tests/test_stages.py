"""Stages: what a run begins with is made before it, once, and only where its weights are not."""

from __future__ import annotations

import json

import pytest
import torch
from conftest import assert_near

from simclr_lib import data, paths, runs
from simclr_lib.config import Config
from simclr_lib.runs import costs, one, records
from simclr_lib.runs.jobs import stages, work
from simclr_lib.train import files, trained


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A distilled network whose teacher is deeper: it begins with four runs."""
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path)
    config = Config.create("smoke", method="distill", num_images=64, epochs=1, device="cpu")
    config = config.replace(precision="fp32", output_dir=str(tmp_path), finetune_epochs=1)
    return config.replace(student_start="fine-tune", teacher_depth=34, finetune_from=1)


@pytest.fixture
def made(monkeypatch):
    """The method and depth of every run that is trained."""
    found, real = [], one.train

    def noting(config, *args, **kwargs):
        found.append((config.method, config.depth))
        return real(config, *args, **kwargs)

    monkeypatch.setattr(one, "train", noting)
    return found


def names(parts):
    return [sorted((job.method, job.depth) for job in part) for part in parts]


EVERYTHING = [
    [("SimCLR", 18), ("SimCLR", 34)],
    [("fine-tune", 18), ("fine-tune", 34)],
    [("distill", 18)],
]


def test_what_a_run_begins_with_is_made_before_it_once(job, made, capsys):
    assert names(stages([job])) == EVERYTHING
    runs.run([job], "all", processes=1)
    assert [sorted(made[:2]), sorted(made[2:4]), made[4:]] == EVERYTHING
    assert "all, fine-tune" in capsys.readouterr().out
    assert len(records.read(job)) == 5
    runs.run([job], processes=1)
    assert len(made) == 5
    records.path_of(job).unlink()
    runs.run([job], processes=1)
    assert made[5:] == [("distill", 18)]  # from the weights of the others


def test_it_is_judged_by_its_own_answers(job, made):
    job = job.replace(method="fine-tune", label_share=0.5)
    runs.run([job], processes=1)
    (metrics,) = [r["metrics"] for r in records.read(job) if r["method"] == "fine-tune"]
    images = data.load(job)
    method = trained(job, len(images.classes)).eval()
    test = images.test
    with torch.no_grad():
        guesses = method.logits(test.images.float() / 255).argmax(dim=1)
    right = (guesses == test.labels).double()
    assert metrics["accuracy"] == pytest.approx(100 * right.mean().item())
    of_classes = [right[test.labels == c].mean() for c in test.labels.unique()]
    assert_near(torch.tensor(metrics["accuracy_per_class"]), 100 * torch.stack(of_classes).mean())
    assert metrics["labels"] == 32
    assert metrics["accuracy_top5"] >= metrics["accuracy"]
    assert {"validation", "largest_class", "parameters_M"} <= metrics.keys()
    assert "linear" not in metrics


def test_nothing_is_made_for_a_run_that_has_left_its_weights(job):
    job = job.replace(student_start="random")
    teacher = job.replace(method="fine-tune", depth=34)
    all_three = [[("SimCLR", 34)], [("fine-tune", 34)], [("distill", 18)]]
    assert names(stages([job])) == all_three
    runs.run([teacher], processes=1)
    files.places(teacher.replace(method="SimCLR")).weights.unlink()
    assert names(stages([job])) == [[("distill", 18)]]
    assert names(stages([job, teacher])) == all_three  # asked for, it is made again
    files.places(teacher).weights.unlink()  # recorded, but what the student needs is not there
    assert names(stages([job])) == all_three


def test_a_run_that_is_asked_for_and_needed_is_made_once_and_first(job):
    pretrained, other = job.replace(method="SimCLR"), job.replace(method="BYOL")
    parts = names(stages([job, pretrained, other]))
    assert parts[:2] == EVERYTHING[:2]
    assert parts[2] == [("BYOL", 18), ("distill", 18)]
    assert stages([]) == []
    shares = runs.grid(job.replace(method="fine-tune"), label_share=[0.1, 1.0])
    assert names(stages(shares)) == [[("SimCLR", 18)], [("fine-tune", 18)] * 2]


def test_the_cost_is_of_all_of_it(job, monkeypatch):
    monkeypatch.setattr(costs, "estimate", lambda job, _: costs.Cost(1, 60 * work(job), 0))
    everything = [run for part in stages([job]) for run in part]
    words = costs.cost([job], data.load(job))
    assert words.startswith(f"5 runs to train, about {sum(map(work, everything)):.1f} min")


def test_a_stage_that_the_head_has_not_is_refused_first(job, monkeypatch):
    monkeypatch.setattr("simclr_lib.runs.sweeps.make", lambda *_: pytest.fail("trained"))
    with pytest.raises(ValueError, match="finetune_from=3 is not valid; it must be at most"):
        runs.run([job.replace(finetune_from=3)], processes=1)


def test_labels_that_there_are_not_are_refused_before_anything_is_trained(job, made):
    job = job.replace(labels_per_class=60)
    with pytest.raises(ValueError, match="labels_per_class=60 is not valid.* at most "):
        runs.run([job], processes=1)
    assert made == []


def test_where_a_pretraining_diverges_what_begins_with_it_is_recorded_as_such(job, made):
    job = job.replace(method="fine-tune", base_learning_rate=1e30, warmup_epochs=0.0)
    good = job.replace(start="random")
    runs.run([job, good], processes=1)
    said = {r["method"]: r.get("failed", "") for r in records.read(job) if "id" in r}
    assert "base_learning_rate" in said["SimCLR"]
    failed = json.loads(records.path_of(job).read_text())
    assert failed["failed"] == f"its start (SimCLR) diverged: {said['SimCLR']}"
    assert failed["metrics"].keys() == {"parameters_M"}
    assert "accuracy" in json.loads(records.path_of(good).read_text())["metrics"]
    assert len(made) == 2
    records.path_of(job).unlink()
    runs.run([job], processes=1)
    assert len(made) == 2  # what diverged would do so again


@pytest.mark.parametrize("content", ["[]", "{"])
def test_a_damaged_record_of_what_a_run_begins_with_is_named(job, content):
    path = records.path_of(job.replace(method="SimCLR"))
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(ValueError, match=f"{path.name} is not a record: .*delete or mend it"):
        stages([job.replace(method="fine-tune")])
