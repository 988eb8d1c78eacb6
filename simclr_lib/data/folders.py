"""A folder of class folders: which files, with which labels, decoded once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import unicodedata
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

from ..config import Config
from ..paths import data_dir
from .fingerprint import of_folder, originating
from .images import Data, ImageFiles, ImageSet, decode, split, split_by_name

IN_MEMORY_SIZE = 96  # images of up to this many pixels a side are held in memory
BAD_SHARE = 0.01  # more unreadable files than this share of a folder are an error
TEST_PARTS = ("test", "val", "valid", "validation")  # names of the part, the first that is there
SUFFIXES = {".jpg", ".jpeg", ".png"}
READER = 2  # another number whenever a file is read or kept in another way: a cache is of one
# Folders that the reference runs read, by what they hold in images of 32 pixels.
KNOWN = {"4e3f8310fc4cb0a5b73d": "cifar10-jpeg"}


class Listing(NamedTuple):
    """The image files in the class folders of one place, sorted by class and name."""

    place: Path
    paths: list[Path]
    names: list[str]  # CLASS/FILE, however the disk spells accents
    labels: list[int]
    sizes: list[int]  # bytes; -1 for a link to nowhere
    changed: list[int]  # nanoseconds

    def stamp(self, classes: Sequence[str], image_size: int) -> str:
        """Of the files as they are now: another as soon as one of them was written again."""
        facts = [READER, str(self.place.resolve()), list(classes), image_size]
        facts += [list(file) for file in zip(self.names, self.sizes, self.changed, strict=True)]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def load_folder(root: Path, config: Config) -> Data:
    """ROOT/train/CLASS/*.jpg and ROOT/test/... (or val); or ROOT/CLASS/*, a tenth kept for test.

    Which part an image belongs to is drawn by its name, so new files move no other.
    """
    classes, listings = list_folder(root, config)
    read = [_read(listing, classes, config) for listing in listings]
    parts, names = [part for part, _ in read], []
    for listing, (_, good) in zip(listings, read, strict=True):
        names.append([listing.names[i] for i in good])
    fingerprint = of_folder(classes, parts, names, [listing.sizes for listing in listings])
    known = KNOWN.get(fingerprint)
    if known is not None:
        data = split(
            root.name, classes, parts[0], parts[1], config
        )  # as when its records were made
    else:
        test = parts[1] if len(parts) == 2 else None
        data = split_by_name(root.name, classes, parts[0], names[0], test, config)
    return originating(data, known or fingerprint, config)


def stamp(root: Path, config: Config) -> str:
    """Of all files of a folder as they are now; for caches, never for a run."""
    classes, listings = list_folder(root, config)
    return "-".join(listing.stamp(classes, config.image_size) for listing in listings)


def list_folder(root: Path, config: Config) -> tuple[list[str], list[Listing]]:
    """The classes, and the files of the train and the test part, or of both in one.

    Raises `FileNotFoundError` if the folder is not as it should be.
    """
    if not root.is_dir():
        raise FileNotFoundError(
            f"dataset={config.dataset!r}: there is no folder {root}; it should hold train/CLASS/ "
            "and val/CLASS/ folders of JPEG or PNG files"
        )
    inner = _folders(root)
    test_name = next((name for name in TEST_PARTS if name in inner), None)
    parted = "train" in inner and (test_name is not None or bool(_folders(inner["train"])))
    if parted and test_name is None:
        raise FileNotFoundError(
            f"dataset={config.dataset!r}: {root} has a train folder of class folders, but none of "
            f"{', '.join(TEST_PARTS)}"
        )
    places = [root / "train", root / str(test_name)] if parted else [root]
    classes = sorted(_folders(places[0]))
    if len(classes) < 2:
        raise FileNotFoundError(
            f"dataset={config.dataset!r}: {places[0]} holds {len(classes)} class folders; "
            "at least 2 are needed, each with JPEG or PNG files"
        )
    unknown = sorted(set(_folders(places[-1])) - set(classes))
    if unknown:
        raise FileNotFoundError(
            f"dataset={config.dataset!r}: {places[-1]} has class folders that {places[0]} lacks: "
            f"{', '.join(unknown)}"
        )
    listings = [_list(place, classes) for place in places]
    for label, name in enumerate(classes):
        if label not in listings[0].labels:
            raise FileNotFoundError(
                f"dataset={config.dataset!r}: no JPEG or PNG files in {places[0] / name}; they "
                "must lie in the class folder itself"
            )
    return classes, listings


def _folders(place: Path) -> dict[str, Path]:
    """The folders in `place` by name, but hidden ones.

    An accented letter is one letter, also where the disk keeps the accent apart.
    """
    return {
        unicodedata.normalize("NFC", child.name): Path(child.path)
        for child in os.scandir(place)
        if child.is_dir() and not child.name.startswith(".")
    }


def _list(place: Path, classes: Sequence[str]) -> Listing:
    found, folders = Listing(place, [], [], [], [], []), _folders(place)
    for label, name in enumerate(classes):
        if name not in folders:
            raise FileNotFoundError(f"{place} has no folder for the class {name!r}")
        files = {unicodedata.normalize("NFC", e.name): e for e in os.scandir(folders[name])}
        for file, entry in sorted(files.items()):
            if Path(file).suffix.lower() in SUFFIXES and not file.startswith("."):
                size, changed = -1, 0
                with contextlib.suppress(OSError):  # a link to nowhere: a bad file like others
                    size, changed = entry.stat().st_size, entry.stat().st_mtime_ns
                found.paths.append(Path(entry.path))
                found.names.append(f"{name}/{file}")
                found.labels.append(label)
                found.sizes.append(size)
                found.changed.append(changed)
    if not found.paths:
        raise FileNotFoundError(f"{place}: no JPEG or PNG files in its class folders")
    return found


def _read(
    listing: Listing, classes: Sequence[str], config: Config
) -> tuple[ImageSet | ImageFiles, list[int]]:
    """The images, in memory if views are small, else as files; and which of the files they are."""
    if config.image_size > IN_MEMORY_SIZE:
        files = ImageFiles(listing.paths, torch.tensor(listing.labels))
        return files, list(range(len(listing.paths)))
    name = f"{listing.stamp(classes, config.image_size)}.npz"
    cache = data_dir(config) / "cache" / name
    damaged = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
    with contextlib.suppress(*damaged), cache.open("rb") as file:  # damaged, it is made anew
        saved = np.load(file, allow_pickle=False)
        images, good = torch.from_numpy(saved["images"]), saved["good"].tolist()
        return ImageSet(images, torch.tensor(listing.labels)[good]), good
    return _decode_all(listing, config.image_size, cache)


def _decode_all(listing: Listing, size: int, cache: Path) -> tuple[ImageSet, list[int]]:
    """Every readable image, (N, 3, size, size), also written to `cache`; which files they are."""
    bad: list[Path] = []

    def attempt(path: Path) -> np.ndarray | None:
        try:
            return decode(path, size)
        except (OSError, ValueError):
            bad.append(path)
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = list(pool.map(attempt, listing.paths))
    report_bad_files(bad, len(listing.paths))
    good = [i for i, image in enumerate(decoded) if image is not None]
    readable = [image for image in decoded if image is not None]
    images = np.ascontiguousarray(np.stack(readable).transpose(0, 3, 1, 2))
    found = ImageSet(torch.from_numpy(images), torch.tensor(listing.labels)[good])
    with contextlib.suppress(OSError):  # a read-only disk costs time, not correctness
        cache.parent.mkdir(parents=True, exist_ok=True)
        beside = cache.with_name(f"{cache.stem}.{uuid.uuid4().hex[:8]}.part.npz")
        np.savez(beside, images=images, good=np.array(good))
        beside.replace(cache)
    return found, good


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
