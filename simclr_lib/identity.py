"""Which run is this? A name from what it read."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from .config import Config

FREE = (
    "device",
    "processes",
    "workers",
    "checkpoint_minutes",
    "preset",
)  # may change between attempts


def run_id(config: Config) -> str:
    """A short name that is the same exactly for the same objective and parameters."""
    objective = "-".join(re.findall(r"[a-z0-9]+", config.method.lower()))
    same = {"objective": objective, **config.as_record()}
    for name in ("method", "ema_momentum", "queue_size"):
        same.pop(name)
    for free in FREE:
        same.pop(free)
    if not same["chunk_size"]:  # came later; runs from before keep their names
        del same["chunk_size"]
    if Path(config.dataset).is_dir():  # folders of the same name are different data
        same["dataset"] = str(Path(config.dataset).resolve())
    text = json.dumps(same, sort_keys=True)
    return f"{objective}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def identity(config: dict[str, Any], method: str, *free: str) -> tuple:
    """What makes two recorded runs the same: all parameters but where it ran, and but `free`."""
    return method, *sorted(
        (k, v)
        for k, v in config.items()
        if k not in (*FREE, *free, "method", "ema_momentum", "queue_size")
    )
