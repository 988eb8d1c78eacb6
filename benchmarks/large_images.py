"""Large JPEG files to two views of 224 pixels, on one core: ours, torchvision, decoding alone.

The files are those below SIMCLR_BENCH_IMAGES if that is set, else 64 generated ones of 500 x 375
pixels and about 100 kB.
"""

from __future__ import annotations

import io
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from simclr_lib.config import Config
from simclr_lib.data import ImageFiles
from simclr_lib.machine import devices
from simclr_lib.views import branches
from simclr_lib.views.batches import _Crops, batches

from . import peers
from .sides import Row, compare, row


def files() -> list[Path]:
    """The JPEG files to read; generated ones stay in the system's folder for passing files."""
    if folder := os.environ.get("SIMCLR_BENCH_IMAGES"):
        found = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
        if not found:
            raise FileNotFoundError(f"SIMCLR_BENCH_IMAGES={folder!r} has no JPEG files below it")
        return found
    made = Path(tempfile.gettempdir()) / "simclr-benchmark-jpeg"
    made.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(0)
    for number in range(64):
        coarse = torch.rand(1, 3, 12, 16, generator=generator)
        smooth = torch.nn.functional.interpolate(coarse, size=(375, 500), mode="bicubic")[0]
        grain = 0.08 * torch.randn(1, 375, 500, generator=generator)
        pixels = ((smooth + grain).clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(made / f"{number}.jpg", quality=90)
    return sorted(made.glob("*.jpg"))


DECODERS: dict[str, Callable[[bytes], object]] = {}


def decoder(function: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """Enter a decoder, bytes to RGB pixels, into the list."""
    DECODERS[function.__name__] = function
    return function


@decoder
def pillow(data: bytes) -> object:
    return Image.open(io.BytesIO(data)).convert("RGB").load()


@decoder
def torchvision(data: bytes) -> object:
    from torchvision.io import ImageReadMode, decode_jpeg

    encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    return decode_jpeg(encoded, mode=ImageReadMode.RGB)


@decoder
def simplejpeg(data: bytes) -> object:
    import simplejpeg

    return simplejpeg.decode_jpeg(data)


@decoder
def opencv(data: bytes) -> object:
    import cv2
    import numpy as np

    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


def decode_all(name: str) -> Callable[[], None]:
    """Reads and decodes all files, no more."""
    torch.set_num_threads(1)
    paths, decode = files(), DECODERS[name]

    def work() -> None:
        for path in paths:
            decode(path.read_bytes())

    return work


def _ours() -> tuple[Config, ImageFiles]:
    torch.set_num_threads(1)
    devices.keep_freed_memory()
    paths = files()
    labels = torch.zeros(len(paths), dtype=torch.long)
    config = Config.create("paper", dataset="synthetic", batch_size=16, workers=0, device="cpu")
    return config, ImageFiles(paths, labels)


def crops() -> Callable[[], None]:
    """What our worker processes do: decode, and crop twice."""
    config, images = _ours()
    dataset = _Crops(images, branches(config))

    def work() -> None:
        for index in range(len(images)):
            dataset[(index, index)]

    return work


def views() -> Callable[[], None]:
    """All of it: decode, crop twice, distort."""
    config, images = _ours()
    made = batches(images, branches(config), config, torch.device("cpu"), 0, 2**40)

    def work() -> None:
        for _ in range(len(images) // 16):
            next(made)

    return work


def torchvision_views() -> Callable[[], None]:
    """The same by torchvision's transforms."""
    torch.set_num_threads(1)
    paths, transform = files(), peers.TwoViews(peers.torchvision_transform(224, blur=True))

    def work() -> None:
        for path in paths:
            with Image.open(path) as image:
                transform(image.convert("RGB"))

    return work


def run() -> list[Row]:
    number = len(files())
    against = {name: compare((crops,), (decode_all, name)) for name in DECODERS}
    name = min(against, key=lambda name: statistics.median(against[name][1]))
    what, unit = "JPEG files to two views of 224 px", "images/s a core"
    whole = number // 16 * 16
    made, decoded = compare((views,), (decode_all, name))
    made = [seconds * number / whole for seconds in made]
    return [
        row(f"{what}: our workers' part, of decoding alone ({name})", number, unit, *against[name]),
        row(f"{what}: all, of decoding alone ({name})", number, unit, made, decoded),
        row(f"{what}, against torchvision", number, unit, *compare((views,), (torchvision_views,))),
    ]
