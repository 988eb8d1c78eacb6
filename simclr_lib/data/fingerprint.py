"""Which data set is it? The same wherever it lies, another as soon as anything in it differs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import torch
from torch import Tensor

from .images import Data, ImageFiles, ImageSet


def fingerprint_of(data: Data) -> str:
    """The fingerprint that the loader gave, if nothing was changed since; else one of the content.

    So a subset, other labels, or a set of your own making are not taken for the set on disk.
    """
    found = content(data)
    origin = data.origin
    return origin.fingerprint if origin is not None and origin.content == found else found


def content(data: Data) -> str:
    """A hash of all four parts: pixels and labels, or the names of files and labels; classes."""
    digest = hashlib.blake2b(json.dumps(data.classes).encode(), digest_size=10)
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
        digest.update(json.dumps(names).encode())
    else:
        _add(digest, part.images)
    _add(digest, part.labels)


def _add(digest: hashlib.blake2b, tensor: Tensor) -> None:
    digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    plain = tensor.detach().cpu().contiguous().reshape(-1)
    digest.update(plain.view(torch.uint8).numpy().data if plain.numel() else b"")
