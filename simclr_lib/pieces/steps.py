"""How far one update moves every tensor of the network, under SGD and under LARS."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from .. import checks, methods
from ..config import Config
from ..data.images import Data
from ..figures.described import described
from ..figures.style import SIMCLR, WIDTH, styled
from ..machine import devices
from ..schedule import warmup_cosine
from ..train.loop import set_up, stream
from ..train.optimizers import trust_ratio
from ..train.update import update
from .piece import WARM, Piece

UPDATES = 24  # of each run; a quarter of them is warm-up
MEASURES = ("Step as a share of |w|", "Norm of weights |w|", "Norm of gradient |g|", "Trust ratio")
PLACES = {"weight": 0, "gamma": 1, "beta": 2, "bias": 2}  # of a tensor in the row of its layer


class Trained(NamedTuple):
    """What a short run did; its first update, of rate 0, is left out."""

    names: list[str]  # of the tensors
    measures: np.ndarray  # (updates - 1, tensors, 4) as in MEASURES; 0 where |w| 0 has no share
    rates: list[float]
    losses: list[float]  # nats


def steps(config: Config, data: Data, updates: int = UPDATES) -> Piece:
    """Two runs of so many `updates` from the same weights on the same batches: SGD and LARS.

    Both go through a whole schedule, warm-up and cosine, with the momentum and weight decay of
    `config`; LARS to its peak rate. SGD is LARS without adaptation: its rate is the same times the
    trust ratio of the middle layer in the first update, so that this layer moves as far in both.
    Raises `ValueError` for fewer than 4 or more than 100 updates, and as training does.
    """
    checks.whole("updates", updates, 4, 100)
    lars = _train(config, data, updates, config.learning_rate, adapt=True)
    rows = _rows(lars.names)
    _, _, gradient, trust = lars.measures[0, [row[0] for _, row in rows]].T
    moving = np.sort(trust[gradient > 0])  # a silent layer has the ratio of its decay
    middle = float(moving[len(moving) // 2])
    sgd = _train(config, data, updates, config.learning_rate * middle, adapt=False)
    measures = np.stack([sgd.measures, lars.measures])
    content: dict[str, Any] = {
        "optimizers": ["SGD", "LARS"],
        "kinds": ["weight", "gamma", "beta"],
        "names": MEASURES,
        "rows": [[label, *row] for label, row in rows],  # the tensors of a layer, -1 where none
        "tensors": len(lars.names),
        "updates": updates,
        "measures": measures.astype(np.float32),  # (optimizers, updates - 1, tensors, measures)
        "decades": [_decades(measures[..., k]) for k in range(len(MEASURES))],
        "rates": [sgd.rates, lars.rates],
        "losses": [sgd.losses, lars.losses],
    }
    return Piece("steps", "How far an update moves every layer", content, _still(rows, measures))


def _train(config: Config, data: Data, updates: int, peak: float, *, adapt: bool) -> Trained:
    """A short run as `train.train` makes it, with what every update did to every tensor."""
    method = methods.build(config, len(data.classes))
    place = set_up(config, method)
    tensors = {name: w for name, w in method.named_parameters() if w.requires_grad}
    for group in place.optimizer.param_groups:
        group["adapt"] = group["adapt"] and adapt
    rates = [warmup_cosine(step, peak, updates // 4, updates) for step in range(updates)]
    measures, losses = [], []
    with stream(config, method.images(data), method, place.device, 0, updates) as made:
        for step, batch in enumerate(made):
            for group in place.optimizer.param_groups:
                group["lr"] = devices.number(rates[step], place.device)
            before = {name: w.detach().clone() for name, w in tensors.items()}
            how = (step, updates, place.dtype, config.chunks)
            losses.append(update(method, place.optimizer, batch, *how)[0].item())
            measures.append(_measured(place.optimizer, tensors, before))
    return Trained(list(tensors), np.stack(measures[1:]), rates[1:], losses[1:])


@torch.no_grad()
def _measured(
    optimizer: Optimizer, tensors: Mapping[str, Tensor], before: Mapping[str, Tensor]
) -> np.ndarray:
    """(tensors, 4) as in MEASURES, after an update of `tensors` that were as `before`."""
    groups = {id(w): group for group in optimizer.param_groups for w in group["params"]}
    found = []
    for name, w in tensors.items():
        old, group = before[name], groups[id(w)]
        g = torch.zeros_like(w) if w.grad is None else w.grad
        ratio = trust_ratio(old, g + group["weight_decay"] * old if group["decay"] else g, group)
        norm, moved = old.norm().item(), (w - old).norm().item()
        found.append([moved / norm if norm else 0.0, norm, g.norm().item(), float(ratio)])
    return np.array(found)


def _rows(names: Sequence[str]) -> list[tuple[str, list[int]]]:
    """A layer in a row: its name, and where in `names` its weight, its gamma and its offset are."""
    rows: list[tuple[str, list[int]]] = []
    for index, name in enumerate(names):
        place = PLACES[name.split(".")[-1]]
        if place == 0:
            rows.append((_label(name), [index, -1, -1]))
        else:
            rows[-1][1][place] = index
    return rows


def _label(name: str) -> str:
    """A name of a tensor as people say it: "2.1 conv 1" is in group 2, block 1."""
    place = re.search(r"block_groups\.(\d+)\.(\d+)\.(\w+)\.(\d+)(.*)\.weight", name)
    if place:
        group, block, part, number, rest = place.groups()
        inner = " ".join(re.findall("[a-z]+", rest))
        word = f"conv {int(number) + 1} {inner}".strip() if part == "branch" else part
        return f"{int(group) + 1}.{int(block) + 1} {word}"
    layer = re.search(r"head\.layers\.(\d+)", name)
    if layer:
        return f"head {int(layer.group(1)) + 1}"
    return name.removeprefix("encoder.").removesuffix(".weight").removesuffix(".0")


def _decades(values: np.ndarray) -> list[int]:
    """The powers of ten, as exponents, between which all values above 0 are."""
    above = np.log10(values[values > 0])
    return [int(np.floor(above.min())), int(np.ceil(above.max()))]


@styled
def _still(rows: list[tuple[str, list[int]]], measures: np.ndarray):  # noqa: ANN202
    """The shares of all weights in the first update that moves them, under both."""
    import matplotlib.pyplot as plt

    shares = measures[:, 0, [row[0] for _, row in rows], 0]  # (2, layers)
    figure, axis = plt.subplots(figsize=(WIDTH, 0.8 + 0.19 * len(rows)), layout="constrained")
    places = np.arange(len(rows))
    axis.plot(shares[0], places, "D", color=WARM, ms=5, mfc="none", label="SGD, one rate for all")
    axis.plot(shares[1], places, "o", color=SIMCLR, ms=5, label="LARS")
    axis.set_yticks(places, [label for label, _ in rows])
    axis.set(xscale="log", xlabel=f"|step| / |w| in the first update, {len(rows)} layers")
    axis.invert_yaxis()
    axis.legend()
    most = shares.max(axis=1) / np.where(shares > 0, shares, np.inf).min(axis=1)
    words = (
        f"How far the first update moves each of {len(rows)} layers, as a share of its length: "
        f"under SGD the furthest {most[0]:.0f} times as far as the least, under LARS "
        f"{most[1]:.1f} times."
    )
    return described(figure, words)
