"""Published taggers as experiments: what `detect` makes of them without any training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import sedkit
from sedkit.cli.main import main
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import write_wav
from sedkit.dataio.store import read_scores
from sedkit.features.frontends import frontend_from
from sedkit.features.normalise import Normalisation
from sedkit.inference.tagger import Classes, read_classes, write_tagger
from sedkit.models.checkpoint import read_checkpoint
from sedkit.models.registry import build_model
from sedkit.models.sizes import PANNS, TAGGERS
from tests.unit.models.transformers_files import transformers_state

CLASSES = 'index,mid,display_name\n0,/m/09x0r,"Speech"\n1,/m/05zppz,"Male speech, man speaking"\n2,/m/0bt9lr,"Dog"\n'


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    path = tmp_path / "class_labels_indices.csv"
    path.write_text(CLASSES)
    return path


def published(path: Path, name: str, n_classes: int = 3, **options: int) -> dict[str, torch.Tensor]:
    """A file in the layout of the published ones."""
    torch.manual_seed(1)
    network = build_model({"name": PANNS[name].model, **options}, n_classes, 64)
    if hasattr(network, "fc_audioset"):
        # Probabilities near 0.9, 0.1 and 0.9.
        torch.nn.init.normal_(network.fc_audioset.weight, 0, 1e-4)
        network.fc_audioset.bias.data = torch.tensor([2.2, -2.2, 2.2])[:n_classes]
    n_fft = PANNS[name].frontend["n_fft"]
    tables = {"spectrogram_extractor.stft.conv_real.weight": torch.ones(n_fft // 2 + 1, 1, n_fft)}
    torch.save({"iteration": 600000, "model": network.state_dict() | tables}, path)
    return network.state_dict()


def test_classes(classes: Path, tmp_path: Path) -> None:
    assert read_classes(classes).names.labels == ("Speech", "Male speech, man speaking", "Dog")
    assert read_classes(classes).ids == ("/m/09x0r", "/m/05zppz", "/m/0bt9lr")
    (tmp_path / "labels.txt").write_text("Cat\nDog\n")
    assert read_classes(tmp_path / "labels.txt") == Classes(Vocabulary(("Cat", "Dog")))
    for text, message in {
        CLASSES.replace("\n1,", "\n2,"): "csv:3: .*expected index 1, mid and display_name",
        CLASSES.replace(',"Dog"', ""): "csv:4: ",
        CLASSES.replace("Dog", "Speech"): "csv: label 'Speech' stands twice",
    }.items():
        classes.write_text(text)
        with pytest.raises(SedkitError, match=message):
            read_classes(classes)


@pytest.mark.parametrize("name", PANNS)
def test_detection_with_published_weights(tmp_path: Path, name: str) -> None:
    state = published(tmp_path / "weights.pth", name, base_channels=1)
    labels, rate = Vocabulary(("a", "b", "c")), PANNS[name].sample_rate
    write_tagger(tmp_path / "exp", tmp_path / "weights.pth", name, Classes(labels), "0.4", {"base_channels": 1})
    network = read_checkpoint(tmp_path / "exp/checkpoints/best.pt").network()
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    wave = (0.1 * np.random.default_rng(0).standard_normal(4 * rate)).astype(np.float32)
    detector = sedkit.load(tmp_path / "exp", precision="fp32", device="cpu", window_s="whole")
    scores = detector.scores(wave, rate)
    # Windows are 10 s long: behind the recording's frames there is silence, which the network is told.
    frontend = frontend_from(PANNS[name].frontend)
    features = np.full((1, 1024 if network.time_pooling == 32 else 1008, 64), frontend.padding, np.float32)
    features[0, :401] = frontend.transform(wave[None])[0]
    with torch.inference_mode():
        output = network(torch.from_numpy(features), torch.tensor([400]))
    np.testing.assert_allclose(scores.clipwise, output.clipwise, atol=1e-5)
    n = scores.framewise.shape[1]
    assert n == -(-400 // network.time_pooling)
    np.testing.assert_allclose(scores.framewise[0], output.framewise[0, :n], atol=1e-5)
    assert all(event.label in labels for event in detector.detect(wave, rate))


SMALL = {"patch_width": 8, "width": 16, "hidden": 16, "layers": 1, "heads": 2, "taps": 8, "groups": 4}


def test_detection_with_a_fine_tuned_beats(tmp_path: Path, classes: Path) -> None:
    torch.manual_seed(1)
    network = build_model({"name": "beats", **SMALL}, 3, 128).eval()
    order = {0: "/m/0bt9lr", 1: "/m/09x0r", 2: "/m/05zppz"}
    torch.save({"cfg": {}, "model": network.state_dict(), "label_dict": order}, tmp_path / "beats.pt")
    given = (tmp_path / "exp", tmp_path / "beats.pt", "beats")
    labels = write_tagger(*given, read_classes(classes), "0.5", SMALL)
    assert labels.labels == ("Dog", "Speech", "Male speech, man speaking")
    detector = sedkit.load(tmp_path / "exp", precision="fp32", device="cpu")
    assert detector.labels == labels.labels
    wave = (0.1 * np.random.default_rng(0).standard_normal(160000)).astype(np.float32)
    scores = detector.scores(wave, 16000)
    fbank = (frontend_from({"name": "kaldi_fbank"}).transform(wave[None]) - 15.41663) / (2 * 6.55582)
    with torch.inference_mode():
        output = network(torch.from_numpy(fbank))
    np.testing.assert_allclose(scores.clipwise, output.clipwise, atol=1e-5)
    np.testing.assert_allclose(scores.framewise[0, :62], output.framewise[0], atol=1e-5)
    with pytest.raises(UsageError, match="orders its classes by their ids in AudioSet, expected class_labels_indices"):
        write_tagger(*given, Classes(Vocabulary(("a", "b", "c"))), "0.5", SMALL)
    with pytest.raises(SedkitError, match=r"has classes that --classes lacks \(/m/0bt9lr\)"):
        write_tagger(*given, Classes(Vocabulary(("a", "b")), ("/m/09x0r", "/m/05zppz")), "0.5", SMALL)


SIZES = {"width": 16, "hidden": 16, "layers": 1, "heads": 2}


@pytest.mark.parametrize(("name", "rate", "frames"), [("passt", 32000, 400), ("ast", 16000, 398)])
def test_detection_with_a_classifier_of_clips(tmp_path: Path, name: str, rate: int, frames: int) -> None:
    torch.manual_seed(1)
    network = build_model({"name": name, **SIZES}, 3, 128).eval()
    state = network.state_dict()
    torch.save(transformers_state(state, 4) if name == "ast" else state, tmp_path / "weights.pt")
    labels = Classes(Vocabulary(("a", "b", "c")))
    write_tagger(tmp_path / "exp", tmp_path / "weights.pt", name, labels, "0.4", SIZES)
    kept = read_checkpoint(tmp_path / "exp/checkpoints/best.pt").network()
    assert all(torch.equal(value, state[key]) for key, value in kept.state_dict().items())
    # A recording of 4 s in a window of 10 s, which the network sees as if there were no window.
    wave = (0.1 * np.random.default_rng(0).standard_normal(4 * rate)).astype(np.float32)
    scores = sedkit.load(tmp_path / "exp", precision="fp32", device="cpu").scores(wave, rate)
    features = frontend_from(TAGGERS[name].frontend).transform(wave[None])
    assert features.shape == (1, frames, 128)
    section = TAGGERS[name].normalise["standardise"]
    with torch.inference_mode():
        output = network(torch.from_numpy((features - section["mean"]) / section["std"]).float())
    np.testing.assert_allclose(scores.clipwise, output.clipwise, atol=1e-5)
    # 100 ms each, all alike.
    np.testing.assert_allclose(scores.framewise, scores.clipwise[:, None].repeat(40, 1), atol=1e-6)
    for window_s in (12, "whole"):
        with pytest.raises(
            UsageError, match=r"windows of 12 s, expected at most 10.\d+ s, the longest that the network"
        ):
            sedkit.load(tmp_path / "exp", device="cpu", window_s=window_s).scores(np.tile(wave, 3), rate)
    with pytest.raises(SedkitError, match="is of 3 classes, expected the 2 of --classes"):
        write_tagger(tmp_path / "no", tmp_path / "weights.pt", name, Classes(Vocabulary(("a", "b"))), "0.5", SIZES)
    other, theirs = ("passt", "head.1") if name == "ast" else ("beats", "predictor")
    with pytest.raises(SedkitError, match=f"has a classifier .*, expected {theirs}.bias as {other} has it"):
        write_tagger(tmp_path / "no", tmp_path / "weights.pt", other, labels, "0.5", SIZES)


BODIES = {
    "beats_strong": {"name": "beats", **SMALL},
    "atst_frame_strong": {"name": "atst_frame", **SIZES},
    "fpasst_strong": {"name": "fpasst", **SIZES},
}


@pytest.mark.parametrize("name", BODIES)
def test_detection_with_heads_trained_on_strong_labels(tmp_path: Path, name: str) -> None:
    torch.manual_seed(1)
    tagger, sizes = TAGGERS[name], {"body": BODIES[name]}
    frontend = frontend_from(tagger.frontend)
    network = build_model(tagger.model | sizes, 3, frontend.n_bins).eval()
    state = {key.replace("body.", "model.net."): value for key, value in network.state_dict().items()}
    torch.save(state, tmp_path / "strong_1.pt")
    labels = Classes(Vocabulary(("a", "b", "c")))
    write_tagger(tmp_path / "exp", tmp_path / "strong_1.pt", name, labels, "0.4", sizes)
    wave = (0.1 * np.random.default_rng(0).standard_normal(160000)).astype(np.float32)
    scores = sedkit.load(tmp_path / "exp", precision="fp32", device="cpu").scores(wave, 16000)
    features = torch.from_numpy(frontend.transform(wave[None]))
    normalise = Normalisation.from_section(tagger.normalise, frontend.n_bins)
    with torch.inference_mode():
        output = network(normalise(features, torch.tensor([features.shape[1]])))
    np.testing.assert_allclose(scores.framewise[0, :248], output.framewise[0, :248], atol=1e-4)
    np.testing.assert_allclose(scores.clipwise[0], scores.framewise[0].max(0), atol=1e-6)
    assert scores.framewise.shape[1] in (249, 250)
    with pytest.raises(SedkitError, match="has a classifier strong_head.bias, expected predictor.bias as beats has it"):
        write_tagger(tmp_path / "no", tmp_path / "strong_1.pt", "beats", labels, "0.4", SMALL)


def test_from_the_command_line(tmp_path: Path, classes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    published(tmp_path / "Cnn10.pth", "cnn10")
    exp, scores = tmp_path / "exp", tmp_path / "scores.h5"
    call = ["weights", "experiment", str(tmp_path / "Cnn10.pth"), "--network", "cnn10", "--classes", str(classes)]
    call += ["--out", str(exp), "--postprocessing", "0.5"]
    assert main(call) == 0 and main(call) == 0
    assert "is up to date" in capsys.readouterr().err
    write_wav(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(32000), 32000)
    assert main(["detect", str(exp), str(tmp_path / "a.wav"), "--scores", str(scores), "--device", "cpu"]) == 0
    rows = [row.split("\t") for row in capsys.readouterr().out.splitlines()[1:]]
    assert sorted(rows) == [["a.wav", "0.000", "1.000", "Dog"], ["a.wav", "0.000", "1.000", "Speech"]]
    assert read_scores(scores).framewise.shape == (1, 7, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "cnn11"}, 'did you mean "cnn1'),
        (
            {"network": "cnn14_16k"},
            "reads windows of 1024 samples, expected a file of cnn14_16k; it may be of cnn10, cnn14",
        ),
        ({"network": "cnn14"}, r"weights.pth: fc1.weight is \(8, 8\), expected \(32, 32\)"),
        (
            {"network": "cnn14_decision_level_att"},
            "has a classifier fc_audioset.bias, expected att_block.cla.bias as cnn14_decision",
        ),
        ({"classes": Classes(Vocabulary(("a", "b")))}, "fc_audioset.bias is of 3 classes, expected the 2 of --classes"),
        ({"rules": "none.yaml"}, "no such file"),
    ],
)
def test_refusals(tmp_path: Path, options: dict, message: str) -> None:
    published(tmp_path / "weights.pth", "cnn10", base_channels=1)
    given = {
        "network": "cnn10",
        "classes": Classes(Vocabulary(("a", "b", "c"))),
        "rules": "0.5",
        "options": {"base_channels": 1},
    }
    with pytest.raises(SedkitError, match=message):
        write_tagger(tmp_path / "exp", tmp_path / "weights.pth", **(given | options))
    assert not (tmp_path / "exp").exists()


def test_bad_use(classes: Path) -> None:
    for words, message in {
        ("weights", "experiment", "a.pt"): "weights experiment: needs --network",
        ("weights", "convert", "a.pt", "--network", "cnn10"): "takes no --network, that is for weights experiment",
    }.items():
        with pytest.raises(UsageError, match=message):
            from sedkit.cli.main import _run

            _run(list(words))
