"""Parameters: layers of presets and recipes, and errors that help."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from simclr_lib.config import PRESETS, RECIPES, Config


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_preset_and_recipe_is_valid(preset, recipe):
    config = Config.create(preset, recipe)
    assert (config.preset, config.recipe) == (preset, recipe)


def test_defaults_of_paper_are_the_papers():
    """Sections 2.1, 2.2, 4, 5.1 and appendix A; recipes of the first official commit."""
    c = Config.create("paper")
    assert (c.depth, c.width, c.head_layers, c.projection_dim) == (50, 1, 2, 128)
    assert (c.batch_size, c.epochs, c.warmup_epochs) == (4096, 100, 10)
    assert (c.temperature, c.color_strength, c.weight_decay) == (0.1, 1.0, 1e-6)
    assert c.learning_rate == pytest.approx(4.8)
    assert c.chance_loss == pytest.approx(math.log(8191))


def test_recipes_differ_where_the_eras_do():
    v1, v2 = Config.create("paper", "v1"), Config.create("paper", "v2")
    assert (v1.head_layers, v2.head_layers) == (2, 3)
    assert (v1.brightness, v2.brightness) == ("additive", "multiplicative")
    for preset in PRESETS:  # in "paper" the two rules of scaling agree on 4.8 at 4096
        peaks = [Config.create(preset, recipe).learning_rate for recipe in RECIPES]
        assert peaks[0] == pytest.approx(peaks[1])


def test_preset_and_recipe_cannot_be_replaced():
    with pytest.raises(ValueError, match=r"use Config.create"):
        Config.create("quick").replace(recipe="v2")


def test_overrides_win_over_presets():
    assert Config.create("quick", temperature=0.7, width=2).temperature == 0.7
    assert Config.create("quick").replace(width=4).width == 4.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"widht": 4}, r"unknown parameter 'widht'; did you mean 'width'\?"),
        ({"temprature": 1}, "did you mean 'temperature'"),
        ({"depth": 19}, "depth=19 is not valid.*18, 34, 50, 101, 152"),
        ({"width": -1}, "width=-1.0 is not valid.*above 0"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"batch_size": 1.5}, r"batch_size=1.5 is not valid.*takes int"),
        ({"batch_size": 1}, "batch_size=1 is not valid.*at least 2"),
        ({"l2_normalize": "yes"}, "l2_normalize='yes'.*True, False"),
        ({"epochs": True}, "epochs=True"),
        ({"augmentations": "crop+colour"}, r"augmentations='crop\+colour'.*color"),
        ({"dataset": "cifar"}, "dataset='cifar'.*did you mean 'cifar10'"),
        ({"dataset": "no/such/folder"}, "neither a known name nor a folder"),
        ({"device": 3}, "device=3"),
    ],
)
def test_errors_name_parameter_value_and_what_is_valid(change, words):
    with pytest.raises(ValueError, match=words):
        Config.create("quick", **change)


IMPOSSIBLE = [
    *(None, [], [1], {}, (1,), object(), b"1", 1j, np.ones(2), torch.ones(2), torch.tensor(1)),
    *(-1, -1.5, math.nan, math.inf, -math.inf, 1e300, 10**400, 10**5000, np.float32("inf")),
    *(" ", " cifar10", "crop ", "a\0b", "a\nb", "x" * 5000 + "\t"),
]
WRONG_FOR = {
    "str": [1, True, 0.5],
    "int": [True, 2.0, 1.5, "", "many", "2.0", 2**64, np.bool_(True)],
    "float": [True, "", "many", "nan", "1e999", np.bool_(True)],
    "bool": [0, 1, 1.0, "", "yes"],
}
MAY_BE_EMPTY = ("mirror", "augmentations", "second_view", "without")
MAY_BE_EMPTY += ("label_list", "finetune_augmentations")
MAY_BE_MINUS_ONE = ("fine_tune_after_block", "teacher_sk_ratio")


@pytest.mark.parametrize("field", dataclasses.fields(Config), ids=lambda field: field.name)
def test_no_parameter_takes_an_impossible_value(field):
    wrong = IMPOSSIBLE + WRONG_FOR[field.type]
    wrong += [""] if field.type == "str" and field.name not in MAY_BE_EMPTY else []
    if field.name in MAY_BE_MINUS_ONE:
        wrong = [value for value in wrong if type(value) is not int or value != -1]
    for value in wrong:
        with pytest.raises(ValueError, match=f"^{field.name}="):
            Config.create(**{field.name: value})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 2**32}, "seed=4294967296 is not valid.*at most 4294967295"),
        ({"temperature": 1e-30}, "temperature=1e-30 is not valid.*at least 0.0001"),
        ({"epochs": 1, "warmup_epochs": 1.5}, "warmup_epochs=1.5 is not valid with epochs=1"),
        ({"preset": "paper", "epochs": 5}, "warmup_epochs=10 is not valid with epochs=5"),
        ({"batch_size": 2**31}, "batch_size=2147483648 is not valid.*at most 1048576"),
        ({"width": 1e6}, "width=1000000.0 is not valid.*above 0 and at most 64"),
        ({"image_size": 10**6}, "image_size=1000000 is not valid.*at most 4096"),
        ({"chunk_size": 48}, "chunk_size=48 is not valid: it must divide batch_size=32"),
        ({"output_dir": ""}, "output_dir='' is not valid.*not empty"),
        ({"dataset": "x" * 5000}, "neither a known name nor a folder"),
        ({"dataset": "~nobody-of-this-name/x"}, "neither a known name nor a folder"),
        ({"method": "mocco"}, "method='mocco' is not valid.*did you mean 'MoCo v2'"),
        ({"method": "rot ation x"}, "did you mean 'rotation'"),
    ],
)
def test_values_at_the_edge_are_refused_with_the_limit(change, words):
    with pytest.raises(ValueError, match=words):
        Config.create(**change)


@pytest.mark.parametrize(
    ("name", "given", "plain"),
    [
        *(("depth", np.int64(34), 34), ("width", np.float32(0.1), 0.1), ("width", np.int8(2), 2.0)),
        *(("l2_normalize", np.bool_(False), False), ("preset", np.str_("smoke"), "smoke")),
        *(("l2_normalize", "true", True), ("base_learning_rate", "1e-3", 1e-3), ("seed", "7", 7)),
        *(("method", "mocov2", "MoCo v2"), ("method", " simclr ", "SimCLR"), ("epochs", 1, 1)),
    ],
)
def test_numpys_scalars_and_texts_that_read_as_a_value_are_that_value(name, given, plain):
    found = getattr(Config.create("quick", **{name: given}) if name != "preset" else
                    Config.create(given), name)  # fmt: skip
    assert (found, type(found)) == (plain, type(plain))


def test_unknown_preset_and_recipe():
    with pytest.raises(ValueError, match="preset='quik'.*quick"):
        Config.create("quik")
    with pytest.raises(ValueError, match="recipe='v3'.*v1, v2"):
        Config.create("quick", "v3")


def test_records_hold_no_paths(tmp_path):
    record = Config.create("quick", dataset=str(tmp_path)).as_record()
    assert record["dataset"] == tmp_path.name
    assert not any("/" in str(value) for value in record.values())


def test_every_parameter_is_described():
    fields = Config.__dataclass_fields__.values()
    assert all(len(field.metadata["meaning"]) > 5 for field in fields)
