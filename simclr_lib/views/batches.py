"""The batches of a run: images in their order, as views.

Order and draws depend only on the seed and the number of the update, so a run that is stopped
anywhere goes on with exactly the batches it would have seen.
"""

from __future__ import annotations

import signal
from collections import abc
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset

from ..config import Config
from ..data.folders import report_bad_files
from ..data.images import ImageFiles, ImageSet
from ..machine import devices, parallel, threads
from .draws import OwnRows, Random
from .order import batch_indices, draw_seed, epoch_order, running_indices
from .views import Batch, Branch, center_view, distort, first_crop, make_views, shared_crop, view

__all__ = ["batch_indices", "batches", "center_batches", "epoch_order", "step_generator"]

Prepare = Callable[[Batch, Random], Batch]  # see `methods.Method.prepare`


def step_generator(seed: int, step: int, *, divided: bool = False) -> Random:
    """The generator of all random draws of one update; if `divided`, of those of the own rows."""
    generator = Generator().manual_seed(draw_seed(seed, step))
    return OwnRows(generator, parallel.rank(), parallel.processes()) if divided else generator


def batches(
    images: ImageSet | ImageFiles,
    branches: Sequence[Branch],
    config: Config,
    device: torch.device,
    first: int,
    last: int,
    *,
    prepare: Prepare | None = None,
    own: bool = True,
    ahead: bool = False,
    runs_on: bool = False,
) -> abc.Generator[Batch, None, None]:
    """The batches of updates `first` to `last` - 1 on `device`: views, labels, which images.

    A view for each branch, float32 (N, 3, S, S); labels and index int64 (N,). `prepare` may change
    a batch, with draws of its own from the same generator. Of `config` count `batch_size`,
    `copies`, `seed` and `workers`: a batch has N / copies images, one after the other, as often as
    `copies` says. Where several processes train together, each gets its `own` rows of the batch (on
    XLA they become a part of the tensor of all), or if that is false all, as if it were alone. Of
    images in memory, another thread makes the next views `ahead`. A stream that `runs_on` drops
    nothing at the end of an epoch; another raises `ValueError` if there are fewer images than a
    batch has.
    """
    if config.batch_size > len(images) and not runs_on:
        raise ValueError(
            f"batch_size={config.batch_size} is not valid: only {len(images)} images to train on"
        )
    distinct = config.batch_size // config.copies
    indices_of = running_indices if runs_on else batch_indices
    order = indices_of(len(images), distinct, config.seed, first, last)
    order = (indices.repeat(config.copies) for indices in order)
    if isinstance(images, ImageFiles):
        made = _file_batches(images, branches, config, device, order, first, own=own)
    else:
        made = _memory_batches(images, branches, config, device, order, first, own=own)
        made = threads.ahead(made) if ahead else made
    for batch, generator in made:
        batch = prepare(batch, generator) if prepare else batch
        yield batch._replace(views=tuple(devices.spread(x) for x in batch.views))


def _memory_batches(
    images: ImageSet,
    branches: Sequence[Branch],
    config: Config,
    device: torch.device,
    order: Iterator[Tensor],
    first: int,
    *,
    own: bool,
) -> Iterator[tuple[Batch, Random]]:
    """`batches` of images in memory, each with its generator: the device makes the views."""
    rows, put, divided = _part(config.batch_size, device, own=own)
    source = torch.device("cpu") if device.type == "xla" else device  # where all images are kept
    pixels, labels = images.images.to(source), images.labels.to(source)
    for step, indices in enumerate(order, start=first):
        index = indices[rows].to(source)
        generator = step_generator(config.seed, step, divided=divided)
        x, y, which = (put(part, device) for part in (pixels[index], labels[index], index))
        yield Batch(make_views(x, branches, generator), y, which), generator


def _part(
    batch_size: int, device: torch.device, *, own: bool
) -> tuple[slice, Callable[[Tensor, torch.device], Tensor], bool]:
    """Rows of a batch to read, what brings them to the device, whether it then has only these."""
    if own:
        return parallel.own_rows(batch_size), devices.put_own, parallel.divided(device)
    return slice(None), devices.put, False


class _Crops(Dataset):
    """Decodes and crops one large image, once for each branch, in a worker process."""

    def __init__(self, files: ImageFiles, branches: Sequence[Branch], size: int = 0) -> None:
        self.files, self.branches, self.size = files, branches, size

    def __getitem__(self, item: tuple[int, int]) -> tuple[list[Tensor], Tensor, int, int]:
        """A crop (3, S, S) for each branch, or without branches the central view of `size` pixels;
        the label, which image it is, and the index of an unreadable file or -1."""
        seed, index = item
        image, read, bad = self._read(index)
        generator = Generator().manual_seed(seed)
        if not self.branches:
            crops = [center_view(image, self.size)]
        elif self.branches[0].shared_crop:
            crops = [shared_crop(image, self.branches[0], generator)] * len(self.branches)
        else:
            crops = [first_crop(image, how, generator)[0] for how in self.branches]
        return [crop[0] for crop in crops], self.files.labels[read], read, bad

    def _read(self, index: int) -> tuple[Tensor, int, int]:
        """An image (1, 3, H, W), its index, and `index` if another stands for that bad file."""
        for attempt in range(index, index + 10):  # in place of a bad file, the next good one
            read = attempt % len(self.files)
            try:
                return self.files.decode(read)[None], read, -1 if attempt == index else index
            except (OSError, ValueError, SyntaxError):
                continue
        raise ValueError(f"10 files in a row cannot be read, from {self.files.paths[index]}")


def _outlive_sigterm(worker: int) -> None:
    """A worker ends with the process it works for, which on SIGTERM has yet to save."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _file_batches(
    files: ImageFiles,
    branches: Sequence[Branch],
    config: Config,
    device: torch.device,
    order: Iterator[Tensor],
    first: int,
    *,
    own: bool,
) -> Iterator[tuple[Batch, Random]]:
    """`batches` of images on disk, each with its generator: workers crop, the device distorts."""
    rows, put, divided = _part(config.batch_size, device, own=own)
    places = range(config.batch_size)[rows]
    items = (  # made as they are needed: a long run has more than fit in memory
        [(draw_seed(config.seed, step, place), int(indices[place])) for place in places]
        for step, indices in enumerate(order, start=first)
    )
    loader = DataLoader(
        _Crops(files, branches),
        batch_sampler=items,
        num_workers=config.workers,
        worker_init_fn=_outlive_sigterm,
    )
    bad: set[int] = set()
    for step, (crops, labels, index, failed) in enumerate(loader, start=first):
        _note_bad(bad, failed, files)
        generator = step_generator(config.seed, step, divided=divided)
        views = []
        for how, crop in zip(branches, crops, strict=True):
            x = put(crop, device)
            if how.shared_crop:
                views.append(view(x, how, generator))
            else:  # of the first crop only the names that are left are wanted
                names = first_crop(crop[:0], how, generator)[1]
                views.append(distort(x, names, how, generator))
        yield Batch(tuple(views), put(labels, device), put(index, device)), generator


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
        _Crops(images, (), config.image_size),
        batch_size=batch_size,
        sampler=[(0, index) for index in range(len(images))],
        num_workers=config.workers,
    )
    bad: set[int] = set()
    for (crops,), labels, _, failed in loader:
        _note_bad(bad, failed, images)
        yield devices.put(crops, device), labels, failed < 0
