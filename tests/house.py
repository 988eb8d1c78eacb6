"""The house: the order in which the library is read, and what a file, a function, an arrow may be.

`tests/readme.py` writes the order into the README; `test_house.py` holds the library to the rest.
"""

from __future__ import annotations

import ast
from pathlib import Path

LIBRARY = Path(__file__).parent.parent / "simclr_lib"

# What a reader needs to understand SimCLR, in the order in which an image meets it.
PATH = (
    *("config", "views.views", "networks.resnet", "networks.heads", "losses.nt_xent"),
    *("train.optimizers", "methods.method", "methods.simclr", "train.loop", "evaluation.linear"),
)
# Arrows point one way: a file imports from its own floor or from floors below.
FLOORS = (
    ("parameters", "checks", "schedule", "paper", "names", "figures"),
    ("presets", "notebook", "beyond"),
    ("config",),
    ("paths",),
    ("machine",),
    ("data", "networks", "losses"),
    ("identity",),
    ("views",),
    ("methods",),
    ("train",),
    ("evaluation", "pieces"),
    ("runs",),
)


def files() -> dict[str, Path]:
    """All files of the library by dotted name; a package's own by the name of the package."""
    found = {}
    for path in sorted(LIBRARY.rglob("*.py")):
        parts = path.relative_to(LIBRARY).with_suffix("").parts
        found[".".join(p for p in parts if p != "__init__") or "__init__"] = path
    return found


def imports(name: str, path: Path) -> set[str]:
    """The files of the library that a file imports, also inside functions."""
    known, here = files(), name.split(".")
    package = here if path.name == "__init__.py" else here[:-1]
    if name == "__init__":
        package = []
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = package[: len(package) - node.level + 1] + (node.module or "").split(".")
        base = [part for part in base if part]
        for alias in node.names:
            whole = ".".join([*base, alias.name])
            found.add(whole if whole in known else ".".join(base) or "__init__")
    return found - {name}


def floor(name: str) -> int:
    """Which floor a file is on."""
    return next(i for i, rooms in enumerate(FLOORS) if name.split(".")[0] in rooms)


def order() -> list[str]:
    """Every file once: first the path, then floor by floor."""
    rest = [name for name in files() if name not in PATH and name not in ("__init__", "__main__")]
    rest.sort(key=lambda name: (floor(name), name))
    return [*PATH, *rest, "__init__", "__main__"]


def shown(name: str) -> str:
    """The file as the README names it."""
    return str(files()[name].relative_to(LIBRARY))


def about(name: str) -> str:
    """The first sentence of a file's docstring, on one line."""
    text = ast.get_docstring(ast.parse(files()[name].read_text("utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).rstrip(".")


def lines(name: str) -> int:
    """How long a file is."""
    return len(files()[name].read_text("utf-8").splitlines())
