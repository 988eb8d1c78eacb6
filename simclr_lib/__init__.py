"""SimCLR as a thin library: encoders, augmentations, NT-Xent, LARS, a trainer, evaluation.

Read the modules in the order in which an image meets them: `config`, `data`, `synthetic`, `color`,
`augmentations`, `views`, `streams`, `encoders`, `heads`, `losses`, `optimizers`, `step`, `trainer`,
`evaluation`, `records`, `figures`.
"""

from .config import Config
from .losses import nt_xent
from .optimizers import LARS

__all__ = ["LARS", "Config", "nt_xent"]
