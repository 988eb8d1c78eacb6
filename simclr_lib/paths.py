"""Where the project, data and runs lie."""

from __future__ import annotations

from pathlib import Path

from .config import Config


def project_root() -> Path:
    """The clone this library runs from, or the working directory if it is installed elsewhere."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "reproductions").is_dir() else Path.cwd()


def output_dir(config: Config) -> Path:
    """Where the user's records and checkpoints go; relative to the project, not to the notebook."""
    return project_root() / Path(config.output_dir).expanduser()


def data_dir(config: Config) -> Path:
    """Where downloads and caches live; relative to the project, not to the notebook."""
    return project_root() / Path(config.data_dir).expanduser()
