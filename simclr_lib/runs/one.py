"""One run: train, judge, record."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..config import Config
from ..data.catalog import load
from ..data.images import Data
from ..evaluation.protocol import evaluate
from ..machine import devices, parallel
from ..machine.progress import Report
from ..networks.resnet import parameter_count
from ..train import loop as trainer
from . import records
from .jobs import Job

if TYPE_CHECKING:
    pass


METHODS = ("random", "SimCLR", "supervised")


def make(job: Job, report: Report | None = None) -> None:
    """Train, evaluate and record one job.

    `report` is told how far the training is, instead of a line of its own. Of several processes
    that train together only the first goes on to evaluate, on its own; the hosts of a TPU pod do
    all of it together, and each writes the record.
    """
    config, method = job
    images = parallel.in_turn(lambda: _data(*(getattr(config, name) for name in _DATA_PARAMETERS)))
    train = {"SimCLR": trainer.pretrain, "supervised": trainer.train_supervised}
    encoder, run, head, more = trainer.random_encoder(config), None, None, {}
    if method in train:
        try:
            run = train[method](config, images, report=report, until_recorded=True)
        except trainer.NotFiniteError as error:
            more = {"failed": str(error)}
        else:
            encoder, head = run.encoder, run.head if method == "SimCLR" else None
    if not devices.leave(devices.choose(config.device)):
        return
    metrics = {} if more else evaluate(encoder, images, config, head)
    metrics["parameters_M"] = parameter_count(encoder) / 1e6
    records.add(config, method, metrics, run, **more)
    if method in train:
        trainer.forget(config, method == "SimCLR")


_DATA_PARAMETERS = ("dataset", "data_dir", "mirror", "num_images", "image_size")


@lru_cache(maxsize=1)
def _data(*values: Any) -> Data:
    """The data set of these parameters, loaded once in every process."""
    parameters = dict(zip(_DATA_PARAMETERS, values, strict=True))
    return load(Config.create("paper", batch_size=2, **parameters))
