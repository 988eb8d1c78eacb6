"""What it takes to judge `quick`: encoding and probing, this build against an earlier one.

One network, trained for an epoch, is judged by both, in turn, each time in a process of its own
with one thread and float32; seconds are those of `evaluate`, without imports and data.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import torch

from simclr_lib.config import Config
from simclr_lib.data import load
from simclr_lib.machine.progress import unheard
from simclr_lib.train import train

from .quick import BEFORE, ROOT, seconds, tree_of
from .sides import PAIRS, Row

JUDGE = """
import sys
import time
from pathlib import Path

import torch

from simclr_lib.config import Config
from simclr_lib.data import load
from simclr_lib.evaluation import evaluate
{imports}

torch.set_num_threads(1)
tree, preset, place = sys.argv[1:]
config = Config.create(preset, precision="fp32", device="cpu", output_dir=place)
images = load(config)
{build}
weights = torch.load({weights!r}, weights_only=True)
for part, values in zip((encoder, head), weights, strict=True):
    for own, value in zip(part.state_dict().values(), values, strict=True):
        own.copy_(value)
used = [module.__file__ for name, module in sys.modules.items() if name.startswith("simclr_lib")]
assert all(Path(file).is_relative_to(tree) for file in used), f"not all of {{tree}}: {{used}}"
before = time.perf_counter()
print(evaluate(encoder, images, config, head))
print("seconds", time.perf_counter() - before)
"""
NOW = {
    "imports": "from simclr_lib.methods import build",
    "build": "encoder, head = (method := build(config)).encoder, method.head",
}
THEN = {
    "imports": "from simclr_lib import trainer",
    "build": "encoder, head = trainer.build(config)",
}


def trained_parts(preset: str, folder: Path) -> str:
    """The path of what is judged: encoder and head, as lists of tensors, after one epoch."""
    config = Config.create(
        preset, epochs=1, precision="fp32", device="cpu", output_dir=str(folder / "runs")
    )
    run = train(config, load(config), report=unheard)
    path = folder / "parts.pt"
    torch.save([[*part.state_dict().values()] for part in (run.encoder, run.head)], path)
    return str(path)


def run(preset: str = "quick", pairs: int = PAIRS) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        before = tree_of(BEFORE, Path(folder, "before"))
        weights = trained_parts(preset, Path(folder))
        programs = [JUDGE.format(**side, weights=weights) for side in (NOW, THEN)]
        sides = (programs[0], ROOT), (programs[1], before)
        turns = [[seconds(*side, preset) for side in sides] for _ in range(pairs)]
    ratios = [then / now for now, then in turns]
    words = [f"{statistics.median(side):.1f} s" for side in zip(*turns, strict=True)]
    what = f"judging a network of `{preset}`, one thread, float32, against commit {BEFORE}"
    return [Row(what, *words, statistics.median(ratios), (min(ratios), max(ratios)))]
