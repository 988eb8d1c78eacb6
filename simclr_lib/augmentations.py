"""The paper's image operations as pure functions of a batch and its random draws.

Everywhere `images` is float32 (N, C, H, W), RGB in 0..1 where colour matters, on any device, and a
per-image parameter is a number or a tensor (N,). Shapes never depend on values, so the same code
runs on a CPU, a GPU and a TPU. The random draws themselves are made in `views.py`.

The arithmetic is that of the official TensorFlow code wherever that code has the operation, and
the tests hold it to recorded outputs at 1e-5. Nothing clips unless it says so.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

Draw = float | Tensor
LUMA = (0.2989, 0.5870, 0.1140)  # weights of R, G, B in a grey value


def per_image(value: Draw, images: Tensor) -> Tensor:
    """A number or (N,) tensor as (N, 1, 1, 1) or (1, 1, 1, 1), ready to meet `images`."""
    return torch.as_tensor(value, dtype=images.dtype, device=images.device).reshape(-1, 1, 1, 1)


# --- Colour: appendix A -------------------------------------------------------------------------


def add_brightness(images: Tensor, delta: Draw) -> Tensor:
    """Brightness of v1: `images + delta`; the paper draws delta from [-0.8 s, 0.8 s]."""
    return images + per_image(delta, images)


def scale_brightness(images: Tensor, factor: Draw) -> Tensor:
    """Brightness of v2: `images * factor`; drawn from [max(1 - 0.8 s, 0), 1 + 0.8 s]."""
    return images * per_image(factor, images)


def adjust_contrast(images: Tensor, factor: Draw) -> Tensor:
    """Distance from the mean of each channel of each image, times `factor` >= 0."""
    mean = images.mean(dim=(2, 3), keepdim=True)  # (N, C, 1, 1)
    return mean + (images - mean) * per_image(factor, images)


def adjust_saturation(images: Tensor, factor: Draw) -> Tensor:
    """HSV saturation times `factor` >= 0, clipped to 0..1; hue and value stay. (N, 3, H, W).

    With hue and value constant every channel moves on a line towards the largest one, so no
    conversion is needed: x -> V + (x - V) S'/S.
    """
    value, share = _saturation_share(images, factor)
    return value + (images - value) * share


def _saturation_share(images: Tensor, factor: Draw) -> tuple[Tensor, Tensor]:
    """V, and S'/S with S = (V - min) / V and S' = clip(S * factor); (N, 1, H, W) both."""
    value = images.amax(dim=1, keepdim=True)
    chroma = value - images.amin(dim=1, keepdim=True)
    # S'/S = min(factor, 1/S) = min(factor, V / chroma); without chroma there is nothing to scale.
    share = torch.minimum(per_image(factor, images), value / chroma.clamp_min(1e-12))
    return value, share.clamp_min(0)


def adjust_hue(images: Tensor, delta: Draw) -> Tensor:
    """Hue plus `delta` turns (1 is all the way round); saturation and value stay. (N, 3, H, W)."""
    red, green, blue = images.unbind(dim=1)  # (N, H, W) each
    value, low = images.amax(dim=1), images.amin(dim=1)
    chroma = value - low
    safe = torch.where(chroma > 0, chroma, 1.0)
    hue = torch.where(  # in sixths of a turn, measured from the channel that is largest
        red == value,
        (green - blue) / safe,
        torch.where(green == value, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = hue + 6 * per_image(delta, images)[:, 0]
    # Each channel is V less a trapezoid of the hue; the trapezoids are a third of a turn apart.
    sector = (hue[:, None] + hue.new_tensor((5, 3, 1)).view(1, 3, 1, 1)) % 6  # (N, 3, H, W)
    trapezoid = torch.minimum(sector, 4 - sector).clamp(0, 1)
    return value[:, None] - chroma[:, None] * trapezoid


def to_grayscale(images: Tensor, channels: int = 3) -> Tensor:
    """0.2989 R + 0.5870 G + 0.1140 B, as `channels` equal channels (1 or 3)."""
    luma = images.new_tensor(LUMA).view(1, 3, 1, 1)
    return (images * luma).sum(dim=1, keepdim=True).expand(-1, channels, -1, -1)


def color_jitter(
    images: Tensor,
    order: Tensor,
    brightness: Draw,
    contrast: Draw,
    saturation: Draw,
    hue: Draw,
    brightness_kind: str = "additive",
) -> Tensor:
    """The four colour operations, one after the other, each followed by a clip to 0..1.

    `order` is int64 (N, 4) or (4,): which operation comes first, second, ...; 0 brightness,
    1 contrast, 2 saturation, 3 hue. The other draws are those of the functions above, with
    `brightness` a delta if `brightness_kind` is "additive" and a factor if "multiplicative".
    The input is not clipped first: a bicubic crop overshoots, and the official code lets it.
    """
    if brightness_kind not in ("additive", "multiplicative"):
        raise ValueError(
            f"brightness_kind={brightness_kind!r} is not valid: additive or multiplicative"
        )
    draws = (brightness, contrast, saturation)
    order = order.to(images.device).expand(len(images), 4)
    place = order.argsort(dim=1)  # (N, 4) when brightness, contrast, saturation, hue take place
    others = place[:, :3].argsort(dim=1)  # (N, 3) the first three of these, in their order
    # Hue costs most. It is done once for all, between those of the others that come before it in
    # an image's order and those that come after; what is not an image's turn leaves it alone.
    for before in (True, False):
        for which in others.split(1, dim=1):  # (N, 1)
            turn = (place.gather(1, which) < place[:, 3:]) == before
            blended = _blend(images, which, *draws, brightness_kind).clamp(0, 1)
            images = torch.where(turn.view(-1, 1, 1, 1), blended, images)
        if before:
            images = adjust_hue(images, hue).clamp(0, 1)
    return images


def _blend(
    images: Tensor,
    which: Tensor,
    brightness: Draw,
    contrast: Draw,
    saturation: Draw,
    brightness_kind: str,
) -> Tensor:
    """Brightness (0), contrast (1) or saturation (2) for every image, by `which` (N, 1).

    All three are x -> target + (x - target) * share, with target 0, the mean, or the V of HSV;
    so one pass over the pixels does whichever an image needs.
    """
    is_brightness, is_contrast = (which == kind for kind in (0, 1))
    is_brightness, is_contrast = is_brightness.view(-1, 1, 1, 1), is_contrast.view(-1, 1, 1, 1)
    value, share = _saturation_share(images, saturation)  # (N, 1, H, W) both
    mean = images.mean(dim=(2, 3), keepdim=True)  # (N, 3, 1, 1)
    brightness = per_image(brightness, images)
    scale, shift = (1.0, brightness) if brightness_kind == "additive" else (brightness, 0.0)
    share = torch.where(is_contrast, per_image(contrast, images), share)
    share = torch.where(is_brightness, scale, share)
    target = torch.where(is_contrast, mean, value) * (1 - share)
    return torch.addcmul(torch.where(is_brightness, shift, target), images, share)


# --- Geometry -----------------------------------------------------------------------------------


def crop_and_resize(images: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut a box out of every image and resize it by bicubic interpolation.

    `boxes` is (N, 4) or (4,): top, left, height, width in whole pixels, inside the image. `size`
    is (height, width) of the result, (N, C, *size). No antialiasing, half-pixel centres, cubic
    coefficient -0.5, taps outside the box dropped, fractions rounded to 1/1024: as TensorFlow's.
    Both axes are one matrix product each, which is what accelerators do best.
    """
    boxes = torch.as_tensor(boxes, device=images.device).expand(len(images), 4)  # (N, 4)
    top, left, height, width = boxes.to(images.dtype).unbind(dim=1)
    rows = _cubic_weights(top, height, images.shape[2], size[0])  # (N, size[0], H)
    columns = _cubic_weights(left, width, images.shape[3], size[1])  # (N, size[1], W)
    return rows[:, None] @ images @ columns[:, None].mT


def _cubic_weights(start: Tensor, length: Tensor, pixels: int, size: int) -> Tensor:
    """(N, size, pixels): the share of every source pixel in every target pixel of one axis."""
    target = torch.arange(size, dtype=start.dtype, device=start.device)
    source = (target + 0.5) * (length / size)[:, None] - 0.5  # (N, size), relative to the box
    whole = source.floor()
    source = start[:, None] + whole + ((source - whole) * 1024).round() / 1024
    pixel = torch.arange(pixels, dtype=start.dtype, device=start.device)
    distance = (source[:, :, None] - pixel).abs()  # (N, size, pixels)
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))
    inside = (pixel >= start[:, None]) & (pixel < (start + length)[:, None])  # (N, pixels)
    weights = weights * inside[:, None]
    return weights / weights.sum(dim=2, keepdim=True)


def flip(images: Tensor) -> Tensor:
    """Left and right exchanged."""
    return images.flip(3)


def rotate(images: Tensor, quarter_turns: Tensor) -> Tensor:
    """Square images turned counter-clockwise by 0 to 3 quarter turns, (N,) whole numbers."""
    turns = torch.as_tensor(quarter_turns, device=images.device).view(-1, 1, 1, 1)
    if images.shape[2] != images.shape[3]:
        raise ValueError(f"rotate needs square images, got {tuple(images.shape[2:])}")
    turned = [torch.rot90(images, number, (2, 3)) for number in range(4)]
    return torch.where(
        turns < 2,
        torch.where(turns == 0, turned[0], turned[1]),
        torch.where(turns == 2, turned[2], turned[3]),
    )


def cutout(images: Tensor, boxes: Tensor, fill: float = 0.0) -> Tensor:
    """A box of every image replaced by `fill`; `boxes` (N, 4) as in `crop_and_resize`."""
    boxes = torch.as_tensor(boxes, device=images.device).expand(len(images), 4)
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
    so borders darken as in the official code; "valid" returns only whole windows. The paper's
    kernel_size is a tenth of the image height (appendix A).
    """
    if padding not in ("same", "valid"):
        raise ValueError(f"padding={padding!r} is not valid: same or valid")
    radius = int(kernel_size / 2)
    sigma = per_image(sigma, images).view(-1, 1, 1)  # (N, 1, 1)

    def band(pixels: int) -> Tensor:  # (N, pixels, pixels): blurring one axis as a matrix
        place = torch.arange(pixels, dtype=images.dtype, device=images.device)
        distance = (place[:, None] - place).abs()
        taps = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
        total = torch.exp(-(taps**2) / (2 * sigma**2)).sum(dim=2, keepdim=True)
        weights = torch.exp(-(distance**2) / (2 * sigma**2)) / total
        return torch.where(distance <= radius, weights, 0.0)

    blurred = band(images.shape[2])[:, None] @ images @ band(images.shape[3])[:, None].mT
    if padding == "valid" and radius:
        blurred = blurred[:, :, radius:-radius, radius:-radius]
    return blurred


def motion_blur(images: Tensor, angle: Draw, length: int) -> Tensor:
    """Mean of `length` bilinear copies along a line at `angle` radians; edges are repeated."""
    height, width = images.shape[2:]
    angle = per_image(angle, images).view(-1, 1, 1).expand(len(images), 1, 1)
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
    return (images + per_image(std, images) * noise.to(images.device)).clamp(0, 1)


def solarize(images: Tensor, threshold: Draw = 0.5) -> Tensor:
    """Values at or above `threshold` inverted to 1 - x (appendix B.2)."""
    return torch.where(images >= per_image(threshold, images), 1 - images, images)


def equalize(images: Tensor) -> Tensor:
    """Histogram of 256 levels made flat in every channel of every image (appendix B.2).

    A level becomes the share of pixels below it: (rank - first) / (count - first), where `first`
    is the number of pixels at the darkest level. An image of one level stays as it is.
    """
    pixels = images.shape[2] * images.shape[3]
    levels = (images.clamp(0, 1) * 255).round().long().flatten(2)  # (N, C, pixels)
    ones = torch.ones_like(levels, dtype=images.dtype)
    histogram = torch.zeros(*levels.shape[:2], 256, dtype=images.dtype, device=images.device)
    below = histogram.scatter_add(2, levels, ones).cumsum(2)  # (N, C, 256) at or below a level
    first = below.gather(2, levels.amin(2, keepdim=True))  # (N, C, 1)
    flat = (below.gather(2, levels) - first) / (pixels - first).clamp_min(1)
    return torch.where(first < pixels, flat, levels / 255).view_as(images)
