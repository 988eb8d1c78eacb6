"""Which transformation was applied? What h knows and z = g(h) has lost (Section 4.2, Table 3).

A question is a data set whose images are transformed at random and whose labels say how. A small
network reads the answer from frozen features. If the loss has asked z to be blind to the
transformation, z should not know it; h may.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Generator, Tensor

from ..checks import one_of, refuse, whole
from ..config import Config
from ..data.images import Data, ImageFiles, ImageSet
from ..views import operations as ops
from ..views.color import choose, to_grayscale
from ..views.views import NOISE_STD, to_float
from .doors import PARTS, checked, checked_pixels
from .features import Features, accuracy

# How often guessing the most frequent answer is right, percent (Table 3).
CHANCE = {"grayscale": 80.0, "rotation": 25.0, "noise": 50.0, "sobel": 50.0}


def pretraining(config: Config, task: str) -> Config:
    """`config` with the transformation of `task` added to what tells the two views apart.

    Rotation is drawn for both views; noise and Sobel filtering, which are always applied, are
    added to the first only, so that z has to match an image with and one without. Colour is in the
    default already. Raises `ValueError` for an unknown task.
    """
    one_of("task", task, tuple(CHANCE))
    plain = config.augmentations
    if task == "grayscale":
        return config
    if task == "rotation":
        return config.replace(augmentations=f"{plain}+rotate")
    return config.replace(augmentations=f"{plain}+{task}", second_view=plain)


def transform(images: Tensor, task: str, generator: Generator) -> tuple[Tensor, Tensor]:
    """Images changed at random, float32 (N, 3, S, S) in 0..1, and how, int64 (N,).

    "grayscale": 1 with probability 0.2; "rotation": 0 to 3 quarter turns; "noise" (Gaussian, of
    the same size as in `views`) and "sobel": 1 with probability 0.5. `images` uint8 or float in
    0..1, (N, 3, S, S). Raises `ValueError` for others, and without a generator.
    """
    one_of("task", task, tuple(CHANCE))
    x = to_float(checked_pixels("images", images))
    if task == "rotation" and x.shape[2] != x.shape[3]:
        refuse("images", images, "square, of shape (N, 3, S, S), to be turned")
    if not isinstance(generator, Generator):
        refuse("generator", generator, "a torch.Generator")
    if task == "rotation":
        answer = torch.randint(4, (len(x),), generator=generator)
        return ops.rotate(x, answer), answer
    share = 1 - CHANCE[task] / 100
    answer = (torch.rand(len(x), generator=generator) < share).long()
    if task == "noise":
        changed = ops.add_noise(x, torch.randn(x.shape, generator=generator), NOISE_STD)
    else:
        changed = to_grayscale(x) if task == "grayscale" else ops.sobel(x)
    return choose(answer.bool(), changed, x).clamp(0, 1), answer


def question(data: Data, task: str, generator: Generator) -> Data:
    """`data` with transformed images, and labels that say how they were transformed.

    Raises `ValueError` for data that are files, not images in memory.
    """
    parts: dict[str, Any] = {}
    for name in PARTS:
        part = getattr(data, name)
        if isinstance(part, ImageFiles):
            refuse("dataset", data.name, "one whose images are in memory: this probe changes them")
        parts[name] = ImageSet(*transform(part.images, task, generator))
    return data._replace(classes=tuple(map(str, range(4 if task == "rotation" else 2))), **parts)


def predict(found: Features, seed: int = 0, hidden: int = 128) -> float:
    """Test accuracy, percent, of a network with one hidden layer on features (h or z).

    The paper trains "additional MLPs" of a size it does not print. Train and validation part
    together are fitted; a tenth of them says when to stop. Raises `ValueError` for features and
    answers that cannot be used (no rows, NaN, other widths, below 0), and too few of them.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    whole("seed", seed, low=0, high=2**32 - 1)
    whole("hidden", hidden, low=1)
    found = checked(found, *PARTS, least=2)
    mean, std = found.train.mean(dim=0), found.train.std(dim=0).clamp_min(1e-6)
    x = (torch.cat([found.train, found.validation]) - mean) / std
    y = torch.cat([found.train_labels, found.validation_labels])
    answers, each = y.unique(return_counts=True)
    if each.min() < 2 or len(y) <= 10 * (len(answers) - 1):  # a tenth has to have all answers
        valid = "2 or more of every answer and ten for each, with those of validation"
        refuse("found.train_labels", found.train_labels, valid)
    network = MLPClassifier(
        (hidden,), early_stopping=True, n_iter_no_change=8, max_iter=60, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the limit of 60 passes is meant
        network.fit(x.numpy(), y.numpy())
    predicted = torch.from_numpy(network.predict(((found.test - mean) / std).numpy()))
    return accuracy(predicted, found.test_labels)
