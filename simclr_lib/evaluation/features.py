"""h of all images, from a frozen encoder."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..config import Config
from ..data.images import Data, ImageFiles, ImageSet
from ..machine import devices
from ..views.batches import center_batches


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

    The encoder is used as it is at test time: moving statistics, no augmentation. Files that
    cannot be read are left out. Raises `RuntimeError` if anything in the encoder changed on the
    way: a probe is of a *frozen* encoder.
    """
    device = devices.choose(config.device)
    dtype = devices.number_format(device, config.precision)
    was_training = encoder.training
    encoder = encoder.to(device, memory_format=torch.channels_last).eval()
    before = [t.clone() for t in encoder.state_dict().values()]
    see = getattr(encoder, "encode", encoder)
    found, labels = [], []
    for x, y, read in center_batches(images, config, device):
        with devices.autocast(device, dtype):
            h = see(x.contiguous(memory_format=torch.channels_last))
        found.append(h.float().cpu()[read])
        labels.append(y[read])
    after = encoder.state_dict().values()
    if not all(torch.equal(a, b) for a, b in zip(before, after, strict=True)):
        raise RuntimeError("the encoder changed while its features were taken; it must be frozen")
    encoder.train(was_training)
    return torch.cat(found), torch.cat(labels)


def features(encoder: nn.Module, data: Data, config: Config) -> Features:
    """`encode` for the train, validation and test parts of `data`."""
    parts = (data.train, data.validation, data.test)
    return Features(*(x for part in parts for x in encode(encoder, part, config)))


def accuracy(predicted: Tensor, labels: Tensor) -> float:
    """Share of correct predictions, percent."""
    return 100 * (predicted == labels).sum().item() / len(labels)


@torch.no_grad()
def project(found: Features, head: nn.Module) -> Features:
    """The same with z = g(h) in place of h; the head as it is at test time."""
    was_training, device = head.training, next(iter(head.parameters()), found.test).device
    head.eval()
    parts = {name: getattr(found, name) for name in ("train", "validation", "test")}
    parts = {name: head(h.to(device)).float().cpu() for name, h in parts.items()}
    head.train(was_training)
    return found._replace(**parts)
