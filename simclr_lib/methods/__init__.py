"""The methods by name, each a file on the seam of `method.Method`; `config.METHODS` lists them."""

from __future__ import annotations

import importlib

from ..config import METHODS as _PLACES
from ..config import Config
from .memory import SimCLRWithMemory
from .method import Batch, Method


def _class_at(place: str) -> type[Method]:
    """The class named "file.Class"."""
    file, name = place.split(".")
    return getattr(importlib.import_module(f".{file}", __name__), name)


METHODS: dict[str, type[Method]] = {name: _class_at(place) for name, place in _PLACES.items()}


def build(config: Config, classes: int = 0) -> Method:
    """The method that `config.method` names, untrained.

    Weights depend on `config.seed` alone, so the encoder is the same for every method. `classes` is
    the number of those to tell apart, for methods that use labels.
    """
    return class_of(config)(config, classes)


def class_of(config: Config) -> type[Method]:
    """Of `config.method`; SimCLR with a memory is a class of its own."""
    if config.method == "SimCLR" and config.memory_size:
        return SimCLRWithMemory
    return METHODS[config.method]


__all__ = ["METHODS", "Batch", "Method", "build", "class_of"]
