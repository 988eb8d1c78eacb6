"""Layers with the constants of the official code, which are not those of PyTorch.

Weights are made from an explicit generator; the same seed gives the same network.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the second, for (N, C) and (N, C, H, W).

    Epsilon 1e-5; moving = 0.9 moving + 0.1 batch, where also the moving variance takes the *biased*
    variance of the batch (PyTorch's own layer takes the unbiased one). `beta=False` leaves out the
    offset; `gamma` is the starting value of the scale (0 at the end of a residual block).
    """

    def __init__(self, channels: int, gamma: float = 1.0, beta: bool = True) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), gamma))
        self.beta = nn.Parameter(torch.zeros(channels)) if beta else None
        self.register_buffer("moving_mean", torch.zeros(channels))
        self.register_buffer("moving_variance", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            mean, variance = self.moving_mean, self.moving_variance
            return F.batch_norm(x, mean, variance, self.gamma, self.beta, eps=1e-5)
        n = x.numel() // x.shape[1]
        if n < 2:
            raise ValueError("batch normalisation needs at least 2 values a channel, got 1")
        # batch_norm adds 0.1 n / (n - 1) times the biased variance. Stretching the old value by
        # n / (n - 1) before the call and shrinking it after leaves exactly 0.1 times. On copies,
        # for backward keeps what it is given.
        mean, variance = self.moving_mean.clone(), self.moving_variance * (n / (n - 1))
        y = F.batch_norm(x, mean, variance, self.gamma, self.beta, True, 0.1, 1e-5)
        self.moving_mean.copy_(mean)
        self.moving_variance.copy_(variance * ((n - 1) / n))
        return y


def conv(
    inputs: int, outputs: int, kernel: int, stride: int = 1, *, generator: Generator
) -> nn.Conv2d:
    """A convolution without bias, padded by (kernel - 1) // 2 on all sides.

    Weights: normal with variance 1 / fan_in, cut off at two standard deviations (TensorFlow's
    variance scaling, which rescales so that the variance survives the cut).
    """
    layer = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False)
    std = math.sqrt(1 / (inputs * kernel * kernel)) / 0.87962566103423978
    nn.init.trunc_normal_(layer.weight, 0, std, -2 * std, 2 * std, generator=generator)
    return layer


def dense(inputs: int, outputs: int, bias: bool = False, *, generator: Generator) -> nn.Linear:
    """A fully connected layer; weights normal with standard deviation 0.01, bias zero."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.normal_(layer.weight, 0, 0.01, generator=generator)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def pad_as_tensorflow(x: Tensor, kernel: int, stride: int, value: float) -> Tensor:
    """Padding "SAME" of TensorFlow: on an odd total, one more at the bottom and the right."""
    pads = []
    for size in (x.shape[3], x.shape[2]):
        total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=value)
