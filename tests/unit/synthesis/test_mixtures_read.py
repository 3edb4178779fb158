import shutil

import numpy as np
import pytest
import soundfile

from sedkit.core.errors import SedkitError
from sedkit.synthesis.mixture_set import Mixtures

from .mix_case import RATE, render_small


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    return render_small(tmp_path_factory.mktemp("mix"))


def test_stems_of_a_rendered_set_add_up_to_its_mixtures(rendered):
    mixtures = Mixtures.open(rendered)
    weak = mixtures.data.weak()
    for name, present in zip(weak.filenames, weak.present, strict=True):
        stems = mixtures.stems(name)
        assert list(stems) == [*(x for x, there in zip(weak.labels, present, strict=True) if there), "scene"]
        # Every track and the mixture are rounded by half a step each.
        furthest = np.abs(sum(stems.values()) - mixtures.mixture(name)).max()
        assert furthest <= (len(stems) + 1) / 2 / 32768 + 1e-7


def test_a_rendered_set_is_read_at_the_rate_that_is_asked_for(rendered):
    mixtures = Mixtures.open(rendered, sample_rate=2 * RATE)
    stems = mixtures.stems("00000.wav")
    assert {len(x) for x in stems.values()} == {len(mixtures.mixture("00000.wav"))} == {4 * RATE}


def test_what_is_no_rendered_set_is_told_in_a_line(rendered, tmp_path):
    with pytest.raises(SedkitError, match="not a data dir"):
        Mixtures.open(tmp_path)
    with pytest.raises(SedkitError, match="no stems there"):
        Mixtures.open(shutil.copytree(rendered, tmp_path / "alone"))
    with pytest.raises(SedkitError, match="has no mixture other.wav"):
        Mixtures.open(rendered).stems("other.wav")


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda stems: (stems / "scene.wav").unlink(), "scene.wav: not there"),
        (lambda stems: shutil.copy(stems / "scene.wav", stems / "Oboe.wav"), "Oboe.wav: no class of"),
        (lambda stems: soundfile.write(sorted(stems.glob("[A-Z]*"))[0], np.zeros(5), RATE), "5 samples, expected"),
    ],
)
def test_a_stem_that_is_wrong_is_named(rendered, tmp_path, break_it, message):
    shutil.copytree(rendered, tmp_path / "snr0")
    shutil.copytree(rendered.with_name("snr0.stems"), tmp_path / "snr0.stems")
    shutil.copytree(rendered.with_name("snr0.audio"), tmp_path / "snr0.audio")
    break_it(tmp_path / "snr0.stems" / "00000")
    with pytest.raises(SedkitError, match=message):
        Mixtures.open(tmp_path / "snr0").stems("00000.wav")
