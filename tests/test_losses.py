"""NT-Xent against the official outputs, a plain float64 loop, and what must always hold."""

from __future__ import annotations

import math

import pytest
import torch
from torch.profiler import ProfilerActivity

from simclr_lib.config import LOSSES, Config
from simclr_lib.losses import (
    contrastive_metrics,
    nt_xent,
    nt_xent_matrix,
    similarity_logits,
)
from simclr_lib.losses.table4 import contrastive_loss
from simclr_lib.methods import build
from simclr_lib.names import SUMS


def relative(actual, expected):
    scale = expected.abs().max().clamp_min(1e-30)
    return ((actual - expected).abs().max() / scale).item()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("tile", [1024, 3])
def test_every_recorded_case(load_golden, tile, dtype):
    golden = load_golden("ntxent")
    assert len(golden.cases) == 15
    for name, case in golden.cases.items():
        get = lambda key, n=name: torch.from_numpy(golden.arrays[f"{n}/{key}"])  # noqa: E731
        z1, z2 = get("z1"), get("z2")
        together = case["kind"] == "single"
        expected = get("loss" if together else "loss_mean")
        z = torch.cat([z1.reshape(-1, case["dim"]), z2.reshape(-1, case["dim"])]).to(dtype)
        logits = similarity_logits(z, case["temperature"], case["hidden_norm"])
        # A logit is rounded in its last place, and its exponential is off by as much: of one of
        # 85,000 (the case of large rows that are not normalised) by 1 % in float32.
        steepest = logits[logits > -1e8].abs().max().item()
        limit = 5e-6 if dtype == torch.float64 else max(1e-5, torch.finfo(dtype).eps * steepest)
        loss = 2 * nt_xent(z.requires_grad_(), case["temperature"], case["hidden_norm"], tile)
        loss.backward()  # officially a sum, hence twice
        if expected.abs() > 0:
            assert relative(loss, expected) < limit, name
        else:
            assert loss == 0, name
        gradient = torch.cat([get(k).reshape(-1, case["dim"]) for k in ("grad_z1", "grad_z2")])
        if gradient.abs().max() > 0:
            assert relative(z.grad, gradient) < limit, name
        else:
            assert z.grad.abs().max() < 1e-6, name
        if together:
            n = case["N"]
            assert relative(logits[:n, n:], get("logits_ab")) < 1e-5, name
            metrics = contrastive_metrics(z.detach(), case["temperature"], case["hidden_norm"])
            assert metrics.accuracy.item() == pytest.approx(get("contrast_acc").item()), name
            entropy = get("contrast_entropy").item()
            assert metrics.entropy.item() == pytest.approx(entropy, rel=1e-5, abs=1e-6), name


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_equals_equation_1_as_a_loop(temperature):
    z = torch.randn(10, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    unit = [[v / math.sqrt(sum(u * u for u in row)) for v in row] for row in z.tolist()]
    total = 0.0
    for i in range(10):
        weights = [
            math.exp(sum(a * b for a, b in zip(unit[i], unit[k], strict=True)) / temperature)
            for k in range(10)
        ]
        total += -math.log(weights[(i + 5) % 10] / (sum(weights) - weights[i]))
    assert nt_xent(z, temperature).item() == pytest.approx(total / 10, rel=1e-12)


@pytest.mark.parametrize("tile", [64, 4, 1])  # one tile; tiles that end ragged; single numbers
def test_gradient_equals_finite_differences(tile):
    z = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(lambda z: nt_xent(z, 0.3, True, tile), z.requires_grad_())


@pytest.mark.parametrize(
    ("dtype", "normalize", "tolerance"),
    [(torch.float32, True, 1e-5), (torch.float64, False, 1e-10)],
)
@pytest.mark.parametrize("tile", [7, 50, 100, 1024])  # 2N = 100
def test_tiles_equal_the_whole_matrix(tile, dtype, normalize, tolerance):
    z = torch.randn(100, 16, dtype=dtype, generator=torch.Generator().manual_seed(4))
    scale = 1 if normalize else 8  # logits reach +- 40,000: nothing may overflow
    results = []
    for loss in (nt_xent_matrix, lambda *a: nt_xent(*a, tile)):
        leaf = (z * scale).requires_grad_()
        value = loss(leaf, 0.1, normalize)
        (3 * value).backward()
        results.append((value.detach(), leaf.grad))
    assert relative(results[1][0], results[0][0]) < tolerance
    assert relative(results[1][1], results[0][1]) < tolerance


def test_memory_grows_with_n_not_its_square():
    views = 4096
    z = torch.randn(views, 32, generator=torch.Generator().manual_seed(5), requires_grad=True)

    def largest(loss):  # bytes of the largest tensor that forward and backward make
        with torch.profiler.profile(profile_memory=True, activities=[ProfilerActivity.CPU]) as p:
            loss(z).backward()
        return max(event.cpu_memory_usage for event in p.events())

    assert largest(nt_xent_matrix) >= views * views * 4
    assert largest(lambda z: nt_xent(z, tile=256)) < views * 256 * 4


def test_metrics_of_many_images_equal_the_whole_matrix():
    z = torch.randn(2 * 1500, 8, generator=torch.Generator().manual_seed(6))  # in 3 blocks of rows
    unit = z / z.norm(dim=1, keepdim=True)
    logits = unit[:1500] @ unit[1500:].T / 0.5
    hits = (logits.argmax(dim=1) == torch.arange(1500)).float().mean()
    entropy = torch.distributions.Categorical(logits=logits).entropy().mean()
    metrics = contrastive_metrics(z, 0.5)
    assert metrics.accuracy.item() == pytest.approx(hits.item())
    assert metrics.entropy.item() == pytest.approx(entropy.item(), rel=1e-4)


def test_collapse_costs_log_2n_minus_1():
    assert nt_xent(torch.ones(64, 8), 0.1).item() == pytest.approx(math.log(63), rel=1e-6)


def test_order_of_images_and_of_views_does_not_matter():
    generator = torch.Generator().manual_seed(2)
    first, second = torch.randn(2, 16, 8, generator=generator)
    mixed = torch.randperm(16, generator=generator)
    loss = nt_xent(torch.cat([first, second]))
    torch.testing.assert_close(nt_xent(torch.cat([second, first])), loss)
    torch.testing.assert_close(nt_xent(torch.cat([first[mixed], second[mixed]])), loss)


def test_half_precision_input_is_computed_in_float32():
    z = torch.randn(32, 16, generator=torch.Generator().manual_seed(3)).bfloat16()
    assert nt_xent(z).dtype == torch.float32
    assert nt_xent(z).item() == pytest.approx(nt_xent(z.float()).item())
    with torch.autocast("cpu", torch.bfloat16):
        inside = nt_xent(z.float()).item()
    assert inside == nt_xent(z.float()).item()


def loop_of_other_losses(z, name, temperature=0.2, margin=0.4):
    """Table 2, one anchor at a time, float64."""
    u = z.double() / z.double().norm(dim=1, keepdim=True)
    n, total = len(u) // 2, 0.0
    for i in range(2 * n):
        partner = (i + n) % (2 * n)
        positive = u[i] @ u[partner]
        s = [u[i] @ u[j] for j in range(2 * n) if j not in (i, partner)]
        if name.endswith("semi_hard"):
            allowed = [value for value in s if value < positive]
            s = [max(allowed)] if allowed else []
        if name.startswith("nt_logistic"):
            total += -torch.sigmoid(positive / temperature).log()
            parts = [-torch.sigmoid(-value / temperature).log() for value in s]
        else:
            parts = [torch.clamp(value - positive + margin, min=0) for value in s]
        total += sum(parts) / len(parts) if parts else 0.0
    return total / (2 * n)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "nt_xent"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_other_losses_equal_a_plain_loop_with_gradients(name, dtype):
    z = torch.randn(12, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    z[:6] += 0.7 * z[6:]  # some positives near, some far: both kinds of semi-hard anchors
    z[3] = -z[9]  # and one whose positive is the farthest of all: it has no semi-hard negative
    expected_z, z = z.clone().requires_grad_(), z.to(dtype).requires_grad_()
    config = Config.create("smoke", loss=name, margin=0.4, temperature=0.2)
    loss = contrastive_loss(z, config)
    expected = loop_of_other_losses(expected_z, name)
    loss.backward(), expected.backward()
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    assert loss.dtype == dtype
    assert relative(loss.double(), expected) < tolerance
    assert relative(z.grad.double(), expected_z.grad) < tolerance


def test_contrastive_loss_obeys_its_parameters():
    z = torch.randn(8, 4, generator=torch.Generator().manual_seed(2))
    config = Config.create("smoke", temperature=0.3)
    assert torch.equal(contrastive_loss(z, config), nt_xent(z, 0.3))
    plain = config.replace(l2_normalize=False)
    assert torch.equal(contrastive_loss(z, plain), nt_xent(z, 0.3, l2_normalize_rows=False))
    wide, narrow = (config.replace(loss="margin_triplet", margin=m) for m in (3.0, 0.0))
    assert contrastive_loss(z, wide) > contrastive_loss(z, narrow) + 2


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_pulls_partners_together_and_others_apart(name):
    z = torch.randn(16, 8, generator=torch.Generator().manual_seed(3)).requires_grad_()
    config = Config.create("smoke", loss=name)
    for _ in range(300):
        (gradient,) = torch.autograd.grad(contrastive_loss(z, config), z)
        z = (z - 0.5 * gradient).detach().requires_grad_()
    u = torch.nn.functional.normalize(z.detach(), dim=1)
    cosine = u @ u.T
    partner = cosine.diagonal(8)
    others = cosine[:8, :8][~torch.eye(8, dtype=torch.bool)]
    assert partner.mean() > others.mean() + 0.35, (partner.mean(), others.mean())


def test_the_official_sum_pulls_twice_as_hard_and_reports_the_same():
    z = torch.randn(2, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = {}
    for kind in SUMS:
        config = Config.create("smoke", loss_sum=kind)
        outputs = z.clone().requires_grad_()
        loss, _ = build(config).loss(tuple(outputs), torch.arange(6))
        loss.backward()
        found[kind] = loss.item(), outputs.grad
    assert found["official"][0] == pytest.approx(found["paper"][0], rel=1e-12)
    assert torch.allclose(found["official"][1], 2 * found["paper"][1], rtol=1e-12)
