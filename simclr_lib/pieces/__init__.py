"""Interactive pieces of the notebooks, drawn from numbers that the library computed."""

from .circle import circle
from .composed import composed
from .piece import Piece
from .rates import rates
from .steps import steps

__all__ = ["Piece", "circle", "composed", "rates", "steps"]
