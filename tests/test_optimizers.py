"""LARS and the learning rate against the official outputs, and what must always hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from simclr_lib.schedule import scaled_learning_rate, total_steps, warmup_cosine, warmup_steps
from simclr_lib.train.optimizers import LARS


def test_every_recorded_lars_case(load_golden):
    golden = load_golden("lars")
    assert len(golden.cases) == 9
    for name, case in golden.cases.items():
        variables = golden.info["variables"]
        tensor = lambda key: torch.from_numpy(golden.arrays[key].copy())  # noqa: E731
        keys = [k for k in golden.arrays if k.startswith("init/")]
        index = {int(k.split("/")[1]): k.split("/")[1] for k in keys}
        weights = [torch.nn.Parameter(tensor(f"init/{index[v['index']]}")) for v in variables]
        optimizer = LARS(
            [(v["name"], w) for v, w in zip(variables, weights, strict=True)],
            lr=0.0,
            momentum=case["momentum"],
            weight_decay=case["weight_decay"],
            eta=case["eeta"],
            nesterov=case["use_nesterov"],
            classic=case["classic_momentum"],
            exclude_from_weight_decay=case["exclude_from_weight_decay"],
            exclude_from_adaptation=case["exclude_from_layer_adaptation"],
        )
        for step, rate in enumerate(golden.arrays[f"{name}/lr"]):
            for group in optimizer.param_groups:
                group["lr"] = float(rate)
            for v, w in zip(variables, weights, strict=True):
                w.grad = tensor(f"{name}/grad/{index[v['index']]}")[step]
            optimizer.step()
            for v, w in zip(variables, weights, strict=True):
                for kind, ours in (("param", w), ("momentum", optimizer.state[w]["momentum"])):
                    theirs = tensor(f"{name}/{kind}/{index[v['index']]}")[step]
                    error = (ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-12)
                    assert error < 1e-5, f"{name}, step {step}, {v['name']}, {kind}: {error:.1e}"


def test_every_recorded_schedule(load_golden):
    golden = load_golden("lr_schedule")
    assert len(golden.cases) == 29
    for name, case in golden.cases.items():
        images, batch = case["num_examples"], case["train_batch_size"]
        warmup = warmup_steps(images, batch, case["warmup_epochs"])
        total = case["train_steps_flag"] or total_steps(images, batch, case["train_epochs"])
        peak = scaled_learning_rate(
            case["base_learning_rate"], batch, case["learning_rate_scaling"]
        )
        assert (warmup, total) == (case["warmup_steps"], case["total_steps"]), name
        rates = zip(golden.arrays[f"{name}/steps"], golden.arrays[f"{name}/lr"], strict=True)
        for step, rate in rates:
            ours = warmup_cosine(int(step), peak, warmup, total)
            assert ours == pytest.approx(rate, abs=1e-6 * peak), f"{name}, step {step}"


def test_the_trust_ratio_ignores_the_scale_of_the_loss():
    """Why the official factor 2 in the loss hardly matters: adapted tensors do not see it."""
    results = []
    for scale in (1.0, 2.0):
        w = torch.nn.Parameter(torch.arange(1.0, 5.0))
        bias = torch.nn.Parameter(torch.ones(2))
        optimizer = LARS([("w", w), ("bias", bias)], lr=1.0)
        for _ in range(3):
            w.grad, bias.grad = scale * torch.ones(4), scale * torch.ones(2)
            optimizer.step()
        results.append((w.detach(), bias.detach()))
    torch.testing.assert_close(results[0][0], results[1][0])
    assert not torch.allclose(results[0][1], results[1][1])


def test_linear_and_square_root_scaling_meet_at_4096():
    assert scaled_learning_rate(0.3, 4096, "linear") == pytest.approx(4.8)
    assert scaled_learning_rate(0.075, 4096, "sqrt") == pytest.approx(4.8)


def test_finds_a_minimum():
    w = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = LARS([("w", w)], lr=20.0, eta=0.001)
    for _ in range(300):
        optimizer.zero_grad()
        (w - torch.tensor([1.0, 1.0])).square().sum().backward()
        optimizer.step()
    torch.testing.assert_close(w.detach(), torch.ones(2), atol=0.1, rtol=0)


def test_errors_name_the_value():
    with pytest.raises(ValueError, match="momentum=-1"):
        LARS([("w", torch.nn.Parameter(torch.ones(1)))], lr=1.0, momentum=-1)
    with pytest.raises(ValueError, match="scaling='cubic'.*linear or sqrt"):
        scaled_learning_rate(0.1, 256, "cubic")


@pytest.mark.parametrize("bad", [-1, math.nan, math.inf, "8", None, [8]])
@pytest.mark.parametrize(
    ("function", "names"),
    [
        (total_steps, ("num_images", "batch_size", "epochs")),
        (warmup_steps, ("num_images", "batch_size", "warmup_epochs")),
        (scaled_learning_rate, ("base", "batch_size")),
        (warmup_cosine, ("step", "peak", "warmup", "total")),
    ],
)
def test_schedules_refuse_what_is_no_number(function, names, bad):
    for name in names:
        with pytest.raises(
            ValueError, match=rf"{name}=.* is not valid; it must be a finite number"
        ):
            function(**(dict.fromkeys(names, 8) | {name: bad}))
    assert function(**dict.fromkeys(names, np.int64(8))) == function(**dict.fromkeys(names, 8))
