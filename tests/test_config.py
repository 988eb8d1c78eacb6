"""Parameters: layers of presets and recipes, and errors that help."""

from __future__ import annotations

import math

import pytest

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


def test_unknown_preset_and_recipe():
    with pytest.raises(ValueError, match="preset='quik'.*quick"):
        Config.create("quik")
    with pytest.raises(ValueError, match="recipe='v3'.*v1, v2"):
        Config.create("quick", "v3")


def notebook(*cells):
    """The globals of a kernel that ran these cells."""
    namespace = {"In": ["", *cells]}
    for cell in cells:
        exec(cell, namespace)
    return namespace


PARAMETERS = 'preset = "smoke"  # scale\nwidth = 1\nepochs = None\nseeds = [0, 1]'


def test_notebook_parameters_are_taken_and_checked():
    later = "import math\nfound = 3\nfor i in range(2): pass", "guess = 3"
    config = Config.from_notebook(notebook(PARAMETERS, "# Parameters\nwidth = 2", *later), "seeds")
    assert (config.width, config.epochs) == (2.0, PRESETS["smoke"]["epochs"])
    again = notebook(PARAMETERS, *later, PARAMETERS + "\ntemperature: float = 0.7")
    assert Config.from_notebook(again, "seeds").temperature == 0.7  # edited and run again
    with pytest.raises(ValueError, match=r"unknown parameter 'widht'; did you mean 'width'\?"):
        Config.from_notebook(notebook(PARAMETERS, "# Parameters\nwidht = 4"), "seeds")
    with pytest.raises(ValueError, match="unknown parameter 'seeds'"):
        Config.from_notebook(notebook(PARAMETERS))


def test_records_hold_no_paths(tmp_path):
    record = Config.create("quick", dataset=str(tmp_path)).as_record()
    assert record["dataset"] == tmp_path.name
    assert not any("/" in str(value) for value in record.values())


def test_every_parameter_is_described():
    fields = Config.__dataclass_fields__.values()
    assert all(len(field.metadata["meaning"]) > 5 for field in fields)
