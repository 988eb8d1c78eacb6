"""The first code cell brings the course to where only the notebook is."""

from __future__ import annotations

import shutil
import subprocess
import sys

import nbformat
import pytest

from simclr_lib import paths
from tests import first_cell
from tests.first_cell import NAME, ROOT
from tests.test_project import names

GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=m"]


@names
def test_every_notebook_has_the_cell_after_its_title(path):
    notebook = nbformat.read(path, 4)
    found = notebook.cells[1]
    assert found.metadata.tags == [NAME]
    assert found.source == first_cell.cell()
    assert found.outputs == []  # of a run in a clone


@names
def test_every_notebook_has_the_links_of_the_address(path):
    notebook, place = nbformat.read(path, 4), path.relative_to(ROOT).as_posix()
    assert notebook.cells[0].source == first_cell.titled(
        notebook.cells[0].source, first_cell.links(place)
    )


def test_links_lead_to_the_notebook_and_are_replaced_when_the_address_changes():
    path, source = "notebooks/03_nt_xent.ipynb", '# 3\n\n> "quote"\n\ntext'
    line = first_cell.links(path, "https://github.com/one/course.git")
    assert line == (
        "Open this page in "
        "[Colab](https://colab.research.google.com/github/one/course/blob/HEAD/"
        "notebooks/03_nt_xent.ipynb) · "
        "[Kaggle](https://kaggle.com/kernels/welcome?src="
        "https://github.com/one/course/blob/HEAD/notebooks/03_nt_xent.ipynb) · "
        "[Binder](https://mybinder.org/v2/gh/one/course/HEAD?labpath=notebooks/03_nt_xent.ipynb)"
    )
    linked = first_cell.titled(source, line)
    assert linked == f'# 3\n\n{line}\n\n> "quote"\n\ntext'
    other = first_cell.links(path, "git@github.com:two/course")
    assert first_cell.titled(linked, other) == linked.replace("one/", "two/")
    assert first_cell.titled(linked, "") == source


@pytest.mark.parametrize(
    "address", ["", "https://example.org/one/course", "https://github.com/one"]
)
def test_where_those_services_cannot_read_there_are_no_links(address):
    assert first_cell.links("notebooks/03_nt_xent.ipynb", address) == ""


@pytest.fixture
def remote(tmp_path):
    """A repository with the library, the records and nothing else."""
    place = tmp_path / "remote"
    shutil.copytree(ROOT / "simclr_lib", place / "simclr_lib", ignore=lambda *_: ["__pycache__"])
    shutil.copytree(ROOT / "reproductions" / "records", place / "reproductions" / "records")
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "all"]):
        subprocess.run([*GIT, *words], cwd=place, check=True)
    return place


AFTER = """
from simclr_lib import paths, runs
print(paths.project_root())
print(len(runs.read()), "records")
"""


def run(source, place):
    """What a script prints in a folder, where no simclr_lib is installed."""
    script = f"import sys; sys.path = [p for p in sys.path if p != {str(ROOT)!r}]\n"
    script += "sys.meta_path = [f for f in sys.meta_path if '__editable__' not in str(f)]\n"
    command = [sys.executable, "-c", script + source]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=300)


def test_it_fetches_library_and_records_into_an_empty_folder_once(tmp_path, remote):
    empty = tmp_path / "empty"
    empty.mkdir()
    first = run(first_cell.cell(str(remote)) + AFTER, empty)
    assert first.returncode == 0, first.stderr
    said, root, records = first.stdout.splitlines()
    assert str(remote) in said
    assert root == str(empty / "simclr")
    assert int(records.split()[0]) > 0
    again = run(first_cell.cell(str(remote)) + AFTER, empty)  # the kernel was restarted
    assert again.stdout.splitlines() == [root, records]


def test_it_finds_a_clone_above(tmp_path, remote):
    below = remote / "notebooks" / "mine"
    below.mkdir(parents=True)
    found = run(first_cell.cell("nowhere") + AFTER, below)
    assert found.stdout.splitlines()[0] == str(remote), found.stderr


def test_an_installed_library_without_records_is_not_enough(tmp_path, remote):
    bare = tmp_path / "bare"
    shutil.copytree(ROOT / "simclr_lib", bare / "simclr_lib", ignore=lambda *_: ["__pycache__"])
    empty = tmp_path / "empty"
    empty.mkdir()
    on_path = f"sys.path.insert(0, {str(bare)!r})\n"
    found = run(on_path + first_cell.cell(str(remote)) + AFTER, empty)
    assert found.stdout.splitlines()[1] == str(empty / "simclr"), found.stderr


def test_without_an_address_it_says_what_to_set(tmp_path):
    found = run(first_cell.cell(""), tmp_path)
    assert found.returncode
    assert "set it in pyproject.toml" in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_here_it_changes_nothing(capsys):
    before = list(sys.path)
    exec(compile(first_cell.cell(), NAME, "exec"), {})
    assert capsys.readouterr().out == ""
    assert sys.path.pop(0) == str(paths.project_root())
    assert sys.path == before
