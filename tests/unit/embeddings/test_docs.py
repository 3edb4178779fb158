"""The examples of docs/pretrained.md, taken from the page."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from sedkit.features import frontends
from sedkit.features.frontends import frontend_from


def test_the_example_works(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frontends._FRONT_ENDS.names()
    monkeypatch.setattr(frontends._FRONT_ENDS, "_entries", dict(frontends._FRONT_ENDS._entries))
    text = (repository / "docs/pretrained.md").read_text(encoding="utf-8")
    page = types.ModuleType("docs_embedding")
    monkeypatch.setitem(sys.modules, "docs_embedding", page)
    exec(text.split("```python\n")[1].split("```")[0], page.__dict__)
    torch.save({"weight": torch.tensor([[3.0]])}, tmp_path / "weights.pt")
    frontend = frontend_from({"name": "loudness_rows", "weights": str(tmp_path / "weights.pt"), "clip_s": None})
    x = 0.1 * np.random.default_rng(0).standard_normal((1, 16000)).astype(np.float32)
    fbank = frontend.spectrum.transform(x)[0]
    assert frontend.grid.frame_s == 0.1 and len(fbank) == 98
    expected = 3 * fbank[:90].reshape(9, -1).mean(1)
    np.testing.assert_allclose(frontend.transform(x)[0, :, 0], expected, rtol=1e-5)


def test_the_sections_of_the_page_are_read(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (repository / "docs/pretrained.md").read_text(encoding="utf-8")
    rows = [(496, 768), (62, 768), (250, 768), (99, 768), (250, 768), (99, 768), (31, 2048), (31, 527)]
    sections = list(yaml.safe_load_all(re.search(r"```yaml\n(.*?)```", text, re.S)[1]))
    for section, expected in zip(sections, rows, strict=True):
        Path(section["frontend"]["weights"]).touch()
        frontend = frontend_from(section["frontend"])
        assert (frontend.clip_frames, frontend.n_bins) == expected
