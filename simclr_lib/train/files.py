"""What a run leaves on disk: a checkpoint while it trains, its weights when it is finished.

A file appears complete or not at all, and holds numbers and words only: PyTorch's weights-only
reader can meet a wrong file, but it runs no code. A checksum of the content, and the name of the
run it belongs to, lie inside.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..config import Config
from ..data.fingerprint import fingerprint_of
from ..data.images import Data
from ..identity import identity, name_of
from ..machine import devices, parallel
from ..methods import Method, build
from ..paths import output_dir
from . import weights

FORMAT = 2


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings, lists and dicts of them) to `path`, or nothing.

    The file is written beside `path`, flushed to disk, and renamed: it is complete or absent, also
    if the machine stops in the middle, or its disk is full (`OSError`).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")  # two hosts may save
    whole = torch.utils._pytree.tree_map_only(Tensor, lambda tensor: tensor.cpu(), state)
    whole = {"format": FORMAT, "checksum": checksum(whole), **whole}
    try:
        with beside.open("wb") as file:
            torch.save(whole, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except RuntimeError as error:  # how PyTorch's writer says that the disk is full
        raise OSError(f"{path} could not be written: {error}") from error
    finally:
        beside.unlink(missing_ok=True)


def load(path: Path, run: str = "", parts: tuple[str, ...] = ()) -> dict[str, Any]:
    """What `save` wrote, on the CPU: of the run named `run` if given, with all of `parts`.

    Raises `FileNotFoundError` if there is none, and `ValueError` if the file is damaged, not ours,
    of another run, or lacks a part.
    """
    path = Path(path)
    again = "delete it to start again"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        ours = isinstance(state, dict) and state.pop("format", None) == FORMAT
    except FileNotFoundError:
        raise
    except Exception as error:  # over a damaged file the reader may stumble anywhere
        raise ValueError(f"{path} is damaged or not a checkpoint; {again}") from error
    if not ours:
        raise ValueError(f"{path} is not a checkpoint of format {FORMAT}; {again}")
    if state.pop("checksum", None) != checksum(state):
        raise ValueError(f"{path} is damaged: its content is not what was written; {again}")
    if run and state.get("run") != run:
        raise ValueError(f"{path} is of the run {state.get('run')}, not of {run}; {again}")
    missing = [part for part in parts if part not in state]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; {again}")
    return state


def checksum(content: Any) -> str:
    """SHA-256 of tensors, numbers and strings in lists and dicts: of their types and values."""
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, Tensor):
            digest.update(f"{value.dtype} {tuple(value.shape)}".encode())
            plain = value.detach().contiguous().reshape(-1)
            digest.update(plain.view(torch.uint8).numpy().data if plain.numel() else b"")
        elif isinstance(value, dict):
            digest.update(b"{")
            for key, item in value.items():
                add(key)
                add(item)
        elif isinstance(value, list | tuple):
            digest.update(f"[{len(value)}".encode())
            for item in value:
                add(item)
        else:
            digest.update(f"{type(value).__name__} {value!r}".encode())

    add(content)
    return digest.hexdigest()


def remove(path: Path) -> None:
    """Remove what `save` wrote to `path`, if it did, and what a save left that was killed."""
    for file in (path, *path.parent.glob(f"{path.name}.*.part")):
        file.unlink(missing_ok=True)


class Places(NamedTuple):
    """The name of a run, the fingerprint of its images, and where it writes."""

    run: str
    data: str
    checkpoint: Path
    weights: Path


def places(config: Config, data: Data | None = None) -> Places:
    """Those of the run of `config` on `data`, by default on the data set that it names.

    One for each method, set of parameters and content of the data; the record has the same name.
    """
    found = identity(config, fingerprint_of(data, config) if data else "")
    run, folder = name_of(found), output_dir(config)
    checkpoint, weights = (folder / kind / f"{run}.pt" for kind in ("checkpoints", "weights"))
    return Places(run, found["data"], checkpoint, weights)


def checkpoint_path(config: Config, data: Data | None = None) -> Path:
    """Where an interrupted run leaves its checkpoint."""
    return places(config, data).checkpoint


def save_run(own: Places, state: dict[str, Any]) -> None:
    """Write the checkpoint of a run; see `resume` for what `state` holds."""
    save(own.checkpoint, {"run": own.run, **state})


def resume(own: Places, method: nn.Module, optimizer: Optimizer) -> dict[str, Any] | None:
    """Put a run's checkpoint, if there is one, into method and optimizer; the rest of it.

    It has no trace of how many processes wrote it; process 0 reads it for all.
    """
    path = own.checkpoint
    parts = ("method", "optimizer", "history", "pending", "step", "seconds")
    state = parallel.from_first(lambda: load(path, own.run, parts) if path.exists() else None)
    if state is None:
        return None
    _put(state["method"], method, path)
    optimizer.load_state_dict(state["optimizer"])
    device = next(method.parameters()).device
    return state | {"pending": [metrics.to(device) for metrics in state["pending"]]}


def forget(config: Config, data: Data | None = None) -> None:
    """Remove the checkpoint of a run, so that it is trained anew when it is asked for again.

    Of a class of your own: `forget(config.of_method(NAME))`.
    """
    remove(places(config, data).checkpoint)


def keep(method: Method, config: Config | None = None, data: Data | None = None) -> Path:
    """Write the weights of a finished run to `OUTPUT_DIR/weights/`, where `trained` finds them."""
    config = config or method.config
    return keep_at(places(config, data), method, config)


def keep_at(own: Places, method: Method, config: Config) -> Path:
    """`keep` of a run whose places are known."""
    state = {"method": method.state_dict(), "config": config.as_record()}
    save(own.weights, {"run": own.run, **state})
    return own.weights


def trained(
    config: Config,
    classes: int = 0,
    make: type[Method] | None = None,
    data: Data | None = None,
) -> Method:
    """The method, with all its parts, that a finished run left in `OUTPUT_DIR/weights/`.

    `classes` as for `build`; `make` is the class, if it is none of `METHODS`; `data` what it was
    trained on, if that is not what `config` names. Raises `FileNotFoundError` if there are no
    weights of such a run.
    """
    devices.choose(config.device)  # with several hosts, what the first has counts
    if make is not None:
        config = config.of_method(make.name)
    own = places(config, data)
    path = own.weights
    state = parallel.from_first(lambda: load(path, own.run, ("method",)) if path.exists() else None)
    if state is None:
        raise FileNotFoundError(
            f"no weights of such a run in {path.parent}; delete its record, if it has one, and "
            "train it again"
        )
    method = make(config, classes) if make else build(config, classes)
    _put(state["method"], method, path)
    return method


def needed(method: Method, config: Config, data: Data | None = None) -> dict[str, Method]:
    """What `method` is to receive: finished runs, or networks from files of weights.

    Raises what `trained` and `weights.network` raise, naming the run or the file.
    """
    found = {}
    for name, need in method.needs(config).items():
        if isinstance(need, Config):
            found[name] = trained(need, len(data.classes) if data else 0, data=data)
        else:
            found[name] = weights.network(Path(need).expanduser(), config)
    return found


def _put(weights: dict[str, Tensor], method: nn.Module, path: Path) -> None:
    try:
        method.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"{path} does not fit {type(method).__name__}, which may have changed since; delete it "
            f"to start again ({str(error).splitlines()[-1].strip()})"
        ) from error
