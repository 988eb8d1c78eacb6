"""The same work written with other packages, as their documentation says. Extra `bench`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler


class Pictures(Dataset):
    """(image, label) from memory, made PIL images one by one, as torchvision's CIFAR10 does."""

    def __init__(self, images: Tensor, transform: Callable) -> None:
        self.images, self.transform = images.permute(0, 2, 3, 1).numpy(), transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.transform(Image.fromarray(self.images[index])), 0


def loader(dataset: Dataset, batch_size: int) -> Iterator:
    """Batches without end, made by 2 workers that are started once."""
    sampler = RandomSampler(dataset, replacement=True, num_samples=2**40)  # type: ignore[arg-type]
    return iter(
        DataLoader(
            dataset, batch_size, sampler=sampler, num_workers=2, multiprocessing_context="fork"
        )
    )


def lightly_encoder(width: float) -> tuple[nn.Module, int]:
    """ResNet-18 with a small-image stem: torchvision's, or lightly's own where it is narrower."""
    if width == 1:
        from torchvision.models import resnet18

        network = resnet18()
        network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        network.maxpool = nn.Identity()
        layers = list(network.children())[:-1]
    else:
        from lightly.models import ResNetGenerator

        layers = list(ResNetGenerator("resnet-18", width).children())[:-1]
        layers = [*layers[:2], nn.ReLU(), *layers[2:], nn.AdaptiveAvgPool2d(1)]
    return nn.Sequential(*layers, nn.Flatten()), round(512 * width)


def lightly_step(
    images: Tensor, width: float, batch_size: int, dtype: torch.dtype, *, tuned: bool
) -> Callable[[], None]:
    """Updates of lightly's SimCLR: its defaults, or `tuned` (channels-last, `dtype`) by hand."""
    from lightly.loss import NTXentLoss
    from lightly.models.modules import SimCLRProjectionHead
    from lightly.transforms import SimCLRTransform

    encoder, features = lightly_encoder(width)
    network = nn.Sequential(encoder, SimCLRProjectionHead(features, features, 128)).train()
    layout = torch.channels_last if tuned else torch.contiguous_format
    network = network.to(memory_format=layout)
    criterion = NTXentLoss(temperature=0.5)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.06)
    transform = SimCLRTransform(input_size=images.shape[2], cj_strength=0.5, gaussian_blur=0.0)
    views = loader(Pictures(images, transform), batch_size)

    def step() -> None:
        (x0, x1), _ = next(views)
        with torch.autocast("cpu", dtype, enabled=tuned and dtype != torch.float32):
            z0, z1 = (network(x.contiguous(memory_format=layout)) for x in (x0, x1))
        loss = criterion(z0.float(), z1.float())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def kornia_views(images: Tensor, size: int, *, blur: bool) -> Callable[[], Tensor]:
    """Two views of the batch by kornia's batched augmentations."""
    from kornia import augmentation as k

    jitter = k.ColorJiggle(0.4, 0.4, 0.4, 0.1, p=0.8)
    filters = [k.RandomGaussianBlur((size // 10 | 1,) * 2, (0.1, 2.0), p=0.5)] if blur else []
    transform = nn.Sequential(
        k.RandomResizedCrop((size, size), resample="bicubic", align_corners=False),
        k.RandomHorizontalFlip(),
        jitter,
        k.RandomGrayscale(p=0.2),
        *filters,
    )
    return lambda: transform(images.repeat(2, 1, 1, 1).float() / 255)


def torchvision_transform(size: int, *, blur: bool) -> Callable:
    """The SimCLR augmentation of one PIL image, as torchvision's users write it."""
    from torchvision import transforms as t

    jitter = t.RandomApply([t.ColorJitter(0.4, 0.4, 0.4, 0.1)], 0.8)
    filters = [t.RandomApply([t.GaussianBlur(size // 10 | 1, (0.1, 2.0))], 0.5)] if blur else []
    crop = t.RandomResizedCrop(size, interpolation=t.InterpolationMode.BICUBIC)
    flip, gray = t.RandomHorizontalFlip(), t.RandomGrayscale(0.2)
    return t.Compose([crop, flip, jitter, gray, *filters, t.ToTensor()])


class TwoViews:
    """Both views of one image by the same transform."""

    def __init__(self, transform: Callable) -> None:
        self.transform = transform

    def __call__(self, image: Image.Image) -> tuple[Tensor, Tensor]:
        return self.transform(image), self.transform(image)


def torchvision_views(images: Tensor, size: int, batch_size: int, *, blur: bool) -> Iterator:
    """Batches of both views, by torchvision in 2 workers."""
    dataset = Pictures(images, TwoViews(torchvision_transform(size, blur=blur)))
    return loader(dataset, batch_size)
