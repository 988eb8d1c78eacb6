"""Data sets by name: what `load` finds or downloads."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..checks import refuse
from ..config import Config
from ..paths import data_dir, writable
from . import synthetic
from .fingerprint import content, originating
from .folders import load_folder
from .folders import stamp as folder_stamp
from .images import SYNTHETIC_SEED, Data, ImageSet, split

PARAMETERS = ("dataset", "data_dir", "mirror", "num_images", "image_size")  # what `load` reads
# Sets whose content is certain: ours, where a test holds the pixels (another number when they
# change), and those whose files torchvision verifies each time.
CERTAIN = {
    "synthetic": "synthetic-1",
    "cifar10": "cifar10",
    "cifar100": "cifar100",
    "stl10": "stl10",
}


def load(config: Config) -> Data:
    """The data set of `config`, downloaded first if it is one that can be.

    `num_images` limits the training images. Raises `ValueError` if too few are there for one
    batch or a download cannot be written, `FileNotFoundError` if a folder is not as it should be,
    `ConnectionError` if a download fails.
    """
    if not isinstance(config, Config):
        refuse("config", config, "a Config, say Config.create('quick', dataset='cifar10')")
    if config.dataset == "synthetic":
        data = _load_synthetic(config)
    elif config.dataset in ("cifar10", "cifar100", "stl10", "fashion_mnist"):
        data = _load_torchvision(config)
    else:
        data = load_folder(_root(config), config)
    if config.batch_size > len(data.pretrain):
        raise ValueError(
            f"batch_size={config.batch_size} is not valid: {data.name} has {len(data.pretrain)} "
            "training images here; batch_size must not be larger (see num_images)"
        )
    return data


def fingerprint(config: Config) -> str:
    """Which data set `config` names, wherever it lies, as `load` says in `origin`.

    Sets whose content is certain have a name: the embedded one, and those whose files torchvision
    verifies. Others are read for it, once while their files stay as they are. Raises what `load`
    raises.
    """
    if config.dataset in CERTAIN:
        return CERTAIN[config.dataset]
    values = parameters_of(config.replace(num_images=0))
    return _read_fingerprint(stamp(config), *values)


def stamp(config: Config) -> str:
    """Of a folder's files as they are now, times and places included: for caches, never for a run.

    Empty for a set that does not change.
    """
    if config.dataset in CERTAIN or config.dataset == "fashion_mnist":
        return ""
    return folder_stamp(_root(config), config)


@lru_cache(maxsize=64)
def _read_fingerprint(stamp: str, *values: Any) -> str:
    origin = load_as(*values).origin
    assert origin is not None  # all loaders here give one
    return origin.fingerprint


def parameters_of(config: Config) -> tuple[Any, ...]:
    """The values of `PARAMETERS`, for `load_as`."""
    return tuple(getattr(config, name) for name in PARAMETERS)


def load_as(*values: Any) -> Data:
    """`load` with the values of `PARAMETERS`."""
    given = dict(zip(PARAMETERS, values, strict=True))
    return load(Config.create("paper", batch_size=2, **given))


def _root(config: Config) -> Path:
    imagenet = config.dataset == "imagenet"
    return data_dir(config) / "imagenet" if imagenet else Path(config.dataset).expanduser()


def _load_synthetic(config: Config) -> Data:
    size, images = config.image_size, config.num_images or 8192
    train, validation, test = (
        ImageSet(*synthetic.generate(number, SYNTHETIC_SEED + part, size))
        for part, number in enumerate((images, max(images // 8, 64), max(images // 4, 128)))
    )
    data = Data("synthetic", synthetic.CLASS_NAMES, train, validation, test, pretrain=train)
    return originating(data, CERTAIN["synthetic"], config)


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
        found = _download(kind, root, config.dataset, **which)
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
    data = split(config.dataset, classes, train, test, config, unlabelled)
    whole = Data(config.dataset, tuple(classes), train, test, test, train)
    found = CERTAIN.get(config.dataset) or content(whole)  # Fashion-MNIST's are not verified
    return originating(data, found, config)


def _download(kind: Any, root: Path, name: str, **which: object) -> Any:
    """torchvision's data set of this `kind` in `root`, downloaded if it is not there whole."""
    try:
        return kind(str(root), download=False, **which)
    except RuntimeError:  # not there
        writable(root, "data_dir")
    try:
        return kind(str(root), download=True, **which)
    except (OSError, RuntimeError) as error:
        raise ConnectionError(
            f"dataset={name!r} cannot be downloaded to {root}: {error}; `mirror` names another "
            "address, or put the files there"
        ) from error
