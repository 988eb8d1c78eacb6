"""Data sets by name, as three parts that never mix: train, validation, test.

Small images are held in memory as uint8 (N, 3, H, W); large ones stay files that worker processes
decode and crop. The test part is for reporting only; choices are made on validation, which is cut
from the training images.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from . import synthetic
from .config import Config
from .records import project_root

IN_MEMORY_SIZE = 96  # images of up to this many pixels a side are held in memory
BAD_SHARE = 0.01  # more unreadable files than this share of a folder are an error
SUFFIXES = {".jpg", ".jpeg", ".png"}
_SPLIT_SEED, _SYNTHETIC_SEED = 20200213, 2002  # the same split and images for every run


class ImageSet(NamedTuple):
    """Images in memory: uint8 (N, 3, H, W), and labels int64 (N,), -1 where unknown."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:  # type: ignore[override]  # of images, not of fields
        return self.labels.numel()

    def subset(self, indices: Tensor) -> ImageSet:
        """The images at `indices`."""
        return ImageSet(self.images[indices], self.labels[indices])


class ImageFiles:
    """Images on disk: paths and labels int64 (N,). `decode(i)` gives uint8 (3, H, W)."""

    def __init__(self, paths: Sequence[Path], labels: Tensor) -> None:
        self.paths, self.labels = list(paths), labels

    def __len__(self) -> int:
        return len(self.paths)

    def subset(self, indices: Tensor) -> ImageFiles:
        """The files at `indices`."""
        return ImageFiles([self.paths[i] for i in indices.tolist()], self.labels[indices])

    def decode(self, index: int) -> Tensor:
        """uint8 (3, H, W); raises `OSError` or `ValueError` if the file is not an image."""
        return torch.from_numpy(decode(self.paths[index])).permute(2, 0, 1)


class Data(NamedTuple):
    """A data set: its name, its classes, and its parts. `pretrain` needs no labels."""

    name: str
    classes: tuple[str, ...]
    train: ImageSet | ImageFiles
    validation: ImageSet | ImageFiles
    test: ImageSet | ImageFiles
    pretrain: ImageSet | ImageFiles


def load(config: Config) -> Data:
    """The data set of `config`, downloaded first if it is one that can be.

    `num_images` limits the training images. Raises `ValueError` if too few are there for one
    batch, `FileNotFoundError` if a folder is not as it should be.
    """
    if config.dataset == "synthetic":
        data = _load_synthetic(config)
    elif config.dataset in ("cifar10", "cifar100", "stl10", "fashion_mnist"):
        data = _load_torchvision(config)
    else:
        imagenet = config.dataset == "imagenet"
        root = data_dir(config) / "imagenet" if imagenet else Path(config.dataset).expanduser()
        data = _load_folder(root, config)
    if config.batch_size > len(data.pretrain):
        raise ValueError(
            f"batch_size={config.batch_size} is not valid: {data.name} has {len(data.pretrain)} "
            "training images here; batch_size must not be larger (see num_images)"
        )
    return data


def data_dir(config: Config) -> Path:
    """Where downloads and caches live; relative to the project, not to the notebook."""
    return project_root() / Path(config.data_dir).expanduser()


def split(
    name: str,
    classes: Sequence[str],
    train: ImageSet | ImageFiles,
    test: ImageSet | ImageFiles,
    config: Config,
    unlabelled: ImageSet | None = None,
) -> Data:
    """Cut a tenth (at most 5,000) off the training images for validation; apply `num_images`."""
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(_SPLIT_SEED))
    held_out = max(min(len(train) // 10, 5000), 1)
    kept = order[held_out:]
    if config.num_images > len(kept):
        raise ValueError(
            f"num_images={config.num_images} is not valid: {name} has {len(kept)} training images "
            "after validation is cut off; use that many or fewer, or 0 for all"
        )
    kept = kept[: config.num_images or len(kept)]
    train, validation = train.subset(kept), train.subset(order[:held_out])
    if unlabelled is not None:
        unlabelled = unlabelled.subset(torch.arange(config.num_images or len(unlabelled)))
    return Data(name, tuple(classes), train, validation, test, unlabelled or train)


def _load_synthetic(config: Config) -> Data:
    size, train = config.image_size, config.num_images or 8192
    sizes = (train, max(train // 8, 64), max(train // 4, 128))  # train, validation, test
    parts = [
        ImageSet(*synthetic.generate(number, _SYNTHETIC_SEED + part, size))
        for part, number in enumerate(sizes)
    ]
    return Data("synthetic", synthetic.CLASS_NAMES, *parts, parts[0])


def _load_torchvision(config: Config) -> Data:
    """CIFAR-10, CIFAR-100, STL-10 or Fashion-MNIST through torchvision, checksums included."""
    import torchvision.datasets as sets

    kind = {
        "cifar10": sets.CIFAR10,
        "cifar100": sets.CIFAR100,
        "stl10": sets.STL10,
        "fashion_mnist": sets.FashionMNIST,
    }[config.dataset]
    if config.mirror:
        place = config.mirror.rstrip("/") + "/"
        url = place + Path(getattr(kind, "url", "")).name
        kind = type(kind.__name__, (kind,), {"url": url, "mirrors": [place]})
    root = data_dir(config)
    note = f"Looking for {config.dataset} in {config.data_dir}; downloading it if it is not there."
    if config.dataset.startswith("cifar") and not config.mirror:
        note += " The original server may take an hour; `mirror` names another address."
    print(note)

    classes: list[str] = []

    def part(**which: object) -> ImageSet:
        found = kind(str(root), download=True, **which)
        classes[:] = map(str, found.classes)
        images = torch.as_tensor(np.asarray(found.data))
        labels = found.targets if hasattr(found, "targets") else found.labels
        if images.ndim == 3:  # Fashion-MNIST: 28 x 28 grey, to 32 x 32 with three channels
            images = torch.nn.functional.pad(images, (2, 2, 2, 2))[:, None].expand(-1, 3, -1, -1)
        elif images.shape[3] == 3:
            images = images.permute(0, 3, 1, 2)
        return ImageSet(images.contiguous(), torch.as_tensor(np.asarray(labels)).long())

    if config.dataset == "stl10":
        train, test = part(split="train"), part(split="test")
        unlabelled = part(split="unlabeled")
    else:
        train, test, unlabelled = part(train=True), part(train=False), None
    return split(config.dataset, classes, train, test, config, unlabelled)


# --- Folders ------------------------------------------------------------------------------------


def decode(path: Path, size: int = 0) -> np.ndarray:
    """uint8 (H, W, 3) RGB; with `size`, the central square resized to size x size if it differs."""
    with Image.open(path) as image:
        image = image if image.mode == "RGB" else image.convert("RGB")
        if size and image.size != (size, size):
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            box = (left, top, left + side, top + side)
            image = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
        return np.asarray(image).copy()


def _load_folder(root: Path, config: Config) -> Data:
    """ROOT/train/CLASS/*.jpg and ROOT/test/... (or val); or ROOT/CLASS/*, a tenth kept for test."""
    if not root.is_dir():
        raise FileNotFoundError(
            f"dataset={config.dataset!r}: there is no folder {root}; it should hold train/CLASS/ "
            "and val/CLASS/ folders of JPEG or PNG files"
        )
    inner = {child.name for child in os.scandir(root) if child.is_dir()}
    test_name = next((name for name in ("test", "val") if name in inner), None)
    split_up = "train" in inner and test_name is not None
    places = [root / "train", root / test_name] if split_up else [root]
    classes = sorted(child.name for child in os.scandir(places[0]) if child.is_dir())
    if len(classes) < 2:
        raise FileNotFoundError(
            f"dataset={config.dataset!r}: {places[0]} holds {len(classes)} class folders; "
            "at least 2 are needed, each with JPEG or PNG files"
        )
    parts = [_read_folder(place, classes, config) for place in places]
    if len(parts) == 1:
        order = torch.randperm(
            len(parts[0]), generator=torch.Generator().manual_seed(_SPLIT_SEED + 1)
        )
        cut = max(len(order) // 10, 1)
        parts = [parts[0].subset(order[cut:]), parts[0].subset(order[:cut])]
    return split(root.name, classes, *parts, config)


def _read_folder(place: Path, classes: Sequence[str], config: Config) -> ImageSet | ImageFiles:
    """All images below PLACE/CLASS, in memory if views are small, else as files."""
    paths, labels, stamp = [], [], hashlib.sha256(str(config.image_size).encode())
    for label, name in enumerate(classes):
        if not (place / name).is_dir():
            raise FileNotFoundError(f"{place} has no folder for the class {name!r}")
        entries = sorted(os.scandir(place / name), key=lambda entry: entry.name)
        for entry in entries:
            if Path(entry.name).suffix.lower() in SUFFIXES:
                facts = entry.stat()
                stamp.update(f"{name}/{entry.name} {facts.st_size} {facts.st_mtime_ns}".encode())
                paths.append(Path(entry.path))
                labels.append(label)
    if not paths:
        raise FileNotFoundError(f"{place}: no JPEG or PNG files in its class folders")
    if config.image_size > IN_MEMORY_SIZE:
        return ImageFiles(paths, torch.tensor(labels))
    cache = data_dir(config) / "cache" / f"{stamp.hexdigest()[:16]}.npz"
    damaged = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
    with contextlib.suppress(*damaged), cache.open("rb") as file:  # damaged, it is made anew
        saved = np.load(file, allow_pickle=False)
        return ImageSet(torch.from_numpy(saved["images"]), torch.from_numpy(saved["labels"]))
    return _decode_all(paths, labels, config.image_size, cache)


def _decode_all(paths: list[Path], labels: list[int], size: int, cache: Path) -> ImageSet:
    """Every readable image, (N, 3, size, size), also written to `cache` for the next time."""
    bad: list[Path] = []

    def attempt(path: Path) -> np.ndarray | None:
        try:
            return decode(path, size)
        except (OSError, ValueError, SyntaxError):  # what Pillow raises on damaged files
            bad.append(path)
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = list(pool.map(attempt, paths))
    report_bad_files(bad, len(paths))
    good = [i for i, image in enumerate(decoded) if image is not None]
    images = np.ascontiguousarray(np.stack([decoded[i] for i in good]).transpose(0, 3, 1, 2))
    found = ImageSet(torch.from_numpy(images), torch.tensor(labels)[good])
    with contextlib.suppress(OSError):  # a read-only disk costs time, not correctness
        cache.parent.mkdir(parents=True, exist_ok=True)
        beside = cache.with_name(f"{cache.stem}.{uuid.uuid4().hex[:8]}.part.npz")
        np.savez(beside, images=images, labels=found.labels.numpy())
        beside.replace(cache)
    return found


def report_bad_files(bad: Sequence[Path], total: int) -> None:
    """Warn of unreadable files by name; `ValueError` if they are more than BAD_SHARE of `total`."""
    if not bad:
        return
    names = ", ".join(f"{p.parent.name}/{p.name}" for p in sorted(bad)[:10])
    more = f" and {len(bad) - 10} more" if len(bad) > 10 else ""
    words = f"{len(bad)} of {total} image files cannot be read: {names}{more}"
    if len(bad) > max(BAD_SHARE * total, 1):
        raise ValueError(f"{words}; at most {BAD_SHARE:.0%} may be bad. Mend or remove them")
    warnings.warn(f"{words}; skipped", stacklevel=2)
