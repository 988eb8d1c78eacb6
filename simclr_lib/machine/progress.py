"""One line of progress: rewritten in place in a notebook or terminal, rare in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

Report = Callable[[int, int, str], None]  # told of a run's progress: updates done, of all, a note


class Progress:
    """Shows `label`, share done, time left and a note; `update` as often as you like.

    In a notebook and on a terminal the line is rewritten at most twice a second and its last form
    stays. In a log, where rewriting is not possible, it is printed every ten minutes.
    """

    def __init__(self, label: str, total: int, done: int = 0) -> None:
        self.label, self.total, self.begun, self.first = label, total, time.monotonic(), done
        self.shown, self.printed, self.cell = 0.0, self.begun, _notebook_cell()

    def update(self, done: int, note: str = "", count: str = "") -> None:
        """Show that `done` of `total` are done; `count` replaces these two numbers."""
        now, last = time.monotonic(), done >= self.total
        if now - self.shown < 0.5 and not last:
            return
        self.shown = now
        spent = now - self.begun
        left = spent / max(done - self.first, 1) * (self.total - done)
        line = f"{self.label} {count or f'{done}/{self.total}'}"
        if last:
            line += f", {spent:.0f} s"
        elif done > self.first:
            line += f", {left:.0f} s left"
        line += f", {note}" if note else ""
        bar = f"{'█' * (20 * done // self.total):░<20} {line}"
        if self.cell is not None:
            self.cell.update({"text/plain": bar}, raw=True)
        elif sys.stdout.isatty():
            print(f"\r{bar}\033[K", end="\n" if last else "", flush=True)
        elif last or now - self.printed > 600:
            print(line, flush=True)
            self.printed = now


def on_a_line(label: str) -> Report:
    """Shows what it is told as `Progress`, which begins with the first report."""
    line: Progress | None = None

    def report(done: int, total: int, note: str) -> None:
        nonlocal line
        line = line or Progress(label, total, done)
        line.update(done, note)

    return report


def unheard(*message: object) -> None:
    """A `Report` that goes nowhere."""


def _notebook_cell():  # noqa: ANN202 - an IPython DisplayHandle, or None outside a notebook
    """A handle on a piece of the current cell's output."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if not hasattr(shell, "kernel"):
        return None
    from IPython.display import display

    return display({"text/plain": ""}, raw=True, display_id=True)
