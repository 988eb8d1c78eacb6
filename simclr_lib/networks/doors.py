"""What encoder and heads ask at their door: of their parameters, and of what goes through them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Generator, Tensor

from ..checks import flag, number, one_of, positive, refuse, whole

STEMS = ("imagenet", "cifar", "tiny")


def check_generator(generator: Any) -> None:
    """Refuse what cannot draw weights; those on the device "meta" need none."""
    without = generator is None and torch.get_default_device().type == "meta"
    if not without and not isinstance(generator, Generator):
        refuse("generator", generator, "a torch.Generator: the same seed, the same weights")


def stem_channels(
    depth: Any, depths: Collection[int], width: Any, base_channels: Any, stem: Any, sk_ratio: Any
) -> int:
    """The channels of the stem; refuses parameters that make no ResNet."""
    whole("depth", depth, 1)
    if depth not in depths:
        refuse("depth", depth, f"one of {', '.join(map(str, depths))}")
    positive("width", width)
    whole("base_channels", base_channels, 1)
    one_of("stem_kind", stem, STEMS)
    number("sk_ratio", sk_ratio, "a number from 0 (off) to 1", 0, 1)
    channels = round(base_channels * width)
    least = 2 if sk_ratio > 0 and stem == "imagenet" else 1  # ResNet-D's stem begins with half
    if channels < least or abs(channels - base_channels * width) > 1e-6:
        refuse(
            "width", width, f"a number that makes {base_channels} * width whole, {least} or more"
        )
    return channels


def check_images(x: Any, weights: torch.dtype) -> None:
    """Refuse what is not (N, 3, H, W) in the type of the weights, or one autocast makes of it."""
    images = isinstance(x, Tensor) and x.ndim == 4 and x.shape[1] == 3 and 0 not in x.shape[2:]
    if not images or (x.dtype != weights and not _cast(x)):
        name = str(weights).removeprefix("torch.")
        refuse("x", x, f"a {name} tensor in 0..1, of shape (N, 3, H, W); the weights are {name}")


def _cast(x: Tensor) -> bool:
    """Whether autocast brings x and the weights together."""
    kind, halves = x.device.type, (torch.float32, torch.bfloat16, torch.float16)
    on = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return on and x.dtype in halves


def check_head(
    features: Any, layers: Any, projection_dim: Any, batch_norm: Any, generator: Any
) -> None:
    """Refuse parameters that make no projection head."""
    whole("features", features, 1)
    whole("layers", layers, 0, 4)
    whole("projection_dim", projection_dim, 1)
    flag("batch_norm", batch_norm)
    check_generator(generator)


def check_classifier(features: Any, classes: Any, generator: Any) -> None:
    """Refuse parameters that make no linear classifier."""
    whole("features", features, 1)
    whole("classes", classes, 1)
    check_generator(generator)


def check_rows(h: Any, features: int) -> None:
    """Refuse what is not a row of so many features for each image."""
    fits = isinstance(h, Tensor) and h.ndim == 2 and h.shape[1] == features
    if not fits or not h.is_floating_point():
        refuse("h", h, f"a float tensor (N, {features}), as the encoder returns it")


def check_stage(stage: int, layers: int) -> None:
    """Refuse a stage that a head of so many layers does not have."""
    if stage > layers:
        refuse("finetune_from", stage, f"at most head_layers={layers}; 0 is h")
