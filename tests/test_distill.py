"""Distillation: the official loss, what a teacher is and stays, how a student begins."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from conftest import assert_near, train_needs
from few_labels import CPU, pictures, tuned, updated
from torch import nn

from simclr_lib import data
from simclr_lib.config import Config
from simclr_lib.losses.distillation import distillation_loss, mixed_loss
from simclr_lib.methods import build
from simclr_lib.methods.distill import teacher_of
from simclr_lib.train import files
from simclr_lib.train.loop import set_up


@pytest.fixture(scope="module")
def images():
    return data.load(Config.create("smoke", num_images=64))


def taught(classes=5, **parameters):
    """A student and its teacher, both untrained; but the teacher's answers differ."""
    method = tuned(classes, method="distill", **parameters)
    nn.init.normal_(method.teacher.classifier.weight, generator=torch.Generator().manual_seed(0))
    return method


@pytest.mark.parametrize("case", ["t1", "t01", "t2"])
def test_both_losses_of_distillation_are_as_recorded(case, recorded):
    facts = recorded.cases[f"distill/{case}"]
    temperature, alpha = facts["temperature"], facts["alpha"]
    get = lambda name: recorded.get(f"distill/{case}/{name}")  # noqa: E731
    student, teacher = get("student_logits").requires_grad_(), get("teacher_logits")
    loss = distillation_loss(student, teacher.requires_grad_(), temperature)
    loss.backward()
    assert_near(loss, get("loss"))
    assert_near(loss, get("loss_tf1"))
    assert_near(loss, temperature**2 * get("cross_entropy_without_t2"))
    assert_near(student.grad, get("grad_student"))
    told, said = ((x / temperature).softmax(dim=1) for x in (teacher, student))
    assert_near(
        student.grad, temperature * (said - told) / len(student)
    )  # what the factor T^2 is for
    assert teacher.grad is None
    labels = get("labels").masked_fill(~get("labeled"), -1)
    mixed = mixed_loss(student, teacher, labels, temperature, alpha)
    assert_near(mixed, get("mixed"))
    outputs = student, teacher
    for weight, expected in ((1.0, loss), (alpha, mixed / len(labels))):
        method = taught(distill_temperature=temperature, distill_alpha=weight)
        assert_near(method.loss(outputs, labels)[0], expected)


def test_the_teacher_stays_as_at_test_time_and_answers_once_about_the_students_view():
    method, batch = taught(weight_decay=0.1), pictures()
    before = {name: x.clone() for name, x in method.state_dict().items()}
    asked, logits = [], method.teacher.logits
    method.teacher.logits = lambda x: asked.append(x) or logits(x)
    losses = updated(method, batch, 4)
    assert losses[-1] < losses[0]
    assert method.training
    assert not any(part.training for part in method.teacher.modules())
    assert [torch.equal(x, batch.views[0]) for x in asked] == [True] * 4
    for name, x in method.state_dict().items():
        if name.startswith("teacher."):
            assert torch.equal(x, before[name]), name
    assert not torch.equal(method.classifier.weight, before["classifier.weight"])


def test_a_student_is_trained_whole_whatever_was_frozen_in_its_teacher():
    method = taught(fine_tune_after_block=4, finetune_head=False, finetune_from=1)
    own = {n: x for n, x in method.named_parameters() if not n.startswith("teacher.")}
    assert all(x.requires_grad for x in own.values())
    assert all(part.training for part in method.train().encoder.modules())


def test_teachers_are_of_their_own_size_and_a_teacher_that_was_taught_had_one_of_that_size():
    config = Config.create(
        "smoke", method="distill", teacher="distill", teacher_depth=34, teacher_width=2.0
    )
    first = teacher_of(config)
    assert (first.method, first.depth, first.width) == ("distill", 34, 2.0)
    assert (config.distill_temperature, first.distill_temperature) == (1.0, 0.1)
    second = teacher_of(first)
    assert (second.method, second.depth, second.width) == ("fine-tune", 34, 2.0)
    method, teacher = build(config, 5), build(first, 5)
    teacher.classifier.weight.data.fill_(3.0)
    method.receive(teacher=teacher)
    assert method.teacher.classifier.weight.eq(3.0).all()
    assert method.encoder.features == method.teacher.encoder.features / 2
    with pytest.raises(ValueError, match="teacher_depth=20 is not valid"):
        config.replace(teacher_depth=20)


@pytest.mark.parametrize("student_start", ["random", "SimCLR", "fine-tune"])
def test_a_student_begins_as_it_is_told(student_start, images, tmp_path):
    config = Config.create("smoke", method="distill", student_start=student_start, **CPU)
    config = config.replace(finetune_from=1, num_images=64, output_dir=str(tmp_path))
    train_needs(config, images)
    method = build(config, len(images.classes))
    fresh = method.encoder.stem[0].weight.clone()
    begun = files.needed(method, config, images)
    assert begun.keys() == {"teacher"} | ({"start"} if student_start != "random" else set())
    method.receive(**begun)
    assert_near(method.teacher.classifier.weight, begun["teacher"].classifier.weight, 0)
    stem = begun["start"].encoder.stem[0].weight if "start" in begun else fresh
    assert_near(method.encoder.stem[0].weight, stem, 0)
    if student_start == "fine-tune":
        assert_near(method.classifier.weight, begun["start"].classifier.weight, 0)
        assert_near(method.layers[0][0].weight, begun["start"].layers[0][0].weight, 0)


def test_with_labels_for_a_part_the_others_are_hidden(images):
    method = taught(label_share=0.25, distill_alpha=0.5)
    assert (method.images(images).labels >= 0).sum() == 16
    assert len(method.images(images)) == 64
    assert taught().images(images) is images.pretrain
    few = taught(label_share=0.25, distill_images="labelled")
    assert (len(few.images(images)), few.runs_on, method.runs_on) == (16, True, False)
    labels = torch.tensor([0, -1])
    student, teacher = torch.randn(2, 2, 5, generator=torch.Generator().manual_seed(0)).double()
    loss, _ = method.loss((student, teacher), labels)
    soft = -(teacher.softmax(1) * student.log_softmax(1)).sum()
    hard = F.cross_entropy(student[:1], labels[:1])
    assert_near(loss, (0.5 * hard + 0.5 * soft) / 2, 1e-10)  # a mean over images


def test_lars_adapts_the_classifier_but_its_bias():
    method = taught(weight_decay=0.1)
    groups = set_up(method.config, method).optimizer.param_groups
    how = {id(x): (g["adapt"], g["decay"]) for g in groups for x in g["params"]}
    assert how[id(method.classifier.weight)] == (True, True)
    assert how[id(method.classifier.bias)] == (False, False)
    assert not any(id(x) in how for x in method.teacher.parameters())
