"""The training loop, one update, LARS, and the files a run leaves."""

from .optimizers import LARS

__all__ = ["LARS"]
