"""LARS, and the learning rate from batch size, warm-up and cosine (Section 2.3, appendix B.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..schedule import scaled_learning_rate, total_steps, warmup_cosine, warmup_steps
from .groups import EXCLUDED, alike, divided, kept, listed, patterns, scalar

__all__ = [
    "EXCLUDED",
    "LARS",
    "scaled_learning_rate",
    "total_steps",
    "trust_ratio",
    "warmup_cosine",
    "warmup_steps",
]


class LARS(Optimizer):
    """Layer-wise adaptive rate scaling as in the official code. For every tensor w with gradient g:

        g <- g + weight_decay w                            if decayed
        trust = eta |w| / |g|                              if adapted and both norms > 0, else 1
        v <- momentum v + lr trust g;   w <- w - v         (classic: lr *inside* the momentum)

    so a change of the learning rate acts at once and only on new gradients. `classic=False` is the
    variant of most other libraries: v <- momentum v + g; trust from |w| and |v|; w <- w - lr
    trust v. With `nesterov` the step is momentum v + the newest term instead of v.

    `named_parameters`: pairs (name, tensor), or tensors, or groups as every optimizer takes them:
    dictionaries of "params", either of these, and of options for these alone. A tensor whose name
    matches (`re.search`) a pattern of `exclude_from_weight_decay` is not decayed;
    `exclude_from_adaptation` likewise for the trust ratio, and None means the same list. Tensors
    without names are excluded by the usual rule instead, those of one dimension: biases and the
    scales of norms; from nothing if the list is empty. A group's own "decay" and "adapt", true or
    false, go before either rule; one that is told neither becomes up to four in `param_groups`.

    `lr` may be a 0-dimensional tensor (no recompilation on XLA when it changes). There is no
    epsilon in the ratio. Raises `ValueError` on negative values, no or unusable tensors, one given
    twice, a pattern that is none, and patterns of one's own for tensors without names.
    """

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, Tensor]] | Iterable[Tensor] | Iterable[dict],
        lr: float | Tensor | None = None,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        eta: float = 0.001,
        nesterov: bool = False,
        classic: bool = True,
        exclude_from_weight_decay: Sequence[str] | None = EXCLUDED,
        exclude_from_adaptation: Sequence[str] | None = None,
    ) -> None:
        defaults: dict[str, Any] = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        defaults |= {"eta": eta, "nesterov": nesterov, "classic": classic}
        defaults |= {"excluded": patterns(exclude_from_weight_decay, exclude_from_adaptation)}
        super().__init__(listed("named_parameters", named_parameters), defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add tensors, as "params", and options for these; the rules divide them into groups."""
        # Not by the method of above, which would import torch._dynamo: more than a second.
        self.param_groups += divided(param_group, self.defaults, self.param_groups)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for w in alike(w for w in group["params"] if w.grad is not None):
                self._update(w, group)
        return loss

    def _update(self, w: list[Tensor], group: dict[str, Any]) -> None:
        """The formulas of above on lists: an operation is called once for all tensors."""
        g: Any = [x.grad for x in w]
        v = [kept(self.state[x], x) for x in w]
        momentum, decay = (scalar(group[name], w[0]) for name in ("momentum", "weight_decay"))
        if group["decay"]:
            plain, g = g, torch._foreach_mul(w, decay)
            torch._foreach_add_(g, plain)
        if group["classic"]:
            rates = _rates(w, g, group)
            if group["decay"]:  # in place, for these are no longer the gradients themselves
                torch._foreach_mul_(g, rates)
            else:
                g = torch._foreach_mul(g, rates)
        torch._foreach_mul_(v, momentum)
        torch._foreach_add_(v, g)
        step: Any = v
        if group["nesterov"]:
            step = torch._foreach_mul(v, momentum)
            torch._foreach_add_(step, g)
        if not group["classic"]:
            step = torch._foreach_mul(step, _rates(w, step, group))
        torch._foreach_sub_(w, step)


def _rates(w: list[Tensor], update: list[Tensor], group: dict[str, Any]) -> Any:
    """lr trust, a scalar for each tensor, or one for all if the group is not adapted."""
    if not group["adapt"]:
        return scalar(group["lr"], w[0])
    return list((group["lr"] * _trust_ratios(w, update, group["eta"])).unbind())


def _trust_ratios(w: list[Tensor], update: list[Tensor], eta: float) -> Tensor:
    """(tensors,) eta |w| / |update|; 1 where either norm is zero."""
    w_norm, update_norm = (torch.stack(torch._foreach_norm(x)) for x in (w, update))  # (tensors,)
    return torch.where((w_norm > 0) & (update_norm > 0), eta * w_norm / update_norm, 1.0)


def trust_ratio(w: Tensor, update: Tensor, group: dict) -> Tensor | float:
    """eta |w| / |update|, a scalar; 1 where either norm is zero or the group is not adapted."""
    return _trust_ratios([w], [update], group["eta"])[0] if group["adapt"] else 1.0
