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


def small(**given):
    return ResNet(**{"depth": 18, "base_channels": 2, "generator": seeded()} | given)


def head(*given, **more):
    return ProjectionHead(*given, **{"generator": seeded()} | more)


X, H = torch.rand(2, 3, 9, 7), torch.rand(2, 8)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: small(depth=20), "depth=20 .*one of 18, 34, 50, 101, 152"),
        (lambda: small(depth=True), "depth=True .*whole number"),
        (lambda: small(depth=18.0), "depth=18.0 .*whole number"),
        (lambda: small(depth="18"), "depth='18' .*whole number"),
        (lambda: small(width=0.3), "width=0.3 .*makes 2 \\* width whole, 1 or more"),
        (lambda: small(width="2"), "width='2' .*a number above 0"),
        (lambda: small(width=float("nan")), "width=nan .*a number above 0"),
        (lambda: small(base_channels=0), "base_channels=0 .*whole number, 1 or more"),
        (lambda: small(base_channels=4.0), "base_channels=4.0 .*whole number, 1 or more"),
        (lambda: small(stem_kind="vgg"), "stem_kind='vgg' .*imagenet or cifar or tiny"),
        (lambda: small(stem_kind=None), "stem_kind=None .*imagenet or cifar or tiny"),
        (lambda: small(sk_ratio=2), "sk_ratio=2 .*from 0"),
        (lambda: small(base_channels=1, sk_ratio=0.5), "width=1 .*whole, 2 or more"),
        (lambda: small(generator=None), "generator=None .*torch.Generator"),
        (lambda: small(generator=0), "generator=0 .*torch.Generator"),
        (lambda: head(0), "features=0 .*whole number, 1 or more"),
        (lambda: head(8, 5), "layers=5 .*whole number, 0 to 4"),
        (lambda: head(8, True), "layers=True .*whole number, 0 to 4"),
        (lambda: head(8, 2, 0), "projection_dim=0 .*whole number, 1 or more"),
        (lambda: head(8, 2, 4, 1), "batch_norm=1 .*True or False"),
        (lambda: head(8, generator=None), "generator=None .*torch.Generator"),
        (lambda: linear_classifier(8, 0, generator=seeded()), "classes=0 .*1 or more"),
        (lambda: linear_classifier(8.5, 2, generator=seeded()), "features=8.5 .*1 or more"),
        (lambda: linear_classifier(8, 2, generator=None), "generator=None .*torch.Generator"),
        (lambda: BatchNorm(2)(torch.ones(1, 2)), "at least 2 values"),
        *(
            (lambda x=x: small()(x), f"x={said} .*a float32 tensor in 0..1, of shape .N, 3, H, W.")
            for x, said in (
                ((255 * X).byte(), "uint8 tensor"),
                (X.permute(0, 2, 3, 1), "float32 tensor of shape .2, 9, 7, 3."),
                (X[0], "float32 tensor of shape .3, 9, 7."),
                (X[:, :1], "float32 tensor of shape .2, 1, 9, 7."),
                (torch.cat([X, X[:, :1]], dim=1), "float32 tensor of shape .2, 4, 9, 7."),
                (X[..., :0], "float32 tensor of shape .2, 3, 9, 0."),
                (X.half(), "float16 tensor"),
                (X.bfloat16(), "bfloat16 tensor"),
                (X.double(), "float64 tensor"),
                (X.numpy(), "float32 ndarray"),
                (None, "None"),
            )
        ),
        *(
            (lambda h=h: head(8)(h), f"h={said} .*a float tensor .N, 8.")
            for h, said in (
                (H[0], "float32 tensor of shape .8,."),
                (H[:, :7], "float32 tensor of shape .2, 7."),
                (H.long(), "int64 tensor"),
                (H.numpy(), "float32 ndarray"),
            )
        ),
    ],
)
def test_errors_name_the_value(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_what_the_weights_can_be_multiplied_by_passes():
    encoder = small()
    with torch.autocast("cpu", torch.bfloat16):
        expected = encoder(X)
        assert torch.equal(encoder(X.bfloat16()), expected)
        with pytest.raises(ValueError, match="x=float64 tensor"):  # autocast leaves it
            encoder(X.double())
    assert small().double()(X.double()).dtype == torch.float64
    with torch.device("meta"):
        encoder, its_head = small(generator=None), head(16, generator=None)
        assert its_head(encoder(torch.empty(4, 3, 32, 32))).shape == (4, 128)
