"""A folder of class folders: which files, with which labels, decoded once."""

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

import numpy as np
import torch

from ..config import Config
from ..paths import data_dir
from .images import SPLIT_SEED, Data, ImageFiles, ImageSet, decode, split

IN_MEMORY_SIZE = 96  # images of up to this many pixels a side are held in memory
BAD_SHARE = 0.01  # more unreadable files than this share of a folder are an error
SUFFIXES = {".jpg", ".jpeg", ".png"}


def load_folder(root: Path, config: Config) -> Data:
    """ROOT/train/CLASS/*.jpg and ROOT/test/... (or val); or ROOT/CLASS/*, a tenth kept for test."""
    if not root.is_dir():
        raise FileNotFoundError(
            f"dataset={config.dataset!r}: there is no folder {root}; it should hold train/CLASS/ "
            "and val/CLASS/ folders of JPEG or PNG files"
        )
    inner = {child.name for child in os.scandir(root) if child.is_dir()}
    test_name = next((name for name in ("test", "val") if name in inner), None)
    places = [root / "train", root / test_name] if "train" in inner and test_name else [root]
    classes = sorted(child.name for child in os.scandir(places[0]) if child.is_dir())
    if len(classes) < 2:
        raise FileNotFoundError(
            f"dataset={config.dataset!r}: {places[0]} holds {len(classes)} class folders; "
            "at least 2 are needed, each with JPEG or PNG files"
        )
    parts = [_read_folder(place, classes, config) for place in places]
    if len(parts) == 1:
        order = torch.randperm(
            len(parts[0]), generator=torch.Generator().manual_seed(SPLIT_SEED + 1)
        )
        cut = max(len(order) // 10, 1)
        parts = [parts[0].subset(order[cut:]), parts[0].subset(order[:cut])]
    train, test = parts
    return split(root.name, classes, train, test, config)


def _read_folder(place: Path, classes: Sequence[str], config: Config) -> ImageSet | ImageFiles:
    """All images below PLACE/CLASS, in memory if views are small, else as files."""
    paths, labels, stamp = [], [], hashlib.sha256(str(config.image_size).encode())
    for label, name in enumerate(classes):
        if not (place / name).is_dir():
            raise FileNotFoundError(f"{place} has no folder for the class {name!r}")
        entries = sorted(os.scandir(place / name), key=lambda entry: entry.name)
        for entry in entries:
            if Path(entry.name).suffix.lower() in SUFFIXES:
                with contextlib.suppress(OSError):  # a link to nowhere: a bad file like others
                    size, changed = entry.stat().st_size, entry.stat().st_mtime_ns
                    stamp.update(f"{name}/{entry.name} {size} {changed}".encode())
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
        except (OSError, ValueError):
            bad.append(path)
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = list(pool.map(attempt, paths))
    report_bad_files(bad, len(paths))
    good = [i for i, image in enumerate(decoded) if image is not None]
    readable = [image for image in decoded if image is not None]
    images = np.ascontiguousarray(np.stack(readable).transpose(0, 3, 1, 2))
    found = ImageSet(torch.from_numpy(images), torch.tensor(labels)[good])
    with contextlib.suppress(OSError):  # a read-only disk costs time, not correctness
        cache.parent.mkdir(parents=True, exist_ok=True)
        beside = cache.with_name(f"{cache.stem}.{uuid.uuid4().hex[:8]}.part.npz")
        np.savez(beside, images=images, labels=found.labels.numpy())
        beside.replace(cache)
    return found


def report_bad_files(bad: Sequence[Path], total: int) -> None:
    """Warn of unreadable files by name; `ValueError` if they are more than BAD_SHARE, or all."""
    if not bad:
        return
    names = ", ".join(f"{p.parent.name}/{p.name}" for p in sorted(bad)[:10])
    more = f" and {len(bad) - 10} more" if len(bad) > 10 else ""
    words = f"{len(bad)} of {total} image files cannot be read: {names}{more}"
    if len(bad) > max(BAD_SHARE * total, 1) or len(bad) == total:
        raise ValueError(f"{words}; at most {BAD_SHARE:.0%} may be bad. Mend or remove them")
    warnings.warn(f"{words}; skipped", stacklevel=2)
