"""One run by several processes that are started for it, from a notebook cell or a script."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..config import Config
from ..data.images import Data
from ..machine import devices, workers
from ..machine.progress import Report
from ..machine.versions import commit
from ..methods import Method
from . import files
from .log import NotFiniteError, Run


def together(
    train: Callable[..., Run],
    processes: int,
    config: Config,
    data: Data,
    report: Report,
    method: type[Method] | None,
    *,
    until_recorded: bool,
) -> Run:
    """`train` by so many processes; the method as they leave it."""
    if method is not None and method.__module__ == "__main__":
        raise ValueError(
            f"processes={config.processes} is not valid for {method.__name__}, which other "
            "processes cannot import: put it into a file, or use one process"
        )
    commit()
    devices.free_memory()
    *found, diverged = workers.together(
        partial(_in_worker, until_recorded=until_recorded),
        train,
        config,
        data,
        method,
        processes=processes,
        gpus=devices.choose(config.device).type == "cuda",
        report=report,
    )
    if diverged:
        raise NotFiniteError(diverged)
    return Run(files.trained(config, len(data.classes), method, data), *found)


def _in_worker(
    train: Callable[..., Run],
    config: Config,
    data: Data,
    method: type[Method] | None,
    send: Report,
    *,
    until_recorded: bool,
) -> tuple[dict[str, list[float]], float, dict[str, Any] | None, str, str]:
    """What every process of `_together` does: all of `Run` but the method, and why it diverged."""
    try:
        run = train(config, data, report=send, method=method, until_recorded=until_recorded)
    except NotFiniteError as error:
        return {}, 0.0, None, "", str(error)
    return run.history, run.seconds, run.facts, run.data, ""
