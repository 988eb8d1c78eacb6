"""What a network with a classifier of its own is worth: it answers, no probe is trained."""

from __future__ import annotations

from torch import Tensor, nn

from ..config import Config
from ..data.images import Data
from ..data.shares import labelled_indices
from ..machine import devices, threads
from ..methods import Method
from .features import accuracy, encode
from .scores import TOP, best_guesses, largest_class, scores


class _Answers(nn.Module):
    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, x: Tensor) -> Tensor:
        return self.method.logits(x)  # type: ignore[operator]


def classified(method: Method, data: Data, config: Config) -> dict[str, float]:
    """The metrics of a fine-tuned or distilled network, percent.

    `accuracy` of the test images, `accuracy_top5` (with more than five classes),
    `accuracy_per_class`, the mean over classes, `validation`, by which a rate may be chosen, and
    `largest_class`, what guessing the most frequent class would give. And `labels`, how many
    labels were used.
    """
    answers = _Answers(method)
    with threads.of_run(config, devices.choose(config.device)):
        (test, labels), (validation, known) = (
            encode(answers, part, config) for part in (data.test, data.validation)
        )
    judged = scores(best_guesses(test), labels)
    metrics = {"accuracy": judged.accuracy, "accuracy_per_class": judged.per_class}
    if len(data.classes) > TOP:
        metrics["accuracy_top5"] = judged.top5
    metrics["validation"] = accuracy(validation.argmax(dim=1), known)
    metrics["largest_class"] = largest_class(labels)
    return metrics | {"labels": float(len(labelled_indices(data, config)))}
