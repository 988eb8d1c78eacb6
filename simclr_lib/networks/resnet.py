"""The encoder f: ResNets of any depth and width, with selective kernels if wanted.

`encoder(x)` takes images (N, 3, H, W) in 0..1 and returns h = f(x), float (N, `encoder.features`),
the output of the global average pool. Architecture, padding, initialisation and batch-norm
constants are those of the official code (Section 2.1; SimCLR v2, Section 3.1 for selective
kernels). A layer in words: `block_groups.2.0.shortcut` is the shortcut of group 3, block 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..config import Config
from .doors import check_generator, check_images, stem_channels
from .layers import BatchNorm, conv, pad_as_tensorflow

DEPTHS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


def conv_norm_relu(
    inputs: int, outputs: int, kernel: int, stride: int = 1, *, generator: Generator
) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        conv(inputs, outputs, kernel, stride, generator=generator), BatchNorm(outputs), nn.ReLU()
    )


class MaxPool(nn.Module):
    """3x3 maximum with stride 2, padded as TensorFlow pads."""

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(pad_as_tensorflow(x, 3, 2, float("-inf")), 3, 2)


class AveragePool(nn.Module):
    """2x2 mean before a ResNet-D shortcut; an odd edge is padded as the official code pads."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1:  # zeros are appended and counted
            return F.avg_pool2d(F.pad(x, (0, 1, 0, 1)), 2, self.stride)
        # With stride 1 the padding is not counted: repeating the edge has the same mean.
        return F.avg_pool2d(F.pad(x, (0, 1, 0, 1), mode="replicate"), 2, 1)


class SelectiveKernel(nn.Module):
    """Two 3x3 streams mixed by a softmax over their pooled sum (SimCLR v2; SKNet)."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, ratio: float, *, generator: Generator
    ) -> None:
        super().__init__()
        middle = max(int(outputs * ratio), 32)
        self.streams = conv_norm_relu(inputs, 2 * outputs, 3, stride, generator=generator)
        self.squeeze = conv_norm_relu(outputs, middle, 1, generator=generator)
        self.mix = conv(middle, 2 * outputs, 1, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        streams = torch.stack(self.streams(x).chunk(2, dim=1))  # (2, N, C, H, W)
        pooled = streams.sum(dim=0).mean(dim=(2, 3), keepdim=True)  # (N, C, 1, 1)
        mixing = torch.stack(self.mix(self.squeeze(pooled)).chunk(2, dim=1))  # (2, N, C, 1, 1)
        return (streams * mixing.softmax(dim=0)).sum(dim=0)  # (N, C, H, W)


class Block(nn.Module):
    """A residual block: relu(branch(x) + shortcut(x)).

    The last batch norm of the branch starts with scale zero, so that the block starts as its
    shortcut. The first block of every group has a projection shortcut, also in group 1.
    """

    def __init__(self, branch: nn.Sequential, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.shortcut(x))


def residual_block(
    inputs: int,
    channels: int,
    stride: int,
    *,
    bottleneck: bool,
    project: bool,
    sk_ratio: float,
    generator: Generator,
) -> Block:
    """A basic block (ResNet-18, 34) or a bottleneck (50 and deeper), stride in its 3x3 layer."""
    outputs = 4 * channels if bottleneck else channels
    shortcut: nn.Module = nn.Identity()
    if project and sk_ratio > 0:  # ResNet-D
        projection = conv(inputs, outputs, 1, generator=generator)
        shortcut = nn.Sequential(AveragePool(stride), projection, BatchNorm(outputs))
    elif project:
        projection = conv(inputs, outputs, 1, stride, generator=generator)
        shortcut = nn.Sequential(projection, BatchNorm(outputs))
    if not bottleneck:
        layers: list[nn.Module] = [
            conv_norm_relu(inputs, channels, 3, stride, generator=generator),
            conv(channels, channels, 3, generator=generator),
        ]
    else:
        middle = (
            SelectiveKernel(channels, channels, stride, sk_ratio, generator=generator)
            if sk_ratio > 0
            else conv_norm_relu(channels, channels, 3, stride, generator=generator)
        )
        layers = [
            conv_norm_relu(inputs, channels, 1, generator=generator),
            middle,
            conv(channels, outputs, 1, generator=generator),
        ]
    return Block(nn.Sequential(*layers, BatchNorm(outputs, gamma=0.0)), shortcut)


def stem(kind: str, channels: int, sk_ratio: float, generator: Generator) -> nn.Sequential:
    """The first layers: "imagenet" 7x7/2 and pooling, "cifar" 3x3/1, "tiny" 3x3/2.

    "cifar" is the official one for images of up to 32 pixels. "tiny" is ours: a quarter of the
    arithmetic, for CPUs. With selective kernels the ImageNet stem is ResNet-D's three 3x3 layers.
    """
    if kind != "imagenet":
        return conv_norm_relu(3, channels, 3, 1 if kind == "cifar" else 2, generator=generator)
    if sk_ratio > 0:
        first = [
            conv_norm_relu(3, channels // 2, 3, 2, generator=generator),
            conv_norm_relu(channels // 2, channels // 2, 3, generator=generator),
            conv_norm_relu(channels // 2, channels, 3, generator=generator),
        ]
        return nn.Sequential(*first, MaxPool())
    return nn.Sequential(conv_norm_relu(3, channels, 7, 2, generator=generator), MaxPool())


class ResNet(nn.Module):
    """ResNet-`depth` whose channels are multiplied by `width`.

    `depth` 18, 34, 50, 101 or 152; `width` > 0 scales `base_channels` (64 in the paper), and the
    product must be a positive whole number; `stem_kind` as in `stem`; `sk_ratio` 0 (off) or the
    squeeze ratio of selective kernels (v2: 0.0625), used in bottlenecks only as in the official
    code. `features` is the dimension of h: 8 (basic blocks) or 32 (bottlenecks) times the stem's
    channels, 2048 for ResNet-50 (1x). Raises `ValueError` on anything else; images must be of the
    type of the weights, or any float under autocast.
    """

    def __init__(
        self,
        depth: int = 50,
        width: float = 1,
        *,
        base_channels: int = 64,
        stem_kind: str = "imagenet",
        sk_ratio: float = 0.0,
        generator: Generator,
    ) -> None:
        super().__init__()
        channels = stem_channels(depth, DEPTHS, width, base_channels, stem_kind, sk_ratio)
        check_generator(generator)
        bottleneck = depth >= 50
        self.stem = stem(stem_kind, channels, sk_ratio, generator)
        groups, inputs = [], channels
        for group, blocks in enumerate(DEPTHS[depth]):
            filters = channels * 2**group
            layers = []
            for block in range(blocks):
                layers.append(
                    residual_block(
                        inputs,
                        filters,
                        2 if group and not block else 1,
                        bottleneck=bottleneck,
                        project=not block,
                        sk_ratio=sk_ratio,
                        generator=generator,
                    )
                )
                inputs = 4 * filters if bottleneck else filters
            groups.append(nn.Sequential(*layers))
        self.block_groups = nn.Sequential(*groups)
        self.features = inputs

    def forward(self, x: Tensor) -> Tensor:
        check_images(x, next(self.parameters()).dtype)
        x = self.block_groups(self.stem(x))  # (N, C, H', W')
        exact = torch.float64 if x.dtype == torch.float64 else torch.float32
        return x.mean(dim=(2, 3), dtype=exact)  # (N, features), not rounded to bf16


def feature_count(config: Config) -> int:
    """The dimension of h of the encoder that `config` describes, without making it."""
    channels = stem_channels(
        config.depth, DEPTHS, config.width, config.base_channels, config.stem, config.sk_ratio
    )
    return channels * (32 if config.depth >= 50 else 8)


def build_encoder(config: Config, generator: Generator) -> ResNet:
    """The encoder that `config` describes."""
    encoder = ResNet(
        config.depth,
        config.width,
        base_channels=config.base_channels,
        stem_kind=config.stem,
        sk_ratio=config.sk_ratio,
        generator=generator,
    )
    if not config.has("zero_gamma"):
        for block in encoder.modules():
            if isinstance(block, Block):
                nn.init.ones_(block.branch[-1].get_parameter("gamma"))
    return encoder


def parameter_count(module: nn.Module) -> int:
    """Trainable numbers in `module`; tables of the papers give it in millions, without a head."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
