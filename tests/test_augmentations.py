"""Every image operation against recorded outputs of the official code, and against plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from simclr_lib.views import color
from simclr_lib.views import operations as ops

NAMES = ["brightness", "contrast", "saturation", "hue"]


@pytest.fixture(scope="module")
def golden(load_golden):
    return load_golden("augment_ops")


def image(data, letter):
    array = data.arrays[f"image_{letter}_uint8"].astype(np.float32) * np.float32(1 / 255)
    return torch.from_numpy(array).permute(2, 0, 1)[None]  # (1, 3, H, W)


def jitter(data, images, case):
    return color.color_jitter(
        images,
        torch.tensor([NAMES.index(name) for name in case["order"]]),
        case["brightness"],
        case["contrast"],
        case["saturation"],
        case["hue"],
        "additive" if case["impl"] == "simclrv1" else "multiplicative",
    )


def run_case(data, case):
    """What our functions answer to one recorded case, (N, C, H, W)."""
    if case["op"] == "batch_random_blur":
        c = image(data, "c")
        both = [c[..., :40, :40], c[..., :40, 16:56]]
        views = [torch.cat(both), torch.cat(both[::-1])]
        kernel = case["kernel_size_argument"]
        out = []
        for images, sigma, draws in zip(
            views, case["sigma_per_view"], case["selector_draws_per_view"], strict=True
        ):
            chosen = (torch.tensor(draws) < case["blur_probability"]).view(-1, 1, 1, 1)
            out.append(torch.where(chosen, ops.gaussian_blur(images, sigma, kernel), images))
        return torch.stack(out).clamp(0, 1)
    x = image(data, case.get("image", "c"))
    match case["op"]:
        case "random_brightness" if case["impl"] == "simclrv2":
            return color.scale_brightness(x, case["factor"])
        case "random_brightness":
            return color.add_brightness(x, case["delta"])
        case "random_contrast":
            return color.adjust_contrast(x, case["factor"])
        case "random_saturation":
            return color.adjust_saturation(x, case["factor"])
        case "random_hue":
            return color.adjust_hue(x, case["delta"])
        case "to_grayscale":
            return color.to_grayscale(x, 3 if case["keep_channels"] else 1)
        case "gaussian_blur":
            return ops.gaussian_blur(x, case["sigma"], case["kernel_size"], case["padding"].lower())
        case "crop_and_resize":
            return ops.crop_and_resize(x, torch.tensor(case["box_yxhw"]), case["output_hw"])
        case "color_jitter":
            return jitter(data, x, case)
        case "preprocess_for_train":
            x = ops.crop_and_resize(x, torch.tensor(case["box_yxhw"]), case["output_hw"])
            x = ops.flip(x) if case["flipped"] else x
            x = jitter(data, x, case) if case["jitter_applied"] else x
            x = color.to_grayscale(x) if case["grayscale_draw"] < 0.2 else x
            return x.clamp(0, 1)
    raise AssertionError(f"no function for {case['op']}")


def test_every_recorded_case(golden):
    assert len(golden.cases) == 25
    for name, case in golden.cases.items():
        expected = torch.from_numpy(golden.arrays[name]).movedim(-1, -3)
        actual = run_case(golden, case)
        actual = actual[0] if case["op"] != "batch_random_blur" else actual
        error = (actual - expected).abs().max() / expected.abs().max()
        assert error < 1e-5, f"{name}: {error:.1e}"


@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
@pytest.mark.parametrize("num", [96, 5, 1])
def test_jitter_in_places_equals_that_in_turns_exactly_and_in_groups_nearly(kind, num):
    generator = torch.Generator().manual_seed(num)
    x = 1.4 * torch.rand(num, 3, 8, 4, generator=generator) - 0.2  # as after a bicubic crop
    orders = torch.tensor(list(itertools.permutations(range(4)))).repeat(4, 1)  # each one 4 times
    order = orders[torch.randperm(96, generator=generator)[:num]]
    low, high = torch.tensor(
        [[-0.8 if kind == "additive" else 0.2, 0, 0, -0.2], [0.8, 1.8, 1.8, 0.2]]
    )
    draws = (low + (high - low) * torch.rand(num, 4, generator=generator)).unbind(dim=1)
    additive = kind == "additive"
    before, in_turns = x.clone(), color._jitter_in_turns(x, order, draws, additive=additive)
    assert torch.equal(color.color_jitter(x, order, *draws, kind), in_turns)
    assert torch.equal(x, before)
    in_groups = color._jitter_in_groups(x, order, draws, additive=additive)
    torch.testing.assert_close(in_turns, in_groups, atol=1e-5, rtol=0)


def test_one_image_is_resized_as_many_are(golden):
    for name, case in golden.cases.items():
        if case["op"] == "crop_and_resize":
            top, left, height, width = case["box_yxhw"]
            box = image(golden, case["image"])[..., top : top + height, left : left + width]
            expected = torch.from_numpy(golden.arrays[name]).movedim(-1, -3)
            actual = ops.resize_one(box, case["output_hw"])[0]
            assert (actual - expected).abs().max() / expected.abs().max() < 1e-5, name
    for height, width in ((1, 1), (2, 3), (9, 50), (64, 7)):
        x = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height))
        expected = ops.crop_and_resize(x, torch.tensor([0, 0, height, width]), (8, 12))
        torch.testing.assert_close(ops.resize_one(x, (8, 12)), expected)


def test_draws_belong_to_images():
    """A batch with one draw an image is the same as its images one by one."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(5, 3, 20, 20, generator=generator)
    draws = torch.rand(5, generator=generator)
    boxes = torch.tensor(
        [[0, 0, 20, 20], [3, 4, 9, 8], [1, 0, 2, 3], [10, 10, 10, 10], [0, 9, 1, 1]]
    )
    orders = torch.stack([torch.randperm(4, generator=generator) for _ in range(5)])
    cases = {
        "add_brightness": lambda x, i: color.add_brightness(x, draws[i]),
        "contrast": lambda x, i: color.adjust_contrast(x, draws[i]),
        "hue": lambda x, i: color.adjust_hue(x, draws[i]),
        "saturation": lambda x, i: color.adjust_saturation(x, draws[i]),
        "blur": lambda x, i: ops.gaussian_blur(x, draws[i] + 0.2, 5),
        "crop": lambda x, i: ops.crop_and_resize(x, boxes[i], (8, 12)),
        "cutout": lambda x, i: ops.cutout(x, boxes[i]),
        "rotate": lambda x, i: ops.rotate(x, torch.tensor([0, 1, 2, 3, 1])[i]),
        "motion": lambda x, i: ops.motion_blur(x, draws[i] * 3, 5),
        "equalize": lambda x, i: ops.equalize(x),
        "jitter": lambda x, i: color.color_jitter(x, orders[i], *(draws[i],) * 4),
    }
    for name, operation in cases.items():
        together = operation(x, slice(None))
        alone = torch.cat([operation(x[i : i + 1], i) for i in range(5)])
        torch.testing.assert_close(together, alone, msg=lambda m, n=name: f"{n}: {m}")


def test_saturation_and_hue_equal_colorsys():
    import colorsys

    x = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    saturated, turned = color.adjust_saturation(x, 1.7), color.adjust_hue(x, 0.37)
    for row in range(6):
        for column in range(6):
            h, s, v = colorsys.rgb_to_hsv(*x[0, :, row, column].tolist())
            expected = colorsys.hsv_to_rgb(h, min(s * 1.7, 1), v)
            assert saturated[0, :, row, column].tolist() == pytest.approx(expected, abs=1e-5)
            expected = colorsys.hsv_to_rgb((h + 0.37) % 1, s, v)
            assert turned[0, :, row, column].tolist() == pytest.approx(expected, abs=1e-5)


def test_neutral_draws_change_nothing():
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    for same in (
        color.add_brightness(x, 0.0),
        color.scale_brightness(x, 1.0),
        color.adjust_contrast(x, 1.0),
        color.adjust_saturation(x, 1.0),
        color.adjust_hue(x, 0.0),
        color.adjust_hue(x, 1.0),
        ops.rotate(ops.rotate(x, torch.tensor([1, 3])), torch.tensor([3, 1])),
        ops.motion_blur(x, 0.3, 1),
        ops.crop_and_resize(x, torch.tensor([0, 0, 16, 16]), (16, 16)),
        ops.solarize(ops.solarize(x, 0.0), 0.0),
    ):
        torch.testing.assert_close(same, x, atol=2e-6, rtol=0)


def test_equalize_equals_a_plain_loop():
    levels = torch.randint(40, 90, (1, 1, 8, 8), generator=torch.Generator().manual_seed(3))
    x = (levels / 255).expand(1, 3, 8, 8)
    flat = levels.flatten().tolist()
    first = flat.count(min(flat))
    expected = [(sum(v <= u for v in flat) - first) / (64 - first) for u in flat]
    assert ops.equalize(x)[0, 2].flatten().tolist() == pytest.approx(expected, abs=1e-6)


def test_equalize_leaves_a_plain_image_alone():
    x = torch.full((1, 3, 4, 4), 0.2)
    torch.testing.assert_close(ops.equalize(x), x)


def test_sobel_of_a_ramp_is_its_slope():
    ramp = torch.linspace(0, 1, 11).view(1, 1, 1, 11).expand(1, 3, 5, 11)
    slope = ops.sobel(ramp)[0, 0, 2, 1:-1]
    torch.testing.assert_close(slope, torch.full((9,), 0.2 * 0.9999), atol=1e-4, rtol=0)


def test_blur_keeps_a_plain_image_inside_and_darkens_its_border():
    x = torch.ones(1, 3, 21, 21)
    y = ops.gaussian_blur(x, 2.0, 10)
    assert y[0, 0, 10, 10] == pytest.approx(1, abs=1e-5)
    assert y[0, 0, 0, 0] < 0.5


def test_noise_has_the_stated_standard_deviation():
    noise = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    noisy = ops.add_noise(torch.full((1, 3, 64, 64), 0.5), noise, 0.1)
    assert noisy.std() == pytest.approx(0.1, rel=0.02)


def test_cutout_fills_its_box_only():
    y = ops.cutout(torch.ones(1, 3, 8, 8), torch.tensor([2, 3, 4, 5]))
    assert y.sum() == 3 * (64 - 20)
    assert y[0, 0, 2, 3] == 0
    assert y[0, 0, 1, 3] == 1


def test_motion_blur_spreads_a_point_along_its_angle():
    x = torch.zeros(2, 3, 9, 9)
    x[:, :, 4, 4] = 1
    y = ops.motion_blur(x, torch.tensor([0.0, math.pi / 2]), 5)
    torch.testing.assert_close(y[0, 0, 4, 2:7], torch.full((5,), 0.2), atol=1e-5, rtol=0)
    torch.testing.assert_close(y[1, 0, 2:7, 4], torch.full((5,), 0.2), atol=1e-5, rtol=0)
