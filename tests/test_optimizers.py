"""LARS and the learning rate against the official outputs, and what must always hold."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from simclr_lib.config import Config
from simclr_lib.methods import build
from simclr_lib.schedule import scaled_learning_rate, total_steps, warmup_cosine, warmup_steps
from simclr_lib.train.optimizers import EXCLUDED, LARS


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


def one_by_one(w, v, lr, decay, adapt, classic, nesterov, momentum=0.9, eta=0.001):
    """The formulas of `LARS` for one tensor, in the order in which they stand there."""
    g = w.grad + decay * w if decay else w.grad
    newest = g
    if classic:
        newest = lr * ratio(w, g, eta) * g if adapt else lr * g
    v.mul_(momentum).add_(newest)
    step = momentum * v + newest if nesterov else v
    if not classic:
        step = lr * ratio(w, step, eta) * step if adapt else lr * step
    w.sub_(step)


def ratio(w, update, eta):
    return eta * w.norm() / update.norm() if w.norm() > 0 and update.norm() > 0 else 1.0


def tensors():
    """Names and tensors of both kinds: channels last, at zero, double, without a gradient."""
    g = torch.Generator().manual_seed(0)
    last = {"memory_format": torch.channels_last}
    made = {"conv.weight": torch.randn(16, 8, 3, 3, generator=g).contiguous(**last)}
    made |= {f"{i}.weight": torch.randn(7, i + 1, generator=g) for i in range(6)}
    made |= {f"{i}.bias": torch.randn(i + 1, generator=g) for i in range(3)}
    made |= {"norm.gamma": torch.zeros(8), "zero.weight": torch.zeros(5, 5)}
    made |= {"double.weight": torch.randn(4, 4, generator=g, dtype=torch.float64)}
    made |= {"frozen.weight": torch.randn(3, 3, generator=g)}
    return {name: torch.nn.Parameter(tensor) for name, tensor in made.items()}


def random_gradient(w, generator):
    """In the layout of w, as autograd makes it."""
    return torch.empty_like(w).detach().copy_(torch.randn(w.shape, generator=generator))


@pytest.mark.parametrize("rate", [float, torch.tensor], ids=["float", "tensor"])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("classic", [True, False])
@pytest.mark.parametrize("decay", [0.0, 1e-2])
def test_lists_of_tensors_give_the_bits_of_a_loop(decay, classic, nesterov, rate):
    ours, theirs = tensors(), tensors()
    velocity = {name: torch.zeros_like(w) for name, w in theirs.items()}
    optimizer = LARS(ours.items(), 0.0, weight_decay=decay, classic=classic, nesterov=nesterov)
    generator = torch.Generator().manual_seed(1)
    for step in range(20):
        lr = rate(0.3 * (1 + step / 7))
        for group in optimizer.param_groups:
            group["lr"] = lr
        for name, w in ours.items():
            scale = 0.0 if step in (0, 7) and name in ("0.weight", "conv.weight") else 1.0
            gradient = random_gradient(w, generator).mul_(scale)
            w.grad = theirs[name].grad = None if "frozen" in name else gradient
        kept = {name: w.grad.clone() for name, w in ours.items() if w.grad is not None}
        optimizer.step()
        for name, w in theirs.items():
            if w.grad is not None:
                plain = not any(part in name for part in ("gamma", "bias"))
                rules = (decay if plain else 0.0, plain, classic, nesterov)
                with torch.no_grad():
                    one_by_one(w, velocity[name], lr, *rules)
                assert torch.equal(ours[name], w), f"{name}, step {step}"
                assert torch.equal(optimizer.state[ours[name]]["momentum"], velocity[name]), name
                assert torch.equal(ours[name].grad, kept[name]), f"{name}: its gradient changed"
    assert ours["zero.weight"].abs().max() > 0
    assert ours["frozen.weight"] not in optimizer.state


def trained(optimizer, parameters):
    """The parameters after three updates by gradients that are the same every time."""
    generator = torch.Generator().manual_seed(2)
    for _ in range(3):
        for w in parameters:
            w.grad = random_gradient(w, generator)
        optimizer.step()
    return [w.detach().clone() for w in parameters]


@pytest.mark.parametrize("exclude", [EXCLUDED, None, ()])
def test_without_names_the_same_tensors_of_our_network_are_excluded(exclude):
    found = []
    for with_names in (True, False):
        network = build(Config.create("smoke"))
        given = network.named_parameters() if with_names else network.parameters()
        options = {"weight_decay": 0.1, "exclude_from_weight_decay": exclude}
        found.append(trained(LARS(given, 1.0, **options), list(network.parameters())))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_groups_have_options_of_their_own():
    w, b, u, c, x = (torch.nn.Parameter(torch.ones(s)) for s in [(2, 2), 2, (2, 2), 2, (2, 2)])
    groups = [
        {"params": [("a.weight", w), ("a.bias", b)], "lr": 0.1, "weight_decay": 0.5},
        {"params": [u, c], "momentum": 0.5, "nesterov": True},
        {"params": x, "decay": True, "adapt": False, "classic": False, "eta": 1.0},
    ]
    optimizer = LARS(iter(groups), lr=0.2, weight_decay=0.01)
    found = {
        id(p): tuple(group[name] for name in ("decay", "adapt", "lr", "weight_decay", "momentum"))
        for group in optimizer.param_groups
        for p in group["params"]
    }
    assert found[id(w)] == (True, True, 0.1, 0.5, 0.9)
    assert found[id(b)] == (False, False, 0.1, 0.5, 0.9)
    assert found[id(u)] == (True, True, 0.2, 0.01, 0.5)
    assert found[id(c)] == (False, False, 0.2, 0.01, 0.5)
    assert found[id(x)] == (True, False, 0.2, 0.01, 0.9)
    assert "lr" not in groups[1], "what was given has changed"


def test_a_group_added_to_a_copy_is_one_given_from_the_start():
    found = []
    for later in (False, True):
        first, second = tensors(), tensors()
        second = {f"again.{name}": w for name, w in second.items()}
        pairs = [*first.items(), *second.items()]
        if later:
            optimizer = LARS([p for p in pairs if p[0] in first], 1.0, weight_decay=0.1)
            optimizer = pickle.loads(pickle.dumps(optimizer))
            first = [w for group in optimizer.param_groups for w in group["params"]]
            optimizer.add_param_group({"params": second.items()})
            assert len(optimizer.param_groups) == 4
        else:
            optimizer = LARS(pairs, 1.0, weight_decay=0.1)
        parameters = list(second.values())
        found.append(trained(optimizer, parameters))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("options", [{}, {"classic": False}, {"nesterov": True}])
@pytest.mark.parametrize("rate", [0.1, torch.tensor(0.1, device="meta")], ids=["float", "tensor"])
def test_an_update_looks_at_no_number(options, rate):
    """Tensors of the device "meta" have none: an update that waited for a device would fail."""
    parameters = [torch.nn.Parameter(torch.empty(shape, device="meta")) for shape in ((3, 3), 3)]
    optimizer = LARS(parameters, rate, weight_decay=0.1, **options)
    for w in parameters:
        w.grad = torch.empty_like(w)
    optimizer.step()
    assert len(optimizer.state) == len(parameters)


def test_neither_making_one_nor_an_update_imports_a_compiler():
    code = """
import sys, torch
from simclr_lib.train import LARS
w = torch.nn.Parameter(torch.ones(2))
optimizer = LARS([w], 1.0)
w.grad = torch.ones(2)
optimizer.step()
assert "torch._dynamo" not in sys.modules
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_checkpoint_has_what_it_had_and_goes_on():
    first, second = tensors(), tensors()
    optimizers = [LARS(t.items(), 0.5, weight_decay=0.1) for t in (first, second)]
    trained(optimizers[0], list(first.values()))
    state = pickle.loads(pickle.dumps(optimizers[0].state_dict()))  # as a file would keep it
    assert {key for entry in state["state"].values() for key in entry} == {"momentum"}
    options = {"params", "decay", "adapt", "lr", "momentum", "weight_decay", "eta"}
    assert all(set(group) == options | {"nesterov", "classic"} for group in state["param_groups"])
    with torch.no_grad():
        for mine, other in zip(second.values(), first.values(), strict=True):
            mine.copy_(other)
    optimizers[1].load_state_dict(state)
    results = [trained(optimizers[i], list(t.values())) for i, t in enumerate((first, second))]
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


W = torch.nn.Parameter(torch.ones(2, 2))
REFUSED = {  # what is given to LARS, and the message
    "lr is missing": ([[W]], r"lr=None is not valid.* for all tensors or for every group"),
    "lr is missing in a group": ([[{"params": [W]}]], "lr=None"),
    "lr is negative": ([[W], -1.0], r"lr=-1\.0 is not valid; it must be a finite number, 0 or"),
    "lr is a negative tensor": ([[W], torch.tensor(-1.0)], "lr=-1"),
    "lr is no number": ([[W], float("nan")], "lr=nan"),
    "lr is infinite": ([[W], float("inf")], "lr=inf"),
    "lr is text": ([[W], "0.1"], "lr='0.1'"),
    "lr is many numbers": ([[W], torch.ones(2)], r"lr=float32 tensor of shape \(2,\)"),
    "momentum is negative": ([[W], 1.0, {"momentum": -1}], "momentum=-1 is not valid"),
    "momentum is no number": ([[W], 1.0, {"momentum": float("nan")}], "momentum=nan"),
    "weight decay is text": ([[W], 1.0, {"weight_decay": "1e-6"}], "weight_decay='1e-6'"),
    "eta of a group": ([[{"params": [W], "eta": -1}], 1.0], "eta=-1"),
    "a switch is a number": ([[W], 1.0, {"nesterov": 1}], "nesterov=1 .*True or False"),
    "decay of a group is text": ([[{"params": [W], "decay": "no"}], 1.0], "decay='no'"),
    "no tensors": ([[], 1.0], r"named_parameters=\[\] is not valid; it must be tensors, pairs"),
    "no tensors in a group": ([[{"params": []}], 1.0], r"params=\[\]"),
    "no params in a group": ([[{"lr": 1.0}], 1.0], r"param_group=.*that has \"params\""),
    "a set": ([{W}, 1.0], "named_parameters={"),
    "text": (["weights", 1.0], "named_parameters='weights'"),
    "a number": ([3, 1.0], "named_parameters=3"),
    "numbers": ([[1.0, 2.0], 1.0], r"params=1\.0 is not valid; it must be tensors or pairs"),
    "names that are none": ([[(3, W)], 1.0], r"params=\(3, "),
    "twice": ([[W, W], 1.0], r"params=float32 tensor of shape \(2, 2\).*given once"),
    "twice with names": ([[("a", W), ("b", W)], 1.0], "parameter b=.*given once"),
    "twice in groups": ([[{"params": [W]}, {"params": [W]}], 1.0], "given once"),
    "not a leaf": ([[("a", W * 2)], 1.0], "parameter a=.*a leaf"),
    "whole numbers": ([[("a", torch.ones(2).long())], 1.0], "parameter a=int64.*floating"),
    "a pattern that is none": (
        [[("a", W)], 1.0, {"exclude_from_weight_decay": ["("]}],
        r"exclude_from_weight_decay='\(' is not valid; it must be a sequence of regular",
    ),
    "a pattern alone": (
        [[("a", W)], 1.0, {"exclude_from_adaptation": "bias"}],
        "exclude_from_adaptation='bias' is not valid",
    ),
    "patterns but no names": (
        [[W], 1.0, {"exclude_from_weight_decay": ["head"]}],
        r"exclude_from_weight_decay=\('head',\) is not valid; it must be left out or empty",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_lars_cannot_use_is_refused_by_name(case):
    (parameters, *rest), message = REFUSED[case]
    options = rest.pop() if rest and isinstance(rest[-1], dict) else {}
    with pytest.raises(ValueError, match=message):
        LARS(parameters, *rest, **options)


def test_errors_name_the_value():
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
