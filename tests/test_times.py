"""How long notebooks take is measured, kept in one file, and said nowhere else."""

from __future__ import annotations

import json
import re

import nbformat
import pytest

from tests import times
from tests.test_project import names

ALL = times.notebooks()
EMPTY = {"machine": None, "seconds": dict.fromkeys(ALL)}


def test_every_notebook_has_an_entry_and_nothing_else_has():
    kept = times.read()
    assert list(kept["seconds"]) == ALL, "python -m tests.times makes room for new ones"
    known = [seconds for seconds in kept["seconds"].values() if seconds is not None]
    assert all(isinstance(seconds, int) and seconds > 0 for seconds in known)
    assert bool(kept["machine"]) == bool(known)


@names
def test_no_notebook_says_itself_how_long_it_takes(path):
    said = nbformat.read(path, 4).cells[0].source
    prose = "\n".join(line for line in said.splitlines() if not line.startswith("|"))
    assert not re.search(r"\b(seconds|minutes?|hours?)\b", prose), "notebooks/times.json does"


def test_a_log_names_notebooks_in_full_or_in_short():
    log = ["notebooks/00_start_here.ipynb 66.4", "", "figure9 30", "figure9 200.0\n"]
    assert times.measured(log) == {"notebooks/00_start_here": 66, "reproductions/figure9": 200}


@pytest.mark.parametrize(
    "line", ["99_no_such 5", "figure9", "figure9 soon", "figure9 nan", "figure9 0", "figure9 1 s"]
)
def test_a_line_that_says_something_else_is_refused(line):
    with pytest.raises(ValueError, match=re.escape(repr(line))):
        times.measured(["figure1 5", line])


def test_what_is_measured_anew_replaces_what_was_and_names_its_machine():
    first = times.filled(EMPTY, {ALL[0]: 66, ALL[1]: 200}, "one")
    assert first["machine"] == "one"
    assert [first["seconds"][name] for name in ALL[:3]] == [66, 200, None]
    second = times.filled(first, {ALL[0]: 70}, "another")
    assert second["machine"] == "one; another"
    assert [second["seconds"][name] for name in ALL[:3]] == [70, 200, None]
    assert times.filled(second, dict.fromkeys(ALL, 9), "third")["machine"] == "third"
    assert times.filled(second, {}, "unused") == second
    gone = {"machine": "one", "seconds": {"notebooks/gone": 5}}
    assert times.filled(gone, {}, "unused") == EMPTY


def test_the_command_fills_the_file_and_the_table_shows_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(times, "KEPT", tmp_path / "times.json")
    (tmp_path / "log").write_text("00_start_here 66\nfigure9 200\n")
    times.main([str(tmp_path / "log")])
    kept = json.loads((tmp_path / "times.json").read_text())
    assert capsys.readouterr().out.startswith("2 new, not measured: notebooks/01_two_views")
    table = times.table()
    assert "| 00_start_here | 66 s | " in table
    assert "| 01_two_views | not measured | " in table
    assert " | figure9 | 3 min |" in table
    assert table.endswith(f"Measured on: {kept['machine']}.")
