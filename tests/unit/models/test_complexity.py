"""Operations of networks that take one length of input."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sedkit.models import complexity
from sedkit.models.registry import build_model


@pytest.mark.parametrize(("hop_samples", "windows"), [(3200, 1), (320, 5)])
def test_a_network_of_one_length_runs_as_often_as_ten_seconds_hold_it(
    monkeypatch: pytest.MonkeyPatch, hop_samples: int, windows: int
) -> None:
    """ResNet-18 on 224 x 224 and three colours: 11,689,512 parameters, 1,814,073,344 operations (He et al.: 1.8e9).

    Ten seconds are 100 or 1000 frames.
    """
    network = build_model({"name": "resnet18", "input_frames": 224, "stem_channels": 3}, 1000, 224).eval()
    frontend = {"name": "logmel", "sample_rate": 32000, "n_fft": 4096, "hop_samples": hop_samples, "n_mels": 224}
    content = SimpleNamespace(network=lambda: network, frontend=frontend, embeddings={})
    monkeypatch.setattr("sedkit.models.checkpoint.read_checkpoint", lambda path: content)
    assert complexity.count_complexity("best.pt") == (11_689_512, windows * 1_814_073_344)
