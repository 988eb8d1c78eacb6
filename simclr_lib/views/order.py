"""Which images are in which batch: from the seed and the number of the update alone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial

import numpy as np
import torch
from torch import Generator, Tensor


def epoch_order(num_images: int, seed: int, epoch: int) -> Tensor:
    """(num_images,) the random order of one epoch; depends on nothing but its arguments."""
    return torch.randperm(num_images, generator=Generator().manual_seed(draw_seed(seed, epoch)))


def batch_indices(
    num_images: int, batch_size: int, seed: int, first: int, last: int
) -> Iterator[Tensor]:
    """Indices (batch_size,) for updates `first` to `last` - 1; an epoch's ragged end is dropped.

    The official stream runs on from epoch to epoch without dropping; its number of updates, which
    we keep, then makes slightly more than `epochs` of our passes.
    """
    per_epoch = num_images // batch_size
    for step in range(first, last):
        epoch, position = divmod(step, per_epoch)
        if step == first or position == 0:
            order = epoch_order(num_images, seed, epoch)
        yield order[position * batch_size : (position + 1) * batch_size]


def running_indices(
    num_images: int, batch_size: int, seed: int, first: int, last: int
) -> Iterator[Tensor]:
    """As `batch_indices`, but a batch that meets the end of an epoch goes on in the next one.

    So nothing is dropped, as in the official stream, and a few images make a large batch.
    """
    order_of = lru_cache(maxsize=2)(partial(epoch_order, num_images, seed))
    for step in range(first, last):
        epoch, position = divmod(step * batch_size, num_images)
        epochs = range(epoch, epoch + -(-(position + batch_size) // num_images))
        yield torch.cat([order_of(e) for e in epochs])[position : position + batch_size]


def draw_seed(*numbers: int) -> int:
    """A seed of 32 bits from whole numbers, well mixed and the same everywhere."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
