"""The harness of the benchmarks; what it measures is not a matter of tests."""

from __future__ import annotations

import ast
import contextlib
import importlib
from functools import partial

import psutil
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
    "quick": quick.PROGRAM.format(**quick.NOW, changes={}, judged=True),
    "beside": quick.USERS,
    "probes": probes.JUDGE.format(**probes.NOW, weights=""),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_programs_of_their_own_import_what_there_is(program):
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names), node.module


def test_a_whole_run_is_timed_by_the_library_of_its_tree(tmp_path):
    program = quick.PROGRAM.format(**quick.NOW, changes={"epochs": 1}, judged=True)
    found = quick.output(program, quick.ROOT, "smoke")
    assert found["seconds"] > 0
    assert 5 < found["linear"] < 60
    judge = probes.JUDGE.format(**probes.NOW, weights=probes.trained_parts("smoke", tmp_path))
    assert quick.seconds(judge, quick.ROOT, "smoke") > 0
    with pytest.raises(RuntimeError, match=rf"failed: (?s:.)*not all of {tmp_path}"):
        quick.seconds(program, tmp_path, "smoke")
    with pytest.raises(RuntimeError, match="commit 0000000 is not in this copy"):
        quick.tree_of("0000000", tmp_path)


def test_the_shortest_run_is_the_first_whose_median_passes(monkeypatch):
    reached = {2: [90.0, 70.0, 60.0], 3: [85.0, 81.0, 20.0], 4: [99.0, 99.0, 99.0]}

    def output(program, tree, preset):
        changes = ast.literal_eval(program)
        linear = reached[changes["epochs"]][changes["seed"]]
        return {"linear": linear, "seconds": 10.0 * changes["epochs"] + changes["seed"]}

    monkeypatch.setattr(quick, "output", output)
    monkeypatch.setattr(quick, "PROGRAM", "{changes!r}")
    assert quick.shortest({}, quick.ROOT, "quick") == (3, [30.0, 31.0, 32.0])
    reached[3] = reached[2]
    assert quick.shortest({}, quick.ROOT, "quick")[0] == 4
    reached |= dict.fromkeys((4, 5, 6), reached[2])
    with pytest.raises(RuntimeError, match="no run of up to 6 epochs is above 80"):
        quick.shortest({}, quick.ROOT, "quick")


def beside():
    """How many busy processes of the benchmark there are."""
    found = 0
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # another test's, over but not waited for
            found += quick.BUSY in child.cmdline()
    return found


def test_a_run_beside_busy_processes_is_told_against_one_that_is_alone(monkeypatch):
    seen = []

    def output(program, tree, preset, threads):
        seen.append((program, beside(), threads))
        return {"seconds": 10.0 * (1 + beside())}

    assert quick.output(quick.USERS, quick.ROOT, "smoke", threads="")["seconds"] > 0
    monkeypatch.setattr(quick, "output", output)
    row = quick.beside("smoke", pairs=2)
    assert seen == 2 * [(quick.USERS, 0, ""), (quick.USERS, 2, "")]
    assert beside() == 0
    assert "`smoke` beside two busy processes, times as long as idle" in row.what
    assert (row.ours, row.other) == ("3.0 times (30 s, idle 10 s)", "limit 3 times")
    assert (row.ratio, row.spread) == (1.0, (1.0, 1.0))


def test_busy_processes_end_with_what_they_are_beside():
    def crowded():
        with quick.busy(2):
            assert beside() == 2
            fails()

    with pytest.raises(ValueError, match="made to fail"):
        crowded()
    assert beside() == 0
