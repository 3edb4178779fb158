"""Figures of separated mixtures; the judge is mir_eval on written files."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import mir_eval
import numpy as np
import pytest
import soundfile

from sedkit.core.errors import UsageError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import write_wav
from sedkit.dataio.events import Tags
from sedkit.evaluation.evaluate import evaluate
from sedkit.evaluation.inputs import Masks, Options, Output, Truth, Work
from sedkit.evaluation.metrics.base import metrics_named
from sedkit.evaluation.metrics.separation import ESTIMATES, MOST_CLIPS, Separated, Separation, SeparationParameters
from sedkit.evaluation.resample import Resamples
from sedkit.features.frontends.logmel import LogMel
from sedkit.features.separation import Separator
from sedkit.synthesis.mixture_set import Mixtures, render_plan
from sedkit.synthesis.plan import MixSettings, draw
from sedkit.synthesis.plan_file import read_plan, write_plan
from sedkit.synthesis.sounds import DOMESTIC, OTHER, render_event

from ..synthesis.mix_case import recordings, table

#: Generated sounds, mixed as published but at half the rate.
KINDS = {"Bark": DOMESTIC["Dog"], "Chime": OTHER["glockenspiel"], "Drum": OTHER["snare_drum"], "Flute": OTHER["flute"]}
LABELS, RATE, SECONDS = tuple(KINDS), 16000, 10.0
FRONTEND = LogMel(
    sample_rate=RATE, n_fft=1024, hop_samples=512, window="hamming", centre=False, spectrum="magnitude", fmax_hz=None,
    log="ln", floor=1e-8,
)  # fmt: skip
NAMES = ("00000.wav", "00004.wav")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six mixtures of 10 s, three events each, overlaps included."""
    folder, rng = tmp_path_factory.mktemp("mixtures"), np.random.default_rng(4)
    labels = [label for label in LABELS for _ in range(4)]
    names = [f"{label}{i}.wav" for i, label in enumerate(labels)]
    sounds = [0.1 * render_event(k, k.draw(rng), rng, 24000, RATE) for k in map(KINDS.get, labels)]
    events = table(
        folder / "events", names, recordings(folder / "events", names, sounds, RATE), None, None, labels, LABELS
    )
    names = [f"s{i}.wav" for i in range(6)]
    scenes = [np.convolve(rng.normal(0, 0.05, 160000), np.hanning(5 + 4 * i), "same") for i in range(6)]
    scenes = [0.05 * x / x.std() for x in scenes]
    ground = table(folder / "scenes", names, recordings(folder / "scenes", names, scenes, RATE), labels=LABELS)
    settings = MixSettings("events", "scenes", mixtures=6, folds=1, sample_rate=RATE, placement="uniform", seed=3)
    write_plan(folder / "plan.yaml", draw(settings, events, ground))
    render_plan(folder / "plan.yaml", read_plan(folder / "plan.yaml"), folder / "snr0")
    return folder / "snr0"


class RandomMasks:
    """Any masks, the same for the same recording; Bark is never tagged, Flute just not."""

    labels, frontend = Vocabulary(LABELS[::-1]), FRONTEND

    def of(self, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(int(1e6 * np.abs(waveform).sum()))
        masks = rng.uniform(0, 1, (4, FRONTEND.frames_for(SECONDS), 64)).astype(np.float32)
        return np.array([0.1, 0.9, 0.6, 0.0], dtype=np.float32), masks


def separated(masks: Masks, mixtures: Mixtures, filenames: tuple[str, ...], labels: tuple[str, ...]) -> Separated:
    """Separate mixtures by masks; of their tags, only the names of clips and classes are looked at."""
    tags = Tags(filenames, labels, np.zeros((len(filenames), len(labels)), bool))
    work = Work(Truth(None, tags, mixtures=mixtures), Output(masks=masks), Options())
    return Separation("separation", SeparationParameters()).count(work)


def files_of(rendered: Path, name: str) -> dict[str, np.ndarray]:
    folder = rendered.with_name("snr0.stems") / name.removesuffix(".wav")
    return {path.stem: soundfile.read(path)[0] for path in sorted(folder.iterdir())}


def judged(true: dict[str, np.ndarray], estimates: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """mir_eval's SDR, SIR and SAR of each source."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        sources = (np.stack([x[name] for name in true]) for x in (true, estimates))
        figures = mir_eval.separation.bss_eval_sources(*sources, compute_permutation=False)[:3]
    return dict(zip(true, np.stack(figures, axis=1), strict=True))


@pytest.fixture(scope="module")
def result(rendered: Path) -> Separated:
    return separated(RandomMasks(), Mixtures.open(rendered), Mixtures.open(rendered).data.clips.filename, LABELS)


def test_an_unprocessed_mixture_is_judged_as_mir_eval_judges_its_files(rendered: Path, result: Separated) -> None:
    for name in NAMES:
        true, mixture = files_of(rendered, name), soundfile.read(rendered.with_name("snr0.audio") / name)[0]
        expected = judged(true, dict.fromkeys(true, mixture))
        for label in set(true) - {"scene"}:
            i, k = result.filenames.index(name), LABELS.index(label)
            sdr, sir, _ = result.figures[ESTIMATES.index("mixture"), i, k]
            assert sdr == pytest.approx(expected[label][0], abs=0.01)
            assert sir == pytest.approx(expected[label][1], abs=0.01)
            # Energy of the stem over that of all others.
            rest = mixture - true[label]
            assert sdr == pytest.approx(10 * np.log10(np.square(true[label]).sum() / np.square(rest).sum()), abs=0.5)


def test_separated_sounds_are_judged_as_mir_eval_judges_their_files(
    rendered: Path, result: Separated, tmp_path: Path
) -> None:
    masks, separator = RandomMasks(), Separator(FRONTEND)
    # The judge takes seconds for each.
    for name in NAMES[:1]:
        true = files_of(rendered, name)
        mixture = soundfile.read(rendered.with_name("snr0.audio") / name)[0]
        classes = [label for label in true if label != "scene"]
        of_network = masks.of(mixture.astype(np.float32))[1]
        chosen = of_network[[masks.labels.index(label) for label in classes]]
        sounds = separator.separate(mixture.astype(np.float32), chosen)
        spectra = {label: np.abs(separator.spectrogram(x)) for label, x in true.items()}
        complex_mixture = separator.spectrogram(mixture)
        ideal = {
            "irm": [spectra[label] / (sum(spectra.values()) + 1e-12) for label in classes],
            "ibm": [spectra[label] > np.abs(complex_mixture - separator.spectrogram(true[label])) for label in classes],
        }
        of = {"masks": sounds} | {
            kind: separator.filtered(mixture, np.stack(values).astype(np.float32)) for kind, values in ideal.items()
        }
        for kind, waveforms in of.items():
            estimates = {}
            for label, x in zip(classes, waveforms, strict=True):
                write_wav(tmp_path / f"{label}.wav", x, RATE)
                estimates[label] = soundfile.read(tmp_path / f"{label}.wav")[0]
            estimates["scene"] = mixture - sum(estimates.values())
            expected = judged(true, estimates)
            for label in classes:
                figures = result.figures[ESTIMATES.index(kind), result.filenames.index(name), LABELS.index(label)]
                np.testing.assert_allclose(figures, expected[label], atol=0.01)


def test_ideal_ratio_masks_take_mixtures_apart(result: Separated) -> None:
    of = {kind: result.figures[ESTIMATES.index(kind), ..., 0] for kind in ESTIMATES}
    gains = (of["irm"] - of["mixture"])[result.present]
    assert len(gains) > 10 and gains.min() >= 8


def test_masks_of_mel_bins_do_almost_as_well(rendered: Path, result: Separated) -> None:
    """Ratio masks through the front end's own filters, instead of the transform's bins."""
    mixtures, quiet = Mixtures.open(rendered), replace(FRONTEND, log="none")
    stems = {name: mixtures.stems(name) for name in result.filenames}

    class Ideal(RandomMasks):
        def of(self, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            (of,) = (x for x in stems.values() if np.abs(sum(x.values()) - waveform).max() < 1e-3)
            size = {label: quiet.transform(x[None])[0] for label, x in of.items()}
            absent = np.zeros_like(size["scene"])
            return np.ones(4), np.stack([size.get(x, absent) for x in self.labels]) / (sum(size.values()) + 1e-12)

    of = separated(Ideal(), mixtures, result.filenames, LABELS)
    best, mixture = (result.rates(kind).micro["sdr"] for kind in ("irm", "mixture"))
    assert best - 4 < of.rates("masks").micro["sdr"] < best
    assert of.rates("masks").micro["sdr"] > mixture + 8 and of.tagged.all()


def test_what_sounds_is_what_the_truth_says_and_absent_classes_have_no_figures(
    rendered: Path, result: Separated
) -> None:
    np.testing.assert_array_equal(result.present, Mixtures.open(rendered).data.weak().present)
    assert np.isnan(result.figures[:, ~result.present]).all()
    assert np.isfinite(result.figures[:, result.present]).all() and result.undefined == 0
    # Chime and Drum are above 0.1, Flute is at it, Bark below.
    assert result.tagged.all(axis=0).tolist() == [False, True, True, False] and not result.tagged[:, [0, 3]].any()


@pytest.mark.parametrize("value", [1.0, 0.5, 0.0])
def test_constant_masks_separate_nothing(rendered: Path, result: Separated, value: float) -> None:
    """Ones and halves leave the mixture, louder or not, but for the outermost bins; zeros leave silence."""

    class Constant(RandomMasks):
        frontend = replace(FRONTEND, fmin_hz=0.0)

        def of(self, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return tuple(np.full_like(x, value) for x in super().of(waveform))

    of = separated(Constant(), Mixtures.open(rendered), NAMES, LABELS)
    at = [result.filenames.index(name) for name in NAMES]
    if value:
        np.testing.assert_allclose(of.figures[0, ..., :2], result.figures[3][at, :, :2], atol=0.1)
        assert abs(of.rates("masks").micro["sdr_improvement"]) < 0.1 and of.undefined == 0
    else:
        assert np.isnan(of.figures[0]).all() and of.undefined == of.present.sum() > 0
        assert not of.tagged.any()


def test_classes_that_are_not_scored_are_sources_all_the_same(rendered: Path, result: Separated) -> None:
    some = separated(RandomMasks(), Mixtures.open(rendered), result.filenames[:2], LABELS[2:])
    assert some.labels == LABELS[2:]
    np.testing.assert_allclose(some.figures, result.figures[:, :2, 2:], atol=1e-6)


def test_a_class_that_the_masks_do_not_know_is_silent(rendered: Path, result: Separated) -> None:
    class Fewer(RandomMasks):
        labels = Vocabulary(LABELS[:0:-1])

        def of(self, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return tuple(x[:3] for x in super().of(waveform))

    few = separated(Fewer(), Mixtures.open(rendered), result.filenames[:4], LABELS)
    assert np.isnan(few.figures[0, :, 0]).all() and few.undefined == few.present[:, 0].sum() > 0
    np.testing.assert_allclose(few.figures[1:], result.figures[1:, :4], atol=1e-6)


def test_silent_stems_have_no_figures_and_are_counted(rendered: Path, tmp_path: Path) -> None:
    for kind in ("", ".stems", ".audio"):
        shutil.copytree(rendered.with_name(f"snr0{kind}"), tmp_path / f"snr0{kind}")
    folder = tmp_path / "snr0.stems/00000"
    first, second, *_ = sorted(path.stem for path in folder.glob("[A-Z]*.wav"))
    write_wav(folder / f"{first}.wav", np.zeros(10 * RATE), RATE)
    write_wav(folder / f"{second}.wav", np.full(10 * RATE, 0.25), RATE)
    few = separated(RandomMasks(), Mixtures.open(tmp_path / "snr0"), ("00000.wav",), LABELS)
    absent = [LABELS.index(first), LABELS.index(second)]
    assert few.present[0, absent].all() and np.isnan(few.figures[:, 0, absent]).all() and few.undefined == 2
    for kind in ESTIMATES:
        assert few.rates(kind).n["n"][absent].tolist() == [0, 0]


def by_hand() -> Separated:
    """Two mixtures, three classes, one of which is absent; a is heard twice."""
    figures = np.full((4, 2, 3, 3), np.nan)
    figures[0, :, 0], figures[0, 0, 1] = [[10, 20, 30], [4, 8, 12]], [1, 2, 3]
    figures[3, :, 0], figures[3, 0, 1] = [[2, 2, 90], [1, 1, 90]], [-1, -1, 90]
    present = np.array([[True, True, False], [True, False, False]])
    tagged = np.array([[True, False, True], [False, True, False]])
    return Separated(("x", "y"), ("a", "b", "c"), figures, present, tagged)


def test_means_by_hand() -> None:
    rates = by_hand().rates("masks")
    assert rates.classes["sdr"][:2].tolist() == [7, 1] and np.isnan(rates.classes["sdr"][2])
    assert (rates.macro["sdr"], rates.micro["sdr"]) == (4, 5)
    assert rates.classes["sdr_improvement"][:2].tolist() == [5.5, 2] and rates.micro["sdr_improvement"] == 13 / 3
    assert rates.n["n"].tolist() == [2, 1, 0]
    drawn = by_hand().rates("masks", weights=np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]], dtype=np.float32))
    assert drawn.macro["sir"].tolist() == [8, 11, 8] and drawn.micro["sar"].tolist() == [15, 16.5, 12]


def given(rendered: Path, n: int = 6) -> tuple[Truth, Output]:
    mixtures = Mixtures.open(rendered)
    tags = mixtures.data.weak()
    tags = replace(tags, filenames=tags.filenames[:n], present=tags.present[:n])
    return Truth(None, tags, mixtures=mixtures), Output(masks=RandomMasks())


def test_the_block(rendered: Path, result: Separated) -> None:
    truth, output = given(rendered)
    block = evaluate(truth, output, ["separation"])["separation"]
    assert block["parameters"] == {"clips": None, "threshold": 0.1, "taps": 512}
    assert (block["clips"], block["undefined"]) == (6, 0)
    hits = result.present & result.tagged
    predicted = block["predicted_tags"]
    assert predicted["hits"] == hits.sum() > 0 and predicted["misses"] == (result.present & ~hits).sum() > 0
    assert predicted["false_alarms"] == (result.tagged & ~result.present).sum() > 0
    assert predicted["micro"]["n"] == predicted["hits"] and predicted["classes"]["Bark"]["sdr"] is None
    of = result.figures[..., 0]
    assert block["sdr"] == block["micro"]["sdr"] == block["oracle_tags"]["micro"]["sdr"]
    assert block["sdr"] == pytest.approx(np.nanmean(of[0]))
    assert predicted["micro"]["sdr"] == pytest.approx(of[0][hits].mean())
    assert block["mixture"]["micro"]["sdr"] == pytest.approx(np.nanmean(of[3]))
    assert block["oracles"]["irm"]["macro"]["sdr_improvement"] == pytest.approx(
        np.nanmean(of[2] - of[3], axis=0).mean()
    )
    assert block["classes"]["Chime"]["n"] == result.present[:, 1].sum()
    (metric,) = metrics_named(["separation"])
    said = "\n".join(metric.remarks(block))
    assert (
        "of 6 mixtures" in said
        and f"{hits.sum()} hits" in said
        and f"mixture as it is: {np.nanmean(of[3]):.2f}" in said
    )


def test_intervals_are_in_decibels(rendered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth, output = given(rendered)
    results = evaluate(truth, output, ["separation"], resamples=Resamples.of(truth, 200), against=("other", output))
    block = results["separation"]
    low, high = block["micro"]["interval"]
    assert low < block["micro"]["sdr"] < high < 0
    assert block["against"]["macro"] == {"sdr": block["macro"]["sdr"], "difference": 0.0, "interval": (0.0, 0.0)}


def test_figures_are_of_some_clips_evenly_spread() -> None:
    asked: list[str] = []

    def mixture(name: str) -> np.ndarray:
        asked.append(name)
        return np.sin(np.arange(800) * 0.5, dtype=np.float32)

    names = tuple(f"{i}.wav" for i in range(120))
    tags = SimpleNamespace(filenames=names, labels=LABELS)
    mixtures = SimpleNamespace(mixture=mixture, stems=lambda name: {"scene": np.zeros(800, dtype=np.float32)})
    truth, output = Truth(None, tags, mixtures=mixtures), Output(masks=RandomMasks())
    (few,) = metrics_named(["separation"], {"mask_clips": 3})
    assert few.measure(Work(truth, output, Options())).block["clips"] == 3
    assert asked == ["0.wav", "40.wav", "80.wav"]
    asked.clear()
    (every,) = metrics_named(["separation"], {"mask_clips": None})
    assert every.measure(Work(truth, output, Options())).block["clips"] == MOST_CLIPS == len(asked)
    assert asked[:3] == ["0.wav", "6.wav", "12.wav"]


def test_what_is_missing_is_said(rendered: Path) -> None:
    truth, output = given(rendered)
    with pytest.raises(UsageError, match="--metrics separation needs --experiment"):
        evaluate(truth, Output(), ["separation"])
    with pytest.raises(UsageError, match="--metrics separation needs .*--mixtures"):
        evaluate(replace(truth, mixtures=None), output, ["separation"])
