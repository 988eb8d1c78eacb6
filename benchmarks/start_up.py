"""Seconds from the start of a Jupyter kernel to the third update at `quick`, imports included."""

from __future__ import annotations

import statistics
import time

from jupyter_client.manager import KernelManager

from .sides import PAIRS, Row

CODE = """
from simclr_lib import Config
from simclr_lib.data import load
from simclr_lib.runs.costs import estimate
config = Config.create("quick")
estimate(config, load(config), measured=1)
"""


def once() -> float:
    """Seconds of one start; raises `RuntimeError` if the code fails."""
    begun = time.perf_counter()
    manager = KernelManager()
    manager.start_kernel()
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=120)
        reply = client.execute_interactive(CODE, timeout=600)
        if reply["content"]["status"] != "ok":
            raise RuntimeError(reply["content"]["evalue"])
        return time.perf_counter() - begun
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run() -> list[Row]:
    once()  # files are in the system's cache by then
    seconds = [once() for _ in range(PAIRS)]
    middle = statistics.median(seconds)
    spread = (10 / max(seconds), 10 / min(seconds))
    what = "kernel start to the third update, `quick`"
    return [Row(what, f"{middle:.1f} s", "limit 10 s", 10 / middle, spread)]
