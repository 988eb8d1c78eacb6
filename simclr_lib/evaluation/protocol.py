"""What the representation h is worth: k-nearest neighbours and linear probes on a frozen encoder.

Every number counts correct images of the test part; everything that is chosen is chosen on
validation (Section 2.3, appendices B.6 and B.8).
"""

from __future__ import annotations

from torch import nn

from ..config import Config
from ..data.images import Data
from ..machine import devices
from .contrast import contrastive
from .features import features, project
from .knn import knn
from .linear import linear_probe


def evaluate(
    encoder: nn.Module, data: Data, config: Config, head: nn.Module | None = None
) -> dict[str, float]:
    """The metrics of a record: test accuracy, percent, of the linear probe and of k-NN on h.

    With the projection `head` of a SimCLR run also `linear_z`, the probe on z = g(h), and on new
    views of the test images `contrastive_accuracy`, percent, and `entropy`, nats (Table 5).
    """
    found = features(encoder, data, config)
    device = str(devices.for_probes(config.device))
    probe = linear_probe(found, device=device)
    metrics = {"linear": probe.accuracy, "knn": knn(found), "l2": probe.l2}
    if head is not None:
        same = config.head_layers == 0
        at_z = probe if same else linear_probe(project(found, head), device=device)
        match = contrastive(encoder, head, data.test, config)
        metrics |= {"linear_z": at_z.accuracy, "entropy": match.entropy.item()}
        metrics["contrastive_accuracy"] = 100 * match.accuracy.item()
    return metrics
