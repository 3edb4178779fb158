"""Where and at which precision networks run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sedkit.core.errors import SedkitError, UsageError
from sedkit.models import precision


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fma avx512f avx512_bf16 sse", True), ("amx_tile amx_bf16", True), ("avx2 avx512f", False)],
)
def test_bf16_is_what_the_processor_reports(monkeypatch: pytest.MonkeyPatch, flags: str, expected: bool) -> None:
    text = f"processor\t: 0\nmodel name\t: Some CPU 3000\nflags\t\t: {flags}\n"
    monkeypatch.setattr(Path, "read_text", lambda self, **_: text)
    precision.cpu_info.cache_clear()
    try:
        assert precision.cpu_has_bf16() is expected
        assert precision.cpu_name() == "Some CPU 3000"
        chosen = precision.choose_precision("auto", torch.device("cpu"))
        assert chosen == (torch.bfloat16 if expected else torch.float32)
    finally:
        precision.cpu_info.cache_clear()


def test_a_gpu_that_emulates_bf16_is_not_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert precision.choose_precision("auto", torch.device("cuda")) == torch.float32


def test_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert precision.choose_precision("bf16", cpu) == torch.bfloat16
    assert precision.choose_precision("fp32", cpu) == torch.float32
    assert precision.choose_device("cpu") == cpu
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert precision.choose_device("auto") == cpu
    with pytest.raises(SedkitError, match="no CUDA device; use --device cpu"):
        precision.choose_device("cuda")
    with pytest.raises(UsageError, match="device 'gpu', expected one of auto, cpu, cuda"):
        precision.choose_device("gpu")
    with pytest.raises(UsageError, match="precision 'half'"):
        precision.choose_precision("half", cpu)
    assert precision.describe_device(cpu)["cpu_cores"] >= 1
