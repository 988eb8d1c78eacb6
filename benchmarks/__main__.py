"""`python -m benchmarks [NAME ...]`: measures, prints a table, keeps it in results.json."""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import platform
from collections.abc import Iterable
from pathlib import Path

from simclr_lib.machine import devices, versions

from .sides import Row

NAMES = (
    "quick",
    "probes",
    "end_to_end",
    "few_labels",
    "device",
    "augmentation",
    "nt_xent",
    "large_images",
    "start_up",
)
PACKAGES = ("torch", "torchvision", "lightly", "kornia", "pillow", "simplejpeg")
RESULTS = Path(__file__).parent / "results.json"


def markdown(rows: Iterable[Row]) -> str:
    """The table of `rows`, in Markdown."""
    lines = [
        "| what | ours | other | ratio (min to max) |",
        "| --- | --- | --- | --- |",
    ]
    for row in rows:
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
        if row.spread:
            ratio += f" ({row.spread[0]:.2f} to {row.spread[1]:.2f})"
        lines.append(f"| {row.what} | {row.ours} | {row.other} | {ratio} |")
    return "\n".join(lines)


def report(kept: dict[str, dict]) -> str:
    """All results kept, as the README shows them: the table, and where and when it was made."""
    table = markdown(Row(**row) for name in NAMES if name in kept for row in kept[name]["rows"])
    made = {f"{k['machine']}, {k['date']}, commit {k['commit']}" for k in kept.values()}
    return f"{table}\n\nMeasured on: {'; '.join(sorted(made))}."


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    chosen = parser.parse_args().names or NAMES
    for name in chosen:
        if name not in NAMES:
            parser.error(f"{name!r} is not valid: {', '.join(NAMES)}")
    kept = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    for name in chosen:
        rows = importlib.import_module(f"benchmarks.{name}").run()
        print(f"\n{name}\n{markdown(rows)}", flush=True)
        kept[name] = {
            "rows": [row._asdict() for row in rows],
            "machine": devices.describe(devices.choose("cpu")),
            "commit": versions.commit(),
            "date": datetime.date.today().isoformat(),
            "versions": {"python": platform.python_version()}
            | {package: versions.version(package) for package in PACKAGES},
        }
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
