"""One JSON record a run: what was run, with what, and what came out.

Records of the reference runs are committed under `reproductions/records/`, a user's own go to
`OUTPUT_DIR/records/`. Tables and figures take from both what they compare, so results accumulate
and a run serves every table it belongs to.
"""

from __future__ import annotations

import datetime
import json
import platform
import uuid
from pathlib import Path
from typing import Any

from .. import paths
from ..config import Config
from ..identity import run_id
from ..machine import devices
from ..machine.versions import commit, version

PACKAGES = ("torch", "torchvision", "torch_xla", "numpy", "scikit-learn")


def make(config: Config, metrics: dict[str, float], **more: Any) -> dict[str, Any]:
    """A record: parameters, `metrics`, circumstances (device, commit, versions, date), `more`."""
    device = devices.choose(config.device)
    versions = {"python": platform.python_version()} | {p: version(p) for p in PACKAGES}
    return {
        "metrics": metrics,
        "method": config.method,
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


def add(config: Config, metrics: dict[str, float], run: Any = None, **more: Any) -> dict[str, Any]:
    """Record one run in the user's pool; a repetition replaces its earlier record.

    `run` is what `train` returned, `more` are further fields.
    """
    if run is not None:
        more |= {"history": run.history, "seconds": round(run.seconds, 1), **(run.facts or {})}
    record = make(config, metrics, **more)
    path = path_of(config)
    write(record, path.parent, path.stem)
    return record


def path_of(config: Config) -> Path:
    """Where the user's record of a run is, or will be."""
    return paths.output_dir(config) / "records" / f"{run_id(config)}.json"


def read(config: Config | None = None) -> list[dict[str, Any]]:
    """All records: the committed reference runs, then, with a `config`, the user's own.

    Each gets a field `source`: "reference" or "yours". A parameter that did not exist when a record
    was made has its default, which is what was done then. A damaged file raises `ValueError`.
    """
    places = {"reference": paths.project_root() / "reproductions" / "records"}
    if config is not None:
        places["yours"] = paths.output_dir(config) / "records"
    defaults = Config().as_record()
    found = []
    for source, directory in places.items():
        for path in sorted(directory.glob("*.json")):
            try:
                record = json.loads(path.read_text("utf-8"))
                record["config"] = defaults | record["config"] | {"method": record["method"]}
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path} is not a record: {error}; delete or mend it") from error
            found.append({"source": source, **record})
    return found
