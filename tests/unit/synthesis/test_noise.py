"""White noise as scenes: made where a configuration names it."""

import numpy as np
import pytest
import soundfile
import yaml

from sedkit.cli.main import main
from sedkit.dataio.datadir import DataDir

from .mix_case import RATE, events_dir, scenes_dir


@pytest.fixture
def folder(tmp_path):
    events_dir(tmp_path / "events")
    return tmp_path


def plan(folder, scenes, *words):
    mix = {"events": "events", "scenes": scenes, "mixtures": 3, "length_s": 2.0, "sample_rate": RATE}
    mix |= {"longest_s": 0.4, "onsets": [0.1, 0.6, 1.1], "snr_db": 10.0}
    (folder / "conf.yaml").write_text(yaml.safe_dump({"recipe": "mixtures", "mix": mix}))
    call = ["mix", "plan", "--config", f"{folder}/conf.yaml", "--data", f"{folder}", "--out", f"{folder}/plan.yaml"]
    return main([*call, *words])


def test_noise_is_the_published_one_and_is_mixed_as_any_scene(folder, capsys):
    assert plan(folder, "white_noise") == 0
    noise = DataDir(folder / "white_noise")
    assert noise.clips.duration_s.tolist() == [2.0] * 128
    # Each is the next run of the authors' generator.
    expected = np.random.RandomState(1234).uniform(0.0, 1.0, (128, 2 * RATE))
    for i in (0, 1, 127):
        x, rate = soundfile.read(noise.audio_path(i))
        assert rate == RATE
        assert np.abs(x - expected[i]).max() <= 1 / 32768
    first = yaml.safe_load((folder / "plan.yaml").read_text())["mixtures"][0]
    assert first["scene_audio_name"].startswith("white_noise-")
    for jobs in "12":
        words = ["--out", f"{folder}/of{jobs}", "--jobs", jobs]
        assert main(["mix", "render", f"{folder}/plan.yaml", *words]) == 0
    for path in sorted((folder / "of1.audio").iterdir()) + sorted((folder / "of1.stems").rglob("*.wav")):
        assert path.read_bytes() == (folder / str(path.relative_to(folder)).replace("of1", "of2", 1)).read_bytes()
    scene = soundfile.read(folder / "of1.stems/00000/scene.wav")[0]
    # Uniform in [0, 1): the offset's power is three times that of what varies.
    assert scene.mean() / scene.std() == pytest.approx(np.sqrt(3), rel=0.02)
    capsys.readouterr()
    assert plan(folder, "white_noise") == 0
    assert capsys.readouterr().err.count("is up to date") == 2


def test_centred_noise_has_no_offset(folder):
    assert plan(folder, "white_noise_centred") == 0
    x = soundfile.read(DataDir(folder / "white_noise_centred").audio_path(0))[0]
    assert abs(x.mean()) < 0.02
    assert x.std() == pytest.approx(1 / np.sqrt(3), rel=0.02)


def test_a_data_dir_of_that_name_is_left_alone(folder):
    scenes_dir(folder / "white_noise")
    before = (folder / "white_noise/clips.tsv").read_bytes()
    assert plan(folder, "white_noise", "--force", "true") == 0
    assert (folder / "white_noise/clips.tsv").read_bytes() == before
    assert not (folder / "white_noise.audio").exists()
