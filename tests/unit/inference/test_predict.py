"""Data dirs and features files to scores."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from fake_data import FRAME_RATE_HZ, FRONTEND, LABELS
from networks import ALONE, SLICED, TEN, make_checkpoint, make_experiment, predictor

from sedkit.cli.main import main
from sedkit.core.errors import SedkitError
from sedkit.core.files import sha256_file, write_json, write_yaml
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import read_audio, write_wav
from sedkit.dataio.datadir import Clips, DataDir, write_datadir
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import FeatureFile, read_scores, write_features
from sedkit.features.extract import extract
from sedkit.features.frontends import FrontEnd, features_path, frontend_from
from sedkit.inference.clips import Place, open_clips
from sedkit.inference.predict import predict_clips, predict_waveforms
from sedkit.inference.predictor import Predictor
from sedkit.models.checkpoint import read_checkpoint, write_checkpoint

CNN = {"name": "cnn9_avg", "base_channels": 2}
#: What a network gets of clips whose classes are bumps in a level of -60 dB.
ZSCORE = {"zscore": {}}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ck") / "some.pt"
    made = make_checkpoint(CNN, normalise=ZSCORE)
    made.fitted["zscore"] = {
        key: torch.full_like(x, 8.0 if "std" in key or "scale" in key else -60.0)
        for key, x in made.fitted["zscore"].items()
    }
    write_checkpoint(path, made)
    return path


def scored(
    network: Predictor, path: Path, folds: list[str] | None = None, table: Path | None = None, **options: Any
) -> Scores:
    """Scores of a data dir or features file."""
    place = Place.of(path, network.frontend, folds, table)
    return predict_clips(network, open_clips(place, network.frontend), **options)


def test_scores_are_those_of_the_network_and_end_with_the_clip(data_root: Path, checkpoint: Path) -> None:
    network = Predictor.open(checkpoint, "cpu", "fp32")
    data = DataDir(data_root / "validation")
    scores = scored(network, data.path, batch_size=7)
    assert scores.filenames == data.clips.filename
    assert scores.labels == LABELS
    assert scores.framewise.shape == (20, 8, 3)
    assert scores.producer == f"sha256:{sha256_file(checkpoint)}"
    np.testing.assert_allclose(scores.frame_edges_s, np.arange(9) * 0.25)
    np.testing.assert_array_equal(scores.n_frames, np.ceil(data.clips.duration_s / 0.25))
    assert scores.duration_s.min() < 1.9
    file = FeatureFile(features_path(data.path, network.frontend))
    rows = [file.filenames.index(name) for name in data.clips.filename]
    saved, n_frames = read_checkpoint(checkpoint), torch.from_numpy(file.n_frames[rows])
    with torch.no_grad():
        x = saved.normalisation()(torch.from_numpy(file.features[rows]), n_frames)
        expected = saved.network()(x, n_frames)
    np.testing.assert_allclose(scores.clipwise, expected.clipwise.numpy(), atol=1e-5)
    for i, n in enumerate(scores.n_frames):
        assert scores.edges(i)[-1] == pytest.approx(scores.duration_s[i])
        assert not scores.framewise[i, n:].any()
        np.testing.assert_allclose(scores.framewise[i, :n], expected.framewise[i, :n].numpy(), atol=1e-5)


def test_batches_do_not_change_the_scores(data_root: Path, checkpoint: Path) -> None:
    network = Predictor.open(checkpoint, "cpu", "fp32")
    one, many = (scored(network, data_root / "validation", batch_size=n) for n in (1, 20))
    np.testing.assert_allclose(one.framewise, many.framewise, atol=1e-5)


def test_half_precision_is_close(data_root: Path, checkpoint: Path) -> None:
    single, half = (
        scored(Predictor.open(checkpoint, "cpu", p), data_root / "validation").framewise for p in ("fp32", "bf16")
    )
    assert np.abs(single - half).max() < 0.05


def test_command(data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exp, out = make_experiment(tmp_path / "exp", CNN), tmp_path / "exp/scores/tune.h5"
    call = ["predict", str(exp), str(data_root / "weak"), "--fold", "tune,select", "--out", str(out)]
    assert main(call) == 0
    scores = read_scores(out)
    data = DataDir(data_root / "weak")
    assert scores.filenames == tuple(data.clips.filename[i] for i in data.select(["tune", "select"]))
    capsys.readouterr()
    assert main(call) == 0
    assert "is up to date" in capsys.readouterr().err
    network = Predictor.open(exp / "checkpoints/best.pt", "cpu")
    for words, options in (
        (["--window", "whole"], {"window_s": "whole"}),
        (["--window", "1", "--hop", "0.25"], {"window_s": 1.0, "hop_s": 0.25}),
    ):
        assert main([*call, *words, "--device", "cpu"]) == 0
        expected = scored(network, data.path, ["tune", "select"], **options)
        np.testing.assert_array_equal(read_scores(out).framewise, expected.framewise)
    # The features file itself serves as well, and alone it tells names and lengths.
    alone = tmp_path / "alone.h5"
    shutil.copy(next((data_root / "weak").glob("*.h5")), alone)
    assert main(["predict", str(exp), str(alone), "--out", str(tmp_path / "lone.h5"), "--checkpoint", "last"]) == 0
    lone = read_scores(tmp_path / "lone.h5")
    assert len(lone.filenames) == 40
    np.testing.assert_allclose(lone.duration_s, np.ceil(data.clips.duration_s * FRAME_RATE_HZ) / FRAME_RATE_HZ)
    capsys.readouterr()
    x = ["--out", str(tmp_path / "x.h5")]
    for words, status, message in (
        ([*call[:3], "--fold", "tuna", *x], 1, 'did you mean "tune"'),
        (["predict", str(exp), str(alone), "--fold", "tune", *x], 2, "does not lie in a data dir"),
        (["predict", str(tmp_path), str(alone), *x], 1, "no such checkpoint (has none)"),
        ([*call[:3], "--window", "1", "--windows", "t.tsv", *x], 2, "expected one of the two"),
        ([*call[:3], "--window", "0", *x], 2, "--window"),
    ):
        assert main(words) == status
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1
    assert not (tmp_path / "x.h5").exists()


def test_features_of_another_front_end_are_refused(data_root: Path, tmp_path: Path) -> None:
    other = frontend_from(FRONTEND | {"fmax_hz": 6000.0})
    path = next((data_root / "weak").glob("*.h5"))
    with pytest.raises(SedkitError, match="another front end: fmax_hz"):
        open_clips(Place.of(path, other), other)
    with pytest.raises(SedkitError, match="no such features .*make them with `sedkit extract`"):
        Place.of(data_root / "weak", other)
    with pytest.raises(SedkitError, match="no such features"):
        Place.of(tmp_path / "none.h5", other)
    with pytest.raises(SedkitError, match="cuts its windows out of recordings, expected a data dir"):
        Place.of(path, ALONE)


def test_a_features_file_that_is_given_is_the_one_that_is_read(data_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weak"
    shutil.copytree(data_root / "weak", folder)
    own = next(folder.glob("*.h5"))
    file = FeatureFile(own)
    frontend = frontend_from(FRONTEND)
    write_features(
        folder / "other.h5",
        file.filenames,
        file.features + np.float32(20),
        file.n_frames,
        frontend=frontend.as_dict(),
        frontend_hash=frontend.hash8,
        scale=frontend.scale,
        sample_rate=frontend.sample_rate,
        hop_samples=frontend.hop_samples,
    )
    exp = make_experiment(tmp_path / "exp", {"name": "tests_mean"})
    scores = {}
    for name in (folder, own, folder / "other.h5"):
        assert main(["predict", str(exp), str(name), "--out", str(tmp_path / "s.h5"), "--precision", "fp32"]) == 0
        scores[name] = read_scores(tmp_path / "s.h5")
        # Beside a data dir's table, clips have its order and lengths.
        assert scores[name].filenames == DataDir(folder).clips.filename
    np.testing.assert_array_equal(scores[own].framewise, scores[folder].framewise)
    means = scores[own].framewise
    np.testing.assert_allclose(scores[folder / "other.h5"].framewise, np.where(means == 0, 0, means + 20), atol=1e-4)


def make_clips(folder: Path, durations_s: dict[str, float], frontend: FrontEnd, folds: tuple[str, ...] = ()) -> DataDir:
    """A data dir of noise that swells, with features where the front end stores some."""
    rng = np.random.default_rng(5)
    for name, duration_s in durations_s.items():
        samples = round(duration_s * frontend.sample_rate)
        wave = 0.1 * rng.standard_normal(samples) * np.linspace(0.1, 1.0, samples)
        write_wav(folder / name, wave.astype(np.float32), frontend.sample_rate)
    names = tuple(durations_s)
    clips = Clips(names, tuple(str(folder / n) for n in names), np.array([*durations_s.values()]), folds or None)
    data = write_datadir(folder / "data", clips, Vocabulary(LABELS))
    if frontend.sliceable:
        extract(data, frontend, features_path(data.path, frontend))
    return data


SYSTEMS = {
    "whole clips": (CNN, TEN, 640),
    "windows": ({"name": "resnet18", "input_frames": 100, "base_channels": 4}, SLICED, 100),
    "windows alone": ({"name": "resnet18", "input_frames": 126, "base_channels": 4}, ALONE, 8000),
    "frames of windows alone": (CNN, ALONE, 8000),
}


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("duration_s", [10.0, 15.0, 0.3])
def test_detect_and_predict_give_a_recording_the_same_scores(tmp_path: Path, system: str, duration_s: float) -> None:
    model, frontend, window = SYSTEMS[system]
    data = make_clips(tmp_path, {"a.wav": duration_s}, frontend)
    exp, paths = make_experiment(tmp_path / "exp", model, frontend, window), [tmp_path / "p.h5", tmp_path / "d.h5"]
    options = ["--device", "cpu", "--precision", "fp32"]
    assert main(["predict", str(exp), str(data.path), "--out", str(paths[0]), *options]) == 0
    words = ["detect", str(exp), str(tmp_path / "a.wav"), "--postprocessing", "0.5", "--scores", str(paths[1])]
    assert main([*words, "--out", str(tmp_path / "e.tsv"), *options]) == 0
    predicted, detected = map(read_scores, paths)
    assert predicted.filenames == detected.filenames == ("a.wav",)
    np.testing.assert_array_equal(predicted.framewise, detected.framewise)
    np.testing.assert_array_equal(predicted.clipwise, detected.clipwise)
    np.testing.assert_array_equal(predicted.frame_edges_s, detected.frame_edges_s)
    assert predicted.duration_s == detected.duration_s == pytest.approx(duration_s)
    # Sound to the end is scored to the end, where the network's frames allow it.
    assert detected.edges(0)[-1] > duration_s - 0.064
    assert (detected.framewise[0, : detected.n_frames[0]] > 0).all()


@pytest.mark.parametrize("frontend", [SLICED, ALONE], ids=["slices", "windows alone"])
def test_a_whole_recording_is_scored_alike_whatever_else_is_scored(tmp_path: Path, frontend: FrontEnd) -> None:
    data = make_clips(tmp_path, {"c.wav": 12.0, "a.wav": 10.0, "b.wav": 25.0, "d.wav": 10.0}, frontend)
    exp, paths = make_experiment(tmp_path / "exp", CNN, frontend, 8000), [tmp_path / "p.h5", tmp_path / "d.h5"]
    options = ["--device", "cpu", "--precision", "fp32", "--window", "whole"]
    assert main(["predict", str(exp), str(data.path), "--out", str(paths[0]), *options]) == 0
    words = ["detect", str(exp), *(str(tmp_path / n) for n in data.clips.filename), "--postprocessing", "0.5"]
    assert main([*words, "--scores", str(paths[1]), "--out", str(tmp_path / "e.tsv"), *options]) == 0
    predicted, detected = map(read_scores, paths)
    assert predicted.filenames == detected.filenames == data.clips.filename
    for name in ("n_frames", "framewise", "clipwise"):
        np.testing.assert_allclose(getattr(predicted, name), getattr(detected, name), atol=2e-6)


def test_features_that_lie_elsewhere_keep_what_they_are_of(tmp_path: Path) -> None:
    data, made = make_clips(tmp_path, {"a.wav": 1.0}, SLICED), tmp_path / "f.h5"
    write_json(data.path / "set.json", {"dataset": "desed", "set": "validation", "role": "reported"})
    write_yaml(tmp_path / "c.yaml", {"frontend": SLICED.as_dict()})
    assert main(["extract", str(data.path), "--config", str(tmp_path / "c.yaml"), "--out", str(made), "--jobs=1"]) == 0
    assert Place.of(made, SLICED).facts() == {"of": [["desed/validation", None]], "role": "reported"}


def test_folds_of_recordings_are_those_of_their_features(tmp_path: Path) -> None:
    clips, folds = {"a.wav": 2.0, "b.wav": 1.5, "c.wav": 1.0}, ("1", "2", "1")
    for frontend, window in ((SLICED, 100), (ALONE, 8000)):
        data = make_clips(tmp_path / frontend.edges, clips, frontend, folds)
        network = predictor({"name": "tests_mean", "pooling": 100, "input_frames": None}, frontend, window)
        every, second, first = (scored(network, data.path, f) for f in (None, ["2"], ["1"]))
        assert every.filenames == tuple(clips) and second.filenames == ("b.wav",)
        assert first.filenames == ("a.wav", "c.wav")
        np.testing.assert_array_equal(first.clipwise, every.clipwise[[0, 2]])
        place = Place.of(data.path, frontend, ["2"])
        assert [key for key in place.inputs() if key in ("features", "recordings")] == [
            "features" if frontend.sliceable else "recordings"
        ]
        assert place.facts() == {"of": [[data.identity, "2"]], "role": None}
        waves = [(name, read_audio(tmp_path / frontend.edges / name, frontend.sample_rate)) for name in clips]
        np.testing.assert_allclose(predict_waveforms(network, waves).framewise, every.framewise, atol=1e-4)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["x.wav\t0\t1"], r"1 clips that are not scored here \(x.wav\)"),
        (["b.wav\t0\t1"], r"1 clips that are not scored here \(b.wav\)"),
        ([], "no row"),
        (["a.wav\t0\t1", "a.wav\t1\t1.5"], "windows of 0.5 to 1 s, expected all of one length"),
        (["a.wav\t0\t1", "a.wav\t-1\t0"], "w.tsv:3: a window from '-1' to '0', expected seconds of a.wav, which has 3"),
        (["a.wav\t4\t5"], "w.tsv:2: .*'4' to '5'"),
        (["a.wav\t1\t1"], "w.tsv:2: .*'1' to '1'"),
        (["a.wav\t\t1"], "w.tsv:2: .*'' to '1'"),
        (["a.wav\t0\t1", "a.wav\t1\t2", "a.wav\t0\t1"], "w.tsv: the window a_0_1000.wav stands twice"),
    ],
)
def test_tables_of_windows_that_cannot_be_scored(tmp_path: Path, rows: list[str], message: str) -> None:
    data = make_clips(tmp_path, {"a.wav": 3.0, "b.wav": 2.4}, SLICED, ("1", "2"))
    table = tmp_path / "w.tsv"
    table.write_text("\n".join(["filename\tonset\toffset", *rows]) + "\n")
    with pytest.raises(SedkitError, match=message):
        scored(predictor({"name": "tests_mean"}, SLICED, 100), data.path, ["1"], table)


@pytest.mark.parametrize("frontend", [SLICED, ALONE], ids=["sliced", "alone"])
def test_windows_of_a_table_are_clips(tmp_path: Path, frontend: FrontEnd) -> None:
    data = make_clips(tmp_path, {"a.wav": 3.0, "b.wav": 2.4}, frontend)
    frames = 100 if frontend.sliceable else 126
    network = predictor(
        {"name": "tests_mean", "pooling": frames, "input_frames": frames}, frontend, frontend.window_grid.n_frames(1)
    )
    table = tmp_path / "w.tsv"
    table.write_text("filename\tonset\toffset\nb.wav\t1.5\t2.5\na.wav\t0.25\t1.25\na.wav\t1.25\t2.25\n")
    scores = scored(network, data.path, table=table)
    assert scores.filenames == ("b_1500_2500.wav", "a_250_1250.wav", "a_1250_2250.wav")
    assert scores.n_frames.tolist() == [1, 1, 1] and scores.duration_s.tolist() == [1.0] * 3
    assert scores.frame_edges_s.tolist() == [0.0, 1.0]
    waves = {name: frontend.transform(_wave(tmp_path / name)[None])[0] for name in ("a.wav", "b.wav")}
    if frontend.sliceable:
        silence = np.full((10, 32), frontend.padding)
        expected = [np.concatenate([waves["b.wav"][150:], silence]), waves["a.wav"][25:125], waves["a.wav"][125:225]]
    else:
        a, b = _wave(tmp_path / "a.wav"), np.pad(_wave(tmp_path / "b.wav"), (0, 800))
        expected = [frontend.transform(x[None])[0] for x in (b[12000:20000], a[2000:10000], a[10000:18000])]
    np.testing.assert_allclose(scores.framewise[:, 0, 0], [x.mean() for x in expected], rtol=1e-5)
    # An event may be annotated beyond the end of its recording.
    table.write_text("filename\tonset\toffset\na.wav\t3.2\t4.2\n")
    silence = frontend.transform(np.zeros((1, 8000), np.float32)).mean()
    np.testing.assert_allclose(scored(network, data.path, table=table).framewise, silence, rtol=1e-5)
    with pytest.raises(SedkitError, match="windows of 0.5 s, expected 1 s"):
        table.write_text("filename\tonset\toffset\nb.wav\t1.5\t2\n")
        scored(network, data.path, table=table)


def _wave(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32")[0]


def test_scores_are_made_again_where_recordings_or_windows_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_clips(tmp_path, {"a.wav": 2.0}, ALONE)
    exp, table = make_experiment(tmp_path / "exp", {"name": "tests_mean"}, ALONE, 8000), tmp_path / "w.tsv"
    table.write_text("filename\tonset\toffset\na.wav\t0\t1\n")
    words = ["predict", str(exp), str(data.path), "--windows", str(table), "--out", str(tmp_path / "s.h5")]

    def skipped() -> bool:
        capsys.readouterr()
        assert main(words) == 0
        return "is up to date" in capsys.readouterr().err

    assert not skipped() and skipped()
    table.write_text("filename\tonset\toffset\na.wav\t0.5\t1.5\n")
    assert not skipped() and skipped()
    recording = tmp_path / "a.wav"
    recording.write_bytes(recording.read_bytes()[:-1] + b"\x7f")
    assert not skipped() and skipped()


@pytest.mark.parametrize("frontend", [SLICED, ALONE], ids=["sliced", "alone"])
def test_scores_that_are_up_to_date_need_no_torch(tmp_path: Path, frontend: FrontEnd) -> None:
    data = make_clips(tmp_path, {"a.wav": 2.0}, frontend)
    exp = make_experiment(tmp_path / "exp", {"name": "tests_mean"}, frontend, frontend.window_grid.n_frames(1))
    write_yaml(exp / "config.yaml", {"frontend": frontend.as_dict()})
    words = ["predict", str(exp), str(data.path), "--out", str(tmp_path / "s.h5")]
    assert main(words) == 0
    script = (
        f"import sys\nfrom sedkit.cli.main import main\nassert main({words}) == 0\nassert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "is up to date" in done.stderr
