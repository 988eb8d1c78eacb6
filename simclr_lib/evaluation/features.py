"""h of all images, from a frozen encoder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..checks import refuse, tensor
from ..config import Config
from ..data.images import Data, ImageFiles, ImageSet
from ..machine import devices, threads
from ..views.batches import center_batches
from .doors import PARTS, checked, checked_images, finite_rows


class Features(NamedTuple):
    """h of the three parts, float32 (N, features), and their labels int64 (N,), on the CPU."""

    train: Tensor
    train_labels: Tensor
    validation: Tensor
    validation_labels: Tensor
    test: Tensor
    test_labels: Tensor


@torch.no_grad()
def encode(
    encoder: nn.Module, images: ImageSet | ImageFiles, config: Config
) -> tuple[Tensor, Tensor]:
    """h = f(x) of every image in order, float32 (N, features), and labels (N,), on the CPU.

    The encoder, or a method by its `encode`, is used as it is at test time: moving statistics, no
    augmentation. Files that cannot be read are left out; images in memory may be float in 0..1 as
    well. Raises `ValueError` for images without order or range, and if h is not one finite row an
    image; `RuntimeError` if anything in the encoder changed on the way: a probe is of a *frozen*
    encoder.
    """
    if not isinstance(encoder, nn.Module):
        refuse("encoder", encoder, "a torch.nn.Module")
    images = checked_images(images)
    device = devices.choose(config.device)
    dtype = devices.number_format(device, config.precision)
    encoder = encoder.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    f = getattr(encoder, "encode", encoder)
    before = [t.clone() for t in encoder.state_dict().values()]
    found, labels, count = torch.empty(0), torch.empty(len(images), dtype=torch.int64), 0
    with as_at_test(encoder), threads.of_run(config, device):
        for x, y, read in center_batches(images, config, device):
            with devices.autocast(device, dtype):
                h = f(x.contiguous(memory_format=torch.channels_last))
            h, y = finite_rows("encoder(x)", h, len(x))[read], y[read]
            if not len(
                found
            ):  # in one piece from the beginning: joined later it would be there twice
                found = torch.empty(len(images), h.shape[1])
            found[count : count + len(h)], labels[count : count + len(h)] = h, y
            count += len(h)
    after = encoder.state_dict().values()
    if not all(torch.equal(a, b) for a, b in zip(before, after, strict=True)):
        raise RuntimeError("the encoder changed while its features were taken; it must be frozen")
    return found[:count], labels[:count]


def features(encoder: nn.Module, data: Data, config: Config) -> Features:
    """`encode` for the train, validation and test parts of `data`."""
    parts = (data.train, data.validation, data.test)
    return Features(*(x for part in parts for x in encode(encoder, part, config)))


def moments(train: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (features,) of h (N, features), by which all parts are standardised.

    The deviation of a feature that does not vary here is infinite: so standardised it is 0 in every
    part, for from training nothing is known of it.
    """
    mean, std = train.mean(dim=0), train.std(dim=0)
    still = std <= 1e-6 * torch.maximum(std.max(), mean.abs())
    return mean, std.masked_fill(still, torch.inf)


def accuracy(predicted: Tensor, labels: Tensor) -> float:
    """Share of correct predictions, percent; both (N,), or it raises `ValueError`."""
    tensor("predicted", predicted, "class numbers (N,)")
    tensor("labels", labels, "class numbers (N,)")
    if labels.ndim != 1 or len(labels) == 0:
        refuse("labels", labels, "class numbers of shape (N,), one or more")
    if predicted.shape != labels.shape:
        refuse("predicted", predicted, f"of the shape {tuple(labels.shape)} of the labels")
    return 100 * (predicted == labels).sum().item() / len(labels)


@torch.no_grad()
def project(found: Features, head: nn.Module) -> Features:
    """The same with z = g(h) in place of h; the head as it is at test time.

    Raises `ValueError` if h is not as `Features` says, or z not one finite row an image.
    """
    if not isinstance(head, nn.Module):
        refuse("head", head, "a torch.nn.Module")
    found = checked(found, *PARTS, labelled=False)
    device = next(iter(head.parameters()), found.test).device
    made = {}
    with as_at_test(head):
        for part in PARTS:
            h = getattr(found, part)
            made[part] = finite_rows("head(h)", head(h.to(device)), len(h))
    return found._replace(**made)


@contextlib.contextmanager
def as_at_test(module: nn.Module) -> Iterator[None]:
    """In evaluation mode; afterwards each of its parts is as it was, also after an error."""
    modes = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
        yield
    finally:
        for part, training in modes:
            part.training = training
