"""From images to random views: operations, draws, branches, batches."""

from .draws import OwnRows, Random, draw, sample_crop_boxes, sample_jitter, sometimes, uniform
from .views import (
    SAMPLERS,
    Batch,
    Branch,
    branch,
    branches,
    center_view,
    distort,
    first_crop,
    make_views,
    to_float,
    two_views,
    view,
)

__all__ = [
    "SAMPLERS",
    "Batch",
    "Branch",
    "OwnRows",
    "Random",
    "branch",
    "branches",
    "center_view",
    "distort",
    "draw",
    "first_crop",
    "make_views",
    "sample_crop_boxes",
    "sample_jitter",
    "sometimes",
    "to_float",
    "two_views",
    "uniform",
    "view",
]
