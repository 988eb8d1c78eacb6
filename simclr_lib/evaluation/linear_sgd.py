"""The paper's linear evaluation: a classifier trained by SGD on augmented images (appendix B.6)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, nn

from .. import views
from ..config import Config
from ..data.images import Data
from ..machine import devices
from ..networks.heads import linear_classifier
from ..schedule import scaled_learning_rate, total_steps, warmup_cosine
from ..views.batches import batches, epoch_order
from .doors import PARTS, checked, checked_labels
from .features import Features, as_at_test, features, moments
from .scores import Scores, best_guesses, scores


def linear_probe_sgd(encoder: nn.Module, data: Data, config: Config, augment: bool = True) -> float:  # noqa: FBT001, FBT002
    """Test accuracy, percent, of the paper's linear evaluation (appendix B.6).

    As `sgd_scores`, of which it is the first.
    """
    return sgd_scores(encoder, data, config, augment=augment).accuracy


def sgd_scores(
    encoder: nn.Module,
    data: Data,
    config: Config,
    *,
    augment: bool = True,
    found: Features | None = None,
) -> Scores:
    """Test scores of the paper's linear evaluation (appendix B.6); `found` if h is known already.

    Nesterov momentum 0.9, learning rate 0.1 * batch / 256 with cosine decay, no warm-up and no
    weight decay, `probe_epochs` passes over the train part in batches of `probe_batch_size` (or of
    all images, if they are fewer), weights from zero. With `augment` every pass sees new crops and
    flips through the frozen encoder, as in the paper; without, it sees the plain images, which is
    far cheaper. Unlike the paper's, the features are standardised (mean and deviation of the plain
    training images): the stated rate then suits any encoder. Raises `ValueError` for what `encode`
    refuses, and labels that `data.classes` does not have.
    """
    checked_labels(data, "train", "test")
    device = devices.choose(config.device)
    size = min(config.probe_batch_size, len(data.train))
    config = config.replace(
        augmentations="crop+flip", second_view="", batch_size=size, chunk_size=0, copies=1
    )
    fixed = features(encoder, data, config) if found is None else found
    encoder.to(device)
    fixed = checked(fixed, *PARTS, least=2, labelled=False, name="data")
    mean, std = (moment.to(device) for moment in moments(fixed.train))
    classifier = linear_classifier(fixed.train.shape[1], len(data.classes), generator=Generator())
    nn.init.zeros_(classifier.weight)
    classifier.to(device)
    total = total_steps(len(data.train), config.batch_size, config.probe_epochs)
    peak = scaled_learning_rate(0.1, config.batch_size)
    optimizer = torch.optim.SGD(classifier.parameters(), peak, momentum=0.9, nesterov=True)
    stream = (
        _augmented(encoder, data, config, device, total)
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
    return scores(best_guesses(logits).cpu(), fixed.test_labels)


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
