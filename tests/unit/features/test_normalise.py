"""Normalisation, each stage against the package or the formula that it stands for."""

import librosa
import numpy as np
import pytest
import torch
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sedkit.core.errors import SedkitError, UsageError
from sedkit.features.normalise import Normalisation, normalise_options

FRAMES = np.array([8, 5, 1, 8])


def clips(seed=0, bins=3):
    """Features whose padding would be noticed in any figure."""
    rng = np.random.default_rng(seed)
    features = rng.normal([-60.0, 3.0, 0.1], [9.0, 2.0, 0.01], (4, 8, bins)).astype(np.float32)
    features[~real()] = 1e4
    return features


def real():
    return np.arange(8) < FRAMES[:, None]


def fitted(section, features):
    normalise = Normalisation.from_section(section, features.shape[2])
    normalise.fit(lambda: [(features[:3], FRAMES[:3]), (features[3:], FRAMES[3:])])
    return normalise


def run(normalise, features):
    return normalise(torch.from_numpy(features), torch.from_numpy(FRAMES)).numpy()


def test_zscore_is_that_of_the_real_frames() -> None:
    features = clips()
    scaler = StandardScaler().fit(features[real()].astype(np.float64))
    normalise = fitted({"zscore": {}}, features)
    state = normalise.state_dict()["zscore"]
    np.testing.assert_allclose(state["mean"], scaler.mean_, rtol=1e-6)
    np.testing.assert_allclose(state["std"], scaler.scale_, rtol=1e-6)
    np.testing.assert_allclose(run(normalise, features)[real()], scaler.transform(features[real()]), atol=2e-5)


def test_zscore_of_a_silent_bin_and_of_nothing() -> None:
    features = np.full((4, 8, 2), -100, np.float32)
    assert fitted({"zscore": {"min_std": 0.5}}, features).state_dict()["zscore"]["std"].tolist() == [0.5, 0.5]
    with pytest.raises(SedkitError, match="no real frame"):
        Normalisation.from_section({"zscore": {}}, 2).fit(lambda: [(features, 0 * FRAMES)])


def test_an_unfitted_zscore_and_an_empty_section_change_nothing() -> None:
    for section in ({"zscore": {}}, {}, None):
        np.testing.assert_array_equal(run(Normalisation.from_section(section, 3), clips()), clips())


def test_minmax_spreads_each_clip() -> None:
    features = clips()
    spread = run(Normalisation.from_section({"minmax": {}}, 3), features)
    for clip, original, n in zip(spread, features, FRAMES, strict=True):
        expected = MinMaxScaler((-1, 1)).fit_transform(original[:n].reshape(-1, 1)).reshape(n, -1)
        np.testing.assert_allclose(clip[:n], expected, atol=1e-6)
        assert (clip[n:] == 1).all()
    flat = run(Normalisation.from_section({"minmax": {"low": 0.0}}, 3), np.full((4, 8, 3), -100, np.float32))
    assert not flat.any()


@pytest.mark.parametrize(
    ("scale", "of_power"),
    [
        ("db_power", lambda p: 10 * np.log10(p)),
        ("ln_power", np.log),
        ("ln_magnitude", lambda p: np.log(p) / 2),
        ("power", lambda p: p),
        ("magnitude", np.sqrt),
    ],
)
def test_top_db_is_librosas_on_every_scale(scale: str, of_power) -> None:
    power = 10 ** np.random.default_rng(1).uniform(-9, 1, (4, 8, 3))
    normalise = Normalisation.from_section({"top_db": {"db": 30.0, "scale": scale}}, 3)
    raised = run(normalise, of_power(power).astype(np.float32))
    for clip, original, n in zip(raised, power, FRAMES, strict=True):
        db = librosa.power_to_db(original[:n], amin=1e-12, top_db=30.0)
        assert (db > 10 * np.log10(original[:n]) + 1).any() or n == 1
        np.testing.assert_allclose(clip[:n], of_power(10 ** (db / 10)), rtol=2e-6, atol=2e-5)


def test_clamp_and_pad_by_hand() -> None:
    features = np.array([[[-9.0], [0.5], [9.0]]], np.float32)
    normalise = Normalisation.from_section({"clamp": {"low": -1, "high": 2}, "pad": {"value": 5.0}}, 1)
    assert normalise(torch.from_numpy(features), torch.tensor([2])).flatten().tolist() == [-1.0, 0.5, 5.0]
    assert features.max() == 9


def test_a_stage_is_fitted_on_what_those_before_it_give() -> None:
    features = clips()
    normalise = fitted({"clamp": {"low": -60, "high": 2}, "zscore": {}}, features)
    assert list(normalise.resolved()) == ["clamp", "zscore"]
    rows = StandardScaler().fit_transform(np.clip(features[real()].astype(np.float64), -60, 2))
    np.testing.assert_allclose(run(normalise, features)[real()], rows, atol=2e-5)


def test_the_state_comes_back_and_another_one_does_not() -> None:
    section = {"minmax": {}, "zscore": {}}
    normalise = fitted(section, clips())
    again = Normalisation.from_section(normalise.resolved(), 3)
    again.load_state_dict(normalise.state_dict())
    np.testing.assert_array_equal(run(again, clips(1)), run(normalise, clips(1)))
    for other, bins in ((section, 4), ({"zscore": {}}, 3), ({"zscore": {}, "minmax": {}}, 3)):
        with pytest.raises(SedkitError, match=r"got minmax, zscore mean \(3,\) std \(3,\), expected"):
            Normalisation.from_section(other, bins).load_state_dict(normalise.state_dict())


def test_wrong_sections_are_told_by_their_key() -> None:
    assert normalise_options({"top_db": None}, "normalise") == {"top_db": {"db": 80.0, "scale": "db_power"}}
    for section, told in (
        ({"zscores": {}}, 'normalise: unknown key .zscores. .did you mean "zscore"'),
        ({"clamp": {"low": 2, "high": 1}}, "normalise.clamp: low is 2 and high 1"),
        ({"clamp": {"low": 2}}, "normalise.clamp: key 'high' is missing"),
        ({"top_db": {"scale": "db"}}, "normalise.top_db: db is 80 and scale db, expected"),
        (["zscore"], "normalise is .*expected a mapping"),
    ):
        with pytest.raises(UsageError, match=told):
            Normalisation.from_section(section, 3)
