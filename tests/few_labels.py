"""Methods of few labels, small and in float64: what tests of fine-tuning and distillation share."""

from __future__ import annotations

import torch
from torch import nn

from simclr_lib.config import Config
from simclr_lib.methods import Batch, build
from simclr_lib.networks.layers import BatchNorm
from simclr_lib.train import update
from simclr_lib.train.loop import set_up

CPU = {"device": "cpu", "precision": "fp32"}


def tuned(classes=5, **parameters):
    """A method of fine-tuning, untrained, in float64."""
    config = Config.create("smoke", method="fine-tune", finetune_optimizer="LARS", **CPU)
    return build(config.replace(**parameters), classes).double()


def a_batch(x, labels):
    return Batch((x,), labels, torch.arange(len(x)))


def pictures(number=8, classes=5, size=16):
    x = torch.rand(number, 3, size, size, generator=torch.Generator().manual_seed(0))
    return a_batch(x.double(), torch.arange(number) % classes)


def updated(method, batch, steps=2, rate=0.1):
    """The losses of some updates by the optimizer that a run would have."""
    optimizer, losses = set_up(method.recipe(method.config), method).optimizer, []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate
        losses.append(update(method, optimizer, batch, step, steps, torch.float64)[0].item())
    return losses


# Names and layouts of TensorFlow 1


def named(method):
    """What the method has, by the names of TensorFlow 1, where a block's shortcut comes first."""
    parts = [method.encoder.stem]
    for block in (block for group in method.encoder.block_groups for block in group):
        parts += [block.shortcut, block.branch]
    layers, found = [layer for part in parts for layer in part.modules()], {}
    for kind, name in ((nn.Conv2d, "conv2d"), (BatchNorm, "batch_normalization")):
        for number, layer in enumerate(layer for layer in layers if isinstance(layer, kind)):
            found |= of_layer(f"base_model/{name}" + f"_{number}" * (number > 0), layer)
    for number, (layer, norm, *_) in enumerate(method.layers):
        place = f"head_contrastive/nl_{number}"
        found |= of_layer(f"{place}/dense", layer)
        found |= of_layer(f"{place}/batch_normalization", norm)
    return found | of_layer("head_supervised/linear_layer/dense", method.classifier)


def of_layer(place, layer):
    tensors = dict([*layer.named_parameters(), *layer.named_buffers()])
    return {f"{place}/{'kernel' if n == 'weight' else n}": x for n, x in tensors.items()}


def as_there(x):
    """A view in the layout of TensorFlow."""
    return x.permute(2, 3, 1, 0) if x.ndim == 4 else x.T if x.ndim == 2 else x
