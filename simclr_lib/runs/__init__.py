"""Runs as data: listed, made once, recorded, compared, foretold."""

from .costs import Cost, cost, estimate, estimate_apart
from .jobs import choice, grid, not_recorded, possible
from .one import make
from .records import add, read
from .sweeps import run
from .tables import METRICS, Difference, chosen, difference, summary, table

__all__ = [
    "METRICS",
    "Cost",
    "Difference",
    "add",
    "choice",
    "chosen",
    "cost",
    "difference",
    "estimate",
    "estimate_apart",
    "grid",
    "make",
    "not_recorded",
    "possible",
    "read",
    "run",
    "summary",
    "table",
]
