"""The paper's other image operations as pure functions of a batch and its random draws.

Everywhere `images` is float32 or float64 (N, C, H, W), RGB in 0..1 where colour matters, on any
device, and a per-image parameter is a number or a tensor (N,). Anything else raises `ValueError`.
Shapes never depend on values, so the same code runs on a CPU, a GPU and a TPU. The random draws
themselves are made in `views.py`; colour is in `color.py`.

The arithmetic is that of the official TensorFlow code wherever that code has the operation, and
the tests hold it to recorded outputs at 1e-5. Nothing clips unless it says so.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import checks
from .arguments import Draw, box_of_each, not_negative, per_image, turns_of_each
from .color import to_grayscale

# --- Geometry -----------------------------------------------------------------------------------


def crop_and_resize(
    images: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    cubic: bool = True,  # noqa: FBT001, FBT002
) -> Tensor:
    """Cut a box out of every image and resize it by bicubic interpolation (or bilinear).

    `boxes` is (N, 4) or (4,): top, left, height, width in whole pixels, inside the image. `size`
    is (height, width) of the result, (N, C, *size). No antialiasing, half-pixel centres, cubic
    coefficient -0.5, taps outside the box dropped, fractions rounded to 1/1024: as TensorFlow's.
    Both axes are one matrix product each, which is what accelerators do best.
    """
    checks.images(images)
    checks.size("size", size)
    checks.flag("cubic", cubic)
    boxes = box_of_each(boxes, images)  # (N, 4)
    top, left, height, width = boxes.to(images.dtype).unbind(dim=1)

    def weights(start: Tensor, length: Tensor, pixels: int, size: int) -> Tensor:
        """(N, size, pixels): the share of every source pixel in every target pixel of one axis."""
        if pixels < len(length):  # boxes of the same length have the same taps
            table = _taps(torch.arange(1, pixels + 1).to(length), size, cubic=cubic)
            taps, shares = (column.index_select(0, length.long() - 1) for column in table)
        else:
            taps, shares = _taps(length, size, cubic=cubic)
        zeros = shares.new_zeros(len(start), size, pixels)
        return zeros.scatter_add_(2, taps + start.long().view(-1, 1, 1), shares)

    rows = weights(top, height, images.shape[2], size[0])
    columns = weights(left, width, images.shape[3], size[1])
    return _resample(images, rows, columns)


def _resample(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(N, C, S, T): `rows` (N, S, H) from the left and `columns` (N, T, W) from the right."""
    across = images.flatten(1, 2) @ columns.mT  # (N, C * H, T)
    return rows[:, None] @ across.unflatten(1, images.shape[1:3])


def resize_one(image: Tensor, size: tuple[int, int], cubic: bool = True) -> Tensor:  # noqa: FBT001, FBT002
    """What `crop_and_resize` makes of a whole image, for a single one, (1, C, H, W).

    A bag of an embedding is a weighted sum of rows of a table; so is a row of the result, of four
    rows of the image. On a CPU five times faster than matrix products, at the size of photographs.
    """

    checks.images(image, name="image")
    checks.size("size", size)
    checks.flag("cubic", cubic)
    if len(image) != 1:
        checks.refuse("image", image, "a single image, of shape (1, C, H, W)")

    def resized(table: Tensor, size: int) -> Tensor:  # (rows, values) to (size, values)
        taps, shares = _taps(table.new_full((1,), len(table)), size, cubic=cubic)
        return F.embedding_bag(taps[0], table, per_sample_weights=shares[0], mode="sum")

    pixels = image[0].permute(1, 2, 0)  # (H, W, C)
    down = resized(pixels.flatten(1), size[0])  # (size[0], W * C)
    turned = down.unflatten(1, pixels.shape[1:]).permute(1, 2, 0)  # (W, C, size[0])
    across = resized(turned.flatten(1), size[1])  # (size[1], C * size[0])
    return across.unflatten(1, turned.shape[1:]).permute(1, 2, 0)[None]


def _taps(length: Tensor, size: int, *, cubic: bool) -> tuple[Tensor, Tensor]:
    """One axis of boxes, `length` (N,) pixels to `size`: of which four pixels, and their shares.

    (N, size, 4) both, pixels counted from the edge of the box; those outside have no share.
    """
    target = torch.arange(size, dtype=length.dtype, device=length.device)
    source = (target + 0.5) * (length / size)[:, None] - 0.5  # (N, size)
    whole = source.floor()
    fraction = ((source - whole) * 1024).round() / 1024
    tap = torch.arange(-1, 3, device=length.device)
    distance = (fraction[:, :, None] - tap).abs()
    near = (1.5 * distance - 2.5) * distance * distance + 1 if cubic else 1 - distance
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2 if cubic else 0.0
    pixel = whole[:, :, None] + tap
    last = length.view(-1, 1, 1) - 1
    shares = torch.where(distance <= 1, near, far) * ((pixel >= 0) & (pixel <= last))
    pixel = torch.minimum(pixel.clamp_(min=0), last)
    return pixel.long(), shares / shares.sum(dim=2, keepdim=True)


def flip(images: Tensor) -> Tensor:
    """Left and right exchanged."""
    checks.images(images)
    return images.flip(3)


def rotate(images: Tensor, quarter_turns: Tensor) -> Tensor:
    """Square images turned counter-clockwise by 0 to 3 quarter turns, (N,) whole numbers."""
    checks.images(images)
    if images.shape[2] != images.shape[3]:
        checks.refuse("images", images, "square, of shape (N, C, S, S)")
    turns = turns_of_each(quarter_turns, images)
    turned = [torch.rot90(images, number, (2, 3)) for number in range(4)]
    return torch.where(
        turns < 2,
        torch.where(turns == 0, turned[0], turned[1]),
        torch.where(turns == 2, turned[2], turned[3]),
    )


def cutout(images: Tensor, boxes: Tensor, fill: float = 0.0) -> Tensor:
    """A box of every image replaced by `fill`; `boxes` (N, 4) as in `crop_and_resize`."""
    checks.images(images)
    checks.number("fill", fill, "a number", -math.inf)
    boxes = box_of_each(boxes, images)  # (N, 4)
    top, left, height, width = boxes.view(-1, 4, 1).unbind(dim=1)  # (N, 1) each
    y = torch.arange(images.shape[2], device=images.device)
    x = torch.arange(images.shape[3], device=images.device)
    rows = (y >= top) & (y < top + height)  # (N, H)
    columns = (x >= left) & (x < left + width)  # (N, W)
    return torch.where(rows[:, None, :, None] & columns[:, None, None, :], fill, images)


# --- Filters ------------------------------------------------------------------------------------


def gaussian_blur(images: Tensor, sigma: Draw, kernel_size: int, padding: str = "same") -> Tensor:
    """Gaussian blur with standard deviation `sigma` pixels, a number or (N,).

    Taps reach int(kernel_size / 2) to both sides and sum to 1. `padding` "same" pads with zeros,
    so borders darken as in the official code; "valid" returns only whole windows, of which there
    must be one. The paper's kernel_size is a tenth of the image height (appendix A).
    """
    checks.images(images)
    checks.whole("kernel_size", kernel_size, 1)
    checks.one_of("padding", padding, ("same", "valid"))
    sigma = per_image(sigma, images, "sigma", "a number above 0", math.ulp(0.0)).view(-1, 1)
    radius = int(kernel_size / 2)
    if padding == "valid" and 2 * radius >= min(images.shape[2:]):
        checks.refuse("kernel_size", kernel_size, "smaller than the images, without padding")
    reach = torch.arange(radius + 1, dtype=images.dtype, device=images.device)
    taps = torch.exp(-(reach**2) / (2 * sigma**2))  # (N or 1, radius + 1)
    # Below 1e-12 they change nothing, and products with numbers near the smallest are slow.
    taps = F.pad(taps * (taps > 1e-12), (0, 1)).expand(len(images), -1)  # 0 beyond the radius
    taps = taps / (2 * taps.sum(dim=1, keepdim=True) - taps[:, :1])

    def band(pixels: int) -> Tensor:  # (N, pixels, pixels): blurring one axis as a matrix
        place = torch.arange(pixels, device=images.device)
        return taps[:, (place[:, None] - place).abs().clamp(max=radius + 1)]

    rows = band(images.shape[2])
    columns = rows if images.shape[2] == images.shape[3] else band(images.shape[3])
    blurred = _resample(images, rows, columns)
    if padding == "valid" and radius:
        blurred = blurred[:, :, radius:-radius, radius:-radius]
    return blurred


def motion_blur(images: Tensor, angle: Draw, length: int) -> Tensor:
    """Mean of `length` bilinear copies along a line at `angle` radians; edges are repeated."""
    checks.images(images)
    checks.whole("length", length, 1)
    height, width = images.shape[2:]
    angle = per_image(angle, images, "angle").view(-1, 1, 1).expand(len(images), 1, 1)
    y = torch.linspace(-1, 1, height, device=images.device)[None, :, None]  # (1, H, 1)
    x = torch.linspace(-1, 1, width, device=images.device)[None, None, :]  # (1, 1, W)
    total = torch.zeros_like(images)
    for step in range(length):
        offset = step - (length - 1) / 2  # pixels along the line
        dy = 2 * offset * angle.sin() / max(height - 1, 1)
        dx = 2 * offset * angle.cos() / max(width - 1, 1)
        grid = torch.stack(torch.broadcast_tensors(x + dx, y + dy), dim=3)  # (N, H, W, 2)
        total += F.grid_sample(images, grid.clamp(-1, 1), align_corners=True)
    return total / length


def sobel(images: Tensor) -> Tensor:
    """Magnitude of the Sobel gradient of the grey image, as three channels, clipped to 0..1."""
    gray = F.pad(to_grayscale(images, 1), (1, 1, 1, 1), mode="replicate")
    across = gray.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4
    kernels = torch.stack([across, across.T])[:, None]  # (2, 1, 3, 3)
    gradient = F.conv2d(gray, kernels)  # (N, 2, H, W)
    return gradient.square().sum(1, keepdim=True).sqrt().clamp(0, 1).expand(-1, 3, -1, -1)


def add_noise(images: Tensor, noise: Tensor, std: Draw) -> Tensor:
    """`images` plus `std` times standard normal `noise` of the same shape, clipped to 0..1."""
    checks.images(images)
    checks.images(noise, name="noise")
    if noise.shape != images.shape:
        checks.refuse("noise", noise, f"of the shape of the images, {tuple(images.shape)}")
    return (images + not_negative(std, images, "std") * noise.to(images.device)).clamp(0, 1)


def solarize(images: Tensor, threshold: Draw = 0.5) -> Tensor:
    """Values at or above `threshold` inverted to 1 - x (appendix B.2)."""
    checks.images(images)
    return torch.where(images >= per_image(threshold, images, "threshold"), 1 - images, images)


def equalize(images: Tensor) -> Tensor:
    """Histogram of 256 levels made flat in every channel of every image (appendix B.2).

    A level becomes the share of pixels below it: (rank - first) / (count - first), where `first`
    is the number of pixels at the darkest level. An image of one level stays as it is.
    """
    checks.images(images)
    pixels = images.shape[2] * images.shape[3]
    levels = (images.clamp(0, 1) * 255).round().long().flatten(2)  # (N, C, pixels)
    ones = torch.ones_like(levels, dtype=images.dtype)
    histogram = torch.zeros(*levels.shape[:2], 256, dtype=images.dtype, device=images.device)
    below = histogram.scatter_add(2, levels, ones).cumsum(2)  # (N, C, 256) at or below a level
    first = below.gather(2, levels.amin(2, keepdim=True))  # (N, C, 1)
    flat = (below.gather(2, levels) - first) / (pixels - first).clamp_min(1)
    return torch.where(first < pixels, flat, levels / 255).view_as(images)
