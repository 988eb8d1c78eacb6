"""Colour distortion (appendix A) as pure functions of a batch and its random draws.

`images` is float32 or float64 (N, 3, H, W), RGB in 0..1, on any device; a per-image parameter is a
number or a tensor (N,). Anything else raises `ValueError`. The arithmetic is that of the official
TensorFlow code; nothing clips unless it says so.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from .. import checks
from .arguments import Draw, not_negative, order_of_each, per_image

Operation = Callable[[Tensor, Tensor], Tensor]
_BOOLEANS = "booleans, one for each image, of shape (N,) or (N, 1)"
Draws = list[Tensor]  # brightness, contrast, saturation, hue: (N,) each
LUMA = (0.2989, 0.5870, 0.1140)  # weights of R, G, B in a grey value


def choose(which: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """`yes` for the images where the booleans `which` (N,) or (N, 1) are true, else `no`.

    A mixture with weight 0 or 1 is exact, and faster than `torch.where`.
    """
    checks.images(yes, name="yes")
    checks.images(no, name="no")
    if yes.shape != no.shape:
        checks.refuse("no", no, f"of the shape of `yes`, {tuple(yes.shape)}")
    checks.tensor("which", which, _BOOLEANS)
    if which.dtype != torch.bool or tuple(which.shape) not in ((len(no),), (len(no), 1)):
        checks.refuse("which", which, _BOOLEANS)
    return torch.lerp(no, yes, which.to(no).view(-1, 1, 1, 1))


def add_brightness(images: Tensor, delta: Draw) -> Tensor:
    """Brightness of v1: `images + delta`; the paper draws delta from [-0.8 s, 0.8 s]."""
    checks.images(images)
    return images + per_image(delta, images, "delta")


def scale_brightness(images: Tensor, factor: Draw) -> Tensor:
    """Brightness of v2: `images * factor`; drawn from [max(1 - 0.8 s, 0), 1 + 0.8 s]."""
    checks.images(images)
    return images * not_negative(factor, images, "factor")


def adjust_contrast(images: Tensor, factor: Draw) -> Tensor:
    """Distance from the mean of each channel of each image, times `factor` >= 0."""
    checks.images(images)
    mean = images.mean(dim=(2, 3), keepdim=True)  # (N, C, 1, 1)
    return (images - mean).mul_(not_negative(factor, images, "factor")).add_(mean)


def adjust_saturation(images: Tensor, factor: Draw) -> Tensor:
    """HSV saturation times `factor` >= 0, clipped to 0..1; hue and value stay. (N, 3, H, W).

    With hue and value constant every channel moves on a line towards the largest one, so no
    conversion is needed: x -> V + (x - V) S'/S.
    """
    checks.images(images, 3)
    value, bound = _value_and_bound(images)
    ratio = torch.minimum(bound, not_negative(factor, images, "factor")).clamp_min(0)  # S'/S
    return (images - value).mul_(ratio).add_(value)


def _value_and_bound(images: Tensor) -> tuple[Tensor, Tensor]:
    """V of HSV, and the largest S'/S that keeps S' <= 1: V / (V - min); (N, 1, H, W) both."""
    value = images.amax(dim=1, keepdim=True)
    chroma = value - images.amin(dim=1, keepdim=True)
    return value, value / chroma.clamp_min(1e-12)  # without chroma there is nothing to scale


def adjust_hue(images: Tensor, delta: Draw) -> Tensor:
    """Hue plus `delta` turns (1 is all the way round); saturation and value stay. (N, 3, H, W)."""
    checks.images(images, 3)
    return _hue(images, per_image(delta, images, "delta"))


def _hue(images: Tensor, delta: Tensor) -> Tensor:
    """`adjust_hue` by (N, 1, 1, 1) or (1, 1, 1, 1)."""
    value = images.amax(dim=1, keepdim=True)  # (N, 1, H, W)
    chroma = value - images.amin(dim=1, keepdim=True)
    # How far every channel lies below the largest, in 0..1, and whether it does, as 0 or 1.
    below = (value - images).div_(chroma.clamp_min(1e-12))  # (N, 3, H, W)
    red, green, blue = below.split(1, dim=1)
    not_red, not_green = red.ceil(), green.ceil()
    # Sixths of a turn from red, green or blue, whichever is the largest, one after the other.
    hue = torch.lerp(2 + red - blue, 4 + green - red, not_green)
    hue = torch.lerp(blue - green, hue, not_red).div_(6).add_(delta)  # turns
    # Each channel is V less a trapezoid of the hue; the trapezoids are a third of a turn apart,
    # and each is a matter of the distance from its middle, on a circle of one turn.
    turns = hue + hue.new_tensor((1 / 2, 1 / 6, -1 / 6)).view(1, 3, 1, 1)  # (N, 3, H, W)
    trapezoid = turns.sub_(turns.round()).abs_().mul_(-6).add_(2).clamp_(0, 1)
    return torch.addcmul(value, chroma, trapezoid, value=-1)


def to_grayscale(images: Tensor, channels: int = 3) -> Tensor:
    """0.2989 R + 0.5870 G + 0.1140 B, as `channels` equal channels (1 or 3)."""
    checks.images(images, 3)
    if not isinstance(channels, int) or channels not in (1, 3):
        checks.refuse("channels", channels, "1 or 3")
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
    checks.images(images, 3)
    checks.one_of("brightness_kind", brightness_kind, ("additive", "multiplicative"))
    additive = brightness_kind == "additive"
    order = order_of_each(order, images)  # (N, 4)
    checked_brightness = per_image if additive else not_negative
    draws = [
        checked_brightness(brightness, images, "brightness"),
        not_negative(contrast, images, "contrast"),
        not_negative(saturation, images, "saturation"),
        per_image(hue, images, "hue"),
    ]
    draws = [draw.view(-1).expand(len(images)) for draw in draws]  # (N,) each
    on_cpu, jitter = images.device.type == "cpu", _jitter_in_turns
    if on_cpu and images.numel() > 2**21:
        jitter = _jitter_in_groups
    elif on_cpu and images.is_contiguous():  # else the channels of a pixel lie side by side
        jitter = _jitter_in_places
    return jitter(images, order, draws, additive=additive)


def _jitter_in_groups(images: Tensor, order: Tensor, draws: Draws, *, additive: bool) -> Tensor:
    """The images of each order together: the least traffic, but the draws decide the shapes.

    For CPUs, where the draws are at hand and nothing is compiled for a shape, and for batches so
    large that 24 times as many calls do not matter.
    """
    brightness = add_brightness if additive else scale_brightness
    operations = (brightness, adjust_contrast, adjust_saturation, adjust_hue)
    result = torch.empty_like(images)
    for permutation in itertools.permutations(range(4)):
        index = (order == order.new_tensor(permutation)).all(dim=1).nonzero()[:, 0]
        group = images[index]
        for which in permutation if len(index) else ():
            group = operations[which](group, draws[which][index]).clamp_(0, 1)
        result[index] = group
    return result


def _jitter_in_places(images: Tensor, order: Tensor, draws: Draws, *, additive: bool) -> Tensor:
    """What comes first in all orders, then what comes second, ...: as little arithmetic, in 16
    calls. For small batches on a CPU.

    At each place images are sorted by what is to be done to them, so that a group lies in one
    piece; what is done is what `_jitter_in_turns` does, bit for bit.
    """
    brightness: Operation = torch.add if additive else torch.mul
    operations = (brightness, _contrast, _saturation, _hue)
    rows = order.argsort(dim=0, stable=True)  # (N, 4) the images as sorted at each place
    where = rows.argsort(dim=0)  # (N, 4) and where in that row an image is
    moves = [rows[:, 0], *where[:, :3].gather(0, rows[:, 1:]).unbind(dim=1)]
    sizes = (order[:, :, None] == torch.arange(4)).sum(dim=0).tolist()  # [place][operation]
    amounts = torch.stack(draws, dim=1).gather(1, order).gather(0, rows)  # (N, 4) sorted as well
    amounts = amounts[..., None, None, None]  # (N, 4, 1, 1, 1)
    for place, move in enumerate(moves):
        images = images.index_select(0, move)
        groups = images.split(sizes[place]), amounts[:, place].split(sizes[place])
        for operation, group, amount in zip(operations, *groups, strict=True):
            torch.clamp(operation(group, amount), 0, 1, out=group)
    return images.index_select(0, where[:, 3])


def _contrast(images: Tensor, factor: Tensor) -> Tensor:
    """`adjust_contrast` in the arithmetic of `_jitter_in_turns`."""
    return (images * factor).add_((1 - factor) * images.mean(dim=(2, 3), keepdim=True))


def _saturation(images: Tensor, factor: Tensor) -> Tensor:
    """`adjust_saturation` in the arithmetic of `_jitter_in_turns`."""
    value, bound = _value_and_bound(images)
    ratio = torch.minimum(bound, factor)  # (N, 1, H, W) S'/S
    return torch.addcmul(value.mul_(1 - ratio), images, ratio)


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


def _jitter_in_turns(images: Tensor, order: Tensor, draws: Draws, *, additive: bool) -> Tensor:
    """All images together, by `TURNS`: the same shapes whatever the draws, for accelerators.

    Each turn is x -> x * factor + rest, where rest keeps black, the mean, or the V of HSV where it
    was, then a clip. To sit out is to multiply with 1 and to add 0: faster than choosing. But what
    has not had its first turn must not be clipped, so it is put back before that.
    """
    brightness, contrast, saturation, hue = draws  # (N,) each
    code = (order * order.new_tensor((64, 16, 4, 1))).sum(dim=1)
    turns = _turns().to(images.device)[code]  # (N, turns), 4 for none
    one, zero = torch.ones_like(hue), torch.zeros_like(hue)
    scale, shift = (one, brightness) if additive else (brightness, zero)
    factors = torch.stack([scale, contrast, saturation, one, one], dim=1).gather(1, turns)
    shifts = torch.stack([shift, zero, zero, zero, zero], dim=1).gather(1, turns)
    of_mean, unbound = (1 - factors) * (turns == 1), 1e12 * (turns != 2)
    values = torch.stack([factors, of_mean, shifts, unbound], dim=2)  # (N, turns, 4)
    original, images = images, images.clone()
    for turn, kind in enumerate(TURNS):
        factor, of_mean, shift, unbound = values[:, turn].view(-1, 4, 1, 1, 1).unbind(dim=1)
        if kind != "L" and turn == TURNS.index(kind):
            images = choose(order[:, 0] == "LLSH".index(kind), original, images)
        if kind == "L":
            rest = of_mean * images.mean(dim=(2, 3), keepdim=True) + shift  # (N, 3, 1, 1)
            images.mul_(factor).add_(rest)
        elif kind == "S":
            value, bound = _value_and_bound(images)  # (N, 1, H, W) both
            ratio = torch.minimum(bound.add_(unbound), factor)
            torch.addcmul(value.mul_(1 - ratio), images, ratio, out=images)
        else:
            images = _hue(images, hue.view(-1, 1, 1, 1))
        images.clamp_(0, 1)
    return images
