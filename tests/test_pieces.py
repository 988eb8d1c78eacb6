"""Pieces to touch: they draw what the library computes, and ask nobody for anything."""

from __future__ import annotations

import base64
import math
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from simclr_lib import figures, pieces
from simclr_lib.losses import nt_xent
from simclr_lib.pieces.circle import UPDATES


def still():
    return figures.described(plt.figure(), "A picture of nothing in particular.")


def some_views(images=4):
    generator = torch.Generator().manual_seed(0)
    angle = 6.28 * torch.rand(2 * images, dtype=torch.float64, generator=generator)
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def array(piece, name):
    """An array as the script of the piece gets it."""
    kind, text = re.search(
        rf'"{name}": {{"kind": "(\w+)", "base64": "([^"]*)"', piece.page
    ).groups()
    return np.frombuffer(base64.b64decode(text), kind)


def test_an_array_reaches_the_script_as_it_is():
    data = {
        "real": np.array([[0.5, -2.0], [1e-3, 7.0]], np.float32),
        "whole": np.array([-300, 5], ">i2").astype(np.int16),
        "bytes": np.arange(256, dtype=np.uint8),
        "plain": [1, "two"],
    }
    piece = pieces.Piece("circle", "A title", data, still())
    assert array(piece, "real").tolist() == data["real"].ravel().tolist()
    assert array(piece, "whole").tolist() == [-300, 5]
    assert array(piece, "bytes").tolist() == list(range(256))
    assert '"plain": [1, "two"]' in piece.page


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.zeros(3), "data.*'values'.*'float64'.*float32, int16, uint8"),
        (np.array([1, np.inf], np.float32), "'values'.*not finite"),
        (np.zeros(160_000, np.uint8), "bytes.*at most 200000"),
    ],
)
def test_what_a_page_cannot_hold_is_refused(value, words):
    with pytest.raises(ValueError, match=words):
        pieces.Piece("circle", "A title", {"values": value}, still())


def test_no_text_ends_the_script_and_the_picture_stands_where_scripts_do_not_run():
    evil = "</script><!-- <b>"
    piece = pieces.Piece("circle", evil, {"name": evil}, still())
    shown, about = piece._repr_mimebundle_()
    page = shown["text/html"]
    assert page.count("</script>") == 1
    assert page.endswith("</script>")
    assert piece.page.count("</script>") == 1  # its own
    assert "&lt;/script&gt;" in piece.page
    assert f'src="data:image/png;base64,{shown["image/png"]}"' in page
    assert 'alt="A picture of nothing in particular."' in page
    assert shown["text/plain"] == about["image/png"]["alt"] == "A picture of nothing in particular."


def test_the_page_of_every_piece_asks_no_other_for_anything():
    page = pieces.circle(some_views()).page
    assert not re.search(r"(src|href)\s*=|@import|url\((?!#)|fetch\(|XMLHttp|import\s", page)
    assert set(re.findall(r"https?://[^\"' ]+", page)) == {"http://www.w3.org/2000/svg"}  # a name
    assert '<html lang="en">' in page


def test_the_views_on_the_circle_move_as_nt_xent_says():
    z, temperatures = some_views(), (0.1, 0.5)
    piece = pieces.circle(z, temperatures)
    n, steps = len(z), UPDATES + 1
    angles = array(piece, "angles").reshape(2, steps, n).astype(float)
    pulls = array(piece, "pulls").reshape(2, steps, n)
    losses = array(piece, "losses").reshape(2, steps)
    for t, temperature in enumerate(temperatures):
        for step in (0, 7):
            angle = torch.tensor(angles[t, step], dtype=torch.float64, requires_grad=True)
            loss = nt_xent(torch.stack([angle.cos(), angle.sin()], dim=1), temperature)
            loss.backward()
            assert losses[t, step] == pytest.approx(loss.item(), rel=1e-4)
            np.testing.assert_allclose(pulls[t, step], -n * angle.grad, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(angles[0, 0], torch.atan2(z[:, 1], z[:, 0]), atol=1e-6)
    assert (losses[:, -1] < losses[:, 0]).all()


def test_shares_on_the_circle_are_those_of_equation_1():
    z = some_views(2)
    shares = array(pieces.circle(z, (0.3,)), "shares").reshape(-1, 4, 4)[0]
    for i in range(4):
        weights = [math.exp(float(z[i] @ z[k]) / 0.3) if k != i else 0.0 for k in range(4)]
        assert shares[i].tolist() == [round(255 * w / sum(weights)) for w in weights]


@pytest.mark.parametrize("shape", [(2, 2), (5, 2), (18, 2), (8, 3), (8,)])
def test_other_views_than_a_few_pairs_in_the_plane_are_refused(shape):
    with pytest.raises(ValueError, match=r"z=.*is not valid; it must be \(2N, 2\)"):
        pieces.circle(torch.ones(shape))


@pytest.mark.parametrize("temperatures", [(), (0.1, 0.0), (0.1, math.nan)])
def test_temperatures_that_cannot_be_are_refused(temperatures):
    with pytest.raises(ValueError, match="temperatures="):
        pieces.circle(some_views(), temperatures)
