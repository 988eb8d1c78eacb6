"""What several tests share."""

from __future__ import annotations

import json
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from simclr_lib.machine import devices

GOLDEN = Path(__file__).parent / "golden"
Golden = namedtuple("Golden", "arrays cases info")


def pytest_report_header():
    return f"on: {devices.describe(devices.choose('cpu'))}"


@pytest.fixture(scope="session")
def load_golden():
    """`load_golden(name)` gives the arrays, the cases and the remaining facts of one file."""
    manifest = json.loads((GOLDEN / "manifest.json").read_text())["files"]

    def load(name: str) -> Golden:
        arrays = dict(np.load(GOLDEN / f"{name}.npz", allow_pickle=False))
        info = manifest[f"{name}.npz"]
        return Golden(arrays, info["cases"], info)

    return load
