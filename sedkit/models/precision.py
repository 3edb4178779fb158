"""Where a network runs and at which precision. Importable without torch; torch is asked only where it must be."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.memory import keep_freed_memory

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "fp32", "bf16")


@functools.cache
def cpu_info(key: str) -> str:
    """Return what Linux says of the first processor under a key such as `flags`; nothing elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    rows = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for name, _, value in rows if name.strip() == key), "")


def cpu_has_bf16() -> bool:
    """Tell whether the processor multiplies bfloat16 itself (avx512_bf16 or amx_bf16); emulated, it is slower."""
    if flags := cpu_info("flags").split():
        return "avx512_bf16" in flags or "amx_bf16" in flags
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported())


def cpu_name() -> str:
    """Return the processor's name as the system gives it."""
    if name := cpu_info("model name"):
        return name
    import platform

    return platform.processor() or platform.machine()


def choose_device(name: str) -> torch.device:
    """Return the device for `auto`, `cpu` or `cuda`; before the processor is used, freed memory is kept.

    Raises
    ------
    UsageError
        Another word.
    SedkitError
        `cuda` where torch finds none.
    """
    import torch

    if name not in DEVICES:
        raise UsageError(f"device {name!r}, expected one of {', '.join(DEVICES)}")
    if name == "cuda" and not torch.cuda.is_available():
        raise SedkitError("device cuda: torch finds no CUDA device; use --device cpu or auto")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        keep_freed_memory()
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the type in which convolutions run: bfloat16 where the hardware has it, for `auto`.

    Raises
    ------
    UsageError
        A word other than `auto`, `fp32`, `bf16`.
    """
    import torch

    if name not in PRECISIONS:
        raise UsageError(f"precision {name!r}, expected one of {', '.join(PRECISIONS)}")
    if name == "auto":
        fast = torch.cuda.is_bf16_supported(including_emulation=False) if device.type == "cuda" else cpu_has_bf16()
        return torch.bfloat16 if fast else torch.float32
    return torch.float32 if name == "fp32" else torch.bfloat16


def describe_device(device: torch.device) -> dict[str, Any]:
    """Return what a run's record says about the hardware."""
    import torch

    from sedkit.core.parallel import cpu_jobs

    record: dict[str, Any] = {
        "device": device.type,
        "cpu": cpu_name(),
        "cpu_cores": cpu_jobs(),
        "cpu_bf16": cpu_has_bf16(),
        "threads": torch.get_num_threads(),
    }
    if device.type == "cuda":
        record["gpu"] = torch.cuda.get_device_name(device)
    return record
