"""Images: what they are, sets by name, folders of your own, the embedded set."""

from .catalog import load
from .images import Data, ImageFiles, ImageSet

__all__ = ["Data", "ImageFiles", "ImageSet", "load"]
