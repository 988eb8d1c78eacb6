"""Layers with the constants of the official code, which are not those of PyTorch.

Weights are made from an explicit generator; the same seed gives the same network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.autograd.function import once_differentiable

from ..machine import parallel

EPSILON = 1e-5  # of batch normalisation


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the second, for (N, C) and (N, C, H, W).

    Epsilon 1e-5; moving = 0.9 moving + 0.1 batch, where also the moving variance takes the *biased*
    variance of the batch (PyTorch's own layer takes the unbiased one). `beta=False` leaves out the
    offset; `gamma` is the starting value of the scale (0 at the end of a residual block). Where
    several processes train together, the batch is that of all of them.
    """

    moving_mean: Tensor
    moving_variance: Tensor

    def __init__(self, channels: int, gamma: float = 1.0, beta: bool = True) -> None:  # noqa: FBT001, FBT002
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), gamma))
        self.beta = nn.Parameter(torch.zeros(channels)) if beta else None
        self.register_buffer("moving_mean", torch.zeros(channels))
        self.register_buffer("moving_variance", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            mean, variance = self.moving_mean, self.moving_variance
            return F.batch_norm(x, mean, variance, self.gamma, self.beta, eps=EPSILON)
        divided = parallel.divided(x.device)
        n = x.numel() // x.shape[1] * (parallel.processes() if divided else 1)
        if n < 2:
            raise ValueError("batch normalisation needs at least 2 values a channel, got 1")
        if divided:
            y, mean, variance = _GlobalBatchNorm.apply(x, self.gamma, self.beta)
            self.moving_mean.lerp_(mean, 0.1)
            self.moving_variance.lerp_(variance, 0.1)
            return y
        # batch_norm adds 0.1 n / (n - 1) times the biased variance (0.1 times on XLA). Stretching
        # the old value before the call and shrinking it after leaves exactly 0.1 times. On copies,
        # for backward keeps what it is given.
        stretch = 1.0 if x.device.type == "xla" else n / (n - 1)
        mean, variance = self.moving_mean.clone(), self.moving_variance * stretch
        y = F.batch_norm(x, mean, variance, self.gamma, self.beta, True, 0.1, EPSILON)
        self.moving_mean.copy_(mean)
        self.moving_variance.copy_(variance / stretch)
        return y


class _GlobalBatchNorm(torch.autograd.Function):
    """Batch normalisation by the moments of the rows of all processes; also returns them.

    With d = dL/dy and x' the normalised x, means over all rows of all processes,

        dL/dx = gamma / std * (d - mean(d) - x' mean(d x')).

    The first term is the gradient at fixed moments. It comes with the sums of d and of d x' over
    the own rows, which are the gradients of beta and gamma. The other terms are, with these sums
    added up over the processes, again a normalisation of x: with another scale and offset.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        zeros = torch.zeros_like(gamma)  # stand for moving statistics, and make the result float32
        own = torch.stack(torch.batch_norm_update_stats(x, zeros, zeros.clone(), 0.0))  # (2, C)
        means, variances = parallel.stack_over_processes(own).unbind(1)  # (processes, C) each
        mean = means.mean(dim=0)
        variance = variances.mean(dim=0) + (means - mean).square().mean(dim=0)
        ctx.save_for_backward(x, gamma, mean, variance)
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(x, mean, variance, gamma, beta, eps=EPSILON), mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d: Tensor, *unused: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        x, gamma, mean, variance = ctx.saved_tensors
        inverse = (variance + EPSILON).rsqrt()
        fixed, d_gamma, d_beta = torch.ops.aten.native_batch_norm_backward(
            d, x, gamma, mean, variance, mean, inverse, False, EPSILON, [True, True, True]
        )
        rows = x.numel() // x.shape[1] * parallel.processes()
        sums = parallel.add_over_processes(torch.stack([d_gamma, d_beta]))  # (2, C)
        scale, offset = sums / rows * gamma * inverse
        through_moments = F.batch_norm(x, mean, variance, scale, offset, eps=EPSILON)
        return fixed - through_moments, d_gamma, d_beta if ctx.needs_input_grad[2] else None


def truncated_normal(shape: Sequence[int], std: float, generator: Generator) -> Tensor:
    """Normal draws of deviation `std` before everything beyond two of it is cut off.

    From uniform draws through the inverse of the distribution, which is the same with every version
    of PyTorch; its own `trunc_normal_` draws other numbers from 2.13 on.
    """
    inside = math.erf(2 / math.sqrt(2))  # the share of a normal within two deviations
    draws = torch.empty(shape).uniform_(-inside, inside, generator=generator)
    return draws.erfinv_().mul_(std * math.sqrt(2)).clamp_(-2 * std, 2 * std)


class StridedProjection(nn.Conv2d):
    """A 1x1 convolution with a stride, as of a shortcut: most pixels count for nothing.

    On a CPU with few channels these are left out first: there the backward pass of oneDNN's strided
    form writes beyond its memory, where the stride divides both sides, and ends the process or
    spoils what lies behind. Seen in float32, channels last, with fewer channels than a register
    holds: 8 with AVX2, at all sizes, and 16 with AVX-512, from 56 pixels on (PyTorch 2.9.0 and
    2.14.1). The same numbers, up to the order of sums at some sizes.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or self.in_channels >= 16:
            return super().forward(x)
        left = F.avg_pool2d(x, 1, self.stride)  # means of one pixel each: as fast as the stride
        return F.conv2d(left, self.weight)


def conv(
    inputs: int, outputs: int, kernel: int, stride: int = 1, *, generator: Generator
) -> nn.Conv2d:
    """A convolution without bias, padded by (kernel - 1) // 2 on all sides.

    Weights: normal with variance 1 / fan_in, cut off at two standard deviations (TensorFlow's
    variance scaling, which rescales so that the variance survives the cut).
    """
    kind = StridedProjection if kernel == 1 and stride > 1 else nn.Conv2d
    layer = kind(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False)
    std = math.sqrt(1 / (inputs * kernel * kernel)) / 0.87962566103423978
    with torch.no_grad():
        layer.weight.copy_(truncated_normal(layer.weight.shape, std, generator))
    return layer


def dense(inputs: int, outputs: int, bias: bool = False, *, generator: Generator) -> nn.Linear:  # noqa: FBT001, FBT002
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
