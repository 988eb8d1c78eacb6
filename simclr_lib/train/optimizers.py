"""LARS, and the learning rate from batch size, warm-up and cosine (Section 2.3, appendix B.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..schedule import scaled_learning_rate, total_steps, warmup_cosine, warmup_steps

__all__ = [
    "EXCLUDED",
    "LARS",
    "scaled_learning_rate",
    "total_steps",
    "trust_ratio",
    "warmup_cosine",
    "warmup_steps",
]

# Batch norm's scales and offsets, and every bias: neither decayed nor adapted.
EXCLUDED = (r"\.gamma$", r"\.beta$", r"\bbias$")


class LARS(Optimizer):
    """Layer-wise adaptive rate scaling as in the official code. For every tensor w with gradient g:

        g <- g + weight_decay w                            if decayed
        trust = eta |w| / |g|                              if adapted and both norms > 0, else 1
        v <- momentum v + lr trust g;   w <- w - v         (classic: lr *inside* the momentum)

    so a change of the learning rate acts at once and only on new gradients. `classic=False` is the
    variant of most other libraries: v <- momentum v + g; trust from |w| and |v|; w <- w - lr
    trust v. With `nesterov` the step is momentum v + the newest term instead of v.

    `named_parameters`: pairs (name, tensor). A tensor whose name matches (`re.search`) a pattern of
    `exclude_from_weight_decay` is not decayed; `exclude_from_adaptation` likewise for the trust
    ratio, and None means the same list. `lr` may be a 0-dimensional tensor (no recompilation on
    XLA when it changes). There is no epsilon in the ratio. Raises `ValueError` on negative values.
    """

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, Tensor]],
        lr: float | Tensor,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        eta: float = 0.001,
        nesterov: bool = False,
        classic: bool = True,
        exclude_from_weight_decay: Sequence[str] | None = EXCLUDED,
        exclude_from_adaptation: Sequence[str] | None = None,
    ) -> None:
        values = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "eta": eta}
        for name, value in values.items():
            if not value >= 0:
                raise ValueError(f"{name}={value!r} is not valid; it must be 0 or above")
        undecayed = exclude_from_weight_decay or ()
        unadapted = undecayed if exclude_from_adaptation is None else exclude_from_adaptation
        groups: dict[tuple[bool, bool], list[Tensor]] = {}
        for name, parameter in named_parameters:
            decay = weight_decay > 0 and not any(re.search(p, name) for p in undecayed)
            adapt = not any(re.search(p, name) for p in unadapted)
            groups.setdefault((decay, adapt), []).append(parameter)
        defaults = values | {"nesterov": nesterov, "classic": classic}
        super().__init__(
            [{"params": p, "decay": decay, "adapt": adapt} for (decay, adapt), p in groups.items()],
            defaults,
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for w in group["params"]:
                if w.grad is None:
                    continue
                state = self.state[w]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(w)
                v = state["momentum"]
                g = w.grad + group["weight_decay"] * w if group["decay"] else w.grad
                if group["classic"]:
                    update = lr * trust_ratio(w, g, group) * g
                    v.mul_(momentum).add_(update)
                    w.sub_(momentum * v + update if group["nesterov"] else v)
                else:
                    v.mul_(momentum).add_(g)
                    update = momentum * v + g if group["nesterov"] else v
                    w.sub_(lr * trust_ratio(w, update, group) * update)
        return loss


def trust_ratio(w: Tensor, update: Tensor, group: dict) -> Tensor | float:
    """eta |w| / |update|, a scalar; 1 where either norm is zero or the group is not adapted."""
    if not group["adapt"]:
        return 1.0
    w_norm, update_norm = w.norm(), update.norm()
    both = (w_norm > 0) & (update_norm > 0)
    return torch.where(both, group["eta"] * w_norm / torch.where(both, update_norm, 1.0), 1.0)
