"""What those who judge h ask at their door; not in an update, so they look at numbers as well."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..checks import positive, refuse, tensor
from ..data.images import Data, ImageFiles, ImageSet
from ..machine import devices

PARTS = ("train", "validation", "test")
Found = TypeVar("Found", bound=Any)  # `Features`


def checked(
    found: Found, *parts: str, least: int = 1, labelled: bool = True, name: str = "found"
) -> Found:
    """The same, in float32 and int64 on the CPU, for those who judge h by some of its `parts`.

    Looks at all numbers. Raises `ValueError` for less than `least` rows in the first part or none
    in another, NaN or infinite numbers, rows of another length than the first part's, and, if they
    are to be `labelled`, labels that are not class numbers: no image may be without one.
    """
    if not all(hasattr(found, part) for part in (*parts, "_replace")):
        refuse(name, found, "Features, as `features` returns them")
    made, width = {}, 0
    for part in parts:
        h, rows = getattr(found, part), least if part == parts[0] else 1
        valid = f"finite float32 (N, {width or 'features'}), N {rows} or more"
        tensor(f"{name}.{part}", h, valid)
        fits = h.is_floating_point() and h.ndim == 2 and len(h) >= rows
        if not fits or h.shape[1] != (width or max(h.shape[1], 1)):
            refuse(f"{name}.{part}", h, valid)
        made[part], width = _finite(f"{name}.{part}", h), h.shape[1]
        if labelled:
            labels = f"{part}_labels"
            made[labels] = class_numbers(f"{name}.{labels}", getattr(found, labels), len(h))
    return found._replace(**made)


def class_numbers(name: str, labels: Any, rows: int, least: int = 0, classes: int = 0) -> Tensor:
    """int64 (rows,) on the CPU; refuses others than `least` or above, and below `classes` if given.

    A `least` of -1 lets images pass that have no label.
    """
    valid = f"class numbers, whole and {least} or above, of shape ({rows or 'N'},), N 1 or more"
    tensor(name, labels, valid)
    whole = not labels.is_floating_point() and labels.dtype != torch.bool
    if not whole or labels.shape != (rows,) or rows == 0:
        refuse(name, labels, valid)
    labels = labels.to("cpu", torch.int64)
    low, high = int(labels.min()), int(labels.max())
    if low < least:
        refuse(f"{name}.min()", low, f"{least} or above: images without a label cannot be judged")
    if classes and high >= classes:
        refuse(f"{name}.max()", high, f"below {classes}, the number of classes")
    return labels


def finite_rows(name: str, h: Any, rows: int) -> Tensor:
    """What an encoder or a head returned, float32 on the CPU; refuses all but a row an image."""
    if not isinstance(h, Tensor) or h.ndim != 2 or len(h) != rows or not h.is_floating_point():
        refuse(name, h, f"float (N, features), here N = {rows}: one row for each image")
    return _finite(name, h)


def _finite(name: str, h: Tensor) -> Tensor:
    h = h.to("cpu", torch.float32)
    # Not by `isfinite` of all: that takes more memory than h, and 20 times as long.
    if h.numel() and not torch.stack(h.aminmax()).isfinite().all():
        bad = sum(int((~rows.isfinite().all(dim=1)).sum()) for rows in h.split(8192))
        refuse(name, h, f"finite: {bad} of {len(h)} rows have NaN or infinite numbers")
    return h


def checked_images(images: Any) -> ImageSet | ImageFiles:
    """Images in memory as uint8 or float32; refuses what `center_batches` could not read."""
    if isinstance(images, ImageSet):
        pixels = checked_pixels("images.images", images.images)
        labels = class_numbers("images.labels", images.labels, len(pixels), least=-1)
        return ImageSet(pixels, labels)
    if not isinstance(images, ImageFiles) or len(images) == 0:
        refuse("images", images, "an ImageSet or ImageFiles, of one image or more")
    class_numbers("images.labels", images.labels, len(images), least=-1)
    return images


def checked_pixels(name: str, x: Any) -> Tensor:
    """uint8 or float32 (N, 3, H, W); refuses another order or range, and none."""
    valid = "uint8, or float in 0..1, of shape (N, 3, H, W), N 1 or more"
    tensor(name, x, valid)
    floats = x.is_floating_point()
    if x.ndim != 4 or x.shape[1] != 3 or x.numel() == 0 or not (floats or x.dtype == torch.uint8):
        refuse(name, x, valid)
    if floats and not (x.min() >= 0 and x.max() <= 1):
        refuse(name, x, f"{valid}; it has {x.min():.3g} to {x.max():.3g}")
    return x.float() if floats else x


def checked_labels(data: Data, *parts: str) -> None:
    """Refuse images without a label, or with one that is not of `data.classes`."""
    for part in parts:
        labels, rows = getattr(data, part).labels, len(getattr(data, part))
        class_numbers(f"data.{part}.labels", labels, rows, classes=len(data.classes))


def checked_place(device: Any) -> torch.device:
    """Where L-BFGS runs; refuses XLA, which would compile anew at every look at a number."""
    if str(device).startswith("xla"):
        refuse("device", str(device), "what `devices.for_probes` says; L-BFGS looks at numbers")
    return devices.choose(str(device))


def checked_grid(l2_grid: Any) -> tuple[float, ...]:
    """The l2 weights to choose from; refuses none, and what is not above 0."""
    valid = "numbers above 0, one or more"
    if isinstance(l2_grid, str) or not isinstance(l2_grid, Iterable):
        refuse("l2_grid", l2_grid, valid)
    grid = tuple(l2_grid) or refuse("l2_grid", (), valid)
    for l2 in grid:
        positive("l2_grid", l2, valid)
    return grid
