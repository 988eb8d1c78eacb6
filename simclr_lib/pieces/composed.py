"""Two views of a picture, by crop, colour and blur, and what two cheaters still see of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from .. import checks
from ..config import Config
from ..figures.described import described
from ..figures.style import SIMCLR, WIDTH, styled
from ..views import SAMPLERS, branch, first_crop, to_float, two_views
from .piece import Piece, nearest
from .sprite import ACROSS, SIDE, in_bytes, once, sprite

AREAS = (1.0, 0.7, 0.35, 0.08)  # of the smallest crop, shares of the picture; 1: no crop
STRENGTHS = (0.0, 0.25, 0.5, 1.0)  # s of the colour distortion; 0: none
VIEWS = 3  # of every picture, two of which are compared: 1 and 2, 2 and 3, 3 and 1
# What a cheater sees of views (n, 3, S, S), and how far first views are from second ones, (n, n).
Cheater = tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]


def composed(
    pictures: Mapping[str, Tensor],
    config: Config,
    generators: Sequence[Generator],
    *,
    crowd: Tensor,
    colours: Cheater,
    layout: Cheater,
    areas: Sequence[float] = AREAS,
    strengths: Sequence[float] = STRENGTHS,
) -> Piece:
    """Views of `pictures`, (3, H, W) by name, at every setting, and what two cheaters make of them.

    A setting is a smallest crop, a strength of colour, and blur or none; a flip is in all of them.
    `colours` sees (n, 24), the shares of pixels in eight steps each of red, green and blue, and
    `layout` sees (n, 8, 8). They look for partners in the `crowd` (N, 3, H, W) once with each of
    `generators`, which begins at every setting where it stands; the first also draws the views of
    the pictures. Of `config` count the size of a view, `brightness` and `without`; its crop and
    strength are where the piece begins. Raises `ValueError` for other shapes, and for numbers that
    are no shares or strengths.
    """
    _check(pictures, crowd, generators, areas, strengths)
    config = config.replace(second_view="", shared_crop=False)
    settings = list(product(areas, strengths, (0, 1)))  # off, on: blur
    shown = torch.stack(  # (settings, pictures, VIEWS, 3, S, S)
        [_views(pictures.values(), config, generators[0], *setting) for setting in settings]
    )
    games = [
        _game(crowd, views, _kind(config, *setting), generators, (colours[1], layout[1]))
        for views, setting in zip(shown, settings, strict=True)
    ]
    found, apart, nearer = (torch.stack(part).numpy() for part in zip(*games, strict=True))
    whole = torch.cat([_whole(picture[None], config) for picture in pictures.values()])
    # Colour and blur act by chance: where they did not, a view is the one without them.
    tiles, place = once(torch.cat([shown.flatten(0, 2), whole]))
    seen = _seen(colours[0], tiles, "colours", 24), _seen(layout[0], tiles, "layout", 8, 8)
    first = [nearest(areas, config.crop_area_min), nearest(strengths, config.color_strength)]
    data = {
        "pictures": list(pictures),
        "areas": list(areas),
        "strengths": list(strengths),
        "views": VIEWS,
        "first": first,  # place of the area and of the strength; blur is off
        "sprite": sprite(tiles),
        "across": ACROSS,
        "side": SIDE,
        "place": place,  # tiles (areas, strengths, 2, pictures, VIEWS), then of the pictures
        "colours": in_bytes(seen[0]),  # (tiles, 24)
        "layouts": in_bytes(0.5 + 2 * seen[1]),  # (tiles, 8, 8), 0 dark to 255 light
        "crowd": len(crowd),
        "found": found.astype(np.float32),  # (areas, strengths, 2, 2 cheaters), % of the crowd
        "apart": apart.astype(np.float32),  # (areas, strengths, 2, pictures, VIEWS, 2 cheaters)
        "nearer": nearer.astype(np.int16),  # the same; of the crowd, as near as the partner is
    }
    at = 2 * (first[0] * len(strengths) + first[1])
    tile = [place[-len(pictures)], *place[at * len(pictures) * VIEWS :][:2]]
    words = _words(next(iter(pictures)), *settings[at][:2], found[at], len(crowd))
    still = _still(tiles[tile], seen[0][tile], seen[1][tile], words)
    return Piece("composed", "Two views, and what two cheaters see of them", data, still)


def _kind(config: Config, area: float, strength: float, blur: int) -> Config:
    """The views of a setting, as a configuration."""
    on = {"crop": area < 1, "flip": True, "color": strength > 0, "blur": blur == 1}
    names = "+".join(name for name in on if on[name])
    return config.replace(augmentations=names, crop_area_min=area, color_strength=strength)


def _whole(pictures: Tensor, config: Config) -> Tensor:
    """Pictures (n, 3, H, W) as large as a view, (n, 3, S, S), otherwise as they are."""
    return first_crop(pictures, branch(config, ""), Generator())[0].clamp(0, 1)


def _views(
    pictures: Iterable[Tensor], config: Config, generator: Generator, *setting: Any
) -> Tensor:
    """(pictures, VIEWS, 3, S, S): a step that is off draws its numbers too.

    So a picture has the same numbers at every setting, and one step more changes nothing else.
    """
    generator, kind = generator.clone_state(), _kind(config, *setting)
    how, on = branch(kind), kind.augmentations.split("+")
    made = []
    for picture in pictures:
        copies = to_float(picture).repeat(VIEWS, 1, 1, 1)
        changed = SAMPLERS["crop"](copies, how, generator)
        x = changed if "crop" in on else _whole(picture[None], config).repeat(VIEWS, 1, 1, 1)
        for name in ("flip", "color", "blur"):
            changed = SAMPLERS[name](x, how, generator)
            x = changed if name in on else x
        made.append(x.clamp(0, 1))
    return torch.stack(made)


def _game(
    crowd: Tensor,
    shown: Tensor,
    kind: Config,
    generators: Sequence[Generator],
    distances: Sequence[Callable[[Tensor, Tensor], Tensor]],
) -> tuple[Tensor, Tensor, Tensor]:
    """What each of two cheaters finds, (2,) in %, and how the `shown` views would fare.

    How far each is from its partner, (pictures, VIEWS, 2), and how many second views of the crowd
    are as near to it or nearer.
    """
    first, second = shown.flatten(0, 1), shown.roll(-1, 1).flatten(0, 1)  # 1 to 2, 2 to 3, 3 to 1
    m, n, found = len(first), len(crowd), []
    for generator in generators:
        a, b = two_views(crowd, kind, generator.clone_state()).chunk(2)
        tables = [distance(torch.cat([first, a]), torch.cat([second, b])) for distance in distances]
        for name, table in zip(("colours", "layout"), tables, strict=True):
            if not isinstance(table, Tensor) or table.shape != (m + n, m + n):
                checks.refuse(name, table, f"what gives distances ({m + n}, {m + n}) of as many")
        found.append([(t[m:, m:].argmin(1) == torch.arange(n)).double().mean() for t in tables])
        if len(found) == 1:
            apart = torch.stack([t[:m, :m].diagonal() for t in tables], dim=1)  # (m, 2)
            strangers = torch.stack([t[:m, m:] for t in tables], dim=2)  # (m, n, 2)
            nearer = (strangers <= apart[:, None]).sum(dim=1)
    shape = (*shown.shape[:2], 2)
    return 100 * torch.tensor(found).mean(dim=0), apart.view(shape), nearer.view(shape)


def _seen(see: Callable[[Tensor], Tensor], tiles: Tensor, name: str, *shape: int) -> Tensor:
    """What a cheater sees of each of the tiles, of this shape."""
    seen = see(tiles)
    if not isinstance(seen, Tensor) or tuple(seen.shape) != (len(tiles), *shape):
        checks.refuse(name, seen, f"what makes {(len(tiles), *shape)} of {len(tiles)} views")
    return seen


def _words(name: str, area: float, strength: float, found: np.ndarray, crowd: int) -> str:
    """What the still picture shows."""
    crop = f"crops of {100 * area:.0f} % or more" if area < 1 else "no crop"
    return (
        f"The picture '{name}' and two views of it ({crop}, colour strength {strength:g}), and "
        "what two cheaters see of each: shares of red, green and blue, and the layout. At this "
        f"setting colours find {found[0]:.1f} % of the partners among {crowd} pictures, layout "
        f"{found[1]:.1f} %."
    )


@styled
def _still(tiles: Tensor, colours: Tensor, layouts: Tensor, words: str):  # noqa: ANN202
    """The picture, its first and its second view: pixels, histograms, layouts."""
    import matplotlib.pyplot as plt

    size = (WIDTH, 0.72 * WIDTH)
    ratios = {"height_ratios": (2.5, 1.3, 1.3)}
    figure, axes = plt.subplots(3, 3, figsize=size, gridspec_kw=ratios, layout="constrained")
    steps = np.arange(24) + np.arange(24) // 8  # a gap between red, green and blue
    names = ("the picture", "view 1", "view 2")
    for column, name, tile, shares, coarse in zip(
        axes.T, names, tiles, colours, layouts, strict=True
    ):
        column[0].set_title(name)
        column[0].imshow(tile.permute(1, 2, 0).numpy(), interpolation="nearest")
        column[1].bar(steps, 100 * shares.numpy(), 1, color=SIMCLR)
        column[1].set(xticks=(3.5, 12.5, 21.5), xticklabels=("red", "green", "blue"), yticks=())
        column[1].set_ylim(0, 105 * float(colours.max()))
        column[2].imshow((0.5 + 2 * coarse).numpy(), cmap="gray", vmin=0, vmax=1)
        for axis in (column[0], column[2]):
            axis.axis("off")
        column[1].grid(visible=False)
    return described(figure, words)


def _check(pictures: Any, crowd: Any, generators: Any, areas: Any, strengths: Any) -> None:
    """Refuse pictures of another shape, no generators, and what is no share or strength."""
    if not isinstance(pictures, Mapping) or not pictures:
        checks.refuse("pictures", pictures, "one or more pictures (3, H, W) by name")
    named = {f"pictures[{name!r}]": (picture, 3) for name, picture in pictures.items()}
    for name, (value, dims) in {**named, "crowd": (crowd, 4)}.items():
        valid = f"uint8 in 0..255 or float32 in 0..1, of shape {'(N, ' * (dims - 3) or '('}3, H, W)"
        checks.tensor(name, value, valid)
        shaped = value.ndim == dims and value.shape[-3] == 3 and value.numel()
        if not shaped or value.dtype not in (torch.uint8, torch.float32):
            checks.refuse(name, value, valid)
    if not generators or not all(isinstance(g, Generator) for g in generators):
        checks.refuse("generators", generators, "one or more of torch.Generator")
    for name, values, low, high in (("areas", areas, 1e-3, 1), ("strengths", strengths, 0, 4)):
        valid = f"numbers from {low:g} to {high}, one or more"
        if not values:
            checks.refuse(name, values, valid)
        for value in values:
            checks.number(name, value, valid, low, high)
