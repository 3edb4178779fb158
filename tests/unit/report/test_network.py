"""The drawing of a network: layers counted by hand, and what the file of a run says."""

from __future__ import annotations

from pathlib import Path

import pytest

from sedkit.cli.main import main
from sedkit.models.registry import build_model, model_names, resolve_model
from sedkit.report.figures import left_out
from sedkit.report.network import Layer, layers_of, network
from sedkit.report.runs import RunSubject


def test_layers_by_hand() -> None:
    """CNN5 of 2 channels: kernels of 5 x 5 once a block, then batch norm; a linear layer over mean bins."""
    model = build_model({"name": "cnn5_avg", "base_channels": 2}, 3, 64)
    layers = layers_of(model, 80, 64)
    parts = lambda n: (f"convolution 5×5 to {n}", "batch norm")  # noqa: E731
    assert layers[-5:] == [
        Layer("blocks.0", "ConvBlock", parts(2), (2, 40, 32), 25 * 2 + 4),
        Layer("blocks.1", "ConvBlock", parts(4), (4, 20, 16), 25 * 2 * 4 + 8),
        Layer("blocks.2", "ConvBlock", parts(8), (8, 10, 8), 25 * 4 * 8 + 16),
        Layer("blocks.3", "ConvBlock", parts(16), (16, 10, 8), 25 * 8 * 16 + 32),
        Layer("fc", "Linear", ("linear to 3",), (10, 3), 16 * 3 + 3),
    ]


@pytest.mark.parametrize("name", model_names())
def test_every_parameter_of_every_network_is_in_a_layer(name: str) -> None:
    options = {"base_channels": 2} if name.startswith(("cnn", "resnet", "seg")) else {}
    sizes = {"layers": 2, "width": 48, "hidden": 32}
    options |= sizes if name in ("ast", "atst_frame", "beats", "passt") else {}
    options |= {"body": {"name": "beats", **sizes}, "units": 3} if name == "pretrained_sed" else {}
    model = build_model(resolve_model({"name": name, **options}), 3, 64)
    layers = layers_of(model, 96, 64)
    assert sum(layer.parameters for layer in layers) == sum(p.numel() for p in model.parameters())
    assert all(layer.shape and layer.parts for layer in layers)


def test_figure(two_step: Path, tmp_path: Path) -> None:
    subject = RunSubject.open(two_step)
    figure = network(subject)
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words[:3] == ["gives", "parameters", "features: logmel"]
    assert words[-2].startswith("probabilities of the clip")
    assert any("parameters" in text.get_text() for text in figure.texts)
    assert main(["report", str(two_step), "--figures", str(tmp_path / "out")]) == 0
    assert [path.suffix for path in sorted((tmp_path / "out").glob("*.network.*"))] == [".png", ".svg"]


def test_an_output_of_others_has_no_network(tmp_path: Path) -> None:
    (tmp_path / "theirs.tsv").write_text("filename\tonset\toffset\tevent_label\n")
    why = f"{tmp_path / 'theirs.tsv'} is no experiment"
    assert left_out(RunSubject.open(tmp_path / "theirs.tsv")) == [f"no learning, network: {why}"]
