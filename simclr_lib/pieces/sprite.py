"""Many small pictures of a piece as tiles of one, which is inside its page."""

from __future__ import annotations

import base64
import io

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from .. import checks

SIDE, ACROSS = 32, 16  # pixels of a tile; tiles in a row
ROOM = 108_000  # bytes of a sprite, so that its page is no larger than a piece may be


def once(images: Tensor) -> tuple[Tensor, np.ndarray]:
    """Every different one of `images` (n, ...) once, and for each image which of them it is.

    The second is int16 (n,).
    """
    places: dict[bytes, int] = {}
    which = [places.setdefault(image.numpy().tobytes(), len(places)) for image in images]
    return images[np.unique(which, return_index=True)[1]], np.array(which, np.int16)


def in_bytes(x: Tensor) -> np.ndarray:
    """0 to 1 as whole numbers, 0 to 255, of type uint8; what is outside is brought to the ends."""
    return (255 * x.clamp(0, 1)).round().byte().numpy()


def sprite(tiles: Tensor) -> str:
    """The address, with all data in it, of a picture of `tiles` (n, 3, H, W), float in 0..1.

    They are in rows of `ACROSS`, each `SIDE` pixels a side. The picture is a JPEG of the highest
    quality for which there is room; a tile is a whole number of the squares of 8 pixels that JPEG
    knows, and colours are not thinned out, so no tile can be seen in another one. Raises
    `ValueError` if there is no room at a quality of 71.
    """
    from PIL import Image

    small = F.interpolate(tiles, (SIDE, SIDE), mode="area")  # as it is, if of that size
    rows = -(-len(small) // ACROSS)
    padded = F.pad(small, (0, 0, 0, 0, 0, 0, 0, rows * ACROSS - len(small)))
    sheet = padded.view(rows, ACROSS, 3, SIDE, SIDE).permute(0, 3, 1, 4, 2)  # y, x, channel
    pixels = in_bytes(sheet.reshape(rows * SIDE, ACROSS * SIDE, 3))
    for quality in range(95, 70, -2):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=0)
        if len(file.getvalue()) <= ROOM:
            return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
    checks.refuse("tiles", f"{len(tiles)} different pictures", f"of at most {ROOM} bytes in all")
