"""Where the project, data and runs lie."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .config import Config


def project_root() -> Path:
    """The clone this library runs from, or the working directory if it is installed elsewhere."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "reproductions").is_dir() else Path.cwd()


def output_dir(config: Config) -> Path:
    """Where the user's records and checkpoints go; relative to the project, not to the notebook."""
    return _place(config.output_dir, "output_dir")


def data_dir(config: Config) -> Path:
    """Where downloads and caches live; relative to the project, not to the notebook."""
    return _place(config.data_dir, "data_dir")


def figure(config: Config, name: str) -> Path:
    """Where a figure of this data set goes: OUTPUT_DIR/figures/NAME-DATASET.png."""
    return output_dir(config) / "figures" / f"{name}-{Path(config.dataset).name}.png"


def writable(directory: Path, name: str) -> Path:
    """`directory`, made if it is not there, in which a file was just written and removed again.

    Raises `ValueError` with the parameter's `name`, the path and the reason if that cannot be done:
    no permission, a full or read-only disk, a file where a folder should be.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".writable-") as file:
            file.write(b"some bytes")
            file.flush()
    except OSError as error:
        raise ValueError(
            f"{name}={str(directory)!r} is not valid; it must be a folder that can be written to "
            f"({error.strerror or error})"
        ) from error
    return directory


def _place(text: str, name: str) -> Path:
    try:
        return project_root() / Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{name}={text!r} is not valid; it must be a path ({error})") from error
