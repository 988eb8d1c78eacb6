"""The paper's image operations as pure functions of a batch and its random draws.

Everywhere `images` is float32 (N, C, H, W), RGB in 0..1 where colour matters, on any device, and a
per-image parameter is a number or a tensor (N,). Shapes never depend on values, so the same code
runs on a CPU, a GPU and a TPU. The random draws themselves are made in `views.py`.

The arithmetic is that of the official TensorFlow code wherever that code has the operation, and
the tests hold it to recorded outputs at 1e-5. Nothing clips unless it says so.
"""

from __future__ import annotations

import functools
import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

Draw = float | Tensor
LUMA = (0.2989, 0.5870, 0.1140)  # weights of R, G, B in a grey value


def per_image(value: Draw, images: Tensor) -> Tensor:
    """A number or (N,) tensor as (N, 1, 1, 1) or (1, 1, 1, 1), ready to meet `images`."""
    return torch.as_tensor(value, dtype=images.dtype, device=images.device).reshape(-1, 1, 1, 1)


def choose(which: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """`yes` for the images where the booleans `which` (N,) or (N, 1) are true, else `no`.

    A mixture with weight 0 or 1 is exact, and faster than `torch.where`.
    """
    return torch.lerp(no, yes, which.to(no).view(-1, 1, 1, 1))


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
    value, bound = _value_and_bound(images)
    share = torch.minimum(bound, per_image(factor, images)).clamp_min(0)
    return value + (images - value) * share


def _value_and_bound(images: Tensor) -> tuple[Tensor, Tensor]:
    """V of HSV, and the largest S'/S that keeps S' <= 1: V / (V - min); (N, 1, H, W) both."""
    value = images.amax(dim=1, keepdim=True)
    chroma = value - images.amin(dim=1, keepdim=True)
    return value, value / chroma.clamp_min(1e-12)  # without chroma there is nothing to scale


def adjust_hue(images: Tensor, delta: Draw) -> Tensor:
    """Hue plus `delta` turns (1 is all the way round); saturation and value stay. (N, 3, H, W)."""
    value = images.amax(dim=1, keepdim=True)  # (N, 1, H, W)
    chroma = value - images.amin(dim=1, keepdim=True)
    # How far every channel lies below the largest, in 0..1, and whether it does, as 0 or 1.
    below = (value - images) / chroma.clamp_min(1e-12)  # (N, 3, H, W)
    red, green, blue = below.split(1, dim=1)
    not_red, not_green = red.ceil(), green.ceil()
    # Sixths of a turn from red, green or blue, whichever is the largest, one after the other.
    hue = torch.lerp(2 + red - blue, 4 + green - red, not_green)
    hue = torch.lerp(blue - green, hue, not_red) / 6 + per_image(delta, images)  # turns
    # Each channel is V less a trapezoid of the hue; the trapezoids are a third of a turn apart,
    # and each is a matter of the distance from its middle, on a circle of one turn.
    turns = hue + (hue.new_tensor((3, 1, -1)) / 6).view(1, 3, 1, 1)  # (N, 3, H, W)
    trapezoid = turns.sub_(turns.round()).abs_().mul_(-6).add_(2).clamp_(0, 1)
    return torch.addcmul(value, chroma, trapezoid, value=-1)


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
    num = len(images)
    order = order.to(images.device).expand(num, 4)
    code = (order * order.new_tensor((64, 16, 4, 1))).sum(dim=1)
    turns = _turns().to(images.device)[code]  # (N, turns), 4 for none
    draws = [per_image(d, images).view(-1).expand(num) for d in (brightness, contrast, saturation)]
    one, zero = torch.ones_like(draws[0]), torch.zeros_like(draws[0])
    scale, shift = (one, draws[0]) if brightness_kind == "additive" else (draws[0], zero)
    factors = torch.stack([scale, draws[1], draws[2], one, one], dim=1).gather(1, turns)
    shifts = torch.stack([shift, zero, zero, zero, zero], dim=1).gather(1, turns)
    of_mean, unbound = (1 - factors) * (turns == 1), 1e12 * (turns != 2)
    values = torch.stack([factors, of_mean, shifts, unbound], dim=2)  # (N, turns, 4)
    hue = per_image(hue, images).expand(num, 1, 1, 1)
    # On a CPU in pieces of 4 MB, which stay in its cache: a third faster.
    piece = max(2**20 // images[0].numel(), 1) if images.device.type == "cpu" else num
    pieces = zip(*(t.split(piece) for t in (images, values, hue, order[:, 0])), strict=True)
    return torch.cat([_jitter(*arguments) for arguments in pieces])


# Brightness and contrast are linear and cheap, saturation and hue are not. Every order of the four
# is found in this row of turns, in which an image sits out those that are not in its own order.
TURNS = "LLSLLHLLSLL"


@functools.cache
def _turns() -> Tensor:
    """(256, turns) what to do at each turn, 0 to 3 or 4 for nothing; row 64 a + 16 b + 4 c + d."""
    table = torch.full((256, len(TURNS)), 4)
    for order in itertools.permutations(range(4)):
        row, turn = torch.tensor(order) @ torch.tensor((64, 16, 4, 1)), 0
        for which in order:
            turn = TURNS.index("LLSH"[which], turn)
            table[row, turn] = which
            turn += 1
    return table


def _jitter(images: Tensor, values: Tensor, hue: Tensor, first: Tensor) -> Tensor:
    """All turns for one piece of a batch, `values` (N, turns, 4).

    Each is x -> x * share + rest, where rest keeps black, the mean, or the V of HSV where it was,
    then a clip. To sit out is to multiply with 1 and to add 0: several times faster than choosing.
    But what has not had its first turn must not be clipped, so it is put back before that.
    """
    original, images = images, images.clone()
    for turn, kind in enumerate(TURNS):
        factor, of_mean, shift, unbound = values[:, turn].view(-1, 4, 1, 1, 1).unbind(dim=1)
        if kind != "L" and turn == TURNS.index(kind):
            images.lerp_(original, (first == "LLSH".index(kind)).to(images).view(-1, 1, 1, 1))
        if kind == "L":
            rest = of_mean * images.mean(dim=(2, 3), keepdim=True) + shift  # (N, 3, 1, 1)
            images.mul_(factor).add_(rest)
        elif kind == "S":
            value, bound = _value_and_bound(images)  # (N, 1, H, W) both
            share = torch.minimum(bound.add_(unbound), factor)
            torch.addcmul(value.mul_(1 - share), images, share, out=images)
        else:
            images = adjust_hue(images, hue)
        images.clamp_(0, 1)
    return images


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
    return _resample(images, rows, columns)


def _resample(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(N, C, S, T): `rows` (N, S, H) from the left and `columns` (N, T, W) from the right."""
    across = images.flatten(1, 2) @ columns.mT  # (N, C * H, T)
    return rows[:, None] @ across.unflatten(1, images.shape[1:3])


def _cubic_weights(start: Tensor, length: Tensor, pixels: int, size: int) -> Tensor:
    """(N, size, pixels): the share of every source pixel in every target pixel of one axis."""
    target = torch.arange(size, dtype=start.dtype, device=start.device)
    source = (target + 0.5) * (length / size)[:, None] - 0.5  # (N, size), relative to the box
    whole = source.floor()
    source = start[:, None] + whole + ((source - whole) * 1024).round() / 1024
    pixel = torch.arange(pixels, dtype=start.dtype, device=start.device).expand(len(start), -1)
    inside = (pixel >= start[:, None]) & (pixel < (start + length)[:, None])
    pixel = torch.where(inside, pixel, -1e9)  # (N, pixels), out of reach if not in the box
    # Twice the cubic, written without cases: u^2 (u - 1) + 2 v^2 - 4 v^3, with u = 2 - distance
    # and v = 1 - distance where these are positive, else 0.
    distance = (source[:, :, None] - pixel[:, None]).abs_()  # (N, size, pixels)
    u = (2 - distance).clamp_(min=0)
    v = (1 - distance).clamp_(min=0)
    v2 = v * v
    weights = (u - 1).mul_(u).mul_(u).add_(v2, alpha=2).addcmul_(v2, v, value=-4)
    return weights.div_(weights.sum(dim=2, keepdim=True))


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
    reach = torch.arange(radius + 1, dtype=images.dtype, device=images.device)
    sigma = per_image(sigma, images).view(-1, 1)
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
