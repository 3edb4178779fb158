"""Networks as front ends: what they give of recordings of any length, what tells them apart, and the files."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sedkit.cli.main import main
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import read_audio, write_wav
from sedkit.dataio.datadir import Clips, DataDir, write_datadir
from sedkit.dataio.store import FeatureFile
from sedkit.dataio.windows import lay
from sedkit.embeddings.ast import AstFrontEnd
from sedkit.embeddings.atst_frame import AtstFrameFrontEnd
from sedkit.embeddings.beats import BeatsFrontEnd
from sedkit.embeddings.network import NetworkFrontEnd
from sedkit.embeddings.panns import PannsFrontEnd
from sedkit.embeddings.passt import FpasstFrontEnd, PasstFrontEnd
from sedkit.features import extract as module
from sedkit.features.extract import extract
from sedkit.features.frontends import features_path, frontend_from, open_features
from sedkit.features.passing import Passing, frames_of
from sedkit.features.sources import StoredFeatures, Waveforms
from sedkit.models.beats import Beats
from sedkit.models.sizes import AstOptions, AtstFrameOptions, BeatsOptions, FpasstOptions, PasstOptions

TINY = BeatsOptions(patch_width=8, width=16, hidden=16, layers=1, heads=2, taps=8, groups=4)
BEATS = BeatsFrontEnd(weights="random", network=TINY, device="cpu", batch=3)
ATST = AtstFrameFrontEnd(
    weights="random", network=AtstFrameOptions(layers=1, width=8, heads=2, hidden=8), device="cpu", batch=3
)
PANNS = PannsFrontEnd(weights="random", network="cnn14_16k", base_channels=1, n_classes=3, device="cpu", batch=3)
SIZES = {"layers": 1, "width": 8, "heads": 2, "hidden": 8}
PASST = PasstFrontEnd(weights="random", network=PasstOptions(**SIZES), device="cpu", batch=3)
FPASST = FpasstFrontEnd(weights="random", network=FpasstOptions(**SIZES), device="cpu", batch=3)
AST = AstFrontEnd(weights="random", network=AstOptions(**SIZES), device="cpu", batch=3)
ALL = {
    "beats": BEATS,
    "beats, mean": replace(BEATS, tokens="mean"),
    "beats, concat": replace(BEATS, tokens="concat"),
    "atst_frame": ATST,
    "panns": PANNS,
    "panns, probabilities": replace(PANNS, network="cnn14_decision_level_att", sample_rate=0, output="probabilities"),
    "passt": PASST,
    "fpasst": FPASST,
    "ast": AST,
}


def noise(seconds: float, rate: int = 16000, seed: int = 0) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).standard_normal(round(seconds * rate)) * 0.1).astype(np.float32)


# Rows of 10 s, of 3 s as they are, and of 25 s: two segments of 62 (250, 31) steps, and the steps of what is left. Of
# BEATs and PANNs those are 5.16 s, 514 and 517 frames, 32 and 16 steps; of PaSST and AST, whose last patch ends 6
# frames further on, 5.2 s, 520 and 518 frames, 51 steps. Then bins, and seconds of a row.
ROWS = {
    "beats": (496, 144, 1248, 16, 0.02),
    "beats, mean": (62, 18, 156, 16, 0.16),
    "beats, concat": (62, 18, 156, 128, 0.16),
    "atst_frame": (250, 75, 625, 8, 0.04),
    "panns": (31, 9, 78, 32, 0.32),
    "panns, probabilities": (31, 9, 78, 3, 0.32),
    "passt": (99, 29, 249, 8, 0.1),
    "fpasst": (250, 75, 625, 8, 0.04),
    "ast": (99, 29, 249, 8, 0.1),
}


@pytest.mark.parametrize("name", ALL)
def test_rows_of_a_recording(name: str) -> None:
    frontend = replace(ALL[name], clip_s=None)
    *rows, bins, row_s = ROWS[name]
    for seconds, expected in zip((10, 3, 25), rows, strict=True):
        features = frontend.transform(noise(seconds, frontend.sample_rate)[None])
        assert features.shape == (1, expected, bins) and features.dtype == np.float32
        assert frontend.frames_for(seconds) == expected == frontend.valid_frames(seconds)
    assert frontend.grid.frame_s == row_s and frontend.n_bins == bins
    padded = replace(frontend, clip_s=10.0)
    assert padded.clip_frames == rows[0] == padded.frames_for(0.1)
    assert frontend.transform(noise(0.01, frontend.sample_rate)[None]).shape[1] == frontend.step_rows
    assert frontend_from(frontend.as_dict()) == frontend


@pytest.mark.parametrize("name", ALL)
def test_segments_are_seen_alone(name: str) -> None:
    """A segment begins where the steps of the one before end, and sees 10 s."""
    frontend = replace(ALL[name], clip_s=None)
    x, rate = noise(25, frontend.sample_rate), frontend.sample_rate
    rows = frontend.transform(x[None])[0]
    step = round(ROWS[name][0] * ROWS[name][4] * rate)
    alone = [frontend.transform(x[None, first : first + 10 * rate])[0] for first in (0, step, 2 * step)]
    np.testing.assert_allclose(rows, np.concatenate(alone)[: len(rows)], atol=1e-5)


def test_a_batch_changes_nothing_and_keeps_the_order() -> None:
    waves = [noise(s, seed=i) for i, s in enumerate((10, 3, 21, 10, 0.5, 10))]
    together = list(BEATS.transform_each(waves))
    for wave, features in zip(waves, together, strict=True):
        np.testing.assert_allclose(features, BEATS.transform(wave[None])[0], atol=1e-5)
    assert [len(features) for features in together] == [496, 496, 1048, 496, 496, 496]


def test_tokens_of_a_step_stand_together() -> None:
    wave = noise(10)[None]
    published, mean, concat = (replace(BEATS, tokens=t).transform(wave)[0] for t in ("published", "mean", "concat"))
    steps = published.reshape(62, 8, 16)
    np.testing.assert_allclose(mean, steps.mean(1), atol=1e-6)
    np.testing.assert_array_equal(concat, steps.reshape(62, 128))


def test_the_network_sees_the_normalised_filter_bank() -> None:
    wave = noise(10)[None]
    torch.manual_seed(BEATS.seed)
    network = Beats(TINY).eval()
    fbank = (BEATS.spectrum.transform(wave) - 15.41663) / (2 * 6.55582)
    with torch.inference_mode():
        np.testing.assert_allclose(BEATS.transform(wave), network(torch.from_numpy(fbank)), atol=1e-5)


@pytest.mark.parametrize("name", ["beats", "atst_frame", "panns", "passt", "ast"])
def test_a_recording_that_passes_by(name: str) -> None:
    frontend = replace(ALL[name], batch=1)
    x = noise(34.3, frontend.sample_rate)
    whole = frontend.transform(x[None])[0]
    blocks = [x[i : i + 50000] for i in range(0, len(x), 50000)]
    np.testing.assert_allclose(np.concatenate(list(frames_of(blocks, len(x), frontend))), whole, atol=1e-5)
    source = Passing(blocks, len(x), frontend)
    length = frontend.clip_frames
    windows = lay(source.n_frames, frontend.window_grid, length, length // 2)
    seen = source.features(windows.take(np.array([0, 1])))
    np.testing.assert_allclose(seen[1], whole[length // 2 :][:length], atol=1e-5)


@pytest.mark.parametrize("name", ["beats", "ast"])
@pytest.mark.parametrize("clip_s", [None, 10.0])
def test_the_end_of_a_recording_that_passes_by_is_not_padded(name: str, clip_s: float | None) -> None:
    """What is left for the end is shorter than a clip, or than a step."""
    frontend = replace(ALL[name], batch=1, clip_s=clip_s)
    x = noise(20)
    whole = frontend.transform(x[None])[0]
    for first in (1000, 161000):
        blocks = [x[:-first], x[-first:]]
        np.testing.assert_allclose(np.concatenate(list(frames_of(blocks, len(x), frontend))), whole, atol=1e-5)


def test_windows_of_waveforms_have_the_frames_asked_for() -> None:
    waves = Waveforms([noise(12)], np.array([12.0]), BEATS)
    windows = lay(waves.n_frames, BEATS.window_grid, 100, 100)
    assert waves.features(windows).shape == (len(windows), 100, 16)


def test_what_has_no_amplitude_has_no_level() -> None:
    stored = StoredFeatures(np.ones((1, 4, 16), np.float32), np.array([0]), np.array([4]), BEATS)
    with pytest.raises(SedkitError, match="features of the scale embedding have no amplitude"):
        stored.power(lay(stored.n_frames, BEATS.grid, 2, 2))


# ---- weights


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(5)
    path = tmp_path / "beats.pt"
    torch.save({"model": Beats(TINY).state_dict()}, path)
    return path


def test_what_the_hash_tells_apart(weights: Path, tmp_path: Path) -> None:
    frontend = replace(BEATS, weights=str(weights))
    moved = Path(shutil.copy(weights, tmp_path / "moved.pt"))
    same = replace(frontend, weights=str(moved), sha256=None, batch=1, device="auto")
    assert same.hash8 == frontend.hash8 != BEATS.hash8
    torch.manual_seed(6)
    torch.save({"model": Beats(TINY).state_dict()}, moved)
    others = [
        replace(frontend, weights=str(moved), sha256=None),
        replace(frontend, tokens="mean"),
        replace(frontend, precision="bf16"),
        replace(frontend, stored="float16"),
        replace(frontend, seed=1),
    ]
    assert len({frontend.hash8, *(other.hash8 for other in others)}) == 6


def test_a_file_is_known_by_its_content(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frontend = replace(BEATS, weights=str(weights))
    expected = frontend.transform(noise(1)[None])
    # As a checkpoint or a features file holds it, where the file has gone elsewhere.
    kept = frontend.as_dict()
    (tmp_path / "elsewhere").mkdir()
    weights.rename(tmp_path / "elsewhere" / "beats.pt")
    again = replace(frontend_from(kept), batch=2)
    with pytest.raises(SedkitError, match=r"beats.pt: no such file, .*SEDKIT_WEIGHTS"):
        again.transform(noise(1)[None])
    monkeypatch.setenv("SEDKIT_WEIGHTS", str(tmp_path / "elsewhere"))
    np.testing.assert_array_equal(again.transform(noise(1)[None]), expected)
    torch.save({"model": Beats(TINY).state_dict()}, tmp_path / "elsewhere" / "beats.pt")
    with pytest.raises(SedkitError, match="has the SHA-256 .* expected .* another file's"):
        replace(again, batch=1).transform(noise(1)[None])


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"name": "beats"}, "key 'weights' is missing"),
        ({"name": "beats", "weights": "none.pt"}, "weights: none.pt: no such file"),
        ({"name": "beats", "weights": "random", "sha256": "0"}, "sha256 is given of weights: random"),
        ({"name": "beats", "weights": "random", "sample_rate": 8000}, "expected 16000, the only one"),
        ({"name": "beats", "weights": "random", "tokens": "max"}, "tokens"),
        ({"name": "beats", "weights": "random", "network": {"width": 10}}, "frontend.network: width is 10"),
        ({"name": "beats", "weights": "random", "segment_s": 0.1}, "in which beats has no step"),
        ({"name": "beats", "weights": "random", "batch": 0}, "batch is 0"),
        (
            {"name": "atst_frame", "weights": "random", "segment_s": 12},
            r"12, 300 steps; expected at most the 250 \(10 s\)",
        ),
        ({"name": "passt", "weights": "random", "segment_s": 12}, r"12, 119 steps; expected at most the 99 \(9.9 s\)"),
        ({"name": "ast", "weights": "random", "network": {"frames": 512}}, "99 steps; expected at most the 50"),
        ({"name": "ast", "weights": "random", "network": {"stride": 17}}, "stride is 17, expected at most patch = 16"),
        ({"name": "passt", "weights": "random", "sample_rate": 16000}, "expected 32000, the only one that passt knows"),
        ({"name": "panns", "weights": "random", "sample_rate": 16000}, "expected 32000, the only one that cnn14 knows"),
        ({"name": "panns", "weights": "random", "output": "probabilities"}, "cnn14 has none of frames"),
    ],
)
def test_sections_that_are_refused(section: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        frontend_from(section, "frontend")


# ---- files


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataDir:
    root = tmp_path_factory.mktemp("data")
    names, seconds = [f"{i}.wav" for i in range(18)], [0.5 + i % 3 for i in range(18)]
    for i, (name, length) in enumerate(zip(names, seconds, strict=True)):
        write_wav(root / "audio" / name, noise(length, seed=i), 16000)
    clips = Clips(tuple(names), tuple(f"../audio/{name}" for name in names), np.array(seconds))
    return write_datadir(root / "set", clips, Vocabulary(("a", "b")))


@pytest.mark.parametrize("stored", ["float32", "float16"])
def test_a_features_file(data: DataDir, tmp_path: Path, stored: str, caplog: pytest.LogCaptureFixture) -> None:
    frontend: NetworkFrontEnd = replace(BEATS, tokens="mean", clip_s=None, stored=stored)
    with caplog.at_level(logging.INFO, logger="sedkit"):
        extract(data, frontend, tmp_path / "f.h5", jobs=2)
        file = open_features(tmp_path / "f.h5", frontend)
    assert "read into memory" not in caplog.text
    assert isinstance(file.features, np.memmap) and file.features.dtype == stored and file.scale == "embedding"
    assert file.shape == (18, frontend.frames_for(2.5), 16)
    source = StoredFeatures.open(tmp_path / "f.h5", frontend, file.filenames)
    for length in (file.shape[1], 4):
        rows = source.features(lay(source.n_frames, frontend.grid, length, length, to_end=True))
        assert rows.dtype == np.float32
    for i in range(18):
        expected = frontend.transform(read_audio(data.audio_path(i), 16000)[None])[0]
        assert file.n_frames[i] == len(expected)
        # Of float16 half of the last of its 11 bits.
        near = {"rtol": 2**-11, "atol": 1e-5} if stored == "float16" else {"rtol": 0, "atol": 1e-5}
        np.testing.assert_allclose(file.features[i, : len(expected)], expected, **near)
        assert not file.features[i, len(expected) :].any()
    with pytest.raises(SedkitError, match="made with another front end: seed 0 instead of 1"):
        open_features(tmp_path / "f.h5", replace(frontend, seed=1))
    assert open_features(tmp_path / "f.h5", replace(frontend, batch=1, device="auto")).shape == file.shape


def test_extract_goes_on_and_knows_when_there_is_nothing_to_do(
    data: DataDir, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "conf.yaml"
    config.write_text(
        f"frontend: {{name: beats, weights: {weights}, tokens: mean, network: {{patch_width: 8, width: 16, hidden: 16, "
        "layers: 1, heads: 2, taps: 8, groups: 4}}\n"
    )
    call = ["extract", str(data.path), "--config", str(config), "--out", str(tmp_path / "f.h5")]
    real, done = module._extract_shard, []

    def stops_at_the_second(shard: object) -> None:
        if done:
            raise KeyboardInterrupt
        done.append(shard)
        real(shard)

    monkeypatch.setattr(module, "_extract_shard", stops_at_the_second)
    assert main(call) == 130
    monkeypatch.setattr(module, "_extract_shard", real)
    assert main(call) == 0
    assert "goes on: 1 of 2 shards are there" in capsys.readouterr().err
    moved = Path(shutil.copy(weights, tmp_path / "moved.pt"))
    assert main([*call, f"frontend.weights={moved}", "frontend.batch=2"]) == 0
    assert "is up to date" in capsys.readouterr().err
    torch.manual_seed(6)
    torch.save({"model": Beats(TINY).state_dict()}, moved)
    before = FeatureFile(tmp_path / "f.h5").frontend_hash
    assert main([*call, f"frontend.weights={moved}"]) == 0
    assert FeatureFile(tmp_path / "f.h5").frontend_hash != before
    assert main([*call, "frontend.network.width=32"]) == 1
    assert "beats.pt: " in (said := capsys.readouterr().err) and "expected" in said
    assert features_path(tmp_path, BEATS).name == f"beats-{BEATS.hash8}.h5"
