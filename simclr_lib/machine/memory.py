"""The memory that is left: of the machine, and of a container or batch system around us."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

from . import groups

NAMES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes"),
    2: ("memory.max", "memory.current"),
}  # by version


def available() -> int:
    """Bytes: what the machine has free, or less if a cgroup of this process allows less."""
    return min([psutil.virtual_memory().available, *_left_in_groups()])


def _left_in_groups() -> list[int]:
    """Bytes that each limit above this process leaves; none where there are no such limits."""
    left = []
    for place, version in groups.around("memory"):
        with contextlib.suppress(OSError, ValueError):  # "max" is no number
            limit, used = (int((place / name).read_text()) for name in NAMES[version])
            left.append(max(limit - used + _reclaimable(place), 0))
    return left


def _reclaimable(place: Path) -> int:
    """Bytes that the group holds of files and gives back when they are needed."""
    with contextlib.suppress(OSError, ValueError):
        for line in (place / "memory.stat").read_text().splitlines():
            if line.startswith("inactive_file "):
                return int(line.split()[1])
    return 0
