"""Linear probes on a frozen encoder: by L-BFGS, and by SGD as in the paper."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from .. import views
from ..config import Config
from ..data.images import Data
from ..machine import devices
from ..networks.heads import linear_classifier
from ..schedule import scaled_learning_rate, total_steps, warmup_cosine
from ..views.batches import batches, epoch_order
from .doors import PARTS, checked, checked_grid, checked_labels, checked_place
from .features import Features, accuracy, as_at_test, features

L2_GRID = tuple(10.0**power for power in range(-6, 2))  # on the mean loss; the paper has 45 values


class Probe(NamedTuple):
    """A linear probe's test accuracy in percent, and the l2 weight chosen on validation."""

    accuracy: float
    l2: float


def linear_probe(
    found: Features, l2_grid: tuple[float, ...] = L2_GRID, device: str = "cpu"
) -> Probe:
    """Multinomial logistic regression on h by L-BFGS (appendix B.8's classifier).

    Features are standardised with the training images' mean and deviation. The l2 weight (times
    half the squared weights, beside the *mean* cross-entropy) is chosen on validation; with the
    chosen one, train and validation together are fitted and test is judged, once. Raises
    `ValueError` for an XLA device, which would compile anew at every look at a number, an `l2_grid`
    that is empty or not above 0, and what `doors.checked` refuses of features and labels.
    """
    place, l2_grid = checked_place(device), checked_grid(l2_grid)
    found = checked(found, *PARTS, least=2)
    mean, std = found.train.mean(dim=0), found.train.std(dim=0).clamp_min(1e-6)
    (train, y_train), (validation, y_validation), (test, y_test) = (
        (((h - mean) / std).to(place), y.to(place))
        for h, y in zip(found[::2], found[1::2], strict=True)
    )
    classes = int(torch.cat([found.train_labels, found.validation_labels]).max()) + 1
    weights, scores = torch.zeros(train.shape[1] + 1, classes, device=place), []
    for l2 in sorted(l2_grid, reverse=True):  # from stiff to loose, each from the last solution
        weights = _logistic_regression(train, y_train, weights, l2)
        scores.append((accuracy(_predict(validation, weights), y_validation), l2, weights))
    _, l2, weights = max(scores, key=lambda score: score[:2])  # of equals the stiffest
    together = torch.cat([train, validation]), torch.cat([y_train, y_validation])
    weights = _logistic_regression(*together, weights, l2)
    return Probe(accuracy(_predict(test, weights), y_test), l2)


def _logistic_regression(x: Tensor, y: Tensor, start: Tensor, l2: float) -> Tensor:
    """Weights (features + 1, classes), the last row the bias, that minimise the loss above."""
    weights = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weights],
        max_iter=200,
        tolerance_grad=1e-5,
        tolerance_change=1e-7,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = torch.addmm(weights[-1], x, weights[:-1])
        loss = F.cross_entropy(logits, y) + l2 / 2 * weights[:-1].square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weights.detach()


def _predict(x: Tensor, weights: Tensor) -> Tensor:
    return (x @ weights[:-1] + weights[-1]).argmax(dim=1)


def linear_probe_sgd(encoder: nn.Module, data: Data, config: Config, augment: bool = True) -> float:  # noqa: FBT001, FBT002
    """Test accuracy, percent, of the paper's linear evaluation (appendix B.6).

    Nesterov momentum 0.9, learning rate 0.1 * batch / 256 with cosine decay, no warm-up and no
    weight decay, `probe_epochs` passes over the train part, weights from zero. With `augment` every
    pass sees new crops and flips through the frozen encoder, as in the paper; without, it sees the
    plain images, which is far cheaper. Unlike the paper's, the features are standardised (mean
    and deviation of the plain training images): the stated rate then suits any encoder. Raises
    `ValueError` for what `encode` refuses, and labels that `data.classes` does not have.
    """
    checked_labels(data, "train", "test")
    device = devices.choose(config.device)
    crops = config.replace(augmentations="crop+flip", second_view="")
    fixed = features(encoder, data, config)  # also moves the encoder to the device
    fixed = checked(fixed, *PARTS, least=2, labelled=False, name="data")
    mean, std = fixed.train.mean(dim=0).to(device), fixed.train.std(dim=0).to(device)
    std = std.clamp_min(1e-6)
    classifier = linear_classifier(fixed.train.shape[1], len(data.classes), generator=Generator())
    nn.init.zeros_(classifier.weight)
    classifier.to(device)
    total = total_steps(len(data.train), config.batch_size, config.probe_epochs)
    peak = scaled_learning_rate(0.1, config.batch_size)
    optimizer = torch.optim.SGD(classifier.parameters(), peak, momentum=0.9, nesterov=True)
    stream = (
        _augmented(encoder, data, crops, device, total)
        if augment
        else _fixed(fixed, config, device, total)
    )
    with as_at_test(encoder):
        for step, (h, labels) in enumerate(stream):
            optimizer.param_groups[0]["lr"] = warmup_cosine(step, peak, 0, total)
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(classifier((h - mean) / std), labels).backward()
            optimizer.step()
    with torch.no_grad():
        logits = classifier((fixed.test.to(device) - mean) / std)
    return accuracy(logits.argmax(dim=1).cpu(), fixed.test_labels)


def _augmented(encoder, data, config, device, total):  # noqa: ANN001, ANN202
    """h of newly cropped images, and labels, `total` batches."""
    dtype = devices.number_format(device, config.precision)
    f = getattr(encoder, "encode", encoder)
    for (x,), labels, _ in batches(data.train, [views.branch(config)], config, device, 0, total):
        with torch.no_grad(), devices.autocast(device, dtype):
            h = f(x.contiguous(memory_format=torch.channels_last))
        yield h.float(), labels


def _fixed(found, config, device, total):  # noqa: ANN001, ANN202
    """h of the plain images, and labels, `total` batches."""
    train, labels = found.train.to(device), found.train_labels.to(device)
    per_epoch = max(len(train) // config.batch_size, 1)
    for step in range(total):
        order = epoch_order(len(train), config.seed, step // per_epoch)
        start = step % per_epoch * config.batch_size
        chosen = order[start : start + config.batch_size].to(device)
        yield train[chosen], labels[chosen]
