"""Figures show their parameters, draw in their own style only, and name what cannot be drawn."""

from __future__ import annotations

import base64
import functools
import inspect
import io
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from simclr_lib import figures
from simclr_lib.figures.maps import apart, together
from simclr_lib.figures.style import COLORS
from simclr_lib.figures.sweeps import SPREAD
from simclr_lib.names import METHODS

IMAGES = torch.rand(3, 3, 8, 8)
TABLE = pd.DataFrame({"x": [1], "first": ["a"], "second": ["a"], "value": [5.0], "kind": ["yours"]})
NO_FIGURES = (figures.save, figures.described, figures.looks, figures.legend_below)
DRAWN = [f for _, f in inspect.getmembers(figures, inspect.isfunction) if f not in NO_FIGURES]
named = pytest.mark.parametrize("function", DRAWN, ids=lambda f: f.__name__)

TAKES = {
    figures.image_grid: {"images": IMAGES, "names": ["a", "b", "c"], "title": "t"},
    figures.views_gallery: {"images": IMAGES, "views": [IMAGES, IMAGES[..., :4]], "title": "t"},
    figures.overview: {"images": IMAGES, "views": [IMAGES, IMAGES], "rows": {"a": [1.0]}},
    figures.training_curves: {
        "histories": {"a": {"step": [1], "loss": [3.0], "accuracy": [0.1]}},
        "chance_loss": 4.0,
    },
    figures.method: {
        "picture": IMAGES[:1],
        "views": IMAGES[:2],
        "shapes": {"x": (4096, 3, 224, 224), "views": (8, 3, 8, 8), "h": (8, 2048), "z": (8, 128)},
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
NAMES = ["crop", "cutout", "color", "sobel", "noise", "blur", "rotate"]
ACROSS = pd.DataFrame(
    [
        (method, width, 60.0 + 9 * width + seed, "reference", 15.0 + width)
        for method in ("SimCLR", "supervised")
        for width in (0.5, 1.0, 2.0)
        for seed in (0, 1, 2)
    ],
    columns=["method", "width", "value", "kind", "untrained"],
)
OWN = pd.DataFrame(
    [("SimCLR", 1.0, 71.0, "yours", 16.0), ("supervised", 2.0, 77.0, "yours", 17.0)],
    columns=list(ACROSS),
)
PAPER = ACROSS.assign(kind="digitized", chance=0.1).drop(columns="untrained")
# As full as in the notebooks: many panels, long names, every kind of point.
FULL = {
    "sweep of numbers": lambda: figures.sweep(
        {
            "ours: CIFAR-10 (JPEG copy), 30 epochs": pd.concat([ACROSS, OWN]),
            "paper: ImageNet, ResNet-50": PAPER,
            "ours: another set of pictures": ACROSS[ACROSS.width == 1],
        },
        "width", "method", xlabel="width multiplier",
    ),
    "sweep of sizes": lambda: figures.sweep(
        {"paper": pd.DataFrame({"x": [2**k for k in range(8, 14)], "value": range(60, 66)}).assign(
            kind="read", line=100)}, "x", "line", xlabel="batch size N, images",
    ),
    "sweep of names": lambda: figures.sweep(
        {"ours": pd.concat([ACROSS, OWN]).assign(x=lambda r: "R" + r.width.astype(str) + "(2x)"),
         "paper": PAPER.assign(x="a long name of a loss", width=1.0)},
        "x", "method", xlabel="encoder",
    ),
    "pairs": lambda: figures.heat_maps(
        {"ours": pd.DataFrame([
            (a, b, 14.0 * i + j, "yours" if a == b == "blur" else "reference")
            for i, a in enumerate(NAMES) for j, b in enumerate(NAMES) if a != "noise"
        ], columns=["first", "second", "value", "kind"])}, NAMES, "linear evaluation, top-1 %",
    ),
    "two matrices": lambda: figures.similarity_matrix(
        torch.eye(20), torch.eye(20), titles=["before training", "after training"], label="cosine"
    ),
    "three maps": lambda: figures.tsne(
        {name: torch.randn(60, 4) for name in ("before", "h, update 641", "z = g(h)")},
        torch.arange(60) % 10, [f"triangles {i}" for i in range(10)],
    ),
    "twenty pictures": lambda: figures.image_grid(
        torch.rand(20, 3, 8, 8), ["grayscale", "✓ triangles"] * 10, "Nearest in h, random encoder"
    ),
    "overview": lambda: figures.overview(
        IMAGES, [IMAGES, IMAGES],
        {"random": [15.0], "SimCLR": [80.0, 84.0], "SimCLR, crop alone": [9.0], "supervised": [97]},
    ),
    "bars": lambda: figures.accuracy_bars(
        {"random": [15.0], "SimCLR, crop alone": [12.0, 14.0], "supervised": [99.0, 100.0]},
        "What a linear classifier can read from h", chance=10,
    ),
}  # fmt: skip
FULL |= {f.__name__: functools.partial(f, **takes) for f, takes in TAKES.items()}


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


def test_importing_figures_imports_no_library_of_figures():
    code = "import sys; from simclr_lib import figures; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"matplotlib.pyplot", "seaborn"} & set(done.stdout.split())


def texts(figure):
    """All texts of a figure that are seen, with the rectangle of each, in pixels."""
    import matplotlib.text

    figure.draw_without_rendering()
    everywhere = figure.findobj(matplotlib.text.Text)
    seen = [t for t in everywhere if t.get_text().strip() and t.get_visible()]
    seen = [t for t in seen if t.axes is None or t.axes.axison or t is t.axes.title]
    beyond = {  # ticks that matplotlib keeps outside the axis, and does not draw
        tick.label1
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }
    return [(t, t.get_window_extent()) for t in seen if t not in beyond]


@pytest.mark.parametrize("name", FULL)
def test_a_figure_can_be_read_on_a_phone_by_night_and_aloud(name):
    figure = FULL[name]()
    shown, about = figure._repr_mimebundle_(include=None, exclude=None)
    assert shown["text/plain"] == about["image/png"]["alt"] == figure.alt
    assert len(figure.alt) > 20
    assert "nan" not in figure.alt
    picture = Image.open(io.BytesIO(base64.b64decode(shown["image/png"])))
    assert picture.width == 150 * figures.WIDTH == 1.5 * about["image/png"]["width"]
    corners = [picture.getpixel((x, y)) for x in (0, picture.width - 1) for y in (0, 5)]
    assert corners == [(255, 255, 255, 255)] * 4  # a page of its own

    found = texts(figure)
    for text, box in found:
        assert text.get_fontsize() / 72 / figures.WIDTH * 360 >= 8, text
        assert box.x0 > -2, text
        assert box.x1 < figure.bbox.x1 + 2, text
        assert box.y0 > -2, text
        assert box.y1 < figure.bbox.y1 + 2, text
    for index, (text, box) in enumerate(found):
        for other, another in found[:index]:
            wide = min(box.x1, another.x1) - max(box.x0, another.x0)
            high = min(box.y1, another.y1) - max(box.y0, another.y0)
            assert min(wide, high) < 3 or name in ("tsne", "three maps"), (text, other)


def test_what_a_figure_says_is_saved_with_it(tmp_path):
    figure = figures.accuracy_bars({"SimCLR": [80.0, 84.0]}, "Who knows most", chance=10)
    with Image.open(figures.save(figure, tmp_path / "new folder" / "bars.png")) as picture:
        assert picture.text["Description"] == figure.alt
        assert picture.width == 150 * figures.WIDTH
    assert "SimCLR 82.0 ± 2.8 %" in figure.alt
    assert "guessing 10.0 %" in figure.alt


@pytest.mark.parametrize("alt", ["", "  ", None])
def test_a_figure_without_words_is_refused(alt):
    import matplotlib.pyplot as plt

    with pytest.raises(ValueError, match=r"^alt=.* must be what the figure shows"):
        figures.described(plt.figure(), alt)
    plt.close("all")


def test_the_style_of_the_user_stays_outside():
    import matplotlib.pyplot as plt

    with plt.style.context("dark_background"):
        figure = figures.sweep({"ours": ACROSS}, "width", "method", xlabel="width")
        shown, _ = figure._repr_mimebundle_()
    picture = Image.open(io.BytesIO(base64.b64decode(shown["image/png"]))).convert("L")
    assert picture.getpixel((0, 0)) == 255
    assert np.median(np.asarray(picture)) == 255
    assert figure.axes[0].xaxis.label.get_color() == "black"


def luminance(color):
    import seaborn as sns

    return sns.utils.relative_luminance(color)


def test_simclr_has_one_colour_and_groups_differ_in_more_than_colour():
    names = ["random", "SimCLR", "SimCLR, 1000 epochs", "supervised", "MoCo v2"]
    looks = figures.looks(names)
    assert looks["SimCLR"]["color"] == looks["SimCLR, 1000 epochs"]["color"] == figures.SIMCLR
    assert {name: look["color"] for name, look in figures.looks(list(METHODS)).items()} == COLORS
    assert len(set(COLORS.values())) == len(COLORS)
    assert figures.SIMCLR not in [
        look["color"] for look in figures.looks(["BYOL", "random"]).values()
    ]
    mixed = figures.looks(["MoCo v2", "SimCLR", "my own", "another"])
    assert len({look["color"] for look in mixed.values()}) == 4
    assert len({look["marker"] for look in looks.values()}) == len(names)
    assert figures.looks(["cosine", "dot product"])["cosine"]["color"] == figures.SIMCLR
    assert figures.looks(["none", "nonlinear"])["nonlinear"]["color"] == figures.SIMCLR
    assert figures.looks([""])[""]["color"] == figures.SIMCLR
    shades = [luminance(look["color"]) for look in figures.looks([800, 100, 400]).values()]
    assert shades[1] > shades[2] > shades[0]  # the most epochs darkest
    on_white = [1.05 / (luminance(color) + 0.05) for color in COLORS.values()]
    assert min(on_white) > 3


def sweep_of(values, **columns):
    table = pd.DataFrame({"width": [1, 2] * (len(values) // 2), "value": values, "kind": "ours"})
    return figures.sweep({"ours": table.assign(**columns)}, "width", xlabel="width")


@pytest.mark.parametrize("values", [[70.0, 70.1], [99.5, 99.9], [0.2, 0.1], [-3.0, -2.9]])
def test_an_axis_does_not_magnify_noise(values):
    low, high = sweep_of(values).axes[0].get_ylim()
    assert high - low >= 20
    assert low < min(values) < max(values) < high


def test_a_line_is_the_mean_in_a_band_of_one_deviation_with_a_dot_for_each_run():
    runs = np.array([[70.0, 80.0], [74.0, 81.0], [75.0, 88.0]])  # (seeds, widths)
    (axis,) = sweep_of(runs.ravel().tolist()).axes
    mean, dots = axis.lines[0].get_ydata(), axis.lines[1].get_ydata()
    assert mean == pytest.approx(runs.mean(axis=0))
    assert sorted(dots) == sorted(runs.ravel())
    corners = axis.collections[0].get_paths()[0].vertices
    for place in (0, 1):
        edges = corners[corners[:, 0] == place][:, 1]
        deviation = runs[:, place].std(ddof=1)
        assert edges.min() == pytest.approx(mean[place] - deviation)
        assert edges.max() == pytest.approx(mean[place] + deviation)


def legend_of(figure):
    """The names in the legend, but what explains dots and bars."""
    found = [text.get_text() for text in figure.legends[0].get_texts()]
    return [name for name in found if name != SPREAD]


@pytest.mark.parametrize("x", ["width", "name"])
def test_your_runs_are_stars_with_one_entry_in_the_legend(x):
    table = pd.concat([ACROSS, OWN]).assign(name=lambda rows: "R" + rows.width.astype(str))
    figure = figures.sweep({"ours": table}, x, "method", xlabel="width")
    stars = [
        line for line in figure.axes[0].lines if line.get_marker() == "*" and len(line.get_xdata())
    ]
    places = [
        value
        for star in stars
        for value in (star.get_ydata() if x == "width" else star.get_xdata())
    ]
    assert sorted(places) == [71.0, 77.0]
    assert legend_of(figure).count("yours") == 1
    assert "yours SimCLR 71.0 at" in figure.alt


def test_what_was_reached_without_learning_is_drawn_or_said():
    (axis,) = (drawn := sweep_of([70.0, 80.0], untrained=[15.0, 17.0])).axes
    assert axis.lines[-1].get_ydata() == pytest.approx([15, 17])
    assert axis.get_ylim()[0] < 15
    assert "untrained encoder" in legend_of(drawn)
    near = sweep_of([20.0, 30.0], chance=10.0)
    assert near.axes[0].lines[-1].get_ydata() == pytest.approx([10, 10])
    assert "guessing" in legend_of(near)
    far = sweep_of([60.0, 62.0], chance=0.1)
    assert "0.1" in far.axes[0].get_title(loc="left")
    assert far.axes[0].get_ylim()[0] > 40
    random = sweep_of([15.0, 17.0], untrained=16.0, method=["random", "random"])
    table = pd.DataFrame({"x": [1, 2], "value": [15.0, 17.0], "kind": "ours", "m": "random"})
    random = figures.sweep({"ours": table.assign(untrained=16.0)}, "x", "m", xlabel="x")
    assert legend_of(random) == ["random"]  # once is enough


def test_a_table_of_one_point_is_text_and_no_panel():
    one = ACROSS[(ACROSS.width == 1) & (ACROSS.method == "SimCLR")]
    figure = figures.sweep({"ours": ACROSS, "mine": one}, "width", "method", xlabel="width")
    assert len(figure.axes) == 1
    assert "mine: SimCLR 70.0 at 1." in figure._suptitle.get_text()
    assert "mine: SimCLR 70.0 at 1." in figure.alt
    alone = figures.sweep({"mine": one}, "width", "method", xlabel="width")
    assert len(alone.axes) == 1


def test_lines_of_numbers_are_named_by_what_they_are():
    table = pd.DataFrame({"x": [1, 2] * 2, "value": [50.0, 60, 70, 80], "kind": "ours"})
    figure = figures.sweep({"ours": table.assign(most_epochs=[2, 2, 10, 10])}, "x", "most_epochs",
                           xlabel="x")  # fmt: skip
    assert legend_of(figure) == ["2 most epochs", "10 most epochs"]
    assert "10 most epochs from 70.0 at 1 to 80.0 at 2" in figure.alt


def test_a_star_on_a_line_of_shades_says_on_which():
    table = pd.DataFrame({"x": [1, 2, 2], "value": [50.0, 60, 55], "kind": ["a", "a", "yours"]})
    figure = figures.sweep({"ours": table.assign(epochs=[2, 10, 10])}, "x", "epochs", xlabel="x")
    assert [text.get_text() for text in figure.axes[0].texts] == ["10"]


def test_panels_that_nearly_have_one_axis_have_one():
    def axes_of(first, second):
        tables = [
            pd.DataFrame({"x": ["a", "b"], "value": v, "kind": "read"}) for v in (first, second)
        ]
        return figures.sweep({"one": tables[0], "two": tables[1]}, "x", xlabel="x").axes

    near = axes_of([12.0, 14.0], [7.0, 2.0])
    assert near[0].get_xlim() == near[1].get_xlim()
    far = axes_of([12.0, 14.0], [70.0, 90.0])
    assert far[0].get_xlim() != far[1].get_xlim()


def test_where_some_places_have_one_run_the_others_have_bars():
    table = pd.DataFrame({"x": [1, 2, 2], "value": [50.0, 60, 70], "kind": "ours"})
    (axis,) = figures.sweep({"ours": table}, "x", xlabel="x").axes
    (bars,) = axis.containers
    (whole,) = (part for part in bars.lines[2][0].get_segments() if len(part))
    deviation = 50**0.5
    assert whole[:, 1] == pytest.approx([65 - deviation, 65 + deviation])


@pytest.mark.parametrize("x", ["n", "name"])
def test_a_level_that_some_rows_do_not_know_is_one_line(x):
    table = pd.DataFrame({"n": [1, 2, 3], "value": [50.0, 60, 70], "kind": "ours"})
    table = table.assign(name=table.n.map("n{}".format), untrained=[15.0, np.nan, 15.0])
    (axis,) = figures.sweep({"ours": table}, x, xlabel="x").axes
    if x == "n":
        assert axis.lines[-1].get_ydata() == pytest.approx([15, 15, 15])
    else:
        assert np.concatenate(axis.collections[-1].get_segments())[:, 0] == pytest.approx([15] * 6)
    table["untrained"] = [15.0, np.nan, 18.0]  # then nobody knows
    (axis,) = figures.sweep({"ours": table}, "n", xlabel="x").axes
    assert np.isnan(axis.lines[-1].get_ydata()).tolist() == [False, True, False]


def test_three_panels_leave_room_for_the_legend():
    panels = dict.fromkeys("abc", pd.concat([ACROSS, OWN]))
    figure = figures.sweep(panels, "width", "method", xlabel="width")
    assert figure.legends == []
    assert figure.axes[3].get_legend() is not None


def test_points_measured_in_a_picture_are_hollow():
    figure = figures.sweep({"paper": PAPER}, "width", "method", xlabel="width")
    assert {line.get_markerfacecolor() for line in figure.axes[0].lines[:1]} == {"white"}
    assert "hollow: read off the paper's plot" in legend_of(figure)


def test_a_heat_map_counts_every_seed_once():
    rows = [("a", "b", 0, 10.0, "reference"), ("a", "b", 1, 40.0, "reference")]
    rows += [("a", "b", 0, 20.0, "yours")]  # the user's own of seed 0, somewhat different
    table = pd.DataFrame(rows, columns=["first", "second", "seed", "value", "kind"])
    figure = figures.heat_maps({"ours": table}, ["a", "b"], "%")
    assert [text.get_text() for text in figure.axes[0].texts] == ["★30.0"]


def test_numbers_of_a_heat_map_stand_out_from_their_cells():
    figure = FULL["pairs"]()
    axis = figure.axes[0]
    assert [t.get_text() for t in axis.texts].count("★75.0") == 1
    mesh = axis.collections[0]
    cells = mesh.get_facecolors()[~np.ma.getmaskarray(mesh.get_array()).ravel()]
    assert len(cells) == len(axis.texts) == 42
    for text, cell in zip(axis.texts, cells, strict=True):
        high, low = sorted([luminance(text.get_color()), luminance(cell)], reverse=True)
        assert (high + 0.05) / (low + 0.05) > 4.4


def test_clusters_are_named_where_they_are_and_markers_tell_them_apart():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(240) % 4
    h = 20 * torch.eye(4)[labels] + torch.randn(240, 4, generator=generator)
    h[labels > 1] = torch.randn(120, 4, generator=generator)  # two classes are one heap
    figure = figures.tsne({"h": h}, labels, ["a", "b", "c", "d"])
    (axis,) = figure.axes
    assert [text.get_text() for text in axis.texts] == ["a", "b"]
    for text, clouds in zip(axis.texts, axis.collections, strict=False):
        low, high = (f(np.asarray(clouds.get_offsets()), axis=0) for f in (np.min, np.max))
        assert (low < text.get_position()).all()
        assert (text.get_position() < high).all()
    shapes = {clouds.get_paths()[0].vertices.tobytes() for clouds in axis.collections}
    assert len(shapes) == 4
    assert legend_of(figure) == ["a", "b", "c", "d"]
    assert "which stand apart in h: a, b." in figure.alt


def test_a_class_stands_apart_where_most_neighbours_are_its_own():
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 30)
    placed = generator.normal(size=(90, 2))
    placed[:30] += 50
    placed[25:30] -= 50  # a few went astray: the middle of the others counts
    found = together(placed, labels)
    assert list(found) == [0]
    assert found[0] == pytest.approx(np.median(placed[:25], axis=0))
    assert together(placed[:3], np.array([0, 1, 0])).keys() <= {0}


def test_names_on_one_another_are_moved_apart_and_no_others():
    places = np.array([[0.0, 0.0], [0.1, 0.0], [0.0, 0.05], [5.0, 0.0]])
    moved = apart(places, np.full(4, 0.5), 0.2)
    assert moved[3] == pytest.approx(places[3])
    gaps = np.diff(sorted(moved[:3, 1]))
    assert gaps.min() > 0.19
    assert moved[:, 0] == pytest.approx(places[:, 0])
    assert (places[:, 1] == [0, 0, 0.05, 0]).all()  # what was given stays


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


def test_the_drawing_of_the_method_tells_all_shapes_and_refuses_a_part_that_is_missing():
    shapes = {"x": (8, 3, 8, 8), "views": (16, 3, 8, 8), "h": (16, 64), "z": (16, 128)}
    drawn = figures.method(IMAGES[:1], IMAGES[:2], shapes)
    assert "x 8 x 3 x 8 x 8, views 16 x 3 x 8 x 8, h 16 x 64, z 16 x 128." in drawn.alt
    written = [text.get_text() for text in drawn.axes[0].texts]
    assert {"kept\n16×64", "not kept\n16×128", "NT-Xent"} <= set(written)
    with pytest.raises(ValueError, match=r"shapes=.*the shapes of x, views, h, z"):
        figures.method(IMAGES[:1], IMAGES[:2], {"x": (8,)})
    with pytest.raises(ValueError, match=r"views=.*\(2, 3, H, W\)"):
        figures.method(IMAGES[:1], IMAGES, shapes)
    with pytest.raises(ValueError, match=r"picture=int64.*uint8 in 0..255 or float32 in 0..1"):
        figures.method(IMAGES[:1].long(), IMAGES[:2], shapes)
