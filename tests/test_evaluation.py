"""Probes on features whose answer is known, and records that come back as they went."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch

from simclr_lib import data, evaluation, figures, paper, paths
from simclr_lib.config import Config
from simclr_lib.methods import build
from simclr_lib.runs import records
from simclr_lib.views import batches as streams
from simclr_lib.views import branches

PARTS = ("", "_top5", "_per_class")


def blobs(separation, seed=0):
    """Three Gaussian classes in 8 dimensions, `separation` deviations apart."""
    generator = torch.Generator().manual_seed(seed)
    centers = separation * torch.eye(8)[:3]
    parts = []
    for number in (300, 150, 600):
        labels = torch.arange(number) % 3
        parts += [centers[labels] + torch.randn(number, 8, generator=generator), labels]
    return evaluation.Features(*parts)


def test_probes_see_what_is_there_and_nothing_else():
    for separation, low, high in ((0.0, 25, 42), (8.0, 99, 100)):
        found = blobs(separation)
        assert low <= evaluation.linear_probe(found).accuracy <= high
        assert low <= evaluation.knn(found) <= high


def test_linear_probe_equals_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    found = blobs(1.5)
    ours = evaluation.linear_probe(found, l2_grid=(0.01,))
    mean, std = found.train.mean(0), found.train.std(0)
    x = np.vstack([(h - mean) / std for h in (found.train, found.validation)]).astype(np.float64)
    y = torch.cat([found.train_labels, found.validation_labels]).numpy()
    theirs = LogisticRegression(C=1 / (0.01 * len(x)), max_iter=1000, tol=1e-8).fit(x, y)
    test = ((found.test - mean) / std).double().numpy()
    assert ours.accuracy == pytest.approx(100 * theirs.score(test, found.test_labels), abs=0.2)


def test_l2_is_chosen_on_validation_not_on_test():
    found = blobs(1.0)
    wrong = found._replace(test_labels=torch.zeros_like(found.test_labels))
    assert evaluation.linear_probe(found).l2 == evaluation.linear_probe(wrong).l2


def test_knn_equals_a_plain_loop():
    found = blobs(1.0)
    correct = 0
    for h, label in zip(found.test[:50].double(), found.test_labels[:50], strict=True):
        nearest = sorted(
            (
                (torch.cosine_similarity(h, t, dim=0).item(), int(y))
                for t, y in zip(found.train.double(), found.train_labels, strict=True)
            ),
            reverse=True,
        )[:5]
        votes = [sum(math.exp(s / 0.07) for s, y in nearest if y == c) for c in range(3)]
        correct += votes.index(max(votes)) == label
    few = found._replace(test=found.test[:50], test_labels=found.test_labels[:50])
    assert evaluation.knn(few, k=5) == pytest.approx(2 * correct)


def test_metrics_of_z_and_of_the_game_are_those_of_plain_loops(tmp_path):
    config = Config.create("smoke", precision="fp32", output_dir=str(tmp_path))
    images = data.load(config)
    method = build(config)
    encoder, head = method.encoder, method.head
    cpu = torch.device("cpu")
    x = torch.cat(next(streams.batches(images.train, branches(config), config, cpu, 0, 1)).views)
    with torch.no_grad():  # moving statistics that differ from 0 and 1, and tell images apart
        for _ in range(20):
            head(encoder(x))
    found = evaluation.features(encoder, images, config)
    z = evaluation.project(found, head)
    assert torch.equal(z.test_labels, found.test_labels)
    assert head.training
    torch.testing.assert_close(z.test, head.eval()(found.test).detach())
    metrics = evaluation.evaluate(encoder, images, config, head.train())
    probes = {f"{probe}{part}" for probe in ("linear", "linear_z") for part in PARTS}
    assert set(metrics) == probes | {
        "knn", "l2", "entropy", "contrastive_accuracy", "largest_class"
    }  # fmt: skip
    assert metrics["linear_z"] == evaluation.linear_probe(z).accuracy
    hits, entropies = [], []
    number = len(images.test) // config.batch_size
    head.eval(), encoder.eval()
    for batch in streams.batches(images.test, branches(config), config, cpu, 0, number):
        z = head(encoder(torch.cat(batch.views)))
        u = torch.nn.functional.normalize(z.detach().double())
        one, two = u.chunk(2)
        for i, anchor in enumerate(one):
            shares = torch.stack([anchor @ v / config.temperature for v in two]).softmax(0)
            hits.append(shares.argmax().item() == i)
            entropies.append(-(shares * shares.log()).sum().item())
    assert len(hits) == number * config.batch_size > config.batch_size
    # One tie that float32 settles otherwise than float64 is allowed.
    assert metrics["contrastive_accuracy"] == pytest.approx(100 * np.mean(hits), abs=0.8)
    assert metrics["entropy"] == pytest.approx(np.mean(entropies), abs=1e-4)


def test_sgd_probe_reads_a_visible_class(tmp_path):
    """Dark against bright images: any encoder shows the difference to a linear classifier."""

    def part(flip):
        labels = torch.arange(128) % 2
        noise = torch.randint(0, 60, (128, 3, 32, 32), generator=torch.Generator().manual_seed(0))
        pixels = (noise + 150 * labels.view(-1, 1, 1, 1)).byte()
        return data.ImageSet(pixels, 1 - labels if flip else labels)

    # Test labels are exchanged: a probe that looked at them would be right, an honest one wrong.
    parts = [part(flip) for flip in (False, False, True, False)]
    found = data.Data("light", ("dark", "bright"), *parts)
    config = Config.create("smoke", probe_epochs=10, output_dir=str(tmp_path), base_channels=8)
    config = config.replace(precision="fp32")
    encoder = build(config).encoder
    for augment in (False, True):
        assert evaluation.linear_probe_sgd(encoder, found, config, augment) < 5


def test_encoding_is_in_order_without_augmentation_and_leaves_the_mode(tmp_path):
    config = Config.create("smoke", precision="fp32")
    images = data.load(config).test
    encoder = build(config).encoder.train()
    h, labels = evaluation.encode(encoder, images, config)
    assert encoder.training
    assert torch.equal(labels, images.labels)
    one, _ = evaluation.encode(encoder, images.subset(torch.tensor([5])), config)
    torch.testing.assert_close(h[5:6], one)


def test_records_come_back_and_accumulate(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path)
    config = Config.create("smoke", output_dir="mine")
    for seed, value in ((0, 50.0), (1, 54.0), (1, 52.0)):  # a repetition replaces
        records.add(config.replace(seed=seed), {"linear": value})
    records.add(config.replace(method="random"), {"linear": 20.0})
    found = records.read(config)
    assert len(found) == 3
    assert {r["source"] for r in found} == {"yours"}
    text = json.dumps(found)
    assert str(tmp_path) not in text
    assert all(r["versions"]["torch"] and r["date"] and r["commit"] for r in found)
    assert records.read() == []  # no reference runs there


def test_a_record_from_before_a_parameter_existed_has_its_default(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path)
    config = Config.create("smoke")
    path = records.path_of(config)
    records.add(config, {"linear": 50.0})
    record = json.loads(path.read_text())
    del record["config"]["loss"]
    path.write_text(json.dumps(record))
    assert records.read(config)[0]["config"]["loss"] == "nt_xent"


def test_a_damaged_record_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path)
    (tmp_path / "runs" / "records").mkdir(parents=True)
    for text in ("{", "[1]", "{}"):
        (tmp_path / "runs" / "records" / "bad.json").write_text(text)
        with pytest.raises(ValueError, match=r"bad.json is not a record"):
            records.read(Config.create("smoke"))


def test_committed_records_are_whole_and_name_no_machine():
    places = sorted((paths.project_root() / "reproductions" / "records").glob("*.json"))
    assert places
    for path in places:
        record = json.loads(path.read_text())
        assert {"metrics", "config", "seed", "commit", "date", "versions", "device"} <= set(record)
        assert "dirty" not in record["commit"], path.name
        assert not any("/" in str(v) for v in record["config"].values()), path.name


def test_paper_numbers_are_read_or_marked():
    assert [v["value"] for v in paper.published("v1_table6", "top1", method="SimCLR")] == [
        69.3,
        74.2,
        76.5,
    ]
    kinds = {v["confidence"] for entry in paper.numbers().values() for v in entry["values"]}
    assert kinds == {"read", "digitized"}
    with pytest.raises(ValueError, match="entry='v1_table99'"):
        paper.published("v1_table99")


def test_every_figure_is_drawn_and_closed():
    import matplotlib.pyplot as plt

    images = torch.rand(3, 3, 8, 8)
    history = {"step": [1, 2], "loss": [3.0, 2.0], "accuracy": [0.1, 0.5]}
    h = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    sweep = pd.DataFrame(
        [(1, "a", 5.0, "read"), (2, "a", 6.0, "reference"), (2, "b", 6.0, "yours")],
        columns=["x", "line", "value", "kind"],
    )
    cells = pd.DataFrame(
        [("a", "b", 50.0, "yours"), ("a", "b", 60.0, "reference"), ("b", "b", 10.0, "read")],
        columns=["first", "second", "value", "kind"],
    )
    made = [
        figures.image_grid(images, ["a", "b", "c"], "images"),
        figures.views_gallery(images, [images, images], "views"),
        figures.similarity_matrix(torch.eye(4), titles=["one"], label="cosine"),
        figures.training_curves({"run": history}, 4.0),
        figures.accuracy_bars({"a": [1.0], "b": [2.0, 3.0]}, "bars", chance=10),
        figures.overview(images, [images, images], {"a": [1.0], "b, c": [2.0, 3.0]}),
        figures.tsne({"h": h}, torch.arange(60) % 3, ["a", "b", "c"]),
        figures.sweep({"ours": sweep, "none": sweep[:0]}, "x", "line", xlabel="x"),
        figures.heat_maps({"ours": cells}, ["a", "b"], "%"),
    ]
    assert all(figure.axes for figure in made)
    assert len(made[-2].axes) == 1, "a panel without rows is left out"
    assert [t.get_text() for t in made[-1].axes[0].texts] == ["★55.0", "10.0"]
    assert plt.get_fignums() == []


def test_the_linear_probe_refuses_a_device_that_would_compile_every_look():
    with pytest.raises(ValueError, match="device='xla' is not valid"):
        evaluation.linear_probe(blobs(1.0), device="xla")


def test_images_without_labels_are_encoded_as_well():
    config = Config.create("smoke", device="cpu")
    pixels = torch.zeros(5, 3, 32, 32, dtype=torch.uint8)
    unlabelled = data.ImageSet(pixels, torch.full((5,), -1))
    h, labels = evaluation.encode(build(config).encoder, unlabelled, config)
    assert len(h) == 5
    assert labels.tolist() == [-1] * 5
