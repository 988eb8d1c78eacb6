"""Which machine this is: choosing a device and a number format, and what is special about each.

Everything else asks here, so the training step does not know where it runs. Several processes are
the matter of `parallel`, XLA that of `xla`.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import platform
import re
from pathlib import Path

import torch
from torch import Tensor

from ..config import Config
from . import parallel, threads, xla


def choose(device: str = "auto") -> torch.device:
    """The device called `device`; "auto" takes a GPU if there is one, else the CPU.

    "xla" stands for all TPU cores, or whatever devices PJRT_DEVICE names. Raises `ValueError` for a
    name we do not know or a device this machine lacks.
    """
    if device == "xla":
        if not xla.installed():
            raise ValueError(
                "device='xla' is not available: install torch_xla (pip install .[xla])"
            )
        return xla.device()
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "xla": xla.installed(),
        "cpu": True,
    }
    if device == "auto":
        return torch.device(next(n for n, there in present.items() if there and n != "xla"))
    if not present.get(device.split(":")[0], False):
        here = ", ".join(name for name, there in present.items() if there)
        raise ValueError(f"device={device!r} is not available; this machine has: auto, {here}")
    return torch.device(device)


def for_probes(device: str = "auto") -> torch.device:
    """Where L-BFGS runs: it looks at numbers all the time, so not on XLA."""
    chosen = choose(device)
    return torch.device("cpu") if chosen.type == "xla" else chosen


def processes(config: Config) -> int:
    """How many processes train together: as `config.processes` says, or as many as there are GPUs.

    Of GPUs, without `config.processes`, as many as divide the batch evenly. Raises `ValueError` for
    more processes than GPUs, for several on a device that cannot be shared so, or if they do not
    divide the batch.
    """
    device, wanted = choose(config.device), config.processes
    gpus = torch.cuda.device_count() if device.type == "cuda" and device.index is None else 1
    most = {"cpu": wanted, "cuda": gpus}.get(device.type, 1)
    if wanted > max(most, 1):
        raise ValueError(
            f"processes={wanted} is not valid with device={config.device!r}: only {most} can train "
            "together there"
        )
    if wanted:
        _check_even(config, wanted, "processes")
        return wanted
    size = config.chunk_size or config.batch_size
    return max(number for number in range(1, gpus + 1) if size % number == 0)


def _instruction_sets() -> tuple[list[str], str]:
    """Those that matter here, of what the CPU reports (Linux; none elsewhere) and oneDNN may use.

    Beside them what the user has set as the newest, if it is one of the words that oneDNN knows.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    known = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or ""
    words = (("AMX", 4), ("AVX10|BF16|FP16", 3), ("AVX512", 2), ("AVX2", 1), ("AVX|SSE41", 0))
    allowed = next((number for word, number in words if re.search(word, limit.upper())), None)
    return [n for n in known[:allowed] if n in flags], "" if allowed is None else limit.upper()


def number_format(device: torch.device, precision: str = "auto") -> torch.dtype:
    """bfloat16 where the device multiplies it fast, else float32; or what `precision` says.

    Of CPUs only those with AMX: where there is but `avx512_bf16`, products in bfloat16 were
    measured to be slower than in float32 (31 against 56 GFLOP/s).
    """
    if precision != "auto":
        return {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    if device.type == "xla":
        fast = xla.kind() == "TPU"
    elif device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = device.type == "cpu" and "amx_bf16" in _instruction_sets()[0]
    return torch.bfloat16 if fast else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> contextlib.AbstractContextManager:
    """Runs matrix products and convolutions in `dtype`; weights stay float32."""
    if dtype.itemsize >= 4:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype)


def keep_freed_memory() -> bool:
    """Let this process keep freed memory for its next tensors; whether the C library agreed.

    glibc gives every large block back to the system when it is freed, and gets it anew, page by
    page and zeroed, for the next: on a CPU a fifth of a training step. Kept, a step reuses what the
    last one freed; the process stays at the size of its peak. Elsewhere than on glibc: no effect.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    trim_threshold, mmap_threshold, never = -1, -3, 2**31 - 1  # names and values of <malloc.h>
    adjust = ctypes.CDLL(None).mallopt
    return bool(adjust(mmap_threshold, never)) and bool(adjust(trim_threshold, never))


def free_memory() -> None:
    """Give back what this process holds of a GPU without using it, for other processes."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def describe(device: torch.device) -> str:
    """The device in a few words, for records: its kind and size, never a host name."""
    if device.type == "xla":
        return f"xla, {xla.count()} x {xla.kind()}"
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    sets, limit = _instruction_sets()
    sets = [platform.machine(), *sets] + [f"(oneDNN limited to {limit})"] * bool(limit)
    has = torch.get_num_threads()
    return f"{device.type}, {has} threads of {threads.cores()} cores, {' '.join(sets)}"


def peak_memory(device: torch.device) -> int:
    """Most bytes held so far: on a GPU by tensors, else by this process (0 where unknown)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def put(x: Tensor, device: torch.device) -> Tensor:
    """`x` on `device`; on XLA with its rows spread over all devices, where they divide evenly."""
    return xla.put(x.cpu()) if device.type == "xla" else x.to(device)


def put_own(x: Tensor, device: torch.device) -> Tensor:
    """This process's rows of a batch on `device`; on XLA the result has the rows of all hosts."""
    return xla.put(x.cpu(), own=True) if device.type == "xla" else x.to(device)


def spread(x: Tensor) -> Tensor:
    """`x`, on XLA with its rows spread over all devices."""
    return xla.spread(x) if x.device.type == "xla" else x


def number(value: float, device: torch.device) -> float | Tensor:
    """A number that changes from update to update, in the form that does not slow `device` down.

    On XLA a Python number would become a part of the program, which is compiled anew for another.
    """
    return torch.tensor(value).to(device) if device.type == "xla" else value


def finish_step(device: torch.device) -> None:
    """The end of an update: on XLA all of it becomes one program."""
    if device.type == "xla":
        xla.finish_step()


def watch(device: torch.device) -> xla.Watch | None:
    """On XLA, what notices that an update is compiled again; elsewhere nothing is to be noticed."""
    return xla.Watch() if device.type == "xla" else None


def check_batch(config: Config, device: torch.device) -> None:
    """Raise `ValueError` for a batch or chunk without an equal part for each device or process."""
    if device.type == "xla":
        if parallel.processes() != xla.hosts():
            raise ValueError(
                "device='xla' needs no torchrun: one process takes all cores of a host"
            )
        _check_even(config, xla.count(), "XLA devices")
    else:
        _check_even(config, parallel.processes(), "processes")


def _check_even(config: Config, number: int, what: str) -> None:
    for name in ("batch_size", "chunk_size"):
        size = getattr(config, name)
        if size % number:
            own = "finetune_" if config.method == "fine-tune" else ""  # what set it
            raise ValueError(
                f"{own}{name}={size} is not valid for {number} {what}; it must be a multiple of "
                f"{number}, for each of them takes an equal part"
            )


def writes(device: torch.device) -> bool:
    """Whether this process keeps what all of them have found: the first, but on XLA every host.

    A host's disk may be its own, and none can read what lies on all devices without the others.
    """
    return device.type == "xla" or parallel.rank() == 0


def leave(device: torch.device) -> bool:
    """The end of training together; whether this process goes on: the first, but on XLA every host.

    What comes after training is there one program of all hosts as well.
    """
    return device.type == "xla" or parallel.leave()
