"""The first code cell of every notebook, and links to where it can be opened.

`python -m tests.first_cell` writes both into all of them. The cell fetches the course where only
the notebook is, as in Colab. The address of the repository stands once, in pyproject.toml, for its
owner to set; links are there once it is on GitHub, from where those services read.
"""

from __future__ import annotations

import re
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


OPENED = "Open this page in"  # how the line of links begins
SERVICES = {
    "Colab": "https://colab.research.google.com/github/{project}/blob/HEAD/{path}",
    "Kaggle": "https://kaggle.com/kernels/welcome?src=https://github.com/{project}/blob/HEAD/{path}",
    "Binder": "https://mybinder.org/v2/gh/{project}/HEAD?labpath={path}",
}


def links(path: str, repository: str | None = None) -> str:
    """A line of links for the notebook at `path` of the repository; "" if that is not on GitHub."""
    where = address() if repository is None else repository
    found = re.fullmatch(r"(?:https://|git@)github\.com[/:]([\w.-]+/[\w.-]+?)(?:\.git)?/?", where)
    if not found:
        return ""
    targets = {n: url.format(project=found[1], path=path) for n, url in SERVICES.items()}
    return f"{OPENED} " + " · ".join(f"[{name}]({url})" for name, url in targets.items())


def titled(source: str, line: str) -> str:
    """The first cell with `line` below its title, in place of the one that it has."""
    parts = [part for part in source.split("\n\n") if not part.startswith(OPENED)]
    return "\n\n".join([parts[0], *filter(None, [line]), *parts[1:]])


def written(notebook: Any, path: str, repository: str | None = None) -> Any:
    """`notebook` with links and the cell after its title, in place of those that it has."""
    cells = [c for c in notebook.cells if NAME not in c.metadata.get("tags", [])]
    cells[0].source = titled(cells[0].source, links(path, repository))
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
        place = path.relative_to(ROOT).as_posix()
        nbformat.write(written(nbformat.read(path, 4), place), path)
