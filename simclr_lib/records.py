"""One JSON record a run: what was run, with what, and what came out.

Records of the reference runs are committed under `reproductions/records/`, a user's own go to
`OUTPUT_DIR/records/`. Tables and figures take from both what they compare, so results accumulate
and a run serves every table it belongs to.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import platform
import re
import subprocess
import uuid
from importlib import metadata
from pathlib import Path
from typing import Any

from . import devices
from .config import Config

FREE = (
    "device",
    "processes",
    "workers",
    "checkpoint_minutes",
    "preset",
)  # may change between attempts
PACKAGES = ("torch", "torchvision", "torch_xla", "numpy", "scikit-learn")


def project_root() -> Path:
    """The clone this library runs from, or the working directory if it is installed elsewhere."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "reproductions").is_dir() else Path.cwd()


def output_dir(config: Config) -> Path:
    """Where the user's records and checkpoints go; relative to the project, not to the notebook."""
    return project_root() / Path(config.output_dir).expanduser()


def run_id(config: Config, objective: str) -> str:
    """A short name that is the same exactly for the same objective and parameters."""
    same = {"objective": objective, **config.as_record()}
    for free in FREE:
        same.pop(free)
    if not same["chunk_size"]:  # came later; runs from before keep their names
        del same["chunk_size"]
    if Path(config.dataset).is_dir():  # folders of the same name are different data
        same["dataset"] = str(Path(config.dataset).resolve())
    text = json.dumps(same, sort_keys=True)
    return f"{objective}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


@functools.cache
def commit() -> str:
    """The commit of the clone when first asked for, marked if files differ; else "unknown"."""
    ask = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=10",
    ]
    try:
        return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def version(package: str) -> str | None:
    """The version of an installed package, None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def make(config: Config, metrics: dict[str, float], **more: Any) -> dict[str, Any]:
    """A record: parameters, `metrics`, circumstances (device, commit, versions, date), `more`."""
    device = devices.choose(config.device)
    versions = {"python": platform.python_version()} | {p: version(p) for p in PACKAGES}
    return {
        "metrics": metrics,
        **more,
        "seed": config.seed,
        "config": config.as_record(),
        "device": devices.describe(device),
        "precision": str(devices.number_format(device, config.precision)).removeprefix("torch."),
        "commit": commit(),
        "date": datetime.date.today().isoformat(),
        "versions": {name: version for name, version in versions.items() if version},
    }


def write(record: dict[str, Any], directory: Path, name: str) -> Path:
    """Write `record` as DIRECTORY/NAME.json, whole or not at all; returns the path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.json"
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    beside.write_text(json.dumps(record) + "\n", "utf-8")
    beside.replace(path)
    return path


def add(
    config: Config, method: str, metrics: dict[str, float], run: Any = None, **more: Any
) -> dict[str, Any]:
    """Record one network in the user's pool; a repetition replaces its earlier record.

    `method` says how it was trained ("SimCLR", "random", ...), `run` is what the trainer returned,
    `more` are further fields.
    """
    if run is not None:
        more |= {"history": run.history, "seconds": round(run.seconds, 1), **(run.facts or {})}
    record = make(config, metrics, method=method, **more)
    path = path_of(config, method)
    write(record, path.parent, path.stem)
    return record


def path_of(config: Config, method: str) -> Path:
    """Where the user's record of a run is, or will be."""
    label = "-".join(re.findall(r"[a-z0-9]+", method.lower()))
    return output_dir(config) / "records" / f"{run_id(config, label)}.json"


def read(config: Config | None = None) -> list[dict[str, Any]]:
    """All records: the committed reference runs, then, with a `config`, the user's own.

    Each gets a field `source`: "reference" or "yours". A parameter that did not exist when a record
    was made has its default, which is what was done then. A damaged file raises `ValueError`.
    """
    places = {"reference": project_root() / "reproductions" / "records"}
    if config is not None:
        places["yours"] = output_dir(config) / "records"
    defaults = Config().as_record()
    found = []
    for source, directory in places.items():
        for path in sorted(directory.glob("*.json")):
            try:
                record = json.loads(path.read_text("utf-8"))
                record["config"] = defaults | record["config"]
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path} is not a record: {error}; delete or mend it") from error
            found.append({"source": source, **record})
    return found


def identity(config: dict[str, Any], *free: str) -> tuple:
    """What makes two recorded runs the same: all parameters but where it ran, and but `free`."""
    return tuple(sorted((k, v) for k, v in config.items() if k not in (*FREE, *free)))
