"""Parameters beyond SimCLR as its paper has it: of its relatives, and for looking closer.

`config.Config` has these and its own; a reader on the way to SimCLR may skip them.
"""

from __future__ import annotations

import dataclasses

from .names import TRAINED
from .parameters import Interval, parameter


@dataclasses.dataclass(frozen=True)
class Beyond:
    """What `Config` inherits; each is checked there."""

    copies: int = parameter(
        1, "of every image in a batch, each with views of its own", Interval(1, 2**20), TRAINED
    )
    ema_momentum: float = parameter(
        0.996, "of the target network at first (MoCo v2 0.999)", Interval(0, 1), ("BYOL", "MoCo v2")
    )
    queue_size: int = parameter(
        65536, "earlier keys that serve as negatives", Interval(1, 2**24), ("MoCo v2",)
    )
