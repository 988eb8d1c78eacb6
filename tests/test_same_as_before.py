"""Runs at `smoke` are those that the library made before it had methods, to the last bit.

Recorded with float32 and one thread; golden/before.json says on which CPU and PyTorch. Others sum
in another order, which grows from the fourth update on (1.6e-3 by then on a CPU with AVX2 alone):
there the losses before it are compared.
"""

from __future__ import annotations

import hashlib
import json

import pytest
import torch
from conftest import GOLDEN

from simclr_lib import data, evaluation
from simclr_lib.config import DETAILS, LOSSES, Config
from simclr_lib.machine import devices
from simclr_lib.train import train

RECORDED = json.loads((GOLDEN / "before.json").read_text())
CASES = {
    "default": {},
    "separate passes": {"without": "joint_views"},
    "asymmetric": {"second_view": "identity"},
    "shared crop": {"shared_crop": True, "augmentations": "color", "second_view": "blur"},
    "all details off": {"without": "+".join(DETAILS)},
    **{loss: {"loss": loss} for loss in LOSSES[1:]},
    "supervised": {"method": "supervised"},
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def digest(tensors) -> str:
    """SHA-256 of the numbers of all tensors."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.detach().contiguous().numpy().tobytes())
    return found.hexdigest()


def test_every_recorded_case_is_asked_for():
    assert set(CASES) == set(RECORDED["cases"])


@pytest.mark.parametrize("name", CASES)
def test_the_run_is_the_one_of_before(name, tmp_path):
    expected = RECORDED["cases"][name]
    config = Config.create(
        "smoke", precision="fp32", device="cpu", output_dir=str(tmp_path), **CASES[name]
    )
    images = data.load(config)
    run = train(config, images)
    same = devices.describe(torch.device("cpu")) == RECORDED["made"]["cpu"]
    if not (same and torch.__version__.startswith(RECORDED["made"]["torch"])):
        assert run.history["loss"][:3] == pytest.approx(expected["loss"][:3], rel=1e-4)
        return
    last = run.head if run.head is not None else run.method.classifier
    tensors = [*run.encoder.state_dict().values(), *last.state_dict().values()]
    assert run.history["loss"] == expected["loss"]
    assert run.history["accuracy"] == expected["accuracy"]
    assert digest(tensors) == expected["weights"]
    assert evaluation.evaluate(run.method, images, config, run.head) == expected["metrics"]
