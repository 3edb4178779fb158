"""What figures of a network show: its own arrays, on their times, with the present classes marked."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from fake_data import LABELS
from networks import SLICED, make_experiment
from tone_case import FRAMES, all_axes, bars, make_mixtures, named

from sedkit.core.errors import SedkitError
from sedkit.dataio.datadir import DataDir
from sedkit.features.frontends.kaldi_fbank import KaldiFbank
from sedkit.report import figures
from sedkit.report.attention import attention, steps
from sedkit.report.figures import FIGURES, file_stems, left_out, write_figures
from sedkit.report.frames import curve_labels, frames
from sedkit.report.masks import masks, reconstruction
from sedkit.report.panels import PRESENT, octaves
from sedkit.report.subject import Span, Subject, Subjects

MANY = tuple(f"Class_number_{k:02d}" for k in range(41))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A recording of 41 classes; the last one is there."""
    folder = tmp_path_factory.mktemp("many")
    model = {"name": "segmentation_gwrp", "base_channels": 2, "time_pooling": 4, "bin_pooling": 4}
    experiment = make_experiment(folder / "exp", model, SLICED, FRAMES, labels=MANY)
    data = DataDir(make_mixtures(folder / "data", MANY))
    return Subjects(experiment / "checkpoints" / "last.pt", data, device="cpu").of("00000.wav")


def values(figure: object, title: str) -> np.ndarray:
    """(frames, rows) of a panel's image."""
    return np.asarray(named(figure, title).images[0].get_array()).T


def test_masks_of_all_classes(many: Subject) -> None:
    figure = masks(many)
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels[1:4]] == [
        f"Class number {k:02d}  {many.clipwise[k]:.2f}" for k in range(3)
    ]
    for k, axes in enumerate(panels[1:42]):
        np.testing.assert_array_equal(axes.images[0].get_array(), many.masks[k].T)
        assert axes.images[0].get_clim() == (0.0, 1.0)
        assert axes.images[0].get_extent() == [0.0, 6.0, 0.0, 32]
    assert len(panels) == 44  # the last two of the events alone
    there = [axes for axes in panels if axes.spines["left"].get_linewidth() > 2]
    assert [axes.get_title() for axes in there] == [f"● Class number 40  {many.clipwise[40]:.2f}"]
    assert there[0].title.get_color() == PRESENT


def test_panels_and_names_of_41_masks_do_not_touch(many: Subject) -> None:
    figure = masks(many)
    figure.set_dpi(150)
    figure.savefig("/dev/null", format="png", dpi=150)
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[k + 1 :])
    whole = figure.bbox
    assert all(whole.x0 <= b.x0 and b.x1 <= whole.x1 and whole.y0 <= b.y0 and b.y1 <= whole.y1 for b in boxes)
    heights = [axes.title.get_window_extent().height for axes in figure.axes if axes.get_title()]
    assert min(heights) >= 9


def test_frame_scores_against_events(subject: Subject) -> None:
    decoded = (Span("Cat", 1.0, 1.5), Span("Dog", 2.1, 3.0))
    figure = frames(dataclasses.replace(subject, decoded=decoded))
    heat = named(figure, "scores")
    np.testing.assert_array_equal(values(figure, "scores"), subject.scores.framewise[0, :300])
    # The first class is at the top.
    assert heat.images[0].get_extent() == [0.0, 6.0, 0.0, 3] and heat.get_ylim() == (3, 0)
    assert [x.get_text() for x in heat.get_yticklabels()] == ["Alarm", "Cat", "● Dog"]
    assert bars(named(figure, "decoded events")) == [(1.0, 1.5, 1), (2.1, 3.0, 2)]
    assert bars(named(figure, "true events")) == [(2.0, 4.0, 2)]
    curve = named(figure, "● Dog")
    drawn = curve.patches[-1].get_data()
    np.testing.assert_array_equal(drawn.values, subject.scores.framewise[0, :300, 2])
    np.testing.assert_allclose(drawn.edges, np.arange(301) * 0.02, atol=1e-9)
    assert (curve.patches[0].get_x(), curve.patches[0].get_width()) == (2.0, 2.0)
    assert {axes.get_xlim() for axes in all_axes(figure) if axes.get_title()} == {(0.0, 6.0)}


def test_curves_are_of_present_classes_and_of_the_highest_others(many: Subject) -> None:
    highest = [MANY[k] for k in np.argsort(-many.clipwise) if MANY[k] != MANY[40]]
    assert curve_labels(many) == [MANY[40], *highest[:5]]


def test_reconstruction_beside_the_features(subject: Subject) -> None:
    figure, output = reconstruction(subject), subject.output
    np.testing.assert_array_equal(values(figure, "normalised features"), output.features[:600])
    np.testing.assert_array_equal(values(figure, "reconstruction"), output.reconstruction[:600])
    np.testing.assert_allclose(values(figure, "error"), abs(output.features - output.reconstruction)[:600], atol=1e-6)
    of_both = named(figure, "normalised features").images[0].get_clim()
    assert of_both == named(figure, "reconstruction").images[0].get_clim()
    assert of_both[0] == min(output.features[:600].min(), output.reconstruction[:600].min())
    mean = np.mean((output.features - output.reconstruction)[:600].astype(float) ** 2)
    assert f"(mean square {mean:.3f})" in named(figure, "error").get_title()


def test_the_first_step_is_what_the_network_sums_up(subject: Subject) -> None:
    """By default such a network's frame probabilities are its first step's outcome."""
    np.testing.assert_allclose(steps(subject.output).frames, subject.output.framewise, atol=1e-5)


def test_five_panels_of_two_step_attention(subject: Subject) -> None:
    figure, weights = attention(subject), subject.output.attention
    panels = [axes for axes in figure.axes if axes.get_title()]
    first, second = (LABELS[k] for k in np.argsort(-subject.clipwise)[:2])
    sign = {"Dog": "● Dog"}
    assert [axes.get_title() for axes in panels] == [
        f"attention over frequency: {sign.get(first, first)}",
        f"attention over frequency: {sign.get(second, second)}",
        "first step: frame probabilities",
        "second step: attention over time",
        "clip probabilities",
    ]
    for axes, label in zip(panels, (first, second), strict=False):
        np.testing.assert_array_equal(axes.images[0].get_array(), weights["frequency"][LABELS.index(label)].T)
        # Half the bins of the front end.
        assert axes.get_ylim() == (0, 16)
    np.testing.assert_allclose(values(figure, "first step"), subject.output.framewise, atol=1e-5)
    np.testing.assert_array_equal(values(figure, "second step"), weights["time"])
    assert [bar.get_height() for bar in panels[4].patches] == pytest.approx(subject.scores.clipwise[0].tolist())
    assert [x.get_text() for x in panels[4].get_xticklabels()] == ["Alarm", "Cat", "● Dog"]


def test_files_are_written_aside_and_replaced(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write_figures(subject, tmp_path / "new", dpi=40)
    assert sorted(tmp_path.joinpath("new").iterdir()) == sorted(written)
    assert [path.name for path in written] == [
        f"00012.{name}.{ending}" for name in FIGURES[Subject] for ending in ("png", "svg")
    ]
    begins = {".png": b"\x89PNG", ".svg": b"<?xml"}
    assert all(path.read_bytes().startswith(begins[path.suffix]) for path in written)
    monkeypatch.setitem(FIGURES, Subject, {kind: FIGURES[Subject][kind] for kind in ("waveform", "masks")})
    written[0].write_bytes(b"old")
    written[2].write_bytes(b"old")

    def full_disk(figure: object, path: Path, dpi: int, ending: str) -> None:
        if "masks" in path.name:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        save(figure, path, dpi, ending)

    save = figures.save
    monkeypatch.setattr(figures, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_figures(subject, tmp_path / "new", dpi=40)
    assert written[0].read_bytes().startswith(b"\x89PNG")
    assert written[2].read_bytes() == b"old"
    assert sorted(tmp_path.joinpath("new").iterdir()) == sorted(written)


def test_what_is_left_out_is_said(many: Subject, subject: Subject) -> None:
    assert left_out(subject) == ["frames, detection without decoded events: the experiment has no postprocessing.yaml"]
    assert left_out(many)[:-1] == [
        "no reconstruction: the network has no decoder",
        "no attention: the network does not attend in two steps, to frequencies and to frames",
    ]


def test_two_recordings_for_one_file_are_refused() -> None:
    assert file_stems(["a/b.wav", "c.wav"]) == {"a/b.wav": "a_b", "c.wav": "c"}
    with pytest.raises(SedkitError, match=r"c.wav and c.flac would both be drawn in c.<figure>.png"):
        file_stems(["c.wav", "c.flac"])


def test_octaves_of_filters_some_of_which_hold_no_bin() -> None:
    """Filter m of 128 is centred at 20 Hz and m + 1 of 129 steps of mel, in the middle of its row."""
    places, hz = octaves(KaldiFbank(), 128)
    low, high = (1127 * math.log(1 + end / 700) for end in (20, 8000))
    expected = [(1127 * math.log(1 + one / 700) - low) / (high - low) * 129 - 0.5 for one in hz]
    assert hz[:4] == [4000, 2000, 1000, 500]
    np.testing.assert_allclose(places, expected, atol=0.25)
