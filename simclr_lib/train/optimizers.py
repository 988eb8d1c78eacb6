"""LARS, and the learning rate from batch size, warm-up and cosine (Section 2.3, appendix B.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..checks import number, refuse
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

SWITCHES = ("nesterov", "classic", "decay", "adapt")


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
        given = _listed("named_parameters", named_parameters)
        undecayed = _patterns("exclude_from_weight_decay", exclude_from_weight_decay or ())
        unadapted = undecayed
        if exclude_from_adaptation is not None:
            unadapted = _patterns("exclude_from_adaptation", exclude_from_adaptation)
        self.excluded = {"decay": undecayed, "adapt": unadapted}
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "eta": eta}
        defaults |= {"nesterov": nesterov, "classic": classic}
        super().__init__(given, defaults)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"excluded": self.excluded}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add tensors, as "params", and options for these; the rules divide them into groups."""
        if not isinstance(param_group, dict) or "params" not in param_group:
            refuse("param_group", param_group, 'a dictionary that has "params"')
        options = {**self.defaults, **param_group}
        _check_options(options)
        pairs = [_named(entry) for entry in _listed("params", options.pop("params"))]
        seen = {id(w) for group in self.param_groups for w in group["params"]}
        groups: dict[tuple[bool, bool], list[Tensor]] = {}
        for name, w in pairs:
            if id(w) in seen:
                refuse(_label(name), w, "given once")
            seen.add(id(w))
            decay, adapt = (
                options[rule] if rule in options else not self._excluded(rule, name, w)
                for rule in ("decay", "adapt")
            )
            groups.setdefault((decay and options["weight_decay"] > 0, adapt), []).append(w)
        for (decay, adapt), params in groups.items():
            super().add_param_group({**options, "params": params, "decay": decay, "adapt": adapt})

    def _excluded(self, rule: str, name: str | None, w: Tensor) -> bool:
        """Whether the patterns take this tensor from weight decay, or from adaptation."""
        patterns = self.excluded[rule]
        if name is not None:
            return any(re.search(pattern, name) for pattern in patterns)
        if patterns not in ((), EXCLUDED):
            which = {"decay": "exclude_from_weight_decay", "adapt": "exclude_from_adaptation"}
            refuse(which[rule], patterns, "left out or empty for tensors without names")
        return bool(patterns) and w.ndim <= 1

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for w in _alike(w for w in group["params"] if w.grad is not None):
                self._update(w, group)
        return loss

    def _update(self, w: list[Tensor], group: dict[str, Any]) -> None:
        """The formulas of above on lists: an operation is called once for all tensors."""
        g, v = [x.grad for x in w], [self._momentum(x) for x in w]
        momentum, decay = (_scalar(group[name], w[0]) for name in ("momentum", "weight_decay"))
        multiply = torch._foreach_mul
        if group["decay"]:
            g = torch._foreach_add_(torch._foreach_mul(w, decay), g)
            multiply = torch._foreach_mul_  # in place, for these are no longer the gradients
        newest = multiply(g, _rates(w, g, group)) if group["classic"] else g
        step = torch._foreach_add_(torch._foreach_mul_(v, momentum), newest)  # v itself
        if group["nesterov"]:
            step = torch._foreach_add_(torch._foreach_mul(v, momentum), newest)
        if not group["classic"]:
            step = torch._foreach_mul(step, _rates(w, step, group))
        torch._foreach_sub_(w, step)

    def _momentum(self, w: Tensor) -> Tensor:
        state = self.state[w]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(w)
        return state["momentum"]


def _alike(tensors: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    """Lists of one type of number on one device each, as `torch._foreach` wants them."""
    lists: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for x in tensors:
        lists.setdefault((x.device, x.dtype), []).append(x)
    return lists.values()


def _scalar(value: float | Tensor, like: Tensor) -> float | Tensor:
    """The same number; on a CPU as a tensor, which lists are multiplied by three times as fast."""
    if isinstance(value, Tensor) or like.device.type != "cpu":
        return value
    return torch.full((), value, dtype=torch.promote_types(like.dtype, torch.float32))


def _rates(w: list[Tensor], update: list[Tensor], group: dict[str, Any]) -> Any:
    """lr trust, a scalar for each tensor, or one for all if the group is not adapted."""
    if not group["adapt"]:
        return _scalar(group["lr"], w[0])
    return list((group["lr"] * _trust_ratios(w, update, group["eta"])).unbind())


def _trust_ratios(w: list[Tensor], update: list[Tensor], eta: float) -> Tensor:
    """(tensors,) eta |w| / |update|; 1 where either norm is zero."""
    w_norm, update_norm = (torch.stack(torch._foreach_norm(x)) for x in (w, update))  # (tensors,)
    return torch.where((w_norm > 0) & (update_norm > 0), eta * w_norm / update_norm, 1.0)


def trust_ratio(w: Tensor, update: Tensor, group: dict) -> Tensor | float:
    """eta |w| / |update|, a scalar; 1 where either norm is zero or the group is not adapted."""
    return _trust_ratios([w], [update], group["eta"])[0] if group["adapt"] else 1.0


def _listed(name: str, given: Any) -> list:
    """What was given, as a list; refuses what holds nothing, no order, or no tensors at all."""
    valid = "tensors, pairs (name, tensor), or groups of them, at least one"
    if isinstance(given, Tensor):
        return [given]
    if isinstance(given, str | bytes | dict | set) or not isinstance(given, Iterable):
        refuse(name, given, valid)
    return list(given) or refuse(name, [], valid)


def _named(entry: Any) -> tuple[str | None, Tensor]:
    """(name or None, tensor) of an entry of "params"; refuses what cannot be trained."""
    name, w = entry if isinstance(entry, tuple | list) and len(entry) == 2 else (None, entry)
    if not isinstance(w, Tensor) or not isinstance(name, str | None):
        refuse("params", entry, "tensors or pairs (name, tensor)")
    if not w.is_floating_point():
        refuse(_label(name), w, "of floating-point numbers")
    if not (w.is_leaf or w.retains_grad):
        refuse(_label(name), w, "a leaf: not computed from other tensors that want a gradient")
    return name, w


def _label(name: str | None) -> str:
    return "params" if name is None else f"parameter {name}"


def _patterns(name: str, given: Any) -> tuple[str, ...]:
    valid = "a sequence of regular expressions, or None"
    if isinstance(given, str) or not isinstance(given, Iterable):
        refuse(name, given, valid)
    patterns = tuple(given)
    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, TypeError):
            refuse(name, pattern, valid)
    return patterns


def _check_options(options: dict[str, Any]) -> None:
    lr = options["lr"]
    if isinstance(lr, Tensor) and lr.ndim == 0 and lr.is_floating_point():
        lr = lr.item() if lr.device.type == "cpu" else 0.0  # others would have to be waited for
    values = {name: options[name] for name in ("momentum", "weight_decay", "eta")}
    for name, value in ({"lr": lr} | values).items():
        number(name, value, "a finite number, 0 or above, for all tensors or for every group", 0)
    for name in SWITCHES:
        if not isinstance(options.get(name, True), bool):
            refuse(name, options[name], "True or False")
