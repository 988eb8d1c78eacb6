"""The whole training of `quick`, one thread, float32: this build against an earlier one.

Both are run in turn in the same environment, each time in a process of its own that gets one of
the two trees to import from; seconds are those of the run's own record, without imports and data.

First the same work: the recipe that `quick` had then. Then each with its own recipe of today: how
long is the shortest complete run that learns what it should?

Last a run as a user makes it, threads and numbers as they come, in turn alone and beside processes
that keep two cores busy: how much longer does it take?
"""

from __future__ import annotations

import contextlib
import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .sides import PAIRS, Row

ROOT = Path(__file__).parent.parent
BEFORE = "8c9fe81"  # the last commit before the packages and the methods
PROGRAM = """
import sys
from pathlib import Path

import torch

from simclr_lib.config import Config
from simclr_lib.data import load
from simclr_lib.evaluation import features, linear_probe
{imports}

torch.set_num_threads(1)
tree, preset, place = sys.argv[1:]
config = Config.create(preset, precision="fp32", device="cpu", output_dir=place, **{changes!r})
images = load(config)
run = {train}(config, images)
used = [module.__file__ for name, module in sys.modules.items() if name.startswith("simclr_lib")]
assert all(Path(file).is_relative_to(tree) for file in used), f"not all of {{tree}}: {{used}}"
if {judged}:
    print("linear", linear_probe(features(run.encoder, images, config)).accuracy)
print("seconds", run.seconds)
"""
NOW = {"imports": "from simclr_lib.train import train", "train": "train"}
THEN = {"imports": "from simclr_lib import trainer", "train": "trainer.pretrain"}
OF_THEN = {"batch_size": 64, "epochs": 5, "base_learning_rate": 0.6}
OF_THEN |= {"crop_area_min": 0.08, "without": ""}  # the recipe that `quick` had
USERS = """
import sys
import time

from simclr_lib import runs
from simclr_lib.config import Config

config = Config.create(sys.argv[2], epochs=1, device="cpu", output_dir=sys.argv[3])
begun = time.perf_counter()
runs.run([config], "run")
print("seconds", time.perf_counter() - begun)
"""
BUSY, BESIDE, MOST = "while True: pass", 2, 3.0  # how many are beside; times as long at most
GOAL, LENGTHS, SEEDS = 80.0, (2, 3, 4, 5, 6), (0, 1, 2)  # percent, epochs


def tree_of(commit: str, folder: Path) -> Path:
    """The library as it was at `commit`, written into `folder`; needs its history."""
    command = ["git", "archive", commit, "simclr_lib", "pyproject.toml"]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True)
    if archive.returncode:
        raise RuntimeError(f"commit {commit} is not in this copy: {archive.stderr.decode()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


def output(program: str, tree: Path, preset: str, threads: str = "1") -> dict[str, float]:
    """The numbers that a program prints, by the library in `tree`; `RuntimeError` if it fails.

    With `threads` "" it has as many as PyTorch takes by itself.
    """
    found = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": threads}
    if not threads:
        del found["OMP_NUM_THREADS"]
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-c", program, str(tree), preset, place]
        result = subprocess.run(command, cwd=place, env=found, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"training with {tree} failed: {result.stderr}")
    pairs = (line.split() for line in result.stdout.splitlines())
    return {pair[0]: float(pair[1]) for pair in pairs if pair[0] in ("linear", "seconds")}


def seconds(program: str, tree: Path, preset: str) -> float:
    """Seconds of one training, or of what else the program times."""
    return output(program, tree, preset)["seconds"]


def shortest(side: dict[str, str], tree: Path, preset: str) -> tuple[int, list[float]]:
    """The fewest epochs with which the median of the seeds is above `GOAL`; seconds of each seed.

    A complete run each time, whose learning rate comes down to zero.
    """
    for epochs in LENGTHS:
        programs = (
            PROGRAM.format(**side, changes={"epochs": epochs, "seed": seed}, judged=True)
            for seed in SEEDS
        )
        found = [output(program, tree, preset) for program in programs]
        if statistics.median(one["linear"] for one in found) > GOAL:
            return epochs, [one["seconds"] for one in found]
    raise RuntimeError(f"{tree}: no run of up to {LENGTHS[-1]} epochs is above {GOAL} %")


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Beside what is done inside, so many processes that never rest."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            other = stack.enter_context(subprocess.Popen([sys.executable, "-c", BUSY]))
            stack.callback(other.kill)  # before it is waited for
        yield


def beside(preset: str, pairs: int) -> Row:
    """A run of one epoch beside `BESIDE` busy processes, against the same alone."""
    turns = []
    for _ in range(pairs):
        alone = output(USERS, ROOT, preset, threads="")["seconds"]
        with busy(BESIDE):
            turns.append((alone, output(USERS, ROOT, preset, threads="")["seconds"]))
    times = [crowded / alone for alone, crowded in turns]
    idle, crowded = (statistics.median(side) for side in zip(*turns, strict=True))
    middle = statistics.median(times)
    what = f"a run of one epoch at `{preset}` beside two busy processes, times as long as idle"
    ours = f"{middle:.1f} times ({crowded:.0f} s, idle {idle:.0f} s)"
    spread = (MOST / max(times), MOST / min(times))
    return Row(what, ours, f"limit {MOST:g} times", MOST / middle, spread)


def run(preset: str = "quick", pairs: int = PAIRS) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        sides = (NOW, ROOT), (THEN, tree_of(BEFORE, Path(folder)))
        same = [PROGRAM.format(**side, changes=OF_THEN, judged=False) for side, _ in sides]
        turns = [
            [seconds(program, tree, preset) for program, (_, tree) in zip(same, sides, strict=True)]
            for _ in range(pairs)
        ]
        truths = [shortest(side, tree, preset) for side, tree in sides]
    ratios = [then / now for now, then in turns]
    words = [f"{statistics.median(side):.1f} s" for side in zip(*turns, strict=True)]
    what = f"the recipe that `{preset}` had at commit {BEFORE}, one thread, float32, against it"
    rows = [Row(what, *words, statistics.median(ratios), (min(ratios), max(ratios)))]
    what = f"shortest complete run at `{preset}` whose median of three seeds passes {GOAL:g} %"
    words = [f"{n} epochs, {statistics.median(spent):.1f} s" for n, spent in truths]
    ratios = [then / now for now, then in zip(*(spent for _, spent in truths), strict=True)]
    rows.append(Row(what, *words, statistics.median(ratios), (min(ratios), max(ratios))))
    return [*rows, beside(preset, pairs)]
