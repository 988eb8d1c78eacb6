"""How long every notebook takes as it is: measured, kept in notebooks/times.json and nowhere else.

    python -m tests.times LOG
    python -m tests.readme

The first takes the seconds from the lines "NAME SECONDS" of a log, such as "notebooks/00_start_here
66.2", and notes the machine on which it runs and the day; without a log it only makes room for new
notebooks. The second writes the table into the README. Measure with an empty runs/ folder: what is
recorded there is not trained again.
"""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from typing import Any

from simclr_lib.machine import devices

ROOT = Path(__file__).parent.parent
KEPT = ROOT / "notebooks" / "times.json"
FOLDERS = ("notebooks", "reproductions")


def notebooks() -> list[str]:
    """All of them, as "notebooks/00_start_here", in reading order."""
    paths = (path for folder in FOLDERS for path in sorted(ROOT.glob(f"{folder}/*.ipynb")))
    return [f"{path.parent.name}/{path.stem}" for path in paths]


def read() -> dict[str, Any]:
    """What is kept: `machine`, and `seconds` by notebook; null is not measured."""
    return json.loads(KEPT.read_text("utf-8"))


def measured(lines: Iterable[str]) -> dict[str, int]:
    """Whole seconds by notebook; raises `ValueError` for a line that says something else."""
    found = {}
    for line in filter(str.strip, lines):
        try:
            name, seconds = line.split()
            short = name.removesuffix(".ipynb")
            (known,) = (n for n in notebooks() if short in (n, n.split("/")[1]))
            found[known] = round(float(seconds))
            if found[known] <= 0:
                raise ValueError("no time")
        except (OverflowError, ValueError) as error:
            raise ValueError(f"{line!r} is not a notebook and its seconds") from error
    return found


def filled(kept: dict[str, Any], new: dict[str, int], where: str) -> dict[str, Any]:
    """`kept` with what was measured anew, and a place for every notebook there is.

    `machine` is all that the numbers are of: `where`, after what those that stay were measured on.
    """
    seconds = {name: new.get(name, kept["seconds"].get(name)) for name in notebooks()}
    stay = [name for name in seconds if name not in new and seconds[name] is not None]
    machines = (kept["machine"] or "").split("; ") if stay else []
    machines += [where] if new else []
    return {"machine": "; ".join(dict.fromkeys(machines)) or None, "seconds": seconds}


def shown(seconds: int | None) -> str:
    """In words: seconds below a minute and a half, then minutes."""
    if seconds is None:
        return "not measured"
    return f"{seconds} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def table() -> str:
    """The table of the README, the course on the left, the reproductions on the right."""
    kept = read()
    sides = []
    for folder in FOLDERS:
        of_it = {n: s for n, s in kept["seconds"].items() if n.startswith(f"{folder}/")}
        sides.append([f"{name.split('/')[1]} | {shown(s)}" for name, s in of_it.items()])
    lines = ["| notebook | time | reproduction | time |", "| --- | --- | --- | --- |"]
    lines += [f"| {left} | {right} |" for left, right in zip_longest(*sides, fillvalue=" | ")]
    where = f"Measured on: {kept['machine']}." if kept["machine"] else "Not measured yet."
    return "\n".join([*lines, "", where])


def main(arguments: list[str]) -> None:
    new = measured(line for name in arguments for line in Path(name).read_text().splitlines())
    today = datetime.date.today().isoformat()
    where = f"{devices.describe(devices.choose('cpu'))}, {today}"
    kept = filled(read() if KEPT.exists() else {"machine": None, "seconds": {}}, new, where)
    KEPT.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    lacking = [name for name, seconds in kept["seconds"].items() if seconds is None]
    print(f"{len(new)} new, not measured: {', '.join(lacking) or 'none'}")


if __name__ == "__main__":
    main(sys.argv[1:])
