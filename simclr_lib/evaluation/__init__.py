"""What h is worth: features, neighbours, linear probes."""

from .contrast import contrastive
from .features import Features, accuracy, encode, features, project
from .knn import knn
from .linear import L2_GRID, Probe, linear_probe
from .linear_sgd import linear_probe_sgd
from .protocol import evaluate

__all__ = [
    "L2_GRID",
    "Features",
    "Probe",
    "accuracy",
    "contrastive",
    "encode",
    "evaluate",
    "features",
    "knn",
    "linear_probe",
    "linear_probe_sgd",
    "project",
]
