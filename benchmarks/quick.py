"""The whole training of `quick`, one thread, float32: this build against an earlier one.

Both are run in turn in the same environment, each time in a process of its own that gets one of
the two trees to import from; seconds are those of the run's own record, without imports and data.
"""

from __future__ import annotations

import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from .sides import PAIRS, Row

ROOT = Path(__file__).parent.parent
BEFORE = "8c9fe81"  # the last commit before the packages and the methods
TRAIN = """
import sys
from pathlib import Path

import torch

from simclr_lib.config import Config
from simclr_lib.data import load
{imports}

torch.set_num_threads(1)
tree, preset, place = sys.argv[1:]
config = Config.create(preset, precision="fp32", device="cpu", processes=1, output_dir=place)
seconds = {train}(config, load(config)).seconds
used = [module.__file__ for name, module in sys.modules.items() if name.startswith("simclr_lib")]
assert all(Path(file).is_relative_to(tree) for file in used), f"not all of {{tree}}: {{used}}"
print("seconds", seconds)
"""
NOW = TRAIN.format(imports="from simclr_lib.train import train", train="train")
THEN = TRAIN.format(imports="from simclr_lib import trainer", train="trainer.pretrain")


def tree_of(commit: str, folder: Path) -> Path:
    """The library as it was at `commit`, written into `folder`; needs its history."""
    command = ["git", "archive", commit, "simclr_lib", "pyproject.toml"]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True)
    if archive.returncode:
        raise RuntimeError(f"commit {commit} is not in this copy: {archive.stderr.decode()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


def seconds(program: str, tree: Path, preset: str) -> float:
    """Seconds of one training by the library in `tree`; raises `RuntimeError` if it fails."""
    found = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-c", program, str(tree), preset, place]
        result = subprocess.run(command, cwd=place, env=found, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"training with {tree} failed: {result.stderr}")
    return float(result.stdout.split("seconds")[-1])


def run(preset: str = "quick", pairs: int = PAIRS) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        before = tree_of(BEFORE, Path(folder))
        turns = [(seconds(NOW, ROOT, preset), seconds(THEN, before, preset)) for _ in range(pairs)]
    ratios = [then / now for now, then in turns]
    words = [f"{statistics.median(side):.1f} s" for side in zip(*turns, strict=True)]
    what = f"all of `{preset}`, one thread, float32, against commit {BEFORE}"
    return [Row(what, *words, statistics.median(ratios), (min(ratios), max(ratios)))]
