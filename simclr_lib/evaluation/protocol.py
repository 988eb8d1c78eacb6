"""What the representation h is worth: k-nearest neighbours and linear probes on a frozen encoder.

Every number counts correct images of the test part; everything that is chosen is chosen on
validation (Section 2.3, appendices B.6 and B.8).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..config import Config
from ..data.images import Data
from ..machine import devices, threads
from .contrast import contrastive
from .features import Features, features, project
from .knn import knn
from .linear import Probe, linear_probe
from .linear_sgd import sgd_scores
from .scores import TOP, Scores, largest_class


def evaluate(
    encoder: nn.Module, data: Data, config: Config, head: nn.Module | None = None
) -> dict[str, float]:
    """The metrics of a record: test accuracy, percent, of the linear probe and of k-NN on h.

    The probe is what `config.probe` says; of L-BFGS also the chosen weight `l2`. Beside `linear`,
    `linear_top5` (with more than five classes), `linear_per_class`, the mean of the accuracies of
    the classes, and `largest_class`, what guessing the most frequent class would give.
    With the projection `head` of a SimCLR run also `linear_z`, the probe on z = g(h), and on new
    views of the test images `contrastive_accuracy`, percent, and `entropy`, nats (Table 5).
    """
    with threads.of_run(config, devices.choose(config.device)):
        return _metrics(encoder, data, config, head)


def _metrics(
    encoder: nn.Module, data: Data, config: Config, head: nn.Module | None
) -> dict[str, float]:
    found = features(encoder, data, config)
    metrics = _probe("linear", encoder, found, data, config)
    metrics |= {"knn": knn(found), "largest_class": largest_class(found.test_labels)}
    if head is not None:
        z = project(found, head)
        if torch.equal(z.test, found.test):  # no head: z is h
            of_h = {name: value for name, value in metrics.items() if name.startswith("linear")}
            metrics |= {name.replace("linear", "linear_z"): of_h[name] for name in of_h}
        else:
            metrics |= _probe("linear_z", _Both(encoder, head), z, data, config)
        match = contrastive(encoder, head, data.test, config)
        metrics["entropy"] = match.entropy.item()
        metrics["contrastive_accuracy"] = 100 * match.accuracy.item()
    return metrics


def _probe(
    name: str, f: nn.Module, found: Features, data: Data, config: Config
) -> dict[str, float]:
    """Test accuracy of the probe that `config.probe` names on f(x), of which `found` are known."""
    if config.probe == "SGD":
        judged: Probe | Scores = sgd_scores(f, data, config, found=found)
    else:
        judged = linear_probe(found, device=str(devices.for_probes(config.device)))
    metrics = {name: judged.accuracy, f"{name}_per_class": judged.per_class}
    if len(data.classes) > TOP:
        metrics[f"{name}_top5"] = judged.top5
    return metrics | ({"l2": judged.l2} if isinstance(judged, Probe) and name == "linear" else {})


class _Both(nn.Module):
    """z = g(f(x)): the encoder, or a method by its `encode`, and the head."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(getattr(self.encoder, "encode", self.encoder)(x))
