import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sedkit.cli.main import main
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import write_wav
from sedkit.dataio.datadir import Clips, DataDir, write_datadir
from sedkit.dataio.events import Events, Tags
from sedkit.features.extract import default_output, extract
from sedkit.features.logmel import LogMel
from sedkit.features.melpower import MelPower
from sedkit.inference.chunks import predict_dense, predict_published, predict_set
from sedkit.inference.detect import detect_scores
from sedkit.inference.predict import Predictor
from sedkit.models.checkpoint import Checkpoint, write_checkpoint
from sedkit.models.registry import build_model, resolve_model
from sedkit.models.scaler import no_scaler

RATE = 8000
SLICED = LogMel(sample_rate=RATE, n_fft=256, hop_samples=80, n_mels=32, fmin_hz=0.0, fmax_hz=None, clip_s=None)
ALONE = MelPower(sample_rate=RATE, n_fft=256, hop_samples=64, n_mels=32)
LABELS = ("Cat", "Dog")
DURATIONS = (3.0, 2.4)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataDir:
    """Two recordings with events, and the features of whole clips beside them."""
    root = tmp_path_factory.mktemp("set")
    rng = np.random.default_rng(5)
    names = ("a.wav", "b.wav")
    for name, duration_s in zip(names, DURATIONS, strict=True):
        wave = 0.1 * rng.standard_normal(round(duration_s * RATE)) * np.linspace(0.1, 1.0, round(duration_s * RATE))
        write_wav(root / name, wave.astype(np.float32), RATE)
    events = Events.from_rows(
        [("a.wav", 0.25, 2.5, "Dog"), ("a.wav", 0.25, 0.75, "Cat"), ("b.wav", 1.0, 2.0, "Cat")], LABELS
    )
    clips = Clips(names, tuple(str(root / name) for name in names), np.array(DURATIONS))
    made = write_datadir(root / "data", clips, Vocabulary(LABELS), strong=events)
    extract(made, SLICED, default_output(made, SLICED))
    return made


def checkpoint(frontend: LogMel | MelPower, chunks: dict | None = None, model: str = "resnet18") -> Checkpoint:
    torch.manual_seed(0)
    frames = 100 if isinstance(frontend, LogMel) else frontend.frames_per_chunk
    section = resolve_model(
        {"name": model} | ({"chunk_frames": frames} if model == "resnet18" else {"base_channels": 4})
    )
    network = build_model(section, len(LABELS), frontend.n_bins)
    stream = {"chunks": {"chunk_s": 1.0, "hop_s": 0.5, "silence_db": 0.0} | (chunks or {})}
    return Checkpoint(
        model=section,
        labels=Vocabulary(LABELS),
        frontend=frontend.as_dict(),
        frontend_hash=frontend.hash8,
        grid=frontend.grid,
        n_bins=frontend.n_bins,
        scaler=no_scaler(frontend.n_bins),
        networks={"network": network.state_dict()},
        config={"data": {"streams": {"esc50": stream}}},
    )


def predictor(frontend: LogMel | MelPower, chunks: dict | None = None, model: str = "resnet18") -> Predictor:
    return Predictor(checkpoint(frontend, chunks, model), device="cpu", precision="fp32")


@pytest.mark.parametrize("frontend", [SLICED, ALONE])
@pytest.mark.parametrize("model", ["resnet18", "cnn9_att"])
def test_recordings_are_scored_as_the_data_dir_that_holds_them(data: DataDir, frontend, model) -> None:
    network = predictor(frontend, model=model)
    scores = predict_set(network, data, 0.5)
    assert scores.n_frames.tolist() == [6, 5]
    assert scores.edges(1).tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.4]
    assert np.ptp(scores.framewise[0], axis=0).min() > 0
    found = detect_scores(network, [data.audio_path(0), data.audio_path(1)], hop_s=0.5)
    assert found.filenames == data.clips.filename
    np.testing.assert_allclose(found.framewise, scores.framewise, atol=1e-4)


def test_chunks_side_by_side_are_the_frames(data: DataDir) -> None:
    scores = predict_set(predictor(SLICED), data, 1.0)
    assert scores.n_frames.tolist() == [3, 3]
    np.testing.assert_array_equal(scores.clipwise[0], scores.framewise[0].max(axis=0))


def test_detection_takes_chunks_every_tenth_of_one(data: DataDir) -> None:
    scores = detect_scores(predictor(ALONE), [data.audio_path(0)])
    assert scores.n_frames.tolist() == [30]
    with pytest.raises(UsageError, match="leave --window out"):
        detect_scores(predictor(ALONE), [data.audio_path(0)], window_s=2.0)


def test_detection_goes_on_after_what_cannot_be_read(data: DataDir, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"")
    refused: list[str] = []
    paths = [data.audio_path(0), tmp_path / "bad.wav", data.audio_path(1)]
    found = detect_scores(predictor(ALONE), paths, refused=refused)
    assert found.filenames == ("a.wav", "b.wav")
    np.testing.assert_allclose(found.duration_s, DURATIONS)
    assert len(refused) == 1 and refused[0].startswith(f"{tmp_path}/bad.wav: zero bytes")
    with pytest.raises(SedkitError, match=r"bad\.wav: zero bytes"):
        detect_scores(predictor(ALONE), paths)


def test_published_chunks_come_with_what_they_are_taken_for(data: DataDir) -> None:
    scores, truth = predict_published(predictor(SLICED), data)
    # a.wav: Cat (one chunk) and Dog (three) from 0.25 s on; b.wav's only event is the last one: dropped.
    assert scores.filenames == ("a@00250.wav", "a@00250-2.wav", "a@01250.wav", "a@02250.wav")
    assert truth.filenames == scores.filenames
    assert [truth.labels[k] for k in truth.label] == ["Cat", "Dog", "Dog", "Dog"]
    assert scores.framewise.shape == (4, 1, 2)
    # The two chunks that begin together are the same sound.
    np.testing.assert_array_equal(scores.framewise[0], scores.framewise[1])


def test_dense_chunks_are_those_of_training(data: DataDir, tmp_path: Path) -> None:
    names = data.clips.filename
    tags = Tags(names, ("cat", "dog"), np.array([[True, False], [False, True]]))
    clips = Clips(names, data.clips.audio, np.array(DURATIONS), ("1", "2"))
    made = write_datadir(tmp_path / "tagged", clips, Vocabulary(("cat", "dog")), weak=tags)
    extract(made, SLICED, default_output(made, SLICED))
    (tmp_path / "map.yaml").write_text("classes: {Cat: cat, Dog: dog}\n")
    network = predictor(SLICED, {"class_map": str(tmp_path / "map.yaml")})
    scores, truth = predict_dense(network, made)
    assert len(scores.filenames) == 5 + 3
    assert [truth.labels[k] for k in truth.label] == ["Cat"] * 5 + ["Dog"] * 3
    assert predict_dense(network, made, ["2"])[0].filenames == scores.filenames[5:]


def test_missing_inputs_are_named(data: DataDir, tmp_path: Path) -> None:
    with pytest.raises(SedkitError, match="no such features"):
        predict_set(predictor(replace(SLICED, n_mels=16)), data, 1.0)
    whole = predictor(SLICED)
    whole.chunks = None
    with pytest.raises(UsageError, match="trained on whole clips"):
        predict_set(whole, data, 1.0)
    tagged = write_datadir(
        tmp_path / "weak",
        Clips(data.clips.filename, data.clips.audio, data.clips.duration_s),
        Vocabulary(LABELS),
        weak=Tags(data.clips.filename, LABELS, np.eye(2, dtype=bool)),
    )
    with pytest.raises(UsageError, match="has no events"):
        predict_published(predictor(SLICED), tagged)


def test_the_command_line_refuses_half_a_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", str(tmp_path), str(tmp_path), "--out", str(tmp_path / "s.h5")]
    assert main([*words, "--chunks", "dense"]) == 2
    assert "--chunks and --reference-out belong together" in capsys.readouterr().err
    assert main([*words, "--reference-out", "x.tsv"]) == 2


def test_chunk_options_of_a_network_for_whole_clips_are_refused(
    data: DataDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section = resolve_model({"name": "resnet18", "chunk_frames": 100})
    network = build_model(section, len(LABELS), SLICED.n_bins)
    path = tmp_path / "whole.pt"
    write_checkpoint(
        path,
        Checkpoint(
            model=section,
            labels=Vocabulary(LABELS),
            frontend=SLICED.as_dict(),
            frontend_hash=SLICED.hash8,
            grid=SLICED.grid,
            n_bins=SLICED.n_bins,
            scaler=no_scaler(SLICED.n_bins),
            networks={"network": network.state_dict()},
        ),
    )
    words = ["predict", str(path), str(data.path), "--out", str(tmp_path / "s.h5"), "--device", "cpu"]
    assert main([*words, "--chunk-hop", "0.1"]) == 2
    assert "trained on whole clips" in capsys.readouterr().err
    assert not (tmp_path / "s.h5").exists()


def test_scores_of_waveforms_are_made_again_where_these_or_what_is_beside_changed(
    data: DataDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(data.path.parent, tmp_path / "set")
    source = tmp_path / "set" / "data"
    table = (source / "clips.tsv").read_text()
    (source / "clips.tsv").write_text(table.replace(str(data.path.parent), ".."))
    write_checkpoint(tmp_path / "net.pt", checkpoint(SLICED, model="cnn9_att"))
    truth = tmp_path / "truth.tsv"
    words = ["predict", str(tmp_path / "net.pt"), str(source), "--chunks", "published", "--device", "cpu"]
    words += ["--out", str(tmp_path / "s.h5"), "--reference-out", str(truth)]

    def skipped() -> bool:
        capsys.readouterr()
        assert main(words) == 0
        return "is up to date" in capsys.readouterr().err

    assert not skipped()
    assert skipped()
    whole = truth.read_text()
    truth.write_text(whole + "a.wav\t0\t1\tCat\n")
    assert not skipped()
    assert truth.read_text() == whole
    recording = tmp_path / "set" / "a.wav"
    recording.write_bytes(recording.read_bytes()[:-1] + b"\x7f")
    assert not skipped()
    assert skipped()
