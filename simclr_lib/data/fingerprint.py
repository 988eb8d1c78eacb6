"""Which data set is it? The same wherever it lies, another as soon as anything in it differs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..config import Config
from .images import Data, ImageFiles, ImageSet, Origin


def fingerprint_of(data: Data, config: Config) -> str:
    """The fingerprint that the loader gave, if it is what `config` asks for; else of the content.

    So a subset, other labels, another `num_images` or a set of your own making are not taken for
    the set that `config` names.
    """
    found, origin = content(data), data.origin
    if origin is None or (origin.content, origin.num_images) != (found, config.num_images):
        return found
    drawn = isinstance(data.train, ImageFiles) or origin.image_size == config.image_size
    return origin.fingerprint if drawn else found


def originating(data: Data, fingerprint: str, config: Config) -> Data:
    """`data` as a loader hands it out, which has read what `config` asks for."""
    asked = config.num_images, config.image_size
    return data._replace(origin=Origin(fingerprint, *asked, content(data)))


def content(data: Data) -> str:
    """A hash of all four parts: pixels and labels, or files' names, sizes and labels; classes."""
    digest = hashlib.blake2b(json.dumps([*map(str, data.classes)]).encode(), digest_size=10)
    for part in (data.train, data.validation, data.test, data.pretrain):
        add_part(digest, part)
    return digest.hexdigest()


def of_folder(
    classes: Sequence[str],
    parts: Sequence[ImageSet | ImageFiles],
    names: Sequence[Sequence[str]],
    sizes: Sequence[Sequence[int]],
) -> str:
    """A hash of what a folder holds, part by part: names, labels, and pixels or sizes in bytes.

    `names` are CLASS/FILE. When a file was changed and where the folder lies do not count.
    """
    digest = hashlib.blake2b(json.dumps(list(classes)).encode(), digest_size=10)
    for part, named, bytes_each in zip(parts, names, sizes, strict=True):
        digest.update(json.dumps(list(named)).encode())
        if isinstance(part, ImageFiles):
            digest.update(json.dumps(list(bytes_each)).encode())
            _add(digest, part.labels)
        else:
            add_part(digest, part)
    return digest.hexdigest()


def add_part(digest: hashlib.blake2b, part: ImageSet | ImageFiles) -> None:
    """Feed a part of a data set to `digest`."""
    if isinstance(part, ImageFiles):
        names = [f"{path.parent.name}/{path.name}" for path in part.paths]
        digest.update(json.dumps([names, [_size(path) for path in part.paths]]).encode())
    else:
        _add(digest, part.images)
    _add(digest, part.labels)


def _size(path: Path) -> int:
    """Bytes; -1 where there is no such file."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _add(digest: hashlib.blake2b, tensor: Tensor) -> None:
    digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    plain = tensor.detach().cpu().contiguous().reshape(-1)
    digest.update(plain.view(torch.uint8).numpy().data if plain.numel() else b"")
