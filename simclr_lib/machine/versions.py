"""Which code, and which versions of packages, run here."""

from __future__ import annotations

import functools
import hashlib
import subprocess
from importlib import metadata
from pathlib import Path


@functools.cache
def commit() -> str:
    """The commit of the clone when first asked for, marked if files differ; else "unknown"."""
    ask = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=10",
    ]
    try:
        return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


@functools.cache
def code() -> str:
    """A hash of the library's code when first asked for; of figures and prose it does not count."""
    library, digest = Path(__file__).parent.parent, hashlib.blake2b(digest_size=5)
    for path in sorted(library.rglob("*.py")):
        if path.parent.name != "figures":
            digest.update(path.relative_to(library).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def version(package: str) -> str | None:
    """The version of an installed package, None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
