"""Which run is this? A name from what it read."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from .config import DATASETS, METHODS, Config

FREE = (
    "device",
    "processes",
    "workers",
    "checkpoint_minutes",
    "preset",
)  # may change between attempts

_READERS = {field.name: field.metadata["methods"] for field in dataclasses.fields(Config)}


def run_id(config: Config) -> str:
    """A short name that is the same exactly for the same method and the parameters it reads."""
    slug = "-".join(re.findall(r"[a-z0-9]+", config.method.lower()))
    same = {"objective": slug, **_read(config.as_record(), config.method)}
    if _network(config.method) not in METHODS:  # of such names a slug may hold no more than a part
        same["method"] = config.method
    if not same["chunk_size"]:  # came later; runs from before keep their names
        del same["chunk_size"]
    if config.dataset not in DATASETS:  # folders of the same name are different data
        same["dataset"] = str(Path(config.dataset).expanduser().resolve())
    text = json.dumps(same, sort_keys=True)
    return f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def identity(config: dict[str, Any], method: str, *free: str) -> tuple:
    """What makes two recorded runs the same: `method` and what it reads, but where, and `free`.

    `config` is that of the record.
    """
    read = _read(config, method)
    return (method, *sorted((k, v) for k, v in read.items() if k not in free))


def _network(method: str) -> str:
    """The method whose network it is about: "probe rotation" asks one of SimCLR (Table 3)."""
    return "SimCLR" if method.startswith("probe ") else method


def _read(config: dict[str, Any], method: str) -> dict[str, Any]:
    """The parameters that `method` reads; all of them if it is not one of `METHODS`."""
    reader = _network(method)
    unread = {
        name for name, by in _READERS.items() if by and reader in METHODS and reader not in by
    }
    return {k: v for k, v in config.items() if k not in (*FREE, "method", *unread)}
