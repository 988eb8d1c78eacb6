"""What judges h refuses by name, and what it makes of odd but usable input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from simclr_lib import data, evaluation
from simclr_lib.config import Config
from simclr_lib.evaluation import transformation
from simclr_lib.methods import build

NAN, INF = math.nan, math.inf


def found(**changed):
    """Two classes far apart, 400 training rows of 4 numbers."""
    parts = {}
    for part, rows in (("train", 400), ("validation", 100), ("test", 20)):
        labels = torch.arange(rows) % 2
        noise = torch.randn(rows, 4, generator=torch.Generator().manual_seed(rows))
        parts |= {part: noise + 9 * torch.eye(4)[labels], f"{part}_labels": labels}
    return evaluation.Features(**(parts | changed))


def with_one(value, rows=400):
    """Features of which a single number is `value`."""
    h = torch.ones(rows, 4)
    h[3, 1] = value
    return h


FEATURES = {  # what is changed, and what the message says
    "NaN": ({"train": with_one(NAN)}, r"found.train=float32 .* finite: 1 of 400 rows"),
    "infinite": ({"test": with_one(INF, 20)}, r"found.test=.* finite: 1 of 20 rows"),
    "a list": ({"train": [[1.0]] * 400}, r"found.train=\[\[1.0\].*must be a tensor"),
    "an array": ({"test": np.ones((20, 4))}, r"found.test=float64 ndarray of shape \(20, 4\)"),
    "whole numbers": ({"test": torch.ones(20, 4).long()}, "found.test=int64"),
    "three dimensions": ({"test": torch.ones(20, 2, 2)}, r"found.test=.*\(N, 4\)"),
    "another width": ({"test": torch.ones(20, 5)}, r"found.test=.*\(20, 5\).*\(N, 4\)"),
    "no training row": (
        {"train": torch.ones(0, 4)},
        r"found.train=.*\(N, features\), N . or more",
    ),
    "no test row": ({"test": torch.ones(0, 4)}, "found.test=.*N 1 or more"),
    "no numbers": ({"train": torch.ones(400, 0)}, r"found.train=.*\(400, 0\)"),
    "unknown labels": (
        {"train_labels": torch.full((400,), -1)},
        r"found.train_labels.min\(\)=-1 is not valid.*0 or above: images without a label",
    ),
    "unknown test labels": ({"test_labels": torch.full((20,), -1)}, "found.test_labels.min"),
    "float labels": (
        {"train_labels": torch.ones(400)},
        "found.train_labels=float32.*class",
    ),
    "labels in a list": ({"test_labels": [1] * 20}, "found.test_labels=.*a tensor"),
    "too few labels": ({"test_labels": torch.ones(19).long()}, r"found.test_labels=.*\(20,\)"),
    "labels in a column": ({"test_labels": torch.ones(20, 1).long()}, r"\(20, 1\).*\(20,\)"),
}
JUDGES = {
    "knn": evaluation.knn,
    "linear_probe": evaluation.linear_probe,
    "predict": transformation.predict,
}


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("case", FEATURES)
def test_features_and_labels_that_cannot_be_judged_are_refused(case, judge):
    changed, message = FEATURES[case]
    with pytest.raises(ValueError, match=message):
        JUDGES[judge](found(**changed))
    if "labels" not in case:
        with pytest.raises(ValueError, match=message):
            evaluation.project(found(**changed), nn.Linear(4, 2))


@pytest.mark.parametrize("part", ["validation", "validation_labels"])
def test_a_vote_does_not_look_at_validation(part):
    assert evaluation.knn(found(**{part: torch.full((100,), NAN)})) == 100


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("labels", [torch.int32, torch.uint8])
def test_other_formats_of_numbers_are_judged_as_float32(judge, dtype, labels):
    plain = found()
    rows = {name: getattr(plain, name) for name in plain._fields}
    other = {k: x.to(labels if "labels" in k else dtype) for k, x in rows.items()}
    assert JUDGES[judge](found(**other)) == JUDGES[judge](plain)


@pytest.mark.parametrize("judge", ["knn", "linear_probe", "predict"])
def test_a_class_that_only_test_has_counts_as_wrong(judge):
    labels = torch.arange(20) % 2
    labels[:5] = torch.tensor([7, 2, 2, 9, 7])
    value = JUDGES[judge](found(test_labels=labels))
    assert (value.accuracy if judge == "linear_probe" else value) == 75


def test_a_class_that_only_validation_has_is_learned_from_it():
    new = torch.full((20,), 2)
    changed = {"validation": torch.randn(20, 4) - 9, "validation_labels": new}
    changed |= {"test": torch.randn(20, 4) - 9, "test_labels": new}
    assert evaluation.linear_probe(found(**changed), l2_grid=(1e-3,)).accuracy == 100


OPTIONS = {
    "k of 0": (evaluation.knn, {"k": 0}, "k=0 is not valid; it must be a whole number, 1 or"),
    "k below 0": (evaluation.knn, {"k": -3}, "k=-3"),
    "k a switch": (evaluation.knn, {"k": True}, "k=True"),
    "k a fraction": (evaluation.knn, {"k": 2.5}, "k=2.5"),
    "temperature 0": (evaluation.knn, {"temperature": 0}, "temperature=0 is not valid"),
    "temperature NaN": (evaluation.knn, {"temperature": NAN}, "temperature=nan"),
    "temperature text": (evaluation.knn, {"temperature": "low"}, "temperature='low'"),
    "no l2": (evaluation.linear_probe, {"l2_grid": ()}, r"l2_grid=\(\).*above 0, one or more"),
    "l2 of 0": (evaluation.linear_probe, {"l2_grid": (0.1, 0.0)}, "l2_grid=0.0"),
    "l2 NaN": (evaluation.linear_probe, {"l2_grid": [NAN]}, "l2_grid=nan"),
    "l2 text": (evaluation.linear_probe, {"l2_grid": "0.1"}, "l2_grid='0.1'"),
    "one l2": (evaluation.linear_probe, {"l2_grid": 0.1}, "l2_grid=0.1"),
    "a device": (evaluation.linear_probe, {"device": "tpu9"}, "device='tpu9' is not available"),
    "hidden 0": (transformation.predict, {"hidden": 0}, "hidden=0"),
    "seed below 0": (transformation.predict, {"seed": -1}, "seed=-1"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_options_that_mean_nothing_are_refused(case):
    judge, options, message = OPTIONS[case]
    with pytest.raises(ValueError, match=message):
        judge(found(), **options)


@pytest.mark.parametrize("swapped", [0, 1])
@pytest.mark.parametrize("temperature", [1e-6, 1e-4, 0.01, 0.07, 1.0, 1e30])
def test_the_nearer_class_wins_at_any_temperature(temperature, swapped):
    """exp(1 / 0.01) is more than float32 holds, exp(-1 / 0.01) less."""
    angles = torch.tensor([0.1, 0.3, 0.0, math.pi])  # two to train on, near and far; two to ask
    h = torch.stack([angles.cos(), angles.sin()], dim=1)  # (4, 2)
    answers = torch.tensor([0, 1, 0, 1]).bitwise_xor(swapped)
    given = {"train": h[:2], "train_labels": answers[:2]}
    given |= {"test": h[2:], "test_labels": answers[2:]}
    expected = 50 if temperature > 1e3 else 100  # then all votes weigh the same
    for k in (2, np.int64(5000)):
        assert evaluation.knn(found(**given), k=k, temperature=temperature) == expected


@pytest.mark.parametrize(
    ("rows", "labels"),
    [(40, torch.arange(40)), (40, torch.arange(40) // 39), (4, torch.arange(4) % 2)],
)
def test_too_few_answers_for_the_transformation_probe_are_refused(rows, labels):
    given = {"train": torch.randn(rows, 4), "train_labels": labels}
    given |= {"validation": torch.randn(2, 4), "validation_labels": torch.tensor([0, 0])}
    with pytest.raises(ValueError, match="found.train_labels=.* 2 or more of every answer"):
        transformation.predict(found(**given))


def numbers(*values):
    return torch.tensor(values)


@pytest.mark.parametrize(
    ("predicted", "labels", "message"),
    [
        (numbers(), numbers(), r"labels=.*\(0,\).*one or more"),
        (numbers(1, 2), numbers(1, 2, 3), r"predicted=.*\(2,\).* of the shape \(3,\)"),
        (numbers(1, 2), numbers(1, 2)[:, None], r"labels=.*\(2, 1\)"),
        (torch.zeros(2, 5), numbers(1, 2), r"predicted=.*\(2, 5\)"),
        ([1, 2], numbers(1, 2), r"predicted=\[1, 2\].*a tensor"),
        (numbers(1, 2), np.ones(2), "labels=float64 ndarray"),
    ],
)
def test_accuracy_is_of_as_many_predictions_as_labels(predicted, labels, message):
    with pytest.raises(ValueError, match=message):
        evaluation.accuracy(predicted, labels)


class Returns(nn.Module):
    """An encoder, or head, that returns what a function makes of its input."""

    def __init__(self, function):
        super().__init__()
        self.function, self.norm = function, nn.BatchNorm2d(3)
        self.norm.eval()  # frozen, in a network that is trained

    def forward(self, x):
        return self.function(x)


OUTPUTS = {
    "NaN": (lambda x: x.flatten(1) / 0, "finite: . of . rows have NaN or infinite numbers"),
    "four dimensions": (lambda x: x.flatten(1)[..., None, None], r"\(N, features\), here N = "),
    "too few rows": (lambda x: x.flatten(1)[:2], r"\(2, .*one row for each image"),
    "nothing": (lambda x: None, "one row for each image"),
    "whole numbers": (lambda x: x.flatten(1).long(), "int64"),
}


@pytest.mark.parametrize("case", OUTPUTS)
def test_what_an_encoder_or_a_head_may_not_return_is_refused(case):
    function, message = OUTPUTS[case]
    network = Returns(function).train()
    network.norm.eval()
    with pytest.raises(ValueError, match=rf"encoder\(x\)=.*{message}"):
        evaluation.encode(network, images(), Config.create("smoke"))
    with pytest.raises(ValueError, match=rf"head\(h\)=.*{message}".replace(". of .", r"\d+ of 40")):
        evaluation.project(found(train=torch.zeros(40, 4)), network)
    assert (network.training, network.norm.training) == (True, False), "its modes have changed"


def images(x=None, labels=None):
    x = torch.zeros(5, 3, 32, 32, dtype=torch.uint8) if x is None else x
    return data.ImageSet(x, torch.arange(len(x)) if labels is None else labels)


def flat(x):
    return x.flatten(1)


SETS = {
    "channels last": (images(torch.zeros(5, 32, 32, 3).byte()), r"images.images=.*\(N, 3, H, W\)"),
    "float 0..255": (images(torch.full((5, 3, 32, 32), 200.0)), "images.images=.* has 200 to 200"),
    "NaN": (images(torch.full((5, 3, 32, 32), NAN)), "images.images=.*in 0..1"),
    "int64": (images(torch.zeros(5, 3, 32, 32).long()), "images.images=int64"),
    "one image": (images(torch.zeros(3, 32, 32), torch.tensor([0])), "images.images=.*N 1 or more"),
    "an array": (images(np.zeros((5, 3, 32, 32))), "images.images=.*a tensor"),
    "no images": (images(torch.zeros(0, 3, 32, 32)), r"images.images=.*\(0, 3"),
    "float labels": (images(labels=torch.zeros(5)), "images.labels=float32"),
    "too few labels": (images(labels=torch.zeros(4).long()), r"images.labels=.*\(5,\)"),
    "no labels": (data.ImageSet(images().images, None), "images.labels=None"),
    "a tensor": (torch.zeros(5, 3, 32, 32), "images=float32.*an ImageSet"),
    "no files": (data.ImageFiles([], torch.zeros(0).long()), "images=.*one image or more"),
}


@pytest.mark.parametrize("case", SETS)
def test_images_that_cannot_be_encoded_are_refused(case):
    given, message = SETS[case]
    with pytest.raises(ValueError, match=message):
        evaluation.encode(Returns(flat), given, Config.create("smoke"))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_images_of_any_float_are_encoded_as_float32(dtype):
    x = torch.randint(0, 256, (5, 3, 32, 32)).byte()
    encoder, config = (
        build(Config.create("smoke")).encoder,
        Config.create("smoke", precision="fp32"),
    )
    h, labels = evaluation.encode(encoder, images(x, torch.arange(5, dtype=torch.int32)), config)
    assert (h.dtype, labels.dtype) == (torch.float32, torch.int64)
    same, _ = evaluation.encode(encoder, images((x / 255).to(dtype)), config)
    assert same.dtype == torch.float32
    torch.testing.assert_close(same, h, atol=2e-2, rtol=2e-2)


def test_a_method_is_encoded_by_its_encode():
    method, config = build(Config.create("smoke")), Config.create("smoke", precision="fp32")
    expected, _ = evaluation.encode(method.encoder, images(), config)
    assert torch.equal(evaluation.encode(method, images(), config)[0], expected)
    with pytest.raises(ValueError, match="encoder=.*a torch.nn.Module"):
        evaluation.encode(flat, images(), config)
    with pytest.raises(ValueError, match="head=.*a torch.nn.Module"):
        evaluation.project(found(), flat)


@pytest.mark.parametrize("augment", [True, False])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.full((64,), -1), r"data.train.labels.min\(\)=-1"),
        (torch.full((64,), 2), r"data.train.labels.max\(\)=2 .* below 2, the number of classes"),
    ],
)
def test_the_sgd_probe_wants_labels_that_are_classes(labels, message, augment):
    x = torch.zeros(64, 3, 32, 32).byte()
    good = images(x, torch.arange(64) % 2)
    given = data.Data("made", ("a", "b"), images(x, labels), good, good, good)
    with pytest.raises(ValueError, match=message):
        evaluation.linear_probe_sgd(Returns(flat), given, Config.create("smoke"), augment)


QUESTIONS = {
    "an unknown task": ((images().images, "blur"), "task='blur'"),
    "float 0..255": ((torch.full((5, 3, 8, 8), 9.0), "noise"), "images=.* has 9 to 9"),
    "channels last": ((torch.zeros(5, 8, 8, 3), "sobel"), r"images=.*\(N, 3, H, W\)"),
    "not square": ((torch.zeros(5, 3, 8, 9), "rotation"), "images=.*square"),
    "a list": (([1, 2], "sobel"), r"images=\[1, 2\].*a tensor"),
}


@pytest.mark.parametrize("case", QUESTIONS)
def test_questions_that_cannot_be_asked_are_refused(case):
    given, message = QUESTIONS[case]
    with pytest.raises(ValueError, match=message):
        transformation.transform(*given, torch.Generator())


def test_a_question_is_drawn_by_a_generator_and_asked_of_images_in_memory():
    with pytest.raises(ValueError, match="generator=None is not valid.*torch.Generator"):
        transformation.transform(images().images, "noise", None)
    files = data.ImageFiles([], torch.zeros(0).long())
    given = data.Data("large", ("a",), files, files, files, files)
    with pytest.raises(ValueError, match="dataset='large' is not valid.*in memory"):
        transformation.question(given, "noise", torch.Generator())
