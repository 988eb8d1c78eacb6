"""Which run is this? A name from what it read.

Its method; what the method and its data read of the parameters, where it is not the default, so
that a parameter that comes later renames nothing; the fingerprint of the images; and the numbers
that are multiplied. Where files lie, on which device, in how many parts: that may change between
attempts.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .config import Config
from .data.catalog import PARAMETERS, fingerprint
from .data.fingerprint import fingerprint_of
from .data.images import Data
from .machine import devices
from .names import LATER, METHODS, TASKS

_FIELDS = {field.name: field for field in dataclasses.fields(Config)}


def run_id(config: Config, data: Data | None = None) -> str:
    """A short name, the same exactly for the same `identity`: of record, checkpoint and weights."""
    return name_of(identity(config, fingerprint_of(data, config) if data else ""))


def run_ids(jobs: Sequence[Config]) -> list[str]:
    """`run_id` of each, where a data set is looked at once for all."""
    return [name_of(found) for found in identities(jobs)]


def identities(jobs: Sequence[Config]) -> list[dict[str, Any]]:
    """`identity` of each, where a data set is looked at once for all."""
    sets: dict[tuple, str] = {}
    found = []
    for job in jobs:
        key = tuple(getattr(job, name) for name in PARAMETERS if name != "num_images")
        sets[key] = sets.get(key) or fingerprint(job)
        found.append(identity(job, sets[key]))
    return found


def identity(config: Config, data: str = "") -> dict[str, Any]:
    """What the run of `config` is, as plain values.

    `data` is the fingerprint of the images; empty: of those that `config` names.
    """
    device = devices.choose(config.device)
    found = read(dataclasses.asdict(config), config.method)
    for name in ("start", "label_list"):  # of a file counts what is in it
        if name in found and found[name] not in METHODS:
            found[name] = _content(found[name])
    return {
        "method": str(config.method),
        "data": data or fingerprint(config),
        "precision": str(devices.number_format(device, config.precision)).removeprefix("torch."),
        **found,
    }


def _content(value: str) -> str:
    """`value`, or if it is the path of a file a checksum of that."""
    path = Path(value).expanduser()
    if value == "random" or not path.is_file():
        return value
    return f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"


def name_of(identity: Mapping[str, Any]) -> str:
    """METHOD-HASH of an `identity`."""
    slug = "-".join(re.findall(r"[a-z0-9]+", identity["method"].lower())) or "own"
    text = json.dumps(dict(identity), sort_keys=True)
    return f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def read(values: Mapping[str, Any], method: str) -> dict[str, Any]:
    """Those of the parameters that `method` reads and that are not at their default.

    Of a method of your own: all that any method reads. A parameter that `values` lack is at its
    default.
    """
    values = {name: field.default for name, field in _FIELDS.items()} | dict(values)
    for name in ("depth", "width", "sk_ratio"):  # a teacher of the student's size, said either way
        if values[f"teacher_{name}"] == values[name]:
            values[f"teacher_{name}"] = _FIELDS[f"teacher_{name}"].default
    readers = _readers(values, method)

    def holds(conditions: Mapping[str, tuple]) -> bool:
        return all(values[name] in valid for name, valid in conditions.items())

    def counts(field: dataclasses.Field) -> bool:
        methods, where, also = (field.metadata[key] for key in ("methods", "where", "also"))
        reads = methods is None or (methods and any(one in methods for one in readers))
        reads = reads or (methods and readers[0] not in METHODS)
        return bool(reads and holds(where)) or bool(also and holds(also))

    return {
        name: values[name]
        for name, field in _FIELDS.items()
        if counts(field) and values[name] != field.default
    }


def _readers(values: Mapping[str, Any], method: str) -> tuple[str, ...]:
    """The methods that a run is made by: its own, and those of the runs that it begins with."""
    asked = method.removeprefix("probe ")
    if asked != method and asked in TASKS:
        return ("SimCLR",)  # Table 3 asks its network
    if method not in LATER:
        return (method,)
    begun = (values["start"], values["student_start"] if method == "distill" else "")
    return (method, *(name for name in begun if name in METHODS))
