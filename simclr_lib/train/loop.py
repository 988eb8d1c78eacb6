"""The training loop, the same for every method: batches, updates, a log, checkpoints.

Numbers are fetched from the device `LOG_POINTS` times in a run. All is written for the global
batch: where `parallel` has several processes, each calls the same functions.
"""

from __future__ import annotations

import contextlib
import time
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import torch

from ..checks import refuse
from ..config import Config
from ..data.images import Data, ImageFiles, ImageSet
from ..machine import devices, parallel, threads
from ..machine.preemption import Termination
from ..machine.progress import Report, on_a_line, unheard
from ..machine.versions import commit
from ..methods import Batch, Method, class_of
from ..paths import output_dir, writable
from ..schedule import total_steps, warmup_cosine, warmup_steps
from ..views.batches import batches
from . import files
from .log import Log, Run
from .optimizers import EXCLUDED, LARS
from .together import together
from .update import update


def train(
    config: Config,
    data: Data,
    label: str = "",
    report: Report | None = None,
    *,
    method: type[Method] | None = None,
    until_recorded: bool = False,
) -> Run:
    """Train the method that `config.method` names on `data` (Algorithm 1 of each paper).

    `method` is the class, if it is none of `methods.METHODS`: one of a notebook, say; then
    `config.method` becomes its name. Interrupted, a run goes on from its last checkpoint when it is
    called again with the same parameters; terminated (SIGTERM), it writes that checkpoint first.
    Finished, it leaves its weights in `OUTPUT_DIR/weights/`, and called again it trains again; but
    if it is to stay `until_recorded`, its checkpoint stays, and training is not repeated before
    `files.forget`. `report` is told of every log point instead of a line of progress called
    `label`. With several `config.processes` it starts them (so a script must call this under
    `if __name__ == "__main__":`), and raises `WorkerError` if one is lost. Raises `NotFiniteError`
    when training diverges, `ValueError` for a method that is not trained.
    """
    if method is not None:
        usable = isinstance(method, type) and issubclass(method, Method)
        if not (usable and hasattr(method, "name")):
            refuse("method", method, "a class made from methods.Method, with a name")
        config = config.of_method(method.name)
    writable(output_dir(config), "output_dir")  # before hours are spent
    report = report or (on_a_line(label or config.method) if parallel.rank() == 0 else unheard)
    kind = method or class_of(config)
    if not parallel.joined() and (several := devices.processes(kind.recipe(config))) > 1:
        return together(train, several, config, data, report, method, until_recorded=until_recorded)
    made = kind(config, len(data.classes))
    if not made.trained:
        raise ValueError(f"method={config.method!r} is not valid: it is not trained")
    commit()  # the code that runs is that of the beginning, whatever is committed meanwhile
    own = files.places(config, data)
    if found := files.needed(made, config, data):
        made.receive(**found)
    return _train(made, made.images(data), own, report, until_recorded=until_recorded)


class Place(NamedTuple):
    """Where a run is, in which numbers it multiplies, and what changes its weights."""

    device: torch.device
    dtype: torch.dtype
    optimizer: LARS


def set_up(config: Config, method: Method) -> Place:
    """Put `method` where `config` says, in training mode; its optimizer. `ValueError` if the batch
    cannot be divided evenly there."""
    devices.keep_freed_memory()
    device = devices.choose(config.device)
    devices.check_batch(config, device)
    method.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = LARS(
        method.parameter_groups(),
        lr=0.0,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        exclude_from_weight_decay=EXCLUDED if config.has("lars_exclusions") else (),
    )
    return Place(device, devices.number_format(device, config.precision), optimizer)


@contextlib.contextmanager
def stream(
    config: Config,
    images: ImageSet | ImageFiles,
    method: Method,
    device: torch.device,
    first: int,
    last: int,
) -> Iterator[Iterator[Batch]]:
    """The batches of updates `first` to `last` - 1, and inside as many threads as suit them."""
    with threads.of_run(config, device) as ahead:
        parts = (images, method.branches(), config, device, first, last)
        made = batches(*parts, prepare=method.prepare, ahead=ahead, runs_on=method.runs_on)
        with contextlib.closing(made):
            yield made


def _train(
    method: Method,
    images: ImageSet | ImageFiles,
    own: files.Places,
    report: Report,
    *,
    until_recorded: bool,
) -> Run:
    config = method.recipe(method.config)
    device, dtype, optimizer = set_up(config, method)
    if not parallel.same((len(images), zlib.crc32(images.labels.numpy().data))):
        raise ValueError("the images of those who train together are not the same")
    total = total_steps(len(images), config.batch_size, config.epochs)
    warmup = warmup_steps(len(images), config.batch_size, config.warmup_epochs)
    state = files.resume(own, method, optimizer)
    log, watch = Log(config, total, state), devices.watch(device)
    first, before = (state["step"], state["seconds"]) if state else (0, 0.0)
    begun = saved = time.perf_counter()
    report(first, total, "")

    def save(step: int) -> None:
        if devices.writes(device):
            state = {"method": method.state_dict(), "optimizer": optimizer.state_dict()}
            facts = {"history": log.history, "pending": log.pending, "step": step}
            files.save_run(own, state | facts | {"seconds": spent()})

    def spent() -> float:
        return before + time.perf_counter() - begun

    with (
        stream(config, images, method, device, first, total) as made,
        Termination() as termination,
    ):
        for step, batch in enumerate(made, start=first):
            rate = warmup_cosine(step, config.learning_rate, warmup, total)
            for group in optimizer.param_groups:
                group["lr"] = devices.number(rate, device)
            metrics = update(method, optimizer, batch, step, total, dtype, config.chunks)
            if note := log.add(metrics, step, rate):
                report(step + 1, total, note)
                if watch:
                    watch.update(step + 1 - first)
            due = time.perf_counter() - saved > 60 * config.checkpoint_minutes
            end, due = parallel.anyone(termination.asked, due)
            if end or (due and step + 1 < total):
                save(step + 1)
                saved = time.perf_counter()
            if end:
                parallel.wait_for_all()  # the first still needs what the others have computed
                termination.now()
        if devices.writes(device):
            files.keep_at(own, method, method.config)
            if until_recorded:
                save(total)
            else:
                files.remove(own.checkpoint)
    return Run(method, log.history, spent(), watch.facts() if watch else None, own.data)
