"""Saving and resuming: atomic files that hold numbers only.

Loading uses PyTorch's weights-only reader: a checkpoint can be wrong, but it cannot run code.
"""

from __future__ import annotations

import os
import pickle
import uuid
from pathlib import Path
from typing import Any

import torch

FORMAT = 1


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings, lists and dicts of them) to `path`, or nothing.

    The file appears complete or not at all, also if the machine stops in the middle: it is written
    beside `path`, flushed to disk, and renamed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")  # two hosts may save
    try:
        with beside.open("wb") as file:
            torch.save({"format": FORMAT, **_on_cpu(state)}, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove what `save` wrote to `path`, if it did, and what a save left that was killed."""
    for file in (path, *path.parent.glob(f"{path.name}.*.part")):
        file.unlink(missing_ok=True)


def _on_cpu(state: Any) -> Any:
    """The same, with tensors on the CPU: any machine can read them."""
    return torch.utils._pytree.tree_map_only(torch.Tensor, lambda tensor: tensor.cpu(), state)


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote, on the CPU. Raises `ValueError` if the file is damaged or not ours."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(
            f"{path} is damaged or not a checkpoint; delete it to start again"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"{path} is not a checkpoint of format {FORMAT}; delete it to start again")
    return state
