"""Rotation (Gidaris et al., ICLR 2018, arXiv 1803.07728): by how many quarter turns was it turned?

The simplest puzzle that needs no labels. All four turns of an image are in the batch, so one of N
images has 4N rows. The paper's views are crops (of a padded image) and flips; ours are those of
`augmentations`, as for every method.
"""

from __future__ import annotations

import torch

from ..config import Config
from ..views import Batch, Random
from .supervised import Supervised

TURNS = 4


class Rotation(Supervised):
    """A classifier of four classes, on images that `prepare` has turned."""

    name, labelled, passes = "rotation", False, 4.0

    def __init__(self, config: Config, classes: int = 0) -> None:
        super().__init__(config, TURNS)

    def prepare(self, batch: Batch, generator: Random) -> Batch:
        """Images (N, 3, S, S) as they are, then turned once, twice, thrice, counter-clockwise."""
        (x,), answers = batch.views, torch.arange(TURNS, device=batch.labels.device)
        turned = torch.cat([x.rot90(turns, (2, 3)) for turns in range(TURNS)])  # (4N, 3, S, S)
        return Batch((turned,), answers.repeat_interleave(len(x)), batch.index.repeat(TURNS))
