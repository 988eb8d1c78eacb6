"""The training loop, one update, LARS, and the files a run leaves."""

from .files import forget, keep, trained
from .log import HISTORY, NotFiniteError, Run
from .loop import train
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
