"""Interactive pieces of the notebooks, drawn from numbers that the library computed."""

from .circle import circle
from .piece import Piece

__all__ = ["Piece", "circle"]
