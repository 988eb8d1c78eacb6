"""One run: train, judge, record."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

from ..config import Config
from ..data.catalog import load_as, parameters_of, stamp
from ..data.images import Data
from ..data.shares import labelled_indices
from ..evaluation.classified import classified
from ..evaluation.needs import check
from ..evaluation.protocol import evaluate
from ..machine import devices, parallel
from ..machine.progress import Report
from ..methods import METHODS, build
from ..networks.resnet import parameter_count
from ..train import files
from ..train.log import NotFiniteError
from ..train.loop import train
from . import records


def make(config: Config, report: Report | None = None) -> None:
    """Train, evaluate and record what `config` says.

    `report` is told how far the training is, instead of a line of its own. A run that diverges is
    recorded with what it said and no metrics; one that cannot be judged, for want of memory or
    labels, is not begun (`ValueError`). Of several processes that train together only the first
    goes on to evaluate, on its own; the hosts of a TPU pod do all of it together, and each writes
    the record.
    """
    images = _images(config)
    check(config, images)  # not after hours of training
    run, failed = None, _failed_before(config)
    if METHODS[config.method].trained and not failed:
        try:
            run = train(config, images, report=report, until_recorded=True)
        except NotFiniteError as error:
            failed = {"failed": str(error)}
    if not devices.leave(devices.choose(config.device)):
        return
    method = run.method if run else build(config, len(images.classes))
    head = getattr(method, "head", None)
    metrics = {}
    if method.classifies and not failed:
        metrics = classified(method, images, config)
    elif not failed:
        metrics = evaluate(method, images, config, head)
    metrics["parameters_M"] = parameter_count(method.encoder) / 1e6
    records.add(config, metrics, run, data=images, **failed)
    files.forget(config, images)


def check_labels(config: Config) -> None:
    """Refuse labels that the data do not have, before what the run begins with is trained."""
    if METHODS[config.method].classifies:
        labelled_indices(_images(config), config)


def _failed_before(config: Config) -> dict[str, str]:
    """Of what the run begins with, what diverged."""
    for role, need in METHODS[config.method].needs(config).items():
        if not isinstance(need, Config):
            continue
        if said := parallel.from_first(partial(records.failure, need)):
            return {"failed": f"its {role} ({need.method}) diverged: {said}"}
    return {}


def _images(config: Config) -> Data:
    """The data set of `config`, fetched by one after another of those who train together."""
    return parallel.in_turn(lambda: _data(stamp(config), *parameters_of(config)))


@lru_cache(maxsize=1)
def _data(stamp: str, *values: Any) -> Data:
    """The data set, loaded once in every process while its files stay as they are."""
    return load_as(*values)
