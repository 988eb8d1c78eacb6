"""The harness of the benchmarks; what it measures is not a matter of tests."""

from __future__ import annotations

import ast
import importlib
from functools import partial

import pytest

from benchmarks import probes, quick, start_up
from benchmarks.augmentation import ours
from benchmarks.sides import compare, row

small = partial(ours, blur=False)


def fails():
    raise ValueError("made to fail")


def test_two_sides_take_turns():
    first, second = compare((small, 8, 32), (small, 4, 32), pairs=2)
    assert len(first) == len(second) == 2
    assert min(first + second) > 0


def test_a_side_that_fails_ends_the_comparison():
    with pytest.raises(RuntimeError, match="ended early"):
        compare((small, 4, 32), (fails,))


def test_ratios_are_taken_pair_by_pair():
    made = row("work", 100, "images/s", [1.0, 2.0, 4.0], [2.0, 6.0, 4.0])
    assert (made.ours, made.other) == ("50 images/s", "25 images/s")
    assert (made.ratio, made.spread) == (2.0, (1.0, 3.0))


PROGRAMS = {
    "start_up": start_up.CODE,
    "quick": quick.NOW,
    "probes": probes.JUDGE.format(**probes.NOW, weights=""),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_programs_of_their_own_import_what_there_is(program):
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names), node.module


def test_a_whole_run_is_timed_by_the_library_of_its_tree(tmp_path):
    assert quick.seconds(quick.NOW, quick.ROOT, "smoke") > 0
    judge = probes.JUDGE.format(**probes.NOW, weights=probes.trained_parts("smoke", tmp_path))
    assert quick.seconds(judge, quick.ROOT, "smoke") > 0
    with pytest.raises(RuntimeError, match=rf"failed: (?s:.)*not all of {tmp_path}"):
        quick.seconds(quick.NOW, tmp_path, "smoke")
    with pytest.raises(RuntimeError, match="commit 0000000 is not in this copy"):
        quick.tree_of("0000000", tmp_path)
