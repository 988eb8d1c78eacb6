"""What an optimizer is given: tensors, named or not, and groups; which are decayed and adapted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..checks import flag, number, refuse

# Batch norm's scales and offsets, and every bias: neither decayed nor adapted.
EXCLUDED = (r"\.gamma$", r"\.beta$", r"\bbias$")
RULES = {"decay": "exclude_from_weight_decay", "adapt": "exclude_from_adaptation"}
Patterns = dict[str, tuple[str, ...]]  # for each rule


def patterns(undecayed: Sequence[str] | None, unadapted: Sequence[str] | None) -> Patterns:
    """The names that each rule leaves out; without `unadapted` the same for both."""
    first = _expressions(RULES["decay"], undecayed or ())
    second = first if unadapted is None else _expressions(RULES["adapt"], unadapted)
    return {"decay": first, "adapt": second}


def listed(name: str, given: Any) -> list:
    """What was given, as a list; refuses what holds nothing, no order, or no tensors at all."""
    valid = "tensors, pairs (name, tensor), or groups of them, at least one"
    if isinstance(given, Tensor):
        return [given]
    if isinstance(given, str | bytes | dict | set) or not isinstance(given, Iterable):
        refuse(name, given, valid)
    return list(given) or refuse(name, [], valid)


def divided(group: Any, defaults: dict, known: list[dict]) -> list[dict]:
    """A group as users write it as up to four: decayed or not, adapted or not, all options said.

    Raises `ValueError` for options, tensors and names that cannot be used, and for a tensor that
    the `known` groups have.
    """
    if not isinstance(group, dict) or "params" not in group:
        refuse("param_group", group, 'a dictionary that has "params"')
    options = defaults | group
    excluded = options.pop("excluded")
    _check(options)
    seen = {id(w) for other in known for w in other["params"]}
    found: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, w in map(_named, listed("params", options.pop("params"))):
        if id(w) in seen:
            refuse(_label(name), w, "given once")
        seen.add(id(w))
        decay, adapt = (
            options[rule] if rule in options else not _left_out(rule, excluded[rule], name, w)
            for rule in RULES
        )
        found.setdefault((decay and options["weight_decay"] > 0, adapt), []).append(w)
    return [options | {"params": p, "decay": d, "adapt": a} for (d, a), p in found.items()]


def alike(tensors: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    """Lists of one type of number on one device each, as `torch._foreach` wants them."""
    lists: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for x in tensors:
        lists.setdefault((x.device, x.dtype), []).append(x)
    return lists.values()


def scalar(value: float | Tensor, like: Tensor) -> float | Tensor:
    """The same number; on a CPU as a tensor, which lists are multiplied by three times as fast."""
    if isinstance(value, Tensor) or like.device.type != "cpu":
        return value
    return torch.full((), value, dtype=torch.promote_types(like.dtype, torch.float32))


def kept(state: dict[str, Tensor], w: Tensor) -> Tensor:
    """The momentum of w; zeros at first."""
    if "momentum" not in state:
        state["momentum"] = torch.zeros_like(w)
    return state["momentum"]


def _left_out(rule: str, expressions: tuple[str, ...], name: str | None, w: Tensor) -> bool:
    """Whether the rule leaves this tensor out: by its name, or if it has none by its shape."""
    if name is not None:
        return any(re.search(expression, name) for expression in expressions)
    if expressions not in ((), EXCLUDED):
        refuse(RULES[rule], expressions, "left out or empty for tensors without names")
    return bool(expressions) and w.ndim <= 1


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


def _expressions(name: str, given: Any) -> tuple[str, ...]:
    valid = "a sequence of regular expressions, or None"
    if isinstance(given, str) or not isinstance(given, Iterable):
        refuse(name, given, valid)
    expressions = tuple(given)
    for expression in expressions:
        try:
            re.compile(expression)
        except (re.error, TypeError):
            refuse(name, expression, valid)
    return expressions


def _check(options: dict[str, Any]) -> None:
    lr = options["lr"]
    if isinstance(lr, Tensor) and lr.ndim == 0 and lr.is_floating_point():
        lr = lr.item() if lr.device.type == "cpu" else 0.0  # others would have to be waited for
    values = {name: options[name] for name in ("momentum", "weight_decay", "eta")}
    for name, value in ({"lr": lr} | values).items():
        number(name, value, "a finite number, 0 or above, for all tensors or for every group", 0)
    for name in ("nesterov", "classic", *RULES):
        flag(name, options.get(name, True))
