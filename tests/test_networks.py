"""Encoders and heads: published parameter counts, recorded outputs, and the official constants."""

from __future__ import annotations

import pytest
import torch

from simclr_lib.networks.heads import ProjectionHead, linear_classifier
from simclr_lib.networks.layers import BatchNorm, conv
from simclr_lib.networks.resnet import AveragePool, MaxPool, ResNet, parameter_count
from simclr_lib.paper import published

GRID = [(v["depth"], v["width"], v["sk"], v["value"]) for v in published("v2_table1", "params_M")]


def seeded(number=0):
    return torch.Generator().manual_seed(number)


@pytest.mark.parametrize(("depth", "width", "sk", "millions"), GRID)
def test_parameter_counts_are_the_published_ones(depth, width, sk, millions):
    """The published millions count the moving statistics too; so counted, all 13 agree."""
    assert len(GRID) == 13
    with torch.device("meta"):
        encoder = ResNet(depth, int(width[0]), sk_ratio=0.0625 if sk else 0.0, generator=None)
    numbers = parameter_count(encoder) + sum(b.numel() for b in encoder.buffers())
    assert round(numbers / 1e6) == millions


@pytest.mark.parametrize("depth", [18, 34, 50])
@pytest.mark.parametrize("stem", ["imagenet", "cifar", "tiny"])
@pytest.mark.parametrize(("width", "sk"), [(0.25, 0.0), (0.5, 0.0625)])
def test_shapes(depth, stem, width, sk):
    encoder = ResNet(
        depth, width, stem_kind=stem, sk_ratio=sk, base_channels=16, generator=seeded()
    )
    h = encoder(torch.rand(2, 3, 33, 47))
    assert h.shape == (2, encoder.features)
    assert encoder.features == 16 * width * (32 if depth >= 50 else 8)


def test_blocks_start_as_their_shortcuts():
    """The last scale of every branch is zero, so the branches add nothing before training."""
    encoder = ResNet(50, base_channels=8, stem_kind="cifar", generator=seeded())
    blocks = [block for group in encoder.block_groups for block in group]
    assert all(block.branch[-1].gamma.abs().sum() == 0 for block in blocks)
    x = torch.rand(2, 32, 8, 8)
    assert torch.equal(blocks[1](x), x)


def test_the_same_seed_gives_the_same_network():
    first, second, other = (ResNet(18, 0.25, generator=seeded(n)).state_dict() for n in (1, 1, 2))
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert not torch.equal(first["stem.0.0.weight"], other["stem.0.0.weight"])


def test_convolutions_start_with_variance_one_over_fan_in():
    weight = conv(64, 256, 3, generator=seeded()).weight
    assert weight.var().item() * 64 * 9 == pytest.approx(1, rel=0.02)


def test_max_pool_pads_like_tensorflow():
    """SAME padding of an even size adds one row and column at the end, none at the beginning."""
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert MaxPool()(x).flatten().tolist() == [10, 11, 14, 15]
    assert MaxPool()(torch.arange(25.0).view(1, 1, 5, 5)).shape == (1, 1, 3, 3)


def test_average_pool_counts_padding_only_where_officially_counted():
    x = torch.ones(1, 1, 3, 3)
    assert AveragePool(1)(x).flatten().tolist() == [1] * 9
    assert AveragePool(2)(x).flatten().tolist() == [1, 0.5, 0.5, 0.25]


def test_moving_variance_takes_the_biased_variance():
    x = torch.randn(6, 3, 2, 2, generator=seeded())
    norm = BatchNorm(3)
    norm(x)
    expected = 0.9 + 0.1 * x.var(dim=(0, 2, 3), unbiased=False)
    torch.testing.assert_close(norm.moving_variance, expected)
    torch.testing.assert_close(norm.moving_mean, 0.1 * x.mean(dim=(0, 2, 3)))


def assign(head, golden, layers):
    """The recorded weights, in the official order of creation, put into our head."""
    values = iter(
        torch.from_numpy(golden.arrays[k].copy())
        for k in sorted(k for k in golden.arrays if k.startswith(f"layers{layers}/variables/"))
    )
    for layer in head.layers:
        layer[0].weight.data = next(values).T.contiguous()
        layer[1].gamma.data = next(values)
        if layer[1].beta is not None:
            layer[1].beta.data = next(values)
        layer[1].moving_mean, layer[1].moving_variance = next(values), next(values)
    assert next(values, None) is None


def test_every_recorded_head_case(load_golden):
    golden = load_golden("projection_head")
    get = lambda key: torch.from_numpy(golden.arrays[key])  # noqa: E731
    assert len(golden.cases) == 7
    for name, case in golden.cases.items():
        if name == "supervised":
            continue
        layers, selector = case["num_proj_layers"], case["ft_proj_selector"]
        for mode in ("inference", "training"):
            head = ProjectionHead(48, layers, 128, generator=seeded())
            assign(head, golden, layers)
            head.train(mode == "training")
            h = get("input").requires_grad_()
            stages = head.stages(h)
            for ours, key in ((stages[-1], "output"), (stages[selector], "finetune_input")):
                torch.testing.assert_close(
                    ours.detach(), get(f"{name}/{mode}/{key}"), rtol=1e-5, atol=1e-5
                )
            if mode == "training" and selector == 0:
                (stages[-1] * get("cotangent")).sum().backward()
                check_training(golden, name, head, h)


def check_training(golden, name, head, h):
    """Gradients and moving statistics after one call in training mode."""
    tensors = []
    for layer in head.layers:
        norm = layer[1]
        tensors += [layer[0].weight.grad.T, norm.gamma.grad]
        tensors += [norm.beta.grad] if norm.beta is not None else []
        tensors += [norm.moving_mean, norm.moving_variance]
    checked = 0
    for index, ours in enumerate([*tensors, h.grad]):
        last = index == len(tensors)
        for kind in ("grad_input",) if last else ("grad_variable", "variable_after"):
            key = f"{name}/training/{kind}" + ("" if last else f"/{index:02d}")
            if key in golden.arrays:
                theirs = torch.from_numpy(golden.arrays[key])
                error = (ours - theirs).abs().max() / theirs.abs().max()
                assert error < 1e-5, f"{key}: {error:.1e}"
                checked += 1
    assert checked == len(tensors) + 1


def test_recorded_supervised_head(load_golden):
    golden = load_golden("projection_head")
    keys = sorted(k for k in golden.arrays if k.startswith("supervised/"))
    classifier = linear_classifier(48, 10, generator=seeded())
    arrays = {k: torch.from_numpy(golden.arrays[k]) for k in keys}
    for value in arrays.values():
        if value.shape == (48, 10):
            classifier.weight.data = value.T.contiguous()
        elif value.shape == (10,):
            classifier.bias.data = value
    outputs = [v for v in arrays.values() if v.shape == (16, 10)]
    assert outputs
    logits = classifier(torch.from_numpy(golden.arrays["input"])).detach()
    for expected in outputs:
        torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ResNet(20, generator=seeded()), "depth=20.*18, 34, 50"),
        (lambda: ResNet(18, 0.3, generator=seeded()), "width=0.3"),
        (lambda: ResNet(18, stem_kind="vgg", generator=seeded()), "stem_kind='vgg'"),
        (lambda: ProjectionHead(8, 4, generator=seeded()), "layers=4"),
        (lambda: BatchNorm(2)(torch.ones(1, 2)), "at least 2 values"),
    ],
)
def test_errors_name_the_value(make, words):
    with pytest.raises(ValueError, match=words):
        make()
