"""Figures show their parameters, draw in their own style only, and name what cannot be drawn."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pandas as pd
import pytest
import torch

from simclr_lib import figures

IMAGES = torch.rand(3, 3, 8, 8)
TABLE = pd.DataFrame({"x": [1], "first": ["a"], "second": ["a"], "value": [5.0], "kind": ["yours"]})
DRAWN = [f for _, f in inspect.getmembers(figures, inspect.isfunction) if f is not figures.save]
named = pytest.mark.parametrize("function", DRAWN, ids=lambda f: f.__name__)

TAKES = {
    figures.image_grid: {"images": IMAGES, "names": ["a", "b", "c"], "title": "t"},
    figures.views_gallery: {"images": IMAGES, "views": [IMAGES, IMAGES[..., :4]], "title": "t"},
    figures.overview: {"images": IMAGES, "views": [IMAGES, IMAGES], "rows": {"a": [1.0]}},
    figures.training_curves: {
        "histories": {"a": {"step": [1], "loss": [3.0], "accuracy": [0.1]}},
        "chance_loss": 4.0,
    },
    figures.accuracy_bars: {"rows": {"a": [1.0, 2.0]}, "title": "t"},
    figures.tsne: {
        "named": {"h": torch.randn(10, 2)},  # fewer than a point has neighbours elsewhere
        "labels": torch.arange(10) % 2,
        "classes": ["a", "b"],
    },
    figures.sweep: {"panels": {"ours": TABLE, "none yet": pd.DataFrame()}, "x": "x", "xlabel": "x"},
    figures.heat_maps: {"panels": {"ours": TABLE}, "names": ["a"], "label": "%"},
}


@named
def test_a_figure_function_shows_its_parameters_and_its_help(function):
    assert function.__doc__
    parameters = inspect.signature(function).parameters
    assert not {"args", "kwargs", "plt"} & set(parameters)
    assert all(p.annotation is not inspect.Parameter.empty for p in parameters.values())
    assert set(TAKES.get(function, ())) <= set(parameters)


def test_the_parameters_of_a_grid_are_these():
    signature = inspect.signature(figures.image_grid)
    assert list(signature.parameters) == ["images", "names", "title", "columns"]
    assert signature.parameters["columns"].default == 10


@pytest.mark.parametrize("function", TAKES, ids=lambda f: f.__name__)
def test_a_figure_leaves_style_and_open_figures_alone(function):
    import matplotlib.pyplot as plt

    before = dict(plt.rcParams)
    assert function(**TAKES[function]).axes
    assert plt.rcParams == before
    assert plt.get_fignums() == []


def test_importing_figures_does_not_import_pyplot():
    code = "import sys; from simclr_lib import figures; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("function", "change", "name", "words"),
    [
        (figures.image_grid, {"images": IMAGES[0]}, "images", "of shape (n, 3, H, W)"),
        (figures.image_grid, {"images": IMAGES.permute(0, 2, 3, 1)}, "images", "(n, 3, H, W)"),
        (figures.image_grid, {"images": IMAGES.numpy()}, "images", "a tensor"),
        (figures.image_grid, {"images": IMAGES.half()}, "images", "uint8 in 0..255 or float32"),
        (figures.image_grid, {"images": IMAGES[:0], "names": []}, "images", "(n, 3, H, W)"),
        (figures.image_grid, {"names": ["a"]}, "names", "3 names, one for each image"),
        (figures.image_grid, {"columns": 0}, "columns", "1 or more"),
        (figures.views_gallery, {"views": [IMAGES[:2]]}, "views[0]", "of shape (3, 3, H, W)"),
        (figures.overview, {"views": [IMAGES]}, "views", "two views"),
        (figures.overview, {"rows": {}}, "rows", "by name"),
        (figures.training_curves, {"histories": {}}, "histories", "one or more"),
        (figures.accuracy_bars, {"rows": {"a": []}}, "rows['a']", "one or more"),
        (figures.tsne, {"named": {}}, "named", "one or more"),
        (figures.tsne, {"labels": torch.arange(9)}, "named['h']", "of 9 images"),
        (
            figures.tsne,
            {"named": {"h": torch.randn(3, 2)}, "labels": torch.arange(3)},
            "named['h']",
            "at least 4",
        ),
        (figures.sweep, {"panels": {}}, "panels", "one or more tables"),
        (figures.sweep, {"x": "width"}, "panels['ours']", "a table that also has width"),
        (figures.sweep, {"line": "method"}, "panels['ours']", "a table that also has method"),
        (figures.heat_maps, {"panels": {}}, "panels", "one or more tables"),
        (figures.heat_maps, {"panels": {"a": TABLE[["first"]]}}, "panels['a']", "second and value"),
        (figures.heat_maps, {"names": []}, "names", "one or more"),
    ],
)
def test_what_cannot_be_drawn_is_named(function, change, name, words):
    message = rf"^{re.escape(name)}=.* is not valid; it must be .*{re.escape(words)}"
    with pytest.raises(ValueError, match=message):
        function(**(TAKES[function] | change))


@pytest.mark.parametrize(
    ("matrices", "titles", "words"),
    [
        ((), [], "matrices=() is not valid"),
        ((torch.eye(4)[:3],), ["a"], "matrices[0]=float32 tensor of shape (3, 4)"),
        ((torch.eye(4).tolist(),), ["a"], "a tensor"),
        ((torch.eye(4),), ["a", "b"], "1 titles, one for each matrix"),
    ],
)
def test_what_is_no_similarity_matrix_is_named(matrices, titles, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        figures.similarity_matrix(*matrices, titles=titles, label="cosine")
