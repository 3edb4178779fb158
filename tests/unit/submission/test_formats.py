"""The formats are what the spec says, and experiments are counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from sedkit.core.errors import UsageError
from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.models.checkpoint import Checkpoint, write_checkpoint
from sedkit.models.complexity import count_complexity
from sedkit.models.registry import build_model
from sedkit.submission.formats import dcase2024, format_names, get_format
from sedkit.submission.meta.describe import acoustic_features
from sedkit.submission.meta.write import abbreviate


def test_every_year_is_there() -> None:
    years = {get_format(name).year for name in format_names()}
    assert years == set(range(2018, 2025))
    for name in format_names():
        form = get_format(name)
        assert (form.table_suffix is None) != (form.scores is None)
        assert form.sources
        assert form.max_systems == 4


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("dcase2018", "LJK_PSH_task4_4", "LJK_PSH_task4_SED_4"),
        ("dcase2019", "Delphin_OL_task4_2", "Delphin_OL_task5_2"),
        ("dcase2020", "Miyazaki_NU_task4_SED_1", "Rykaczewski_Samsung_taks4_SED_1"),
        ("dcase2020", "Copiaco_UOW_task4_SS_SED_1", "Kim_AiTeR_GIST_SED_1"),
        ("dcase2021", "Zheng_USTC_task4_SED_1", "Zheng_USTC_task4_1_SED"),
        ("dcase2023", "Kim_GIST-HanwhaVision_task4a_2", "Kim_GIST-HanwhaVision_task4_2"),
        ("dcase2023b", "Jin_SHU_task4b_1", "Jin_SHU_task4a_1"),
        ("dcase2024", "Schmid_CPJKU_task4_1", "Schmid_CPJKU_task4"),
    ],
)
def test_labels(name: str, good: str, bad: str) -> None:
    pattern = get_format(name).label_pattern
    assert pattern.fullmatch(good)
    assert not pattern.fullmatch(bad)


def test_files_and_classes_by_year() -> None:
    assert get_format("dcase2018").table_suffix == get_format("dcase2019").table_suffix == ".output.csv"
    assert {get_format(f"dcase{y}").table_suffix for y in (2020, 2021, 2022)} == {".output.tsv"}
    points = get_format("dcase2021").points
    assert points is not None
    assert len(points.thresholds) == 50
    assert (points.thresholds[0], points.thresholds[-1]) == (0.01, 0.99)
    scores = dcase2024.FORMAT.scores
    assert scores is not None
    assert (scores.runs, scores.clips, len(get_format("dcase2024").labels)) == (3, 2200, 27)
    assert get_format("dcase2023").labels == DESED_CLASSES.labels
    assert [get_format(f"dcase{y}").energy for y in range(2018, 2025)] == [False] * 4 + [True] * 3


def test_unknown_formats() -> None:
    with pytest.raises(UsageError, match="did you mean"):
        get_format("dcase2o19")


def test_names() -> None:
    assert abbreviate("cnn9_weak") == "cnn9_weak"
    assert len(abbreviate("a_very_long_name_of_a_system")) <= 10
    assert acoustic_features({"name": "logmel", "log": "none"}) == "spectrogram"
    assert acoustic_features({"name": "logmel"}) == "log-mel energies"
    assert acoustic_features({}) is None


def test_complexity_of_a_checkpoint(tmp_path: Path) -> None:
    """Parameters as in the specification's table; operations of one layer by hand."""
    model = {"name": "cnn9_avg"}
    network = build_model(model, 10, 64)
    checkpoint = Checkpoint(
        model=model,
        labels=DESED_CLASSES,
        frontend={"name": "logmel"},
        frontend_hash="0",
        window=640,
        normalise={},
        fitted={},
        networks={"network": network.state_dict()},
    )
    write_checkpoint(tmp_path / "best.pt", checkpoint)
    found = count_complexity(tmp_path / "best.pt")
    assert found.parameters == 4_691_274
    assert found.macs is not None
    # Published as about 8.3 GMAC a clip; the first convolution alone is 640 x 64 x 64 x 9.
    assert 8.2e9 < found.macs < 8.5e9
