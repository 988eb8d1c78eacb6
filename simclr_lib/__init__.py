"""SimCLR as a thin library: encoders, augmentations, NT-Xent, LARS, a trainer, evaluation."""

import sys

from .config import Config
from .losses import nt_xent, table4
from .networks import heads, layers, resnet
from .train import LARS, optimizers
from .views import color, operations

# Where these files were before there were packages: what users import from them stays there.
_MOVED = {
    "augmentations": operations,
    "color": color,
    "encoders": resnet,
    "heads": heads,
    "layers": layers,
    "optimizers": optimizers,
    "other_losses": table4,
}
for _name, _module in _MOVED.items():
    sys.modules[f"{__name__}.{_name}"] = globals()[_name] = _module

__all__ = ["LARS", "Config", "nt_xent"]
