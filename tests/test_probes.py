"""Probes: the optimum with few labels as well, the numbers of the tables, the memory they take."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from simclr_lib import data, evaluation, runs
from simclr_lib.config import Config
from simclr_lib.evaluation import linear, logistic, needs
from simclr_lib.evaluation.scores import best_guesses, largest_class, scores
from simclr_lib.machine import groups, memory
from simclr_lib.methods import build
from simclr_lib.networks.resnet import feature_count
from simclr_lib.runs import records


def few(labels, features=512, seed=0):
    """Ten overlapping classes, a direction of h ten times as long as the next: and few labels."""
    dice = torch.Generator().manual_seed(seed)
    scale = torch.logspace(0, -1.5, features)
    centers = torch.randn(10, features, generator=dice) * scale

    def part(number):
        y = torch.randint(0, 10, (number,), generator=dice)
        return centers[y] * 0.25 + torch.randn(number, features, generator=dice) * scale, y

    return evaluation.Features(*part(labels), *part(200), *part(2000))


def standardised(found):
    mean, std = found.train.mean(dim=0), found.train.std(dim=0)
    return [((h - mean) / std).double() for h in found[::2]]


@pytest.mark.parametrize(("labels", "l2"), [(50, 1e-6), (100, 1e-6), (100, 1e-3), (2000, 1e-5)])
def test_the_fit_is_the_optimum_also_with_few_labels_and_a_weak_l2(labels, l2):
    """Strict convexity: nothing is below the optimum, and the gradient bounds the way to it."""
    found = few(labels)
    x, _, test = standardised(found)
    y, start = found.train_labels, torch.zeros(513, 10, dtype=torch.float64)
    fitted = logistic.logistic_regression([(x, y)], start, l2)

    def loss(weights):
        logits = x @ weights[:-1] + weights[-1]
        return torch.nn.functional.cross_entropy(logits, y) + l2 / 2 * weights[:-1].square().sum()

    best = fitted.clone()
    for _ in range(30):  # Newton's method, each step solved by conjugate gradients
        best.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(best), best, create_graph=True)
        if gradient.norm() < 1e-12:
            break
        best = (best - newton_step(gradient, best)).detach()
    assert loss(best) <= loss(fitted) <= (1 + 1e-4) * loss(best)
    same = (test @ (fitted - best)[:-1] + (fitted - best)[-1]).abs().max()
    guesses = [(test @ w[:-1] + w[-1]).argmax(dim=1) for w in (fitted, best)]
    assert (guesses[0] == guesses[1]).double().mean() > 0.99, same


def newton_step(gradient, weights):
    """H^-1 g by conjugate gradients with products from automatic differentiation."""
    g = gradient.detach()
    step, residual = torch.zeros_like(g), g.clone()
    direction = residual.clone()
    for _ in range(400):
        (product,) = torch.autograd.grad(gradient, weights, direction, retain_graph=True)
        product = product + 1e-14 * direction
        length = residual.square().sum() / (direction * product).sum()
        step += length * direction
        after = residual - length * product
        if after.norm() < 1e-3 * g.norm():
            break
        direction = after + after.square().sum() / residual.square().sum() * direction
        residual = after
    return step


def test_rows_in_chunks_and_parts_are_one_set(monkeypatch):
    found = few(100)
    x, _, _ = standardised(found)
    start = torch.zeros(513, 10, dtype=torch.float64)
    monkeypatch.setattr(logistic, "TOLERANCE", 1e-13)  # two ways to one place
    whole = logistic.logistic_regression([(x, found.train_labels)], start, 1e-3)
    monkeypatch.setattr(logistic, "ROWS", 7)
    cut = [(x[:30], found.train_labels[:30]), (x[30:], found.train_labels[30:])]
    assert torch.allclose(logistic.logistic_regression(cut, start, 1e-3), whole, atol=1e-6)


def test_float32_and_float64_agree(monkeypatch):
    found = few(1000, features=64)
    exact = evaluation.linear_probe(found)
    monkeypatch.setattr(linear, "IN_FLOAT64", 0)
    assert evaluation.linear_probe(found).accuracy == pytest.approx(exact.accuracy, abs=0.5)


def test_dead_and_equal_features_do_no_harm():
    found = few(100, features=32)
    broken = found._replace(
        **{part: torch.cat([h := getattr(found, part), 0 * h, h, h], dim=1)
           for part in ("train", "validation", "test")}
    )  # fmt: skip
    plain, other = (evaluation.linear_probe(f, l2_grid=(1e-6, 1e-3)) for f in (found, broken))
    assert other.accuracy == pytest.approx(plain.accuracy, abs=2)


def test_many_classes_and_a_strong_l2_reach_the_optimum_too():
    dice = torch.Generator().manual_seed(0)
    y = torch.arange(600) % 300
    x = torch.randn(300, 20, generator=dice).double()[y] + torch.randn(600, 20, generator=dice)
    tries = {}
    for tolerance in (1e-5, 1e-11):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(logistic, "TOLERANCE", tolerance)
            start = torch.zeros(21, 300, dtype=torch.float64)
            weights = logistic.logistic_regression([(x, y)], start, 10.0)
            tries[tolerance] = logistic._loss_and_gradient([(x, y)], weights, 10.0)[0].item()
    assert tries[1e-5] == pytest.approx(tries[1e-11], rel=1e-4)


def test_features_that_do_not_vary_in_training_count_for_nothing():
    found = few(100, features=32)
    dead = {
        part: torch.cat([h := getattr(found, part), torch.full((len(h), 2), 1234.567)], dim=1)
        for part in ("train", "validation", "test")
    }
    dead["test"][:1000, 32] += 0.01  # alive there
    dead["validation"][:, 33] = 7.0
    for float64 in (2**24, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(linear, "IN_FLOAT64", float64)
            plain, other = (evaluation.linear_probe(f) for f in (found, found._replace(**dead)))
        assert other.accuracy == pytest.approx(plain.accuracy, abs=0.2)
        assert other.l2 == plain.l2


@pytest.mark.parametrize("probe", ["L-BFGS", "SGD"])
def test_without_a_head_z_is_h_and_with_any_other_it_is_not(probe, tmp_path):
    config = Config.create("smoke", num_images=64, batch_size=32, probe=probe, head_layers=0)
    images, method = data.load(config), build(config)
    for head, same in ((method.head, True), (torch.nn.Tanh(), False)):
        metrics = evaluation.evaluate(method.encoder, images, config, head)
        for part in ("", "_top5", "_per_class"):
            assert f"linear_z{part}" in metrics
        if same:
            assert metrics["linear_z"] == metrics["linear"]
    z = evaluation.project(evaluation.features(method.encoder, images, config), torch.nn.Tanh())
    if probe == "L-BFGS":
        assert metrics["linear_z"] == evaluation.linear_probe(z).accuracy


def test_scores_are_those_of_plain_loops():
    dice = torch.Generator().manual_seed(0)
    logits, labels = (
        torch.randn(200, 8, generator=dice),
        torch.randint(0, 8, (200,), generator=dice),
    )
    labels[labels == 3] = 2  # class 3 does not occur
    found = scores(best_guesses(logits), labels)
    ranks = [
        sorted(range(8), key=lambda c, i=i: -logits[i, c]).index(labels[i]) for i in range(200)
    ]
    assert found.accuracy == pytest.approx(100 * sum(r == 0 for r in ranks) / 200)
    assert found.top5 == pytest.approx(100 * sum(r < 5 for r in ranks) / 200)
    within = [
        sum(ranks[i] == 0 for i in range(200) if labels[i] == c) / int((labels == c).sum())
        for c in range(8) if c != 3
    ]  # fmt: skip
    assert found.per_class == pytest.approx(100 * sum(within) / 7)
    assert largest_class(labels) == 100 * max(labels.tolist().count(c) for c in range(8)) / 200


def test_classes_that_are_rare_or_absent_are_judged():
    dice = torch.Generator().manual_seed(0)
    h = torch.randn(62, 16, generator=dice)
    train, validation, test = torch.arange(32) % 30, torch.arange(20) + 28, torch.arange(10) + 40
    found = evaluation.Features(h[:32], train, h[32:52], validation, h[52:], test)
    probe = evaluation.linear_probe(found)
    assert 0 <= probe.accuracy <= probe.top5 <= 100
    assert evaluation.knn(found) == 0  # no test class is among the neighbours
    one = evaluation.Features(h[:32], train, h[32:52], validation, h[52:53], test[:1])
    assert evaluation.linear_probe(one).accuracy in (0, 100)


@pytest.mark.parametrize("probe", ["L-BFGS", "SGD"])
def test_a_run_is_judged_by_the_probe_it_names(probe, tmp_path):
    config = Config.create("smoke", method="random", probe=probe, output_dir=str(tmp_path))
    images = data.load(config)
    metrics = evaluation.evaluate(build(config), images, config)
    assert ("l2" in metrics) == (probe == "L-BFGS")
    if probe == "SGD":
        expected = evaluation.linear_probe_sgd(build(config), images, config)
        assert metrics["linear"] == pytest.approx(expected)
    assert metrics["linear"] <= metrics["linear_top5"]
    assert metrics["largest_class"] == pytest.approx(10, abs=1)


def test_the_number_of_features_is_known_without_a_network():
    for more in ({"depth": 18}, {"depth": 50}, {"width": 0.5}, {"sk_ratio": 0.0625, "depth": 50}):
        config = Config.create("smoke", **more)
        assert feature_count(config) == build(config).encoder.features


# Memory

MEASURE = """
import resource, sys, threading
import psutil, torch
from simclr_lib import evaluation
from simclr_lib.evaluation import needs

torch.set_num_threads(1)
number, features, classes = map(int, sys.argv[1:])
process, peak, end = psutil.Process(), [0], threading.Event()

def watch():
    while not end.wait(0.002):
        peak[0] = max(peak[0], process.memory_info().rss)

small = evaluation.Features(*[torch.randn(50, 4), torch.arange(50) % 3] * 3)
evaluation.linear_probe(small)  # what libraries take at first use
def most():  # what the system has noted, in bytes
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before, most_before = process.memory_info().rss, most()
threading.Thread(target=watch, daemon=True).start()
counts = number, number // 10, number // 5
parts = [(torch.randn(n, features), torch.arange(n) % classes) for n in counts]
found = evaluation.Features(*(x for part in parts for x in part))
evaluation.linear_probe(found, l2_grid=(0.1,))
evaluation.knn(found)
end.set()
if sys.platform == "linux" and most() > most_before:  # on a busy machine `watch` may miss it
    peak.append(most())
need = needs.probe_memory(*counts, features, classes)
print((max(peak) - before) / need, need)
"""


@pytest.mark.parametrize("number", [5000, 40_000])
def test_memory_is_what_was_estimated(number):
    asked = [sys.executable, "-c", MEASURE, str(number), "512", "10"]
    result = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=ROOT)
    ratio, need = map(float, result.stdout.split())
    assert 0.8 <= ratio <= 1.2, (ratio, need)


ROOT = Path(__file__).parent.parent


def test_no_room_is_said_before_training(tmp_path, monkeypatch):
    config = Config.create("smoke", num_images=64, batch_size=32, output_dir=str(tmp_path))
    monkeypatch.setattr(memory, "available", lambda: 1000)
    monkeypatch.setattr("simclr_lib.runs.one.train", lambda *_, **__: pytest.fail("it trains"))
    with pytest.raises(
        ValueError, match=r"dataset='synthetic' cannot be judged here: the features"
    ):
        runs.run([config], processes=1)


def test_data_that_cannot_be_judged_is_refused_before_training(tmp_path):
    config = Config.create("smoke", num_images=64, batch_size=32, output_dir=str(tmp_path))
    images = data.load(config)
    assert needs.check(config, images) > 0
    unknown = data.ImageSet(images.train.images, images.train.labels - 5)
    for wrong, words in (
        (images._replace(test=images.test.subset(torch.tensor([0]))), "test part has 1 images"),
        (images._replace(train=unknown), r"data.train.labels.min\(\)=-5 is not valid"),
        (images._replace(classes=images.classes[:3]), r"labels.max\(\)=9 is not valid.*below 3"),
    ):
        with pytest.raises(ValueError, match=words):
            needs.check(config, wrong)


def test_limits_of_a_group_count(tmp_path, monkeypatch):
    kinds = (2, "0::/job/step", "job"), (1, "4:cpu,memory:/job/step", "memory/job")
    for version, line, inner in kinds:
        place = tmp_path / str(version) / inner
        names = ("memory.max", "memory.current") if version == 2 else (
            "memory.limit_in_bytes", "memory.usage_in_bytes")  # fmt: skip
        (place / "step").mkdir(parents=True)
        for name, value in zip(names, (5000, 1500), strict=True):
            (place / name).write_text(f"{value}\n")
        (place / "step" / names[0]).write_text("max\n")
        (place / "memory.stat").write_text("anon 1000\ninactive_file 300\n")
        member = tmp_path / f"member{version}"
        member.write_text(f"{line}\n")
        monkeypatch.setattr(groups, "GROUPS", tmp_path / str(version))
        monkeypatch.setattr(groups, "MEMBERSHIP", member)
        assert memory.available() == 5000 - 1500 + 300
    monkeypatch.setattr(groups, "MEMBERSHIP", tmp_path / "nothing")
    assert memory.available() > 5000


# Ends

PROGRAM = """
import sys
from simclr_lib import data
from simclr_lib.config import Config
from simclr_lib.train import train

config = Config.create("smoke", output_dir=sys.argv[1], epochs=160, device="cpu", precision="fp32",
                       num_images=128)
def report(step, total, note):
    print(step, flush=True)

run = train(config, data.load(config), report=report)
print("losses", run.history["loss"][-1])
"""


def test_ctrl_c_leaves_a_checkpoint_and_the_run_goes_on(tmp_path):
    asked = [sys.executable, "-c", PROGRAM, str(tmp_path / "cut")]
    process = subprocess.Popen(
        asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    while int(process.stdout.readline()) < 3:
        pass
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in said[1]
    assert len([*(tmp_path / "cut" / "checkpoints").glob("*.pt")]) == 1
    again = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert int(again.split()[0]) >= 3
    whole = [*asked[:-1], str(tmp_path / "whole")]
    undisturbed = subprocess.run(whole, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert again.split()[-1] == undisturbed.split()[-1]


def test_a_run_that_diverges_ends_the_command_with_its_message(tmp_path):
    wild = {"base_learning_rate": "1e20", "momentum": "0.99", "without": "lars_exclusions"}
    small = {"preset": "smoke", "num_images": "64", "batch_size": "32", "device": "cpu"}
    given = small | wild | {"output_dir": str(tmp_path)}
    asked = [sys.executable, "-m", "simclr_lib"]
    asked += [word for item in given.items() for word in ("-p", *item)]
    for attempt in range(2):  # the second finds the record
        result = subprocess.run(asked, capture_output=True, text=True, cwd=ROOT)
        assert result.returncode == 1
        assert "try a lower base_learning_rate" in result.stderr
        assert "Traceback" not in result.stderr
        assert ("already recorded" in result.stdout) == (attempt == 1)
    (path,) = (tmp_path / "records").glob("*.json")
    assert "failed" in json.loads(path.read_text())
    assert path.stem == records.path_of(Config.create(**given)).stem
