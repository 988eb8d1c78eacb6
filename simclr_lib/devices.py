"""Which machine this is: the only file that chooses devices and number formats.

One device for now. Everything else asks here, so that several processes or a sharded XLA mesh can
be added without touching the training step.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from pathlib import Path

import torch


def choose(device: str = "auto") -> torch.device:
    """The device called `device`; "auto" takes a GPU if there is one, else the CPU.

    Raises `ValueError` for a name we do not know or a device this machine lacks.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return torch.device(next(name for name, there in present.items() if there))
    if not present.get(device.split(":")[0], False):
        here = ", ".join(name for name, there in present.items() if there)
        raise ValueError(f"device={device!r} is not available; this machine has: auto, {here}")
    return torch.device(device)


def _cpu_flags() -> set[str]:
    """Instruction sets the CPU reports (Linux; empty elsewhere)."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def number_format(device: torch.device, precision: str = "auto") -> torch.dtype:
    """bfloat16 where the device multiplies it natively, else float32; or what `precision` says."""
    if precision != "auto":
        return {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and bool(_cpu_flags() & {"amx_bf16", "avx512_bf16"})
    return torch.bfloat16 if native else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> contextlib.AbstractContextManager:
    """Runs matrix products and convolutions in `dtype`; weights stay float32."""
    if dtype == torch.float32:
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


def describe(device: torch.device) -> str:
    """The device in a few words, for records: its kind and size, never a host name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    flags = _cpu_flags()
    known = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = torch.get_num_threads()
    return (
        f"{device.type}, {threads} threads of {cores} cores, {platform.machine()} {' '.join(known)}"
    )


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
