"""Fine-tuning: the official outputs, and where the official programs differ."""

from __future__ import annotations

import math
import re

import pytest
import torch
from conftest import assert_near
from few_labels import CPU, a_batch, as_there, named, pictures, tuned, updated
from torch import nn

from simclr_lib import data
from simclr_lib.config import Config
from simclr_lib.data.shares import labelled_part
from simclr_lib.methods import METHODS, build
from simclr_lib.schedule import total_steps, warmup_cosine
from simclr_lib.train import NotFiniteError, train, update
from simclr_lib.train.log import Log
from simclr_lib.train.loop import set_up

OFFICIAL = "finetune/tf1_lars_selector1"


def short(name):
    """As the recorded cases of the head alone have it."""
    name = name.replace("head_supervised/linear_layer/dense/", "supervised_")
    return re.sub("head_contrastive/|dense/|batch_normalization/", "", name)


# The official outputs


@pytest.mark.parametrize("stage", range(4))
def test_a_classifier_on_each_stage_of_the_head_answers_as_recorded(stage, recorded):
    head, case = "head/layers3", f"head/layers3/selector{stage}"
    method = tuned(base_channels=3, head_layers=3, projection_dim=6, finetune_from=stage)
    own = {short(n): x for n, x in named(method).items() if not n.startswith("base_model")}
    method.encoder = nn.Flatten()
    for name, x in own.items():
        source = case if "supervised" in name else f"{head}/variables"
        as_there(x.data).copy_(recorded.get(f"{source}/{name}"))
    h = recorded.get(f"{head}/input").requires_grad_()
    for mode in ("inference", "training"):
        outputs = method.train(mode == "training")(a_batch(h[:, :, None, None], None))
        loss, _ = method.loss(outputs, recorded.get(f"{head}/labels"))
        assert_near(outputs[0], recorded.get(f"{case}/{mode}/logits"))
        assert_near(loss, recorded.get(f"{case}/{mode}/loss"))
    loss.backward()
    assert_near(h.grad, recorded.get(f"{case}/training/grad_input"))
    for name, x in own.items():
        if "moving" in name:
            assert_near(x, recorded.get(f"{case}/training/after/{name}"))
        else:
            assert_near(as_there(x.grad), recorded.get(f"{case}/training/grad/{name}"))
    all_names = {n.split("variables/")[1] for n in recorded.names if f"{head}/variables" in n}
    left_out = {n for n in all_names - set(own) if "moving" not in n}
    assert left_out == set(recorded.cases[case]["without_gradient"])


def begun_as_recorded(recorded, **parameters):
    """The network of the recorded updates, its batch, and the recorded names of what it has."""
    case = recorded.cases[OFFICIAL]
    parameters |= {name: case[name] for name in ("depth", "base_channels", "stem", "head_layers")}
    method = tuned(
        case["classes"],
        projection_dim=case["projection_dim"],
        finetune_from=case["head_stage"],
        finetune_batch_size=8,
        **parameters,
    )
    for name, x in named(method).items():
        as_there(x.data).copy_(recorded.get(f"{OFFICIAL}/init/{name}"))
    x = recorded.get(f"{OFFICIAL}/input_uint8").permute(0, 3, 1, 2).double() / 255
    return method, a_batch(x, recorded.get(f"{OFFICIAL}/labels"))


def test_three_whole_updates_are_those_of_the_official_program(recorded):
    method, batch = begun_as_recorded(recorded, finetune_head=False)
    optimizer = set_up(method.recipe(method.config), method).optimizer
    for step, rate in enumerate(recorded.get(f"{OFFICIAL}/learning_rate").tolist()):
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss, _ = update(method, optimizer, batch, step, 3, torch.float64)
        assert loss.item() == pytest.approx(recorded.get(f"{OFFICIAL}/loss")[step].item(), rel=1e-6)
    found = named(method)
    for name, x in found.items():
        assert_near(as_there(x), recorded.get(f"{OFFICIAL}/after/{name}"), 1e-6, name)
    everything = {n.split("after/")[1] for n in recorded.names if f"{OFFICIAL}/after" in n}
    behind = {name.split("/")[1] for name in everything - set(found)}
    assert behind == {"nl_1", "nl_2"}  # layers of the head that nothing comes through


def test_the_official_program_in_tensorflow_1_leaves_the_head_and_ours_trains_it(recorded):
    unchanged = recorded.cases[OFFICIAL]["unchanged"]
    for trained in (False, True):
        method, batch = begun_as_recorded(recorded, finetune_head=trained)
        updated(method, batch)
        found = named(method)
        for name in set(unchanged) & set(found):
            same = torch.equal(as_there(found[name]), recorded.get(f"{OFFICIAL}/init/{name}"))
            assert same != trained, name
        moving = "head_contrastive/nl_0/batch_normalization/moving_mean"
        assert not torch.equal(found[moving], recorded.get(f"{OFFICIAL}/init/{moving}"))


def test_steps_and_rates_are_those_of_the_released_checkpoints(recorded):
    for images, epochs, batch, steps in recorded.get("schedule/columns").tolist():
        assert total_steps(images, batch, epochs) == steps
    for case in ("v1_1pct", "v1_10pct", "v2_1pct", "v2_10pct_wide"):
        facts = recorded.cases[f"schedule/{case}"]
        own = {"finetune_epochs": facts["epochs"]}
        own |= {"finetune_learning_rate": 0.002} if case.endswith("wide") else {}
        config = Config.create("paper", recipe=case[:2], method="fine-tune", **own)
        assert config.finetune_from == (case[:2] == "v2")
        config = METHODS["fine-tune"].recipe(config)
        total = total_steps(facts["images"], config.batch_size, config.epochs)
        assert (config.batch_size, total) == (facts["batch_size"], facts["total_steps"])
        rates = recorded.get(f"schedule/{case}/learning_rate").tolist()
        for step, rate in zip(recorded.get(f"schedule/{case}/steps").tolist(), rates, strict=True):
            found = warmup_cosine(step, config.learning_rate, 0, total)
            assert found == pytest.approx(rate, rel=1e-6, abs=1e-6 * config.learning_rate)
        assert (config.warmup_epochs, config.weight_decay) == (0, 0)


# Fine-tuning


def test_sgd_is_nesterovs_without_decay():
    batch, found = pictures(), []
    for ours in (True, False):
        method = tuned(finetune_optimizer="SGD", weight_decay=0.5)
        if ours:
            updated(method, batch, 3)
        else:
            theirs = torch.optim.SGD(method.parameters(), 0.1, momentum=0.9, nesterov=True)
            for step in range(3):
                update(method.train(), theirs, batch, step, 3, torch.float64)
        found.append(method.state_dict())
    assert found[0].keys() == found[1].keys()
    assert found[0]["classifier.weight"].abs().max() > 0  # it has moved from zero
    for name, x in found[0].items():
        assert_near(x, found[1][name], 1e-10, name)


def test_lars_leaves_the_classifier_alone():
    method = tuned(weight_decay=0.1, finetune_from=1)
    groups = set_up(method.config, method).optimizer.param_groups
    alone = {id(x) for x in method.classifier.parameters()}
    for group in groups:
        whose = {id(x) in alone for x in group["params"]}
        assert len(whose) == 1
        if whose == {True}:
            assert not group["adapt"]
            assert not group["decay"]
    adapted = [x for g in groups if g["adapt"] and g["decay"] for x in g["params"]]
    assert all(x.ndim > 1 for x in adapted)
    assert method.layers[0][0].weight in set(adapted)


def test_the_classifier_starts_at_zero_and_guesses():
    method, batch = tuned(), pictures()
    loss, _ = method.loss(method(batch), batch.labels)
    assert loss.item() == pytest.approx(math.log(5))
    loss.backward()
    assert all(not x.grad.any() for x in method.encoder.parameters())
    assert method.classifier.weight.grad.any()


@pytest.mark.parametrize("last", range(-1, 5))
def test_frozen_blocks_are_not_trained_and_all_of_them_are_as_at_test_time(last):
    """As in TensorFlow 1's program, where statistics of blocks that are frozen alone move on."""
    method, batch = tuned(fine_tune_after_block=last, finetune_from=1), pictures()
    before = {name: x.clone() for name, x in method.state_dict().items()}
    updated(method, batch)
    blocks = ["stem", *(f"block_groups.{number}" for number in range(4))]
    for place, block in enumerate(blocks):
        changed = {
            name: not torch.equal(x, before[name])
            for name, x in method.state_dict().items()
            if name.startswith(f"encoder.{block}")
        }
        moved = {changed.pop(name) for name in list(changed) if "moving" in name}
        assert moved == {last < 4}, block
        assert any(changed.values()) == (place > last), block
    assert not torch.equal(method.layers[0][1].moving_mean, before["layers.0.1.moving_mean"])


@pytest.mark.parametrize("name", ["fine-tune", "distill"])
def test_a_stage_that_the_head_has_not_is_refused(name):
    message = "finetune_from=3 is not valid; it must be at most head_layers=2; 0 is h"
    with pytest.raises(ValueError, match=message):
        tuned(method=name, finetune_from=3, head_layers=2)


@pytest.mark.parametrize(
    ("name", "layers"), [("supervised", 2), ("BYOL", 2), ("MoCo v2", 2), ("SimCLR", 0)]
)
def test_a_run_without_such_a_head_gives_only_its_encoder(name, layers):
    method = tuned(finetune_from=1).float()
    start = build(method.config.replace(method=name, head_layers=layers, queue_size=64), 5)
    with pytest.raises(ValueError, match=f"finetune_from=1 is not valid; it must be 0: {name} "):
        method.receive(start=start)
    method = tuned().float()
    start.encoder.stem[0].weight.data.fill_(3.0)
    method.receive(start=start)
    assert method.encoder.stem[0].weight.eq(3.0).all()


@pytest.mark.parametrize(("stage", "layers"), [(2, 3), (4, 4)])
def test_the_run_that_it_starts_from_gives_encoder_and_first_layers(stage, layers):
    method = tuned(finetune_from=stage, head_layers=layers, seed=1).float()
    start = build(method.config.replace(method="SimCLR", seed=2))
    before = {name: x.clone() for name, x in start.state_dict().items()}
    method.receive(start=start)
    own = {name.replace("layers.", "head.layers."): x for name, x in method.state_dict().items()}
    assert {int(n.split(".")[2]) for n in own if n.startswith("head")} == set(range(stage))
    for name, x in own.items():
        assert name.startswith("classifier") or torch.equal(x, before[name]), name
    updated(method, pictures(classes=5)._replace(views=(pictures().views[0].float(),)))
    assert all(torch.equal(x, before[name]) for name, x in start.state_dict().items())


@pytest.mark.parametrize("start", ["fine-tune", "distill"])
def test_a_run_that_begins_with_this_one_is_no_start(start):
    with pytest.raises(ValueError, match=f"start='{start}' is not valid; it must be a method of"):
        METHODS["fine-tune"].needs(Config.create("smoke", method="fine-tune", start=start))


@pytest.fixture(scope="module")
def images():
    return data.load(Config.create("smoke", num_images=64))


def test_from_random_weights_it_needs_nothing(images, tmp_path):
    config = Config.create("smoke", method="fine-tune", start="random", finetune_from=1, **CPU)
    config = config.replace(num_images=64, output_dir=str(tmp_path))
    run = train(config, images)
    assert list((tmp_path / "weights").iterdir())
    assert run.method.encoder.stem[0].weight.std() > 0


def test_it_sees_the_labelled_images_only_and_a_view_of_each(images):
    method = tuned(label_share=0.5, augmentations="color")
    part = method.images(images)
    assert torch.equal(part.images, labelled_part(images, method.config).images)
    (branch,) = method.branches()
    assert branch.transforms == "crop+flip"


def test_where_it_diverges_its_own_rate_is_named():
    method = tuned(finetune_learning_rate=7.0)
    log = Log(method.recipe(method.config), total=1)
    said = r"a lower finetune_learning_rate \(now 7\), or precision fp32"
    with pytest.raises(NotFiniteError, match=said):
        log.add(torch.tensor([float("nan"), 0.0]), 0, 7.0)
