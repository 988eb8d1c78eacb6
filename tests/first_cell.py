"""The first code cell of every notebook: `python -m tests.first_cell` writes it into all of them.

It fetches the course where only the notebook is, as in Colab. The address of the repository stands
once, in pyproject.toml, for its owner to set.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
NAME = "fetch-the-course"  # the cell's tag
CELL = """\
# Fetches the course where only this notebook is, as in Colab.
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

_address, _found = "{address}", find_spec("simclr_lib")
_places = [Path(_found.origin).parents[1]] if _found else []
_places += [Path.cwd(), *Path.cwd().parents]
_clone = next((p for p in _places if (p / "reproductions/records").is_dir()), Path("simclr"))
if not _clone.is_dir():
    assert _address, "no address yet: set it in pyproject.toml, run python -m tests.first_cell"
    print(f"simclr_lib and the records of our runs are fetched from {{_address}}")
    subprocess.run(["git", "clone", "--quiet", "--depth=1", _address, "simclr"], check=True)
sys.path.insert(0, str(_clone.resolve()))"""


def address() -> str:
    """Of the repository, as pyproject.toml has it; "" if its owner has not set it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return project["tool"]["simclr"]["repository"]


def cell(repository: str | None = None) -> str:
    """The source of the cell, for this address or for that of pyproject.toml."""
    return CELL.format(address=address() if repository is None else repository)


def written(notebook: Any, repository: str | None = None) -> Any:
    """`notebook` with the cell after its title, in place of the one that it has."""
    cells = [c for c in notebook.cells if NAME not in c.metadata.get("tags", [])]
    made = nbformat.v4.new_code_cell(cell(repository), id=NAME, metadata={"tags": [NAME]})
    notebook.cells = [cells[0], made, *cells[1:]]
    counts = (c for c in notebook.cells if c.cell_type == "code")
    for count, code in enumerate(counts, start=1):
        code.execution_count = count
        for output in code.outputs:
            if "execution_count" in output:
                output.execution_count = count
    return notebook


if __name__ == "__main__":
    for path in sorted([*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("reproductions/*.ipynb")]):
        nbformat.write(written(nbformat.read(path, 4)), path)
