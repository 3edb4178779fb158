"""The register of front ends, what every front end says of windows, and the example of the documentation."""

import dataclasses
import re
import sys
import types

import numpy as np
import pytest

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.timegrid import TimeGrid
from sedkit.dataio.store import write_features
from sedkit.dataio.windows import lay
from sedkit.features import frontends
from sedkit.features.frontends import features_path, frontend_from, open_features, register
from sedkit.features.frontends.logmel import LogMel
from sedkit.features.sources import Waveforms


def test_a_section_makes_a_front_end_and_comes_back():
    frontend = frontend_from({"name": "logmel", "n_mels": 40})
    assert frontend == LogMel(n_mels=40)
    assert frontend_from(frontend.as_dict()) == frontend


def test_the_hash_tells_parameters_apart():
    hashes = {LogMel().hash8, LogMel(n_mels=40).hash8, LogMel(window="hamming").hash8, LogMel(edges="window").hash8}
    assert len(hashes) == 4 and all(len(h) == 8 for h in hashes)
    assert LogMel().hash8 == LogMel(n_mels=64).hash8 == LogMel(fmin_hz=50).hash8


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (None, "conf.name is None, expected one of ast, atst_frame, beats, fpasst, kaldi_fbank, logmel"),
        ({"name": "logmell"}, 'did you mean "logmel"'),
        ({"name": "logmel", "n_mel": 3}, 'conf: unknown key .n_mel. .did you mean "n_mels"'),
        ({"name": "logmel", "fmax_hz": 20000}, "conf: fmin_hz 50 and fmax_hz 20000"),
        ({"name": "logmel", "window": "blackman"}, "conf: .*window"),
        ({"name": "logmel", "edges": "chunk"}, "conf: .*edges"),
    ],
)
def test_a_wrong_section_is_refused(section, message):
    with pytest.raises(UsageError, match=message):
        frontend_from(section, "conf")


def test_a_name_is_taken_once():
    with pytest.raises(AssertionError, match="logmel"):

        @register("logmel")
        class Other(LogMel):
            pass


def test_features_of_another_front_end_are_refused(tmp_path):
    made = LogMel()
    write_features(
        tmp_path / "f.h5",
        ["a.wav"],
        np.zeros((1, 640, 64), dtype=np.float32),
        np.array([640]),
        frontend=made.as_dict(),
        frontend_hash=made.hash8,
        scale=made.scale,
        sample_rate=made.sample_rate,
        hop_samples=made.hop_samples,
    )
    assert open_features(tmp_path / "f.h5", made).shape == (1, 640, 64)
    with pytest.raises(SedkitError, match="f.h5: made with another front end: window 'hann' instead of 'hamming'"):
        open_features(tmp_path / "f.h5", dataclasses.replace(made, window="hamming"))
    other = type("Mfcc", (LogMel,), {"name": "mfcc"})()
    with pytest.raises(SedkitError, match="another front end: name 'logmel' instead of 'mfcc'"):
        open_features(tmp_path / "f.h5", other)
    assert features_path(tmp_path, made).name == f"logmel-{made.hash8}.h5"


@pytest.mark.parametrize(
    ("edges", "grid", "frames", "samples"),
    [("recording", TimeGrid(44100, 441), 100, 99 * 441 + 2048), ("window", TimeGrid(44100, 1), 101, 44100)],
)
def test_a_window_of_a_second(edges, grid, frames, samples):
    frontend = LogMel(sample_rate=44100, n_fft=2048, hop_samples=441, clip_s=None, end_frame=True, edges=edges)
    assert frontend.sliceable == (edges == "recording") and frontend.window_grid == grid
    length = grid.n_frames(1)
    assert (frontend.window_frames(length), frontend.window_samples(length)) == (frames, samples)
    assert len(frontend.pad(np.zeros(5000, np.float32))) == 5000 + (2048 if frontend.sliceable else 0)
    assert frontend.transform_windows(np.zeros((3, samples), np.float32)).shape == (3, frames, 64)


@pytest.fixture
def level(repository, monkeypatch):
    """The front end that the documentation shows, taken from the page itself."""
    monkeypatch.setattr(frontends._FRONT_ENDS, "_entries", dict(frontends._FRONT_ENDS._entries))
    text = (repository / "docs/features.md").read_text(encoding="utf-8")
    page = types.ModuleType("docs_example")
    monkeypatch.setitem(sys.modules, "docs_example", page)
    exec(text.split("```python\n")[1].split("```")[0], page.__dict__)
    return frontend_from({"name": "level", "hop_samples": 100})


def test_the_example_of_the_documentation_works(level):
    x = np.concatenate([np.full(200, 0.5), np.zeros(50)])[None]
    features = level.transform(x)
    assert features.shape == (1, 3, 1) and features.dtype == np.float32
    np.testing.assert_allclose(features[0, :, 0], [-6.0206, -6.0206, -120], atol=1e-4)
    assert level.frames_for(250 / 16000) == 3 == level.valid_frames(250 / 16000)
    assert len(level.hash8) == 8
    # Windows are slices, as every front end's that does not say otherwise.
    waves = Waveforms(list(x), np.array([250 / 16000]), level)
    windows = lay(waves.n_frames, level.window_grid, 2, 1)
    np.testing.assert_array_equal(waves.features(windows), [features[0, :2], features[0, 1:]])
    with pytest.raises(UsageError, match="hop_samples is 0"):
        frontend_from({"name": "level", "hop_samples": 0})


def test_the_table_of_the_page_names_every_parameter_of_logmel(repository):
    text = (repository / "docs/features.md").read_text(encoding="utf-8")
    table = text.partition("## Parameters of `logmel`")[2].partition("\n## ")[0]
    shown = [
        cell for row in re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE) for cell in re.findall(r"`(\w+)`", row)
    ]
    assert sorted(shown) == sorted(LogMel().as_dict().keys() - {"name"})
