"""From images to random views: operations, draws, branches, batches."""

from .draws import Random, Share, draw, sample_crop_boxes, sample_jitter, sometimes, uniform
from .views import (
    SAMPLERS,
    branches,
    center_view,
    distort,
    first_crop,
    to_float,
    two_views,
    view,
)

__all__ = [
    "SAMPLERS",
    "Random",
    "Share",
    "branches",
    "center_view",
    "distort",
    "draw",
    "first_crop",
    "sample_crop_boxes",
    "sample_jitter",
    "sometimes",
    "to_float",
    "two_views",
    "uniform",
    "view",
]
