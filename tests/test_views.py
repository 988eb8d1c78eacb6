"""The draws: their distributions, one set an image, and the same views wherever they are made."""

from __future__ import annotations

import pytest
import torch

from simclr_lib.config import TRANSFORMS, Config
from simclr_lib.views import (
    SAMPLERS,
    branch,
    center_view,
    sample_crop_boxes,
    sample_jitter,
    two_views,
    view,
)


def seeded(number=0):
    return torch.Generator().manual_seed(number)


@pytest.fixture(scope="module")
def images():
    return torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8, generator=seeded())


@pytest.mark.parametrize(("height", "width"), [(32, 32), (375, 500), (500, 333)])
def test_crop_boxes_are_inside_with_the_stated_area_and_shape(height, width):
    boxes = sample_crop_boxes(20_000, height, width, seeded()).double()
    top, left, tall, wide = boxes.unbind(1)
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + tall <= height).all()
    assert (left + wide <= width).all()
    area = tall * wide / (height * width)
    slack = 1.5 * max(height, width) / (height * width)
    assert area.min() > 0.1 - slack
    assert area.max() > 0.95 * min(height * 4 / 3, width) * min(width * 4 / 3, height) / (
        height * width
    )
    ratio = wide / tall
    large = tall > 20  # where rounding to pixels does not matter
    assert ratio[large].min() > 0.75 - 0.04
    assert ratio[large].max() < 4 / 3 + 0.07
    assert ratio[large].mean().item() == pytest.approx(25 / 24, abs=0.04)


def test_crop_heights_are_uniform_between_their_bounds():
    """At ratios near 1, all heights from sqrt(0.1) to 1 of the image are equally frequent."""
    boxes = sample_crop_boxes(200_000, 1000, 1000, seeded()).double()
    ratio = boxes[:, 3] / boxes[:, 2]
    heights = boxes[(ratio - 1).abs() < 0.05, 2] / 1000
    counts = torch.histc(heights, bins=6, min=0.34, max=0.94)
    assert (counts / counts.mean() - 1).abs().max() < 0.06


def test_smallest_crop_can_be_raised():
    boxes = sample_crop_boxes(5000, 100, 100, seeded(), (0.5, 1.0)).double()
    assert (boxes[:, 2] * boxes[:, 3]).min() > 4850


def test_jitter_draws_have_the_official_ranges():
    draws = sample_jitter(50_000, 0.5, "multiplicative", seeded())
    for name, low, high in (
        ("brightness", 0.6, 1.4),
        ("contrast", 0.6, 1.4),
        ("saturation", 0.6, 1.4),
        ("hue", -0.1, 0.1),
    ):
        values = draws[name]
        assert low <= values.min() < low + 0.001
        assert high - 0.001 < values.max() <= high
        assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.003)
    additive = sample_jitter(50_000, 1.0, "additive", seeded())["brightness"]
    assert additive.min() < -0.799
    assert additive.max() > 0.799
    strong = sample_jitter(50_000, 2.0, "multiplicative", seeded())
    assert strong["contrast"].min() >= 0
    codes = (draws["order"] * torch.tensor([64, 16, 4, 1])).sum(1)
    _, counts = codes.unique(return_counts=True)
    assert len(counts) == 24
    assert (counts / counts.float().mean() - 1).abs().max() < 0.1


@pytest.mark.parametrize(
    ("name", "share"),
    [("flip", 0.5), ("jitter", 0.8), ("grayscale", 0.2), ("blur", 0.5), ("solarize", 0.5)],
)
def test_transformations_happen_as_often_as_stated(name, share):
    images = torch.rand(4000, 3, 16, 16, generator=seeded())
    config = Config.create("quick", image_size=16 if name != "blur" else 32)
    if name == "blur":
        images = torch.rand(4000, 3, 32, 32, generator=seeded())
    made = view(images, branch(config, name), seeded(1))
    changed = (made != images).flatten(1).any(1).float().mean().item()
    assert changed == pytest.approx(share, abs=0.03)


def test_all_transformations_give_valid_views(images):
    assert set(SAMPLERS) == set(TRANSFORMS)
    config = Config.create("quick")
    for name in TRANSFORMS:
        made = view(images, branch(config, name), seeded())
        assert made.shape == (16, 3, 32, 32)
        assert made.dtype == torch.float32
        assert made.min() >= 0
        assert made.max() <= 1


def test_views_depend_on_the_generator_only(images):
    config = Config.create("quick")
    assert torch.equal(two_views(images, config, seeded(5)), two_views(images, config, seeded(5)))
    assert not torch.equal(
        two_views(images, config, seeded(5)), two_views(images, config, seeded(6))
    )


@pytest.mark.parametrize("name", ["crop", "flip", "jitter", "blur", "grayscale"])
def test_the_two_views_of_an_image_have_draws_of_their_own(images, name):
    config = Config.create("quick", augmentations=name)
    first, second = two_views(images.repeat(10, 1, 1, 1), config, seeded()).chunk(2)
    differ = (first != second).flatten(1).any(1).float().mean()
    assert differ > (0.9 if name in ("crop", "jitter") else 0.2)


def test_one_branch_can_stay_untouched(images):
    config = Config.create("quick", augmentations="crop+color", second_view="crop")
    _, plain = two_views(images, config, seeded()).chunk(2)
    gray = config.replace(augmentations="crop+sobel")
    sobel, also_plain = two_views(images, gray, seeded()).chunk(2)
    assert torch.equal(sobel[:, 0], sobel[:, 2])  # a gradient magnitude has no colour
    assert not torch.equal(also_plain[:, 0], also_plain[:, 2])
    assert not torch.equal(plain[:, 0], plain[:, 2])


def test_without_a_crop_the_whole_image_is_resized(images):
    config = Config.create("quick", image_size=16)
    assert view(images, branch(config, "flip"), seeded()).shape == (16, 3, 16, 16)
    assert torch.equal(
        view(images, branch(Config.create("quick"), ""), seeded()), images.float() / 255
    )


def test_center_view_crops_large_images_only(images):
    assert torch.equal(center_view(images, 32), images.float() / 255)
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    made = center_view(ramp, 56)
    assert made[0, 0, 0, 0].item() == pytest.approx(4 / 63, abs=1e-6)
    wide = torch.linspace(0, 1, 128).expand(1, 3, 64, 128)
    made = center_view(wide, 56)  # the middle 56 of 128 columns, at their own scale
    assert made.shape == (1, 3, 56, 56)
    assert made[0, 0, 0, 0].item() == pytest.approx(36 / 127, abs=1e-6)


def test_blur_sees_clipped_pixels():
    """After a crop that overshoots and no jitter, as in the official pipeline."""
    images = (torch.rand(32, 3, 40, 40, generator=seeded()) > 0.5).float()
    config = Config.create("quick")
    clipped = view(images, branch(config, "crop"), seeded(3))
    assert torch.equal(
        view(images, branch(config, "crop+blur"), seeded(3))[0].amax() <= 1, torch.tensor(True)
    )
    generator = seeded(3)
    view(images, branch(config, "crop"), generator)
    torch.testing.assert_close(
        SAMPLERS["blur"](clipped, branch(config), generator).clamp(0, 1),
        view(images, branch(config, "crop+blur"), seeded(3)),
    )
