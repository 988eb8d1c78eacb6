"""What the representation h is worth: k-nearest neighbours and linear probes on a frozen encoder.

Every number counts correct images of the test part; everything that is chosen is chosen on
validation (Section 2.3, appendices B.6 and B.8).
"""

from __future__ import annotations

from torch import Tensor, nn

from ..config import Config
from ..data.images import Data
from ..machine import devices
from .contrast import contrastive
from .features import Features, features, project
from .knn import knn
from .linear import linear_probe
from .linear_sgd import linear_probe_sgd


def evaluate(
    encoder: nn.Module, data: Data, config: Config, head: nn.Module | None = None
) -> dict[str, float]:
    """The metrics of a record: test accuracy, percent, of the linear probe and of k-NN on h.

    The probe is what `config.probe` says; of L-BFGS also the chosen weight `l2`.
    With the projection `head` of a SimCLR run also `linear_z`, the probe on z = g(h), and on new
    views of the test images `contrastive_accuracy`, percent, and `entropy`, nats (Table 5).
    """
    found = features(encoder, data, config)
    metrics = _probe("linear", encoder, found, data, config) | {"knn": knn(found)}
    if head is not None:
        if any(True for _ in head.parameters()):
            both = _Both(encoder, head)
            metrics |= _probe("linear_z", both, project(found, head), data, config)
        else:  # no head: z is h
            metrics["linear_z"] = metrics["linear"]
        match = contrastive(encoder, head, data.test, config)
        metrics["entropy"] = match.entropy.item()
        metrics["contrastive_accuracy"] = 100 * match.accuracy.item()
    return metrics


def _probe(
    name: str, f: nn.Module, found: Features, data: Data, config: Config
) -> dict[str, float]:
    """Test accuracy of the probe that `config.probe` names on f(x), of which `found` are known."""
    if config.probe == "SGD":
        return {name: linear_probe_sgd(f, data, config)}
    probe = linear_probe(found, device=str(devices.for_probes(config.device)))
    return {name: probe.accuracy} | ({"l2": probe.l2} if name == "linear" else {})


class _Both(nn.Module):
    """z = g(f(x)): the encoder, or a method by its `encode`, and the head."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(getattr(self.encoder, "encode", self.encoder)(x))
