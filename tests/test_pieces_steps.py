"""The pieces of LARS and of its schedule show what the library computes, and nothing else."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
import torch

from simclr_lib import data, methods, pieces
from simclr_lib.config import Config
from simclr_lib.pieces.piece import HERE
from simclr_lib.pieces.rates import POINTS
from simclr_lib.pieces.steps import _rows
from simclr_lib.views.batches import batches
from tests.test_pieces import array

UPDATES = 5
ADAPTED = "weight"  # the last part of the name of a tensor that LARS adapts and decays


@pytest.fixture(scope="module")
def config():
    small = {"device": "cpu", "precision": "fp32", "num_images": 32, "batch_size": 16, "epochs": 2}
    small |= {"base_channels": 2, "image_size": 16}
    small |= {"temperature": 1.0, "base_learning_rate": 0.02}  # or roundings would grow
    return Config.create("smoke", **small, without="zero_gamma")


@pytest.fixture(scope="module")
def images(config):
    return data.load(config)


@pytest.fixture(scope="module")
def steps(config, images):
    return pieces.steps(config, images, UPDATES)


@pytest.fixture(scope="module")
def rates():
    return pieces.rates(2000, sizes=(4, 64), epochs=(20, 40), warm_ups=(0, 1.3))


def plain(piece, name):
    """A value that the script gets as it is, a list or a number."""
    return json.JSONDecoder().raw_decode(piece.page.split(f'"{name}": ', 1)[1])[0]


def measures(piece):
    """(optimizers, updates - 1, tensors, measures)."""
    return array(piece, "measures").reshape(2, UPDATES - 1, plain(piece, "tensors"), 4)


def by_hand(config, images, rates, *, adapt):
    """[|dw|/|w|, |w|, |g|, trust] of every tensor in every update, from the formulas of LARS."""
    method = methods.build(config)
    tensors = dict(method.named_parameters())
    v = {name: torch.zeros_like(w) for name, w in tensors.items()}
    made = batches(images.pretrain, method.branches(), config, torch.device("cpu"), 0, len(rates))
    found = []
    for batch, rate in zip(made, rates, strict=True):
        method.zero_grad()
        loss, _ = method.loss(method(batch), batch.labels)
        loss.backward()
        row = []
        for name, w in tensors.items():
            old, g = w.detach().clone(), w.grad.clone()
            adapted = name.endswith(ADAPTED)
            g_and_decay = g + config.weight_decay * old if adapted else g
            trust = 0.001 * float(old.norm() / g_and_decay.norm()) if adapt and adapted else 1.0
            v[name] = config.momentum * v[name] + rate * trust * g_and_decay
            w.data -= v[name]
            share = float((w.detach() - old).norm() / old.norm()) if old.any() else 0.0
            row.append([share, float(old.norm()), float(g.norm()), trust])
        found.append(row)
    return np.array(found)


@pytest.mark.parametrize(("which", "adapt"), [(0, False), (1, True)])
def test_what_an_update_does_to_every_tensor_is_what_the_formulas_say(
    config, images, steps, which, adapt
):
    rates = [0.0, *plain(steps, "rates")[which][:2]]  # that of the first update is left out
    expected = by_hand(config, images, rates, adapt=adapt)[1:]
    close = np.isclose(measures(steps)[which, :2], expected, rtol=5e-3, atol=1e-9)
    assert close.mean() > 0.97  # a channel that rounding switches on or off is not


def test_the_trust_ratio_is_a_thousandth_of_the_norms_and_1_without_adaptation(steps):
    weights = [row[1] for row in plain(steps, "rows")]
    sgd, lars = measures(steps)
    _, norm, gradient, trust = lars[:, weights].transpose(2, 0, 1)
    np.testing.assert_allclose(trust, 0.001 * norm / gradient, rtol=1e-2)  # decay is tiny
    assert (np.delete(lars, weights, axis=1)[..., 3] == 1).all()
    assert (sgd[..., 3] == 1).all()


def test_a_norm_changes_by_no_more_than_the_step(steps):
    share, norm, _, _ = measures(steps).transpose(3, 0, 1, 2)
    moved = share[:, :-1] * norm[:, :-1]
    assert (np.abs(np.diff(norm, axis=1)) <= moved * 1.001 + 1e-6)[norm[:, :-1] > 0].all()
    assert (share[norm == 0] == 0).all()


def test_in_the_first_update_lars_moves_all_layers_alike_and_sgd_does_not(config, steps):
    weights = [row[1] for row in plain(steps, "rows")]
    sgd, lars = measures(steps)[:, 0, weights, 0]
    rate = plain(steps, "rates")[1][0]
    assert rate == pytest.approx(config.learning_rate)  # warm-up is one update of five
    np.testing.assert_allclose(lars, 0.001 * rate, rtol=1e-3)
    assert sgd.max() > 10 * sgd.min()
    assert np.median(sgd) == pytest.approx(lars[0], rel=1e-3)


def test_a_layer_has_its_weight_gamma_and_offset_in_one_row(config, steps):
    names = [name for name, _ in methods.build(config).named_parameters()]
    rows = plain(steps, "rows")
    assert sorted(k for row in rows for k in row[1:] if k >= 0) == list(range(len(names)))
    for _, weight, gamma, beta in rows:
        assert names[weight].endswith("weight")
        assert names[gamma].endswith("gamma")
        assert beta < 0 or names[beta].endswith("beta")
    labels = [row[0] for row in rows]
    assert labels[:4] == ["stem", "1.1 conv 1", "1.1 conv 2", "1.1 shortcut"]
    assert labels[-2:] == ["head 1", "head 2"]


def test_layers_of_other_networks_have_names_of_their_own():
    large = {"depth": 50, "sk_ratio": 0.0625, "base_channels": 4, "stem": "imagenet"}
    network = methods.build(Config.create("smoke", **large))
    labels = [label for label, _ in _rows([name for name, _ in network.named_parameters()])]
    assert len(set(labels)) == len(labels)
    assert "2.1 conv 2 streams" in labels
    assert _rows(["h.0.weight", "h.0.bias"]) == [("h", [0, -1, 1])]


def test_the_axes_hold_all_that_is_drawn(steps):
    for k, (low, high) in enumerate(plain(steps, "decades")):
        values = measures(steps)[..., k]
        values = values[values > 0]
        assert 10.0**low <= values.min() * 1.001
        assert values.max() <= 10.0**high * 1.001
        assert low < high


@pytest.mark.parametrize("updates", [3, 101, 8.5, True])
def test_runs_that_are_too_short_or_too_long_are_refused(config, images, updates):
    with pytest.raises(ValueError, match=rf"updates={updates}.*whole number, 4 to 100"):
        pieces.steps(config, images, updates)


def test_the_rates_are_those_of_warm_up_and_cosine(rates):
    steps = array(rates, "steps").reshape(2, 2, 2, POINTS)  # epochs, warm-ups, sizes
    shown = array(rates, "rates").reshape(2, 2, 2, 2, POINTS)
    counts = array(rates, "counts").reshape(2, 2, 2, 2)
    for e, epochs in enumerate((20, 40)):
        for w, warm_up in enumerate((0, 1.3)):
            for s, size in enumerate((4, 64)):
                total, warm = 2000 * epochs // size + 1, int(warm_up * 2000) // size
                assert counts[e, w, s].tolist() == [total, warm]
                assert steps[e, w, s, [0, -1]].tolist() == [0, total - 1]
                for k, peak in enumerate((0.3 * size / 256, 0.075 * math.sqrt(size))):
                    expected = [
                        peak * t / warm
                        if t < warm
                        else peak * (1 + math.cos(math.pi * (t - warm) / (total - warm))) / 2
                        for t in steps[e, w, s].tolist()
                    ]
                    np.testing.assert_allclose(shown[e, w, s, k], expected, rtol=1e-5, atol=1e-7)
                    assert shown[e, w, s, k].max() == pytest.approx(peak)  # it is among them


def test_the_way_is_the_sum_of_all_rates_and_a_warm_up_does_not_change_it(rates):
    ways = array(rates, "ways").reshape(2, 2, 2, 2)
    for e, epochs in enumerate((20, 40)):
        for s, size in enumerate((4, 64)):
            total = 2000 * epochs // size + 1
            for k, peak in enumerate((0.3 * size / 256, 0.075 * math.sqrt(size))):
                whole = sum(peak * (1 + math.cos(math.pi * t / total)) / 2 for t in range(total))
                assert ways[e, 0, s, k] == pytest.approx(whole, rel=2e-3)
                assert ways[e, 1, s, k] == pytest.approx(whole, rel=2e-3)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"images": 0}, "images=0.*1 or more"),
        ({"images": 2.5}, "images=2.5.*whole number"),
        ({"sizes": ()}, r"sizes=\(\).*one or more"),
        ({"sizes": (0,)}, "sizes=0.*at least 1"),
        ({"epochs": (math.inf,)}, "epochs=inf.*finite"),
        ({"warm_ups": (-1,)}, "warm_ups=-1.*at least 0"),
        ({"warm_ups": (0, 101)}, "warm_ups=.*at most 100"),
    ],
)
def test_runs_that_cannot_be_are_refused(changed, words):
    with pytest.raises(ValueError, match=words):
        pieces.rates(**({"images": 1000} | changed))


@pytest.mark.parametrize("name", ["steps", "rates"])
def test_a_page_asks_nobody_for_anything_and_has_what_its_script_reads(name, request):
    piece = request.getfixturevalue(name)
    page = piece.page
    assert not re.search(r"(src|href)\s*=|@import|url\((?!#)|fetch\(|XMLHttp|import\s", page)
    assert set(re.findall(r"https?://[^\"' ]+", page)) == {"http://www.w3.org/2000/svg"}  # a name
    script = (HERE / f"{name}.js").read_text()
    for key in set(re.findall(r"DATA\.(\w+)", script)):
        assert f'"{key}": ' in page
    assert vars(piece.still)["alt"]
