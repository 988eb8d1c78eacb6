"""NT-Xent on a circle: whom every view is pulled to and pushed from, by temperature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .. import checks
from ..figures.described import described
from ..figures.style import GREY, SIMCLR, WIDTH, styled
from ..losses import l2_normalize, nt_xent
from .piece import WARM, Piece, nearest

TEMPERATURES = (0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0)
UPDATES, RATE = 20, 0.2


def circle(z: Tensor, temperatures: Sequence[float] = TEMPERATURES) -> Piece:
    """The views `z` (2N, 2) on a circle, rows i and i + N of one image, as NT-Xent moves them.

    For every temperature the loss in nats, the pull on each view (minus the gradient of the sum
    over anchors), the shares of Equation 1 (Section 2.1), and where 20 updates of gradient descent
    take the views (its rate is proportional to the temperature, so that all move about as far).
    Raises `ValueError` for other shapes, for fewer than 2 or more than 8 images, and for
    temperatures that are not from 0.0001 to 10000.
    """
    valid = "(2N, 2), two views each of 2 to 8 images"
    checks.tensor("z", z, valid)
    if z.ndim != 2 or z.shape[1] != 2 or len(z) not in range(4, 17, 2):
        checks.refuse("z", z, valid)
    if not len(temperatures):
        checks.refuse("temperatures", temperatures, "numbers, one or more")
    for temperature in temperatures:
        checks.number("temperatures", temperature, "numbers from 0.0001 to 10000", 1e-4, 1e4)
    moved = [_descent(z.double(), temperature) for temperature in temperatures]
    angles, pulls, shares, losses = (np.stack(part) for part in zip(*moved, strict=True))
    middle = nearest(temperatures, 0.2)
    data = {
        "images": len(z) // 2,
        "temperatures": list(temperatures),
        "first": middle,
        "angles": angles.astype(np.float32),  # (temperatures, updates + 1, 2N), radians
        "pulls": pulls.astype(np.float32),  # the same; along the circle, above 0 anticlockwise
        "shares": np.rint(255 * shares).astype(np.uint8),  # (..., 2N anchors, 2N others)
        "losses": losses.astype(np.float32),  # (temperatures, updates + 1), nats
    }
    still = _still(angles[middle, 0], pulls[middle, 0], shares[middle, 0, 0], temperatures[middle])
    return Piece("circle", "Temperature, and the pull on every view of a batch", data, still)


def _descent(z: Tensor, temperature: float) -> tuple[np.ndarray, ...]:
    """Angles, pulls, shares and loss, at the beginning and after every update."""
    found: list[tuple[Tensor, ...]] = []
    for _ in range(UPDATES + 1):
        u = l2_normalize(z).requires_grad_()
        loss = nt_xent(u, temperature)
        loss.backward()
        assert u.grad is not None
        push = -len(u) * u.grad  # (2N, 2) of every view's own term, summed over the anchors
        z = u.detach()
        around = torch.stack([-z[:, 1], z[:, 0]], dim=1)  # (2N, 2) along the circle
        logits = (z @ z.T / temperature).fill_diagonal_(-torch.inf)
        angle = torch.atan2(z[:, 1], z[:, 0])
        pull = (push * around).sum(dim=1)
        found.append((angle, pull, logits.softmax(dim=1), loss.detach()))
        z = z + RATE * temperature * push
    return tuple(torch.stack(part).numpy() for part in zip(*found, strict=True))


@styled
def _still(angles: np.ndarray, pulls: np.ndarray, shares: np.ndarray, temperature: float):  # noqa: ANN202
    """The beginning, with the shares of the first view."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(WIDTH, WIDTH * 0.75), layout="constrained")
    n = len(angles) // 2
    x, y = np.cos(angles), np.sin(angles)
    axis.add_patch(plt.Circle((0, 0), 1, fill=False, color=GREY, lw=0.8))
    for k in range(1, 2 * n):
        color, line = (SIMCLR, "-") if k == n else (WARM, ":")
        axis.plot([x[0], x[k]], [y[0], y[k]], line, color=color, lw=0.4 + 6 * shares[k])
    longest = np.abs(pulls).max()
    for k in range(2 * n):
        along = 0.4 * pulls[k] / longest
        axis.annotate(
            "", (x[k] - along * y[k], y[k] + along * x[k]), (x[k], y[k]),
            arrowprops={"arrowstyle": "->", "color": "black"},
        )  # fmt: skip
        name = f"{k % n + 1}{'ab'[k // n]}"
        out = 1.13 if k < n else 0.87
        axis.text(out * x[k], out * y[k], name, ha="center", va="center")
    axis.scatter(x, y, s=24, color="white", ec="black", zorder=3)
    axis.set(aspect="equal", xlim=(-1.6, 1.6), ylim=(-1.35, 1.35))
    axis.axis("off")
    strangers = np.delete(shares, [0, n])
    words = (
        f"{2 * n} views of {n} images on a circle, temperature {temperature:g}. Of the weights of "
        f"view 1a its partner 1b has {100 * shares[n]:.0f} %, the nearest stranger "
        f"{100 * strangers.max():.0f} %. Arrows: where every view is pulled."
    )
    return described(figure, words)
