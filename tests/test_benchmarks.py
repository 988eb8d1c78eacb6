"""The harness of the benchmarks; what it measures is not a matter of tests."""

from __future__ import annotations

from functools import partial

import pytest

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
