"""Every figure of the suite. Functions take tensors or records and return a closed `Figure`.

Matplotlib and seaborn are imported when the first figure is drawn.
"""

from .curves import accuracy_bars, training_curves
from .described import described, save
from .diagram import method
from .grids import heat_maps, similarity_matrix
from .maps import tsne
from .pictures import image_grid, overview, views_gallery
from .style import GREY, SIMCLR, STYLE, WIDTH, legend_below, looks
from .sweeps import sweep

__all__ = [
    "GREY",
    "SIMCLR",
    "STYLE",
    "WIDTH",
    "accuracy_bars",
    "described",
    "heat_maps",
    "image_grid",
    "legend_below",
    "looks",
    "method",
    "overview",
    "save",
    "similarity_matrix",
    "sweep",
    "training_curves",
    "tsne",
    "views_gallery",
]
