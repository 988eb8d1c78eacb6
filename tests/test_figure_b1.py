"""Figure B.1 in five guesses: its exercises can be solved, and only rightly."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import nbformat
import pytest

from simclr_lib.evaluation.scores import TOP
from simclr_lib.paper import published

NOTEBOOK = Path(__file__).parent.parent / "reproductions" / "figure_b1.ipynb"
RIGHT = "(logits.argsort(dim=1, descending=True)[:, :{n}] == labels[:, None]).any(dim=1)"
TOP_N = f"lambda logits, labels: 100 * {RIGHT}.double().mean().item()"
SOLUTIONS = {  # by cell: what is right, and a mistake that is easily made
    "exercise-1": ("100 * (89.0 - 69.3) / (100 - 69.3)", "89.0 - 69.3"),
    "exercise-2": (TOP_N.format(n=5), TOP_N.format(n=4)),
}


def solved(name, answer):
    """What the exercise prints with this answer in place of None."""
    (cell,) = (c for c in nbformat.read(NOTEBOOK, 4).cells if c.id == name)
    assert cell.source.count("answer = None\n") == 1
    known = {"method": "SimCLR", "architecture": "ResNet-50"}
    names = {"published": published, "of_table6": known, "TOP": TOP}
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(cell.source.replace("answer = None\n", f"answer = {answer}\n"), names)
    return said.getvalue()


@pytest.mark.parametrize("name", SOLUTIONS)
def test_an_exercise_takes_its_solution_and_nothing_else(name):
    right, wrong = SOLUTIONS[name]
    solved(name, right)
    assert solved(name, None) == ""
    with pytest.raises(AssertionError):
        solved(name, wrong)


def test_all_exercises_have_a_solution_here():
    cells = nbformat.read(NOTEBOOK, 4).cells
    assert {c.id for c in cells if c.source.count("answer = None\n")} == set(SOLUTIONS)
