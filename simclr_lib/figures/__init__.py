"""Every figure of the suite. Functions take tensors or records and return a closed `Figure`.

Matplotlib is imported when the first figure is drawn.
"""

from .curves import accuracy_bars, similarity_matrix, training_curves, tsne
from .pictures import image_grid, overview, views_gallery
from .style import LINES, MARKERS, OURS, STYLE, save
from .sweeps import heat_maps, sweep

__all__ = [
    "LINES",
    "MARKERS",
    "OURS",
    "STYLE",
    "accuracy_bars",
    "heat_maps",
    "image_grid",
    "overview",
    "save",
    "similarity_matrix",
    "sweep",
    "training_curves",
    "tsne",
    "views_gallery",
]
