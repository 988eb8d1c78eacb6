"""The control groups around this process: what a container leaves it of the machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

GROUPS, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def around(controller: str) -> Iterator[tuple[Path, int]]:
    """The folders of all groups of this process that limit "memory" or "cpu", and their version.

    None where there are no such groups.
    """
    with contextlib.suppress(OSError, ValueError):
        for line in MEMBERSHIP.read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if kinds == "":  # version 2: one tree for all
                root, version = GROUPS, 2
            elif controller in kinds.split(","):
                root, version = GROUPS / controller, 1
            else:
                continue
            here = root / path.lstrip("/")
            for place in (here, *here.parents):
                if place.is_relative_to(root):
                    yield place, version
