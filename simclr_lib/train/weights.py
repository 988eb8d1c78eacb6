"""A network from a file of weights: safetensors, which holds numbers only.

Names are those of our modules: `encoder....`, and, if the file has a head, `head.layers....`.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ..checks import refuse
from ..config import Config
from ..methods import Method, build


def network(path: Path, config: Config) -> Method:
    """The encoder and projection head of SimCLR that `path` holds, as `config` describes them.

    Without a head in the file it has none (`finetune_from` must be 0). Raises `FileNotFoundError`,
    and `ValueError` for a file of another kind, damaged, or of another network.
    """
    weights = read(path)
    parts = sorted({name.split(".")[0] for name in weights})
    layers = len({name.split(".")[2] for name in weights if name.startswith("head.layers.")})
    if "encoder" not in parts or not set(parts) <= {"encoder", "head"}:
        refuse("start", path.name, f"a file of encoder.* and head.*; this one has {parts}")
    if layers not in (0, config.head_layers):
        refuse("head_layers", config.head_layers, f"{layers}, as {path.name} has")
    method = build(config.replace(method="SimCLR", head_layers=layers, memory_size=0))
    try:
        method.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(
            f"start={str(path)!r} does not fit the network of depth={config.depth}, "
            f"width={config.width:g}, sk_ratio={config.sk_ratio:g}, stem={config.stem!r}: {reason}"
        ) from error
    return method


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name."""
    if path.suffix != ".safetensors":
        refuse("start", path.name, "SimCLR or another method, random, or a .safetensors file")
    if not path.is_file():
        raise FileNotFoundError(f"start={str(path)!r} is not there")
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"start={str(path)!r} is damaged or no safetensors file: {error}"
        ) from error


def write(path: Path, method: Method) -> Path:
    """Write encoder and projection head of a finished run as safetensors; returns the path."""
    from safetensors.torch import save_file

    names = ("encoder.", "head.layers.")
    tensors = {n: x.contiguous() for n, x in method.state_dict().items() if n.startswith(names)}
    save_file(tensors, path)
    return path
