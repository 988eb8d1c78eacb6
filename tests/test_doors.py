"""What public functions refuse, and in which words; beside each what they take."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
import torch

from simclr_lib import losses
from simclr_lib.config import Config
from simclr_lib.data import synthetic
from simclr_lib.losses import table4
from simclr_lib.views import color, draws
from simclr_lib.views import operations as ops

N, S = 4, 12
X = torch.rand(N, 3, S, S, generator=torch.Generator().manual_seed(0))
Z = torch.randn(2 * N, 5, generator=torch.Generator().manual_seed(1))
G = torch.Generator().manual_seed(2)
EACH = torch.full((N,), 0.5)  # a draw for each image
BOXES = torch.tensor([[0, 0, S, S], [1, 2, 3, 4], [S - 1, S - 1, 1, 1], [0, 5, 12, 7]])
ORDER = torch.tensor([[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]])
JITTER = {"order": ORDER, "brightness": 0.1, "contrast": EACH, "saturation": 1, "hue": 0.1}
OWN = draws.OwnRows(G, 0, 2)

TAKES = {  # arguments that every function takes
    ops.crop_and_resize: {"images": X, "boxes": BOXES, "size": (6, 8)},
    ops.resize_one: {"image": X[:1], "size": (6, 8)},
    ops.flip: {"images": X},
    ops.rotate: {"images": X, "quarter_turns": torch.arange(4)},
    ops.cutout: {"images": X, "boxes": BOXES},
    ops.gaussian_blur: {"images": X, "sigma": EACH, "kernel_size": 3},
    ops.motion_blur: {"images": X, "angle": EACH, "length": 3},
    ops.sobel: {"images": X},
    ops.add_noise: {"images": X, "noise": X, "std": EACH},
    ops.solarize: {"images": X},
    ops.equalize: {"images": X},
    color.choose: {"which": EACH > 0, "yes": X, "no": X},
    color.per_image: {"value": EACH, "images": X},
    color.add_brightness: {"images": X, "delta": EACH},
    color.scale_brightness: {"images": X, "factor": EACH},
    color.adjust_contrast: {"images": X, "factor": EACH},
    color.adjust_saturation: {"images": X, "factor": EACH},
    color.adjust_hue: {"images": X, "delta": EACH},
    color.to_grayscale: {"images": X},
    color.color_jitter: {"images": X} | JITTER,
    draws.draw: {"make": torch.rand, "shape": (2, 3), "source": OWN},
    draws.uniform: {"num": 3, "low": 0, "high": 1, "generator": G},
    draws.sample_crop_boxes: {"num": 3, "height": 9, "width": 7, "generator": G},
    draws.sample_jitter: {"num": 3, "strength": 1, "brightness": "additive", "generator": G},
    draws.sometimes: {"images": X, "change": ops.solarize, "probability": 0.5, "generator": G}
    | {"threshold": EACH},
    losses.l2_normalize: {"z": Z},
    losses.similarity_logits: {"z": Z, "temperature": 0.5},
    losses.positives: {"views": 6},
    losses.nt_xent: {"z": Z},
    losses.nt_xent_matrix: {"z": Z},
    losses.contrastive_metrics: {"z": Z},
    losses.nt_logistic: {"z": Z, "temperature": 0.5},
    losses.margin_triplet: {"z": Z, "margin": 0.5},
    table4.contrastive_loss: {"z": Z, "config": Config.create("smoke")},
    synthetic.generate: {"num_images": 10, "seed": 0},
}

ALSO = [  # and what they take as well
    (ops.crop_and_resize, {"boxes": [1, 2, 3, 4]}),
    (ops.crop_and_resize, {"boxes": BOXES[0].to(torch.uint8), "size": [6, 8]}),
    (ops.crop_and_resize, {"images": X[:0], "boxes": BOXES[:0]}),
    (ops.crop_and_resize, {"images": torch.rand(N, 7, S, S), "cubic": False}),
    (ops.cutout, {"boxes": np.array([1, 2, 3, 4]), "fill": -1}),
    (ops.rotate, {"quarter_turns": 3}),
    (ops.gaussian_blur, {"sigma": 0.1, "kernel_size": 1}),
    (ops.gaussian_blur, {"sigma": np.float32(2), "kernel_size": 11, "padding": "valid"}),
    (ops.add_noise, {"std": 0}),
    (color.add_brightness, {"delta": -1}),
    (color.adjust_hue, {"delta": EACH.view(N, 1, 1, 1)}),
    (color.color_jitter, JITTER | {"order": [3, 0, 2, 1], "brightness_kind": "multiplicative"}),
    (color.color_jitter, JITTER | {"brightness": -EACH}),
    (color.choose, {"which": (EACH > 0)[:, None]}),
    (color.to_grayscale, {"channels": 1}),
    (draws.draw, {"shape": (0,), "source": G}),
    (draws.uniform, {"num": 0, "low": 1}),
    (draws.sample_crop_boxes, {"num": 0, "area": [0, 0.5], "attempts": 1}),
    (draws.sample_jitter, {"strength": 0}),
    (draws.sometimes, {"probability": 1}),
    (losses.l2_normalize, {"z": Z[:3]}),
    (losses.nt_xent, {"z": Z.half(), "l2_normalize_rows": False, "tile": 1}),
    (losses.nt_xent, {"z": Z[:2].bfloat16(), "temperature": 5}),
    (losses.nt_xent, {"z": Z * torch.nan}),  # values are not looked at: the loss is NaN
    (losses.contrastive_metrics, {"z": Z.bfloat16()}),
    (losses.margin_triplet, {"z": Z.bfloat16(), "margin": 0, "semi_hard": True}),
]

NO_IMAGES = {  # in place of `images`
    "uint8": ((X * 255).byte(), "float32 or float64 in 0..1"),
    "half precision": (X.half(), "float32 or float64 in 0..1"),
    "whole numbers": (torch.ones(N, 3, S, S, dtype=torch.int64), "float32"),
    "a picture alone": (X[0], "of shape (N, "),
    "channels last": (X.permute(0, 2, 3, 1), "H, W)"),
    "without pixels": (X[:, :, :0], "H, W)"),
    "a list": (X.tolist(), "a tensor: "),
    "an array": (X.numpy(), "a tensor: "),
    "nothing": (None, "a tensor: "),
}
NOT_RGB = {"gray": X[:, :1], "four channels": torch.cat([X, X[:, :1]], dim=1)}
COLOUR = (ops.sobel, color.adjust_saturation, color.adjust_hue)
COLOUR += (color.to_grayscale, color.color_jitter)
NO_DRAWS = {  # in place of one draw for each image
    "a list": EACH.tolist(),
    "an array": EACH.numpy(),
    "of other images": torch.ones(N - 1),
    "of every pixel": torch.ones(1, 3, S, S),
    "booleans": EACH > 0,
    "text": "0.5",
    "NaN": float("nan"),
    "True": True,
}
DRAWS = [
    (ops.gaussian_blur, "sigma"),
    (ops.motion_blur, "angle"),
    (ops.add_noise, "std"),
    (ops.solarize, "threshold"),
    (color.per_image, "value"),
    (color.add_brightness, "delta"),
    (color.scale_brightness, "factor"),
    (color.adjust_contrast, "factor"),
    (color.adjust_saturation, "factor"),
    (color.adjust_hue, "delta"),
    *((color.color_jitter, name) for name in ("brightness", "contrast", "saturation", "hue")),
]
NOT_NEGATIVE = {"std", "factor", "contrast", "saturation"}
NO_Z = {  # in place of z (2N, dim)
    "whole numbers": Z.long(),
    "a list": Z.tolist(),
    "an array": Z.numpy(),
    "two views apart": (Z[:N], Z[N:]),
    "one view": Z[0],
    "views by image": Z.view(2, N, 5),
}
OF_PAIRS = [f for f, given in TAKES.items() if "z" in given and f is not losses.l2_normalize]
TOGETHER = r"torch.cat([z1, z2])"


def refused():
    """(function, change of its arguments, name in the message, words in it)"""
    for function, given in TAKES.items():
        name = next((n for n in ("images", "image", "yes") if n in given), None)
        for bad, words in NO_IMAGES.values() if name and function is not color.per_image else ():
            yield function, {name: bad}, name, words
    for function in COLOUR:
        yield from ((function, {"images": x}, "images", "(N, 3, H, W)") for x in NOT_RGB.values())
    for function, name in DRAWS:
        for bad in NO_DRAWS.values():
            yield function, {name: bad}, name, f"or a tensor ({N},) of them"
        if name in NOT_NEGATIVE:
            yield function, {name: -0.1}, name, "a number, 0 or more"
    for function in OF_PAIRS:
        for bad in (*NO_Z.values(), Z[:3], Z[:0], Z[:, :0]):
            yield function, {"z": bad}, "z", TOGETHER
        name = "margin" if function is losses.margin_triplet else "temperature"
        if function is not table4.contrastive_loss:
            for bad in (Z[:N], torch.tensor(0.5), None, "1", -1, float("inf")):
                yield function, {name: bad}, name, TOGETHER
        for flag in ("l2_normalize_rows", "semi_hard"):
            if flag in inspect.signature(function).parameters:
                yield function, {flag: Z}, flag, "True or False"
    yield from (
        (losses.l2_normalize, {"z": bad}, "z", "(views, dim)")
        for bad in [*NO_Z.values(), Z.half(), Z.bfloat16()]
    )
    yield from REFUSED


REFUSED = [
    (ops.crop_and_resize, {"boxes": BOXES[:3]}, "boxes", f"of shape (4,) or ({N}, 4)"),
    (ops.crop_and_resize, {"boxes": BOXES[:, :2]}, "boxes", "top, left, height, width"),
    (ops.crop_and_resize, {"boxes": BOXES.float()}, "boxes", "whole numbers"),
    (ops.crop_and_resize, {"boxes": None}, "boxes", "whole numbers"),
    (ops.crop_and_resize, {"boxes": [0, 0, 13, 12]}, "boxes[0]", f"inside {S} x {S} pixels"),
    (ops.crop_and_resize, {"boxes": BOXES + 1}, "boxes[0]", "inside"),
    (ops.crop_and_resize, {"boxes": BOXES - 1}, "boxes[0]", "inside"),
    (ops.crop_and_resize, {"boxes": [0, 0, 0, 5]}, "boxes[0]", "inside"),
    (ops.crop_and_resize, {"boxes": [250, 0, 12, 5]}, "boxes[0]", "inside"),
    (ops.crop_and_resize, {"size": 6}, "size", "(height, width)"),
    (ops.crop_and_resize, {"size": (6, 0)}, "size", "(height, width)"),
    (ops.crop_and_resize, {"size": (6.0, 6)}, "size", "(height, width)"),
    (ops.crop_and_resize, {"cubic": "bicubic"}, "cubic", "True or False"),
    (ops.resize_one, {"image": X}, "image", "a single image"),
    (ops.resize_one, {"size": (0, 6)}, "size", "(height, width)"),
    (ops.rotate, {"images": X[:, :, 1:]}, "images", "square"),
    (ops.rotate, {"quarter_turns": 4}, "quarter_turns", "0 to 3"),
    (ops.rotate, {"quarter_turns": -torch.ones(N).long()}, "quarter_turns", "0 to 3"),
    (ops.rotate, {"quarter_turns": 1.5}, "quarter_turns", "whole numbers"),
    (ops.rotate, {"quarter_turns": torch.arange(3)}, "quarter_turns", f"({N},)"),
    (ops.cutout, {"boxes": BOXES[:, :3]}, "boxes", "top, left, height, width"),
    (ops.cutout, {"boxes": [5, 5, 12, 12]}, "boxes[0]", "inside"),
    (ops.cutout, {"fill": "black"}, "fill", "a number"),
    (ops.gaussian_blur, {"kernel_size": 0}, "kernel_size", "1 or more"),
    (ops.gaussian_blur, {"kernel_size": 2.5}, "kernel_size", "a whole number"),
    (ops.gaussian_blur, {"kernel_size": 12, "padding": "valid"}, "kernel_size", "smaller"),
    (ops.gaussian_blur, {"sigma": 0}, "sigma", "a number above 0"),
    (ops.gaussian_blur, {"padding": "reflect"}, "padding", "same or valid"),
    (ops.motion_blur, {"length": -1}, "length", "1 or more"),
    (ops.add_noise, {"noise": X[:1]}, "noise", str(tuple(X.shape))),
    (ops.add_noise, {"noise": None}, "noise", "a tensor"),
    (color.choose, {"no": X[:1]}, "no", str(tuple(X.shape))),
    (color.choose, {"which": EACH}, "which", "booleans"),
    (color.choose, {"which": EACH[:2] > 0}, "which", "booleans"),
    (color.to_grayscale, {"channels": 2}, "channels", "1 or 3"),
    (color.color_jitter, {"order": torch.tensor([0, 1, 2, 2])}, "order", "0 to 3 in some order"),
    (color.color_jitter, {"order": ORDER + 1}, "order", "0 to 3 in some order"),
    (color.color_jitter, {"order": ORDER[:3]}, "order", f"of shape (4,) or ({N}, 4)"),
    (color.color_jitter, {"order": ORDER.float()}, "order", "0 to 3 in some order"),
    (color.color_jitter, {"brightness_kind": "v2"}, "brightness_kind", "additive or mult"),
    (color.color_jitter, {"brightness_kind": X}, "brightness_kind", "additive or mult"),
    (draws.draw, {"source": None}, "source", "a torch.Generator, or OwnRows"),
    (draws.draw, {"source": draws.OwnRows(G, 2, 2)}, "source", "part below processes"),
    (draws.draw, {"source": OWN._replace(branches=4)}, "shape", "4 branches"),
    (draws.draw, {"shape": (-1,)}, "shape", "0 or more"),
    (draws.uniform, {"num": -1}, "num", "a whole number, 0 or more"),
    (draws.uniform, {"low": 2}, "high", "low=2 or more"),
    (draws.uniform, {"high": float("inf")}, "high", "a number"),
    (draws.uniform, {"generator": None}, "generator", "a torch.Generator"),
    (draws.sample_crop_boxes, {"num": 2.0}, "num", "a whole number"),
    (draws.sample_crop_boxes, {"height": 0}, "height", "1 or more"),
    (draws.sample_crop_boxes, {"width": -3}, "width", "1 or more"),
    (draws.sample_crop_boxes, {"attempts": 0}, "attempts", "1 or more"),
    (draws.sample_crop_boxes, {"area": (1.0, 0.08)}, "area", "smallest <= largest"),
    (draws.sample_crop_boxes, {"area": (0.0, 0.0)}, "area", "0 < largest"),
    (draws.sample_crop_boxes, {"area": (0.5, 1.5)}, "area", "largest <= 1"),
    (draws.sample_crop_boxes, {"area": 0.08}, "area", "(smallest, largest)"),
    (draws.sample_crop_boxes, {"generator": 0}, "generator", "a torch.Generator"),
    (draws.sample_jitter, {"num": -1}, "num", "0 or more"),
    (draws.sample_jitter, {"strength": -0.5}, "strength", "0 or more"),
    (draws.sample_jitter, {"brightness": "v1"}, "brightness", "additive or multiplicative"),
    (draws.sample_jitter, {"generator": None}, "generator", "a torch.Generator"),
    (draws.sometimes, {"probability": 1.1}, "probability", "from 0 to 1"),
    (draws.sometimes, {"threshold": EACH[:2]}, "threshold", f"each of {N} images"),
    (draws.sometimes, {"threshold": 0.5}, "threshold", f"each of {N} images"),
    (draws.sometimes, {"generator": None}, "generator", "a torch.Generator"),
    (losses.positives, {"views": 5}, "views", "even"),
    (losses.positives, {"views": 0}, "views", "2 or more"),
    (losses.nt_xent, {"tile": 0}, "tile", "1 or more"),
    (losses.nt_xent, {"tile": 1.5}, "tile", "a whole number"),
    (losses.nt_logistic, {"z": Z[:2]}, "z", "(2N, dim), N > 1"),
    (losses.margin_triplet, {"z": Z[:2]}, "z", "(2N, dim), N > 1"),
    (table4.contrastive_loss, {"config": {"loss": "nt_xent"}}, "config", "a Config"),
    (synthetic.generate, {"num_images": 1.0}, "num_images", "a whole number, 1 or more"),
    (synthetic.generate, {"image_size": 4}, "image_size", "8 or more"),
]


def called(case):
    return f"{case.__name__}" if callable(case) else ""


@pytest.mark.parametrize(("function", "change", "name", "words"), list(refused()), ids=called)
def test_bad_input_is_named_with_what_would_be_valid(function, change, name, words):
    message = rf"^{re.escape(name)}=.+ is not valid; it must be .*{re.escape(words)}"
    with pytest.raises(ValueError, match=message):
        assert function(**(TAKES[function] | change)) is not None


@pytest.mark.parametrize("function", TAKES, ids=called)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_valid_input_is_taken(function, dtype):
    given = TAKES[function]
    given = {k: v.to(dtype) if v is X or v is Z or k == "image" else v for k, v in given.items()}
    made = function(**given)
    if {"images", "image", "z"} & given.keys() and isinstance(made, torch.Tensor):
        assert made.dtype == dtype


@pytest.mark.parametrize(("function", "change"), ALSO, ids=called)
def test_what_is_unusual_but_valid_is_taken_too(function, change):
    leaves = torch.utils._pytree.tree_leaves
    given = TAKES[function] | change
    asked_nan = any(isinstance(v, torch.Tensor) and bool(v.isnan().any()) for v in leaves(given))
    made = [value for value in leaves(function(**given)) if isinstance(value, torch.Tensor)]
    assert made
    for value in made:  # NaN where NaN was given, else numbers; none where none were asked for
        assert value.isnan().all() if asked_nan else value.isfinite().all()


def test_every_public_function_has_a_door_here():
    for module in (ops, color, draws, inspect.getmodule(losses.nt_xent), table4):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if not name.startswith(("_", "check_")) and function.__module__ == module.__name__:
                assert function in TAKES, name


def test_messages_show_a_tensor_by_its_shape_never_by_its_numbers():
    with pytest.raises(ValueError, match=r"^temperature=float32 tensor of shape \(4, 5\) is not"):
        losses.nt_xent(Z[:N], Z[N:])
    with pytest.raises(ValueError, match=r"^images=uint8 ndarray of shape \(2, 3\) is not valid"):
        ops.flip(np.zeros((2, 3), dtype=np.uint8))
