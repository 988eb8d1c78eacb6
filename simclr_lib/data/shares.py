"""A share of the labels: the same number of each class, the smaller share within the larger.

That is how the official lists of 1 % and 10 % of ImageNet are: 12 or 13 images of every class, and
all of 1 % lies in 10 % (v1, Section 6).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Generator, Tensor

from ..checks import refuse
from ..config import Config
from .images import Data, ImageFiles, ImageSet

# How the checksums (SHA-256) of the official lists begin, by their names.
OFFICIAL = {"1percent.txt": "71e82a48", "10percent.txt": "6d09de11"}


def labelled_part(data: Data, config: Config) -> ImageSet | ImageFiles:
    """The training images whose labels are used, as `label_share`, `labels_per_class` or
    `label_list` says. Raises `ValueError` as `share_of` and `listed` do."""
    return data.train.subset(labelled_indices(data, config))


def labelled_indices(data: Data, config: Config) -> Tensor:
    """Which images of `data.train` these are, int64 (M,)."""
    if config.label_list:
        return listed(data.train, Path(config.label_list).expanduser())
    labels, seed = data.train.labels, config.seed
    if config.labels_per_class:
        return per_class(labels, config.labels_per_class, seed, data.classes)
    return share_of(labels, config.label_share, seed)


def share_of(labels: Tensor, share: float, seed: int) -> Tensor:
    """Indices (M,) of a `share`, above 0 and at most 1, of the images that have `labels` (N,).

    M is the whole part of share N, or one image a class if that is more. Classes have equally many,
    as far as they have images; a smaller share of the same `seed` lies within a larger. Images
    without a label (-1) are never taken.
    """
    order = _by_turns(labels, seed)
    known = labels[labels >= 0]
    return order[: max(int(share * len(known) + 1e-9), known.unique().numel())]


def per_class(labels: Tensor, number: int, seed: int, classes: tuple[str, ...]) -> Tensor:
    """Indices of `number` images of every class, the first in the order of `share_of`.

    Raises `ValueError` naming the class that has fewer.
    """
    counts = torch.bincount(labels[labels >= 0], minlength=len(classes))
    if number > counts.min():
        least = int(counts.argmin())
        refuse("labels_per_class", number, f"at most {counts[least]}: of {classes[least]} no more")
    return _by_turns(labels, seed)[: number * len(classes)]


def _by_turns(labels: Tensor, seed: int) -> Tensor:
    """All labelled images, ordered: one of each class, another of each class, and so on."""
    generator = Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    order = order[labels[order] >= 0]
    shuffled = labels[order]
    places = torch.randperm(int(labels.max()) + 1, generator=generator)  # whose turn is first
    by_class = shuffled.argsort(stable=True)
    starts = torch.bincount(shuffled).cumsum(0) - torch.bincount(shuffled)
    turn = torch.empty_like(order)
    turn[by_class] = torch.arange(len(order)) - starts[shuffled[by_class]]
    return order[(turn * len(places) + places[shuffled]).argsort()]


def listed(files: ImageSet | ImageFiles, path: Path) -> Tensor:
    """Indices of the files whose names (without folders) stand in the text file `path`.

    A list of the name of one of the official ones must be it, by its checksum. Raises `ValueError`
    if it is not, if the images are no files, or if none of them is listed; `FileNotFoundError` if
    there is no such file.
    """
    if not isinstance(files, ImageFiles):
        refuse("label_list", path.name, "empty: these images are no files with names")
    if not path.is_file():
        raise FileNotFoundError(f"label_list={str(path)!r} is not there; it must be a text file")
    content = path.read_bytes()
    begins = OFFICIAL.get(path.name, "")
    if not hashlib.sha256(content).hexdigest().startswith(begins):
        refuse("label_list", path.name, f"the official {path.name}, SHA-256 {begins}...")
    names = set(content.decode("utf-8").splitlines())
    found = [index for index, file in enumerate(files.paths) if file.name in names]
    if not found:
        refuse("label_list", path.name, "a list with names of the training images")
    return torch.tensor(found)


def masked(data: Data, config: Config) -> ImageSet | ImageFiles:
    """All images of `data.pretrain`; with labels only those of `labelled_part`, others have -1.

    Where `pretrain` has images without labels that are not in `train` (STL-10), the labelled ones
    are added to them.
    """
    chosen = labelled_indices(data, config)
    hidden = torch.full_like(data.pretrain.labels, -1)
    if data.pretrain is data.train:
        hidden[chosen] = data.train.labels[chosen]
        return _relabelled(data.pretrain, hidden)
    return _joined(_relabelled(data.pretrain, hidden), data.train.subset(chosen))


def _relabelled(images: ImageSet | ImageFiles, labels: Tensor) -> ImageSet | ImageFiles:
    if isinstance(images, ImageSet):
        return ImageSet(images.images, labels)
    return ImageFiles(images.paths, labels)


def _joined(first: ImageSet | ImageFiles, second: ImageSet | ImageFiles) -> ImageSet | ImageFiles:
    labels = torch.cat([first.labels, second.labels])
    if isinstance(first, ImageSet) and isinstance(second, ImageSet):
        return ImageSet(torch.cat([first.images, second.images]), labels)
    assert isinstance(first, ImageFiles)
    assert isinstance(second, ImageFiles)
    return ImageFiles([*first.paths, *second.paths], labels)
