"""The batches of a run: which images, in which order, as which views.

Order and draws depend only on the seed and the number of the update, so a run that is stopped
anywhere goes on with exactly the batches it would have seen.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset

from ..config import Config
from ..data.folders import report_bad_files
from ..data.images import ImageFiles, ImageSet
from ..machine import devices, parallel
from .views import Random, Share, branches, center_view, distort, first_crop, two_views, view


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


def step_generator(seed: int, step: int, share: bool = False) -> Random:
    """The generator of all random draws of one update, or of this process's share of them."""
    generator = Generator().manual_seed(draw_seed(seed, step))
    return Share(generator, parallel.rank(), parallel.processes()) if share else generator


def draw_seed(*numbers: int) -> int:
    """A seed of 32 bits from whole numbers, well mixed and the same everywhere."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def batches(
    images: ImageSet | ImageFiles,
    config: Config,
    device: torch.device,
    first: int,
    last: int,
    pairs: bool = True,
    own: bool = True,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Views and labels of updates `first` to `last` - 1, on `device`.

    With `pairs` the views are float32 (2N, 3, S, S), rows i and i + N of one image; without, one
    view of each image, (N, 3, S, S), made by `config.augmentations`. Labels are int64 (N,). Where
    several processes train together, each gets the views of its `own` rows of the batch (on XLA
    they become a part of the tensor of all), or if that is false all views, as if it were alone.
    """
    if config.batch_size > len(images):
        raise ValueError(
            f"batch_size={config.batch_size} is not valid: only {len(images)} images to train on"
        )
    order = batch_indices(len(images), config.batch_size, config.seed, first, last)
    if isinstance(images, ImageFiles):
        yield from _file_batches(images, config, device, order, first, pairs, own)
        return
    rows, put, share = _part(config.batch_size, device, own)
    source = torch.device("cpu") if device.type == "xla" else device  # where all images are kept
    pixels, labels = images.images.to(source), images.labels.to(source)
    for step, indices in enumerate(order, start=first):
        chosen, generator = indices[rows].to(source), step_generator(config.seed, step, share)
        x, y = put(pixels[chosen], device), put(labels[chosen], device)
        if pairs:
            yield devices.spread(two_views(x, config, generator)), y
        else:
            yield devices.spread(view(x, config.augmentations, config, generator)), y


def _part(
    batch_size: int, device: torch.device, own: bool
) -> tuple[slice, Callable[[Tensor, torch.device], Tensor], bool]:
    """Rows of a batch to read, what brings them to the device, whether it then has these only."""
    if own:
        return parallel.own_rows(batch_size), devices.put_own, parallel.divided(device)
    return slice(None), devices.put, False


class _Crops(Dataset):
    """Decodes and crops one large image, once for each branch, in a worker process."""

    def __init__(self, files: ImageFiles, config: Config, names: tuple[str, ...]) -> None:
        self.files, self.config, self.names = files, config, names

    def __getitem__(self, item: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """(branches, 3, S, S), the label, and the index of an unreadable file or -1."""
        seed, index = item
        bad = -1
        for attempt in range(index, index + 10):  # in place of a bad file, the next good one
            try:
                image = self.files.decode(attempt % len(self.files))[None]
                break
            except (OSError, ValueError, SyntaxError):
                bad = index
        else:
            raise ValueError(f"10 files in a row cannot be read, from {self.files.paths[index]}")
        generator = Generator().manual_seed(seed)
        if self.config.shared_crop and len(self.names) == 2:
            crops = [first_crop(image, "crop", self.config, generator)[0].clamp_(0, 1)] * 2
        elif self.names:
            crops = [first_crop(image, names, self.config, generator)[0] for names in self.names]
        else:
            crops = [center_view(image, self.config.image_size)]
        label = self.files.labels[attempt % len(self.files)]
        return torch.cat(crops), label, torch.tensor(bad)


def _outlive_sigterm(worker: int) -> None:
    """A worker ends with the process it works for, which on SIGTERM has yet to save."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _file_batches(
    files: ImageFiles,
    config: Config,
    device: torch.device,
    order: Iterator[Tensor],
    first: int,
    pairs: bool,
    own: bool,
) -> Iterator[tuple[Tensor, Tensor]]:
    """`batches` for images on disk: workers crop, the device distorts."""
    names = branches(config) if pairs else (config.augmentations,)
    rows, put, share = _part(config.batch_size, device, own)
    places = range(config.batch_size)[rows]
    items = (  # made as they are needed: a long run has more than fit in memory
        [(draw_seed(config.seed, step, place), int(indices[place])) for place in places]
        for step, indices in enumerate(order, start=first)
    )
    loader = DataLoader(
        _Crops(files, config, names),
        batch_sampler=items,
        num_workers=config.workers,
        worker_init_fn=_outlive_sigterm,
    )
    bad: set[int] = set()
    for step, (crops, labels, failed) in enumerate(loader, start=first):
        _note_bad(bad, failed, files)
        generator = step_generator(config.seed, step, share)
        made = []
        for branch, transforms in enumerate(names):
            x = put(crops[:, branch], device)
            if pairs and config.shared_crop:
                made.append(view(x, transforms, config, generator))
            else:
                rest = first_crop(crops[:0, branch], transforms, config, generator)[1]
                made.append(distort(x, rest, config, generator))
        yield devices.spread(torch.cat(made)), put(labels, device)


def _note_bad(bad: set[int], failed: Tensor, files: ImageFiles) -> None:
    """Add unreadable files to `bad`; warn of new ones, stop when they are too many."""
    new = set(failed[failed >= 0].tolist()) - bad
    bad |= new
    if new:
        report_bad_files([files.paths[i] for i in bad], len(files))


def center_batches(
    images: ImageSet | ImageFiles, config: Config, device: torch.device, batch_size: int = 512
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """All images once, in order, as evaluation sees them, their labels, and which could be read.

    Images float32 (<= batch_size, 3, S, S) on `device`, labels int64 and bool on the CPU. Another
    image stands in the place of a file that cannot be read: shapes are the same on every host.
    """
    if isinstance(images, ImageSet):
        parts = zip(images.images.split(batch_size), images.labels.split(batch_size), strict=True)
        for batch, labels in parts:
            x = center_view(devices.put(batch, device), config.image_size)
            yield x, labels, torch.ones_like(labels, dtype=torch.bool)
        return
    loader = DataLoader(
        _Crops(images, config, ()),
        batch_size=batch_size,
        sampler=[(0, index) for index in range(len(images))],
        num_workers=config.workers,
    )
    bad: set[int] = set()
    for crops, labels, failed in loader:
        _note_bad(bad, failed, images)
        yield devices.put(crops[:, 0], device), labels, failed < 0
