"""SIGTERM and SIGINT, by which a machine or a person asks a run to end: it may save first."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any


class Termination:
    """While entered, SIGTERM and SIGINT are noted in `asked` instead of ending things at once.

        with Termination() as termination:
            for ...:
                if termination.asked:
                    save()
                    termination.now()

    `now` lets the signal do what it did before, which is to end the process (SIGTERM, of batch
    systems) or what it is doing (SIGINT: Ctrl-C, a notebook's stop button), so whoever sent it sees
    that it arrived. It does so too if it came and the block was left without asking. A second
    SIGINT is not waited for. Outside the main thread, where Python takes no signals, nothing is
    noted.
    """

    def __init__(self) -> None:
        self.asked = self.entered = False
        self.number = signal.SIGTERM
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Termination:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                if signal.getsignal(number) is not signal.SIG_IGN:  # as told by who started us
                    self.before[number] = signal.signal(number, self._note) or signal.SIG_DFL
            self.entered = True
            _on_end_of_front_end(signal.SIGTERM)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked, self.number = True, signal.Signals(number)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.entered:
            _on_end_of_front_end(0)
            for number, handler in self.before.items():
                signal.signal(number, handler)
            self.entered = False
            waited = kind is not KeyboardInterrupt or self.number != signal.SIGINT
            if self.asked and waited:
                os.kill(os.getpid(), self.number)

    def now(self) -> None:
        """Do as if the signal had just come; `SystemExit` if that did not end things."""
        self.__exit__(None, None, None)
        raise SystemExit(128 + self.number)


def _on_end_of_front_end(number: int) -> None:
    """Where this is a notebook's kernel: signal `number` when the program that runs it is gone.

    A kernel notices that only after up to a second, and then ends without another word: papermill
    asked to end would take the run with it, unsaved. 0 takes it back. Linux only.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if hasattr(shell, "kernel") and sys.platform == "linux":
        parent_death_signal = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
        ctypes.CDLL(None).prctl(parent_death_signal, int(number))
