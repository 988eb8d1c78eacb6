"""What several tests share."""

from __future__ import annotations

import json
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch

from simclr_lib.machine import devices
from simclr_lib.machine.progress import unheard
from simclr_lib.methods import METHODS
from simclr_lib.train import files, train

GOLDEN = Path(__file__).parent / "golden"
Golden = namedtuple("Golden", "arrays cases info")
Recorded = namedtuple("Recorded", "get cases names")


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


@pytest.fixture(scope="session")
def recorded(load_golden):
    """Of few labels: `recorded.get(name)` is an array as a tensor, floats in float64."""
    golden = load_golden("round2")

    def get(name: str) -> torch.Tensor:
        found = torch.from_numpy(golden.arrays[name])
        return found.double() if found.is_floating_point() else found

    return Recorded(get, golden.cases, set(golden.arrays))


def assert_near(found, expected, limit=1e-5, name=""):
    """Assert equality, relative to the largest number that is expected."""
    difference = (found.detach() - expected).abs().max() / expected.abs().max().clamp_min(1e-30)
    assert difference <= limit, f"{name}: {difference:.1e}"


def train_needs(config, data):
    """Train what the run of `config` begins with, so that it finds the weights."""
    for need in METHODS[config.method].needs(config).values():
        if not files.places(need, data).weights.exists():
            train_needs(need, data)
            train(need, data, report=unheard)
