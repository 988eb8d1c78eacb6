"""The training loop, one update, LARS, and the files a run leaves."""

from .files import forget, keep, trained
from .loop import HISTORY, NotFiniteError, Run, train
from .optimizers import LARS
from .update import update

__all__ = [
    "HISTORY",
    "LARS",
    "NotFiniteError",
    "Run",
    "forget",
    "keep",
    "train",
    "trained",
    "update",
]
