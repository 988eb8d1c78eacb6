"""One JSON record a run: what was run, with what, and what came out.

Records of the reference runs are committed under `reproductions/records/`, a user's own go to
`OUTPUT_DIR/records/`. Tables and figures take from both what they compare, so results accumulate
and a run serves every table it belongs to.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import platform
import uuid
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from .. import paths
from ..config import Config
from ..data.catalog import CERTAIN
from ..data.fingerprint import fingerprint_of
from ..data.images import Data
from ..identity import identity, name_of, run_ids
from ..identity import read as parameters_read
from ..machine import devices
from ..machine.versions import code, commit, version
from ..train.log import left_chance

PACKAGES = ("torch", "torchvision", "torch_xla", "numpy", "scikit-learn")


def make(config: Config, metrics: dict[str, float], data: str = "", **more: Any) -> dict[str, Any]:
    """A record: identity, `metrics`, parameters, circumstances (device, commit, date), `more`.

    `data` is the fingerprint of the images; empty: of those that `config` names.
    """
    device = devices.choose(config.device)
    versions = {"python": platform.python_version()} | {p: version(p) for p in PACKAGES}
    found = identity(config, data)
    return {
        "id": name_of(found),
        "identity": found,
        "metrics": metrics,
        "method": config.method,
        **more,
        "seed": config.seed,
        "config": config.as_record(),
        "device": devices.describe(device),
        "precision": found["precision"],
        "commit": commit(),
        "code": code(),
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
    config: Config,
    metrics: dict[str, float],
    run: Any = None,
    *,
    data: Data | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Record one run in the user's pool; a repetition replaces its earlier record.

    `run` is what `train` returned; where there is none `data` is what was judged, by default the
    data set that `config` names. `more` are further fields. Of a run there
    is also `left_chance`: the update at which it did, in its own task; null if it never did.
    """
    found = fingerprint_of(data, config) if data is not None else ""
    if run is not None:
        found = run.data
        more |= {"history": run.history, "seconds": round(run.seconds, 1), **(run.facts or {})}
        if (guessing := run.method.guessing()) is not None:
            more["left_chance"] = left_chance(run.history, guessing)
    record = make(config, metrics, found, **more)
    write(record, _folder(config), record["id"])
    return record


def paths_of(jobs: Sequence[Config]) -> list[Path]:
    """Where the user's record of each run is, or will be."""
    return [_folder(job) / f"{name}.json" for job, name in zip(jobs, run_ids(jobs), strict=True)]


def path_of(config: Config) -> Path:
    """Where the user's record of a run is, or will be."""
    return paths_of([config])[0]


def failure(config: Config) -> str:
    """What the user's record of a run that diverged says; empty if there is none.

    Raises `ValueError` for a damaged file.
    """
    path = path_of(config)
    if not path.exists():
        return ""
    try:
        return str(json.loads(path.read_text("utf-8")).get("failed", ""))
    except (AttributeError, ValueError) as error:
        raise ValueError(f"{path} is not a record: {error}; delete or mend it") from error


def _folder(config: Config) -> Path:
    return paths.output_dir(config) / "records"


def provenance(found: Sequence[Path]) -> str:
    """Of which date and commit these records are, and whether the library has changed since.

    Names the record if it is one. A file that cannot be read is left to `read`.
    """
    known = []
    for path in found:
        with contextlib.suppress(OSError, ValueError):
            known.append(json.loads(path.read_text("utf-8")))
    dates, commits = (sorted({str(r.get(key)) for r in known}) for key in ("date", "commit"))
    when = " to ".join(dict.fromkeys([*dates[:1], *dates[-1:]]))
    words = f"{found[0].stem}, " if len(found) == 1 else ""
    words += f"{when}, commit{'s' * (len(commits) > 1)} {', '.join(commits)}"
    others = sum(r.get("code") != code() for r in known)
    if others:
        which = "" if len(found) == 1 else f" for {others} of them" if others < len(found) else ""
        words += f"; the library's code has changed since{which}: to make a run again, delete its"
        words += " record"
    return words


def read(config: Config | None = None) -> list[dict[str, Any]]:
    """All records: the committed reference runs, then, with a `config`, the user's own.

    Each gets a field `source`: "reference" or "yours". A parameter that did not exist when a record
    was made has its default, which is what was done then; a record from before records had an
    `identity` gets that of its parameters, or, if it is of a folder, is left out, for nothing says
    what was in it. A damaged file raises `ValueError`. What is in a record is not to be changed: it
    is kept for the next who asks.
    """
    places = {"reference": paths.project_root() / "reproductions" / "records"}
    if config is not None:
        places["yours"] = _folder(config)
    found = []
    for source, directory in places.items():
        for path in sorted(directory.glob("*.json")):
            facts = path.stat()
            record = _loaded(path, (facts.st_ino, facts.st_size, facts.st_mtime_ns))
            if record is not None:
                found.append({"source": source, **record})
    return found


@lru_cache
def _defaults() -> dict[str, Any]:
    return Config().as_record()


@lru_cache(maxsize=4096)
def _loaded(path: Path, as_it_is: tuple[int, ...]) -> dict[str, Any] | None:
    """One record as `read` gives it; read once while its file stays as it is."""
    try:
        record = json.loads(path.read_text("utf-8"))
        record["config"] = _defaults() | record["config"] | {"method": record["method"]}
        return _identified(record)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a record: {error}; delete or mend it") from error


def _identified(record: dict[str, Any]) -> dict[str, Any] | None:
    """The record with `id` and `identity`, if it has none; None if that cannot be known."""
    if "identity" in record:
        return record
    values, method = record["config"], record["method"]
    data = CERTAIN.get(values["dataset"])
    if data is None:
        return None
    found = {"method": method, "data": data, "precision": record["precision"]}
    found |= parameters_read(values, method)
    return record | {"identity": found, "id": name_of(found)}
