"""Of several runs of a seed the one that is best on validation, never by its test accuracy."""

from __future__ import annotations

import pandas as pd
import pytest

from simclr_lib import runs


def test_the_best_on_validation_is_chosen_for_every_seed_and_way():
    columns = ["way", "seed", "rate", "validation", "accuracy"]
    rows = [("a", 0, 1, 50.0, 90.0), ("a", 0, 2, 60.0, 10.0), ("a", 1, 1, 70.0, 71.0)]
    rows += [("a", 1, 2, 70.0, 99.0), ("b", 0, 1, float("nan"), 80.0), ("b", 0, 2, 5.0, 6.0)]
    table = pd.DataFrame(rows, columns=columns)
    best = runs.chosen(table.assign(run=table.rate), "way")
    assert best.accuracy.tolist() == [10.0, 71.0, 6.0]  # of equals the first; what failed is last
    assert len(runs.chosen(table.assign(run=table.rate)[:0], "way")) == 0


def test_a_seed_that_had_less_to_choose_from_is_left_out():
    rows = [("a", 0, 1, 5.0), ("a", 0, 2, 6.0), ("a", 1, 1, 9.0), ("b", 1, 1, 7.0)]
    table = pd.DataFrame(rows, columns=["way", "seed", "run", "validation"])
    again = pd.concat([table, table[table.seed == 1]])  # the same run twice is no choice
    for found in (table, again):
        best = runs.chosen(found.reset_index(drop=True), "way")
        assert best[["way", "seed"]].values.tolist() == [["a", 0], ["b", 1]]


def test_without_validation_nothing_can_be_chosen():
    with pytest.raises(ValueError, match="must have a column validation"):
        runs.chosen(pd.DataFrame({"way": ["a"], "seed": [0]}), "way")
