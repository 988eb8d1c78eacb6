"""What notebooks say of their pieces is what the committed pages show."""

from __future__ import annotations

import base64
import json
import re

import nbformat
import numpy as np
import pytest

from tests.test_project import ROOT


def shown(notebook, cell):
    """The data of the page in the committed output of a cell, arrays as numpy's."""
    cells = nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", 4).cells
    (output,) = next(c for c in cells if c.id == cell).outputs
    page = re.search(r'srcdoc = ("(?:[^"\\]|\\.)*");', output.data["text/html"])[1]
    page = json.loads(page.replace("<\\!--", "<!--"))
    values = json.JSONDecoder().raw_decode(page.split("const DATA = unpack(", 1)[1])[0]
    for name, value in values.items():
        if isinstance(value, dict):
            values[name] = np.frombuffer(base64.b64decode(value["base64"]), value["kind"])
    return values


def test_on_the_circle_a_low_temperature_asks_who_is_nearest():
    data = shown("03_nt_xent", "circle")
    n, taus = 2 * data["images"], data["temperatures"]
    frames = len(taus), -1, n
    shares = data["shares"].reshape(*frames, n) / 2.55  # %
    losses = data["losses"].reshape(frames[:2])
    angles = data["angles"].astype(float).reshape(frames)
    low, high = taus.index(0.05), taus.index(1.0)
    of_1a = shares[:, 0, 0]  # of partner 1b is place 6; 2a and 3a are places 1 and 2
    assert of_1a[low, [1, 2]].sum() == pytest.approx(96, abs=0.5)
    assert of_1a[low, 6] == pytest.approx(3, abs=0.5)
    assert of_1a[high, [1, 2, 6]] == pytest.approx([18, 18, 16], abs=0.6)
    assert of_1a[high, 1:].min() == pytest.approx(2, abs=0.5)  # on the other side of the circle
    assert losses[low, 5] == pytest.approx(0.06, abs=0.005)
    assert losses[high, 20] == pytest.approx(1.52, abs=0.005)
    apart = np.angle(np.exp(1j * (angles[..., :6] - angles[..., 6:])))
    widest = np.degrees(np.abs(apart)).max(axis=-1)
    assert widest[low, 20] == pytest.approx(24, abs=0.5)
    assert widest[high, 5] < 1


def test_the_cheaters_find_what_notebook_1_says():
    data = shown("01_two_views", "composed")
    assert data["areas"] == [1, 0.7, 0.35, 0.08]
    assert data["strengths"] == [0, 0.25, 0.5, 1]
    found = data["found"].reshape(4, 4, 2, 2)  # areas, strengths, blur, cheaters
    colours, layout = found[..., 0], found[..., 1]
    assert colours[0, :, 0] == pytest.approx([100, 20, 10, 4], abs=0.5)
    assert layout[0, :, 0] == pytest.approx([100, 100, 100, 90], abs=0.5)
    assert layout[:, 0, 0] == pytest.approx([100, 39, 15, 9], abs=0.5)
    assert colours[1:, 0, 0] == pytest.approx([99.7, 93, 77], abs=0.5)
    assert 13.5 < layout[2, :, 0].min() <= layout[2, :, 0].max() < 16.5
    assert 5.5 < colours[:, 2, 0].min() <= colours[:, 2, 0].max() < 10.5
    moved = np.abs(layout[..., 1] - layout[..., 0])
    assert moved[:, :3].max() < 1
    assert 0.5 < moved[:, 3].min() <= moved[:, 3].max() < 8.5
    assert colours[0, 0] == pytest.approx([100, 61], abs=0.5)
    assert colours[2, 2] == pytest.approx([7, 6], abs=0.5)
    shape = 4, 4, 2, len(data["pictures"]), data["views"], 2
    cloth = (slice(None), 2, 0, 2, 0)  # s = 0.5, no blur, the picture of the data, views 1 and 2
    apart, nearer = data["apart"].reshape(shape)[cloth], data["nearer"].reshape(shape)[cloth]
    assert apart[[0, 2], 1] == pytest.approx([0, 0.88], abs=0.005)
    assert (nearer[0, 0], nearer[2, 1]) == (19, 81)


def test_the_steps_of_layers_are_what_notebook_4_says():
    data = shown("04_lars_and_schedules", "steps")
    measures = data["measures"].reshape(2, data["updates"] - 1, data["tensors"], 4)
    sgd, lars = measures[:, :, [row[1] for row in data["rows"]]]
    assert [100 * sgd[0, :, 0].min(), 100 * sgd[0, :, 0].max()] == pytest.approx(
        [0.006, 1.3], rel=0.1
    )
    assert sgd[0, :, 0].max() / sgd[0, :, 0].min() == pytest.approx(200, rel=0.05)
    assert 100 * lars[0, :, 0] == pytest.approx([0.038] * len(lars[0]), rel=0.02)
    assert [lars[0, :, 3].min(), lars[0, :, 3].max()] == pytest.approx([2e-5, 5e-3], rel=0.3)
    for one, factor in ((lars, 1.5), (sgd, 170)):
        assert one[5, :, 0].max() / one[5, :, 0].min() == pytest.approx(factor, rel=0.05)
    gamma = data["rows"][0][2]
    assert 100 * measures[1, 2, gamma, 0] == pytest.approx(59, abs=0.5)
    assert data["rates"][1][-1] < 0.01 * max(data["rates"][1])
    assert lars[-1, :, 0].mean() / lars[5, :, 0].mean() == pytest.approx(0.5, abs=0.1)
    assert 3.85 < np.min(data["losses"]) <= np.max(data["losses"]) < 5.35


def test_the_hills_of_the_schedule_are_what_notebook_4_says():
    data = shown("04_lars_and_schedules", "rates")
    shape = len(data["epochs"]), len(data["warmUps"]), len(data["sizes"]), 2
    peaks = data["rates"].reshape(*shape, data["points"]).max(axis=-1)
    ways = data["ways"].reshape(shape) / 1000
    small, large = data["sizes"].index(256), data["sizes"].index(4096)
    assert peaks[0, 2, [large, small]] == pytest.approx(
        np.array([[4.8, 4.8], [0.3, 1.2]]), rel=0.01
    )
    assert ways[0, 2, [large, small]] == pytest.approx(np.array([[75, 75], [75, 300]]), rel=0.01)
    assert ways[data["epochs"].index(400), 2, small, 0] == pytest.approx(300, rel=0.01)
    assert np.ptp(ways, axis=1).max() < 0.01 * ways.max()
