"""Curves of every class, curves over features, and the way from sound to events."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from fake_data import LABELS
from tone_case import all_axes, bars, named, noise, tone

from sedkit.report.curves import curves, detection, overlay, stretched_scores
from sedkit.report.figures import FIGURES, left_out, write_figures
from sedkit.report.frames import curve_labels
from sedkit.report.masks import masks
from sedkit.report.panels import PRESENT
from sedkit.report.subject import Span, Subject
from sedkit.report.waveform import sum_of_events


def known(subject: Subject) -> Subject:
    """Scores that are known: 0.1 to 0.9 in the first class, constant in the second, the third by the clip's."""
    framewise = np.array(subject.scores.framewise, copy=True)
    n = int(subject.scores.n_frames[0])
    framewise[0, :n, 0] = np.linspace(0.1, 0.9, n)
    framewise[0, :n, 1] = 0.25
    clipwise = np.array([[0.5, 0.25, 0.8]], dtype=np.float32)
    scores = dataclasses.replace(subject.scores, framewise=framewise, clipwise=clipwise)
    decoded = (Span(LABELS[0], 1.0, 1.5), Span(LABELS[2], 2.5, 6.0))
    return dataclasses.replace(subject, scores=scores, decoded=decoded)


def test_every_class_has_a_curve_over_its_events(subject: Subject) -> None:
    one = known(subject)
    figure = curves(one)
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["Alarm  0.50", "Cat  0.25", "● Dog  0.80"]
    for k, axes in enumerate(panels):
        (line,) = [patch for patch in axes.patches if hasattr(patch, "get_data")]
        drawn, edges, _ = line.get_data()
        np.testing.assert_array_equal(drawn, one.framewise[:, k])
        np.testing.assert_array_equal(edges, one.edges_s)
        assert axes.get_ylim() == (0.0, 1.05) and axes.get_xlim() == (0.0, 6.0)
    shaded = [p for p in panels[2].patches if not hasattr(p, "get_data")]
    assert [(p.get_x(), p.get_x() + p.get_width()) for p in shaded] == [(2.0, 4.0)]
    assert not [p for p in panels[0].patches if not hasattr(p, "get_data")]
    assert panels[2].title.get_color() == PRESENT


def test_curves_over_features_are_stretched_to_their_own_range(subject: Subject) -> None:
    one = known(subject)
    figure = overlay(one)
    (axes,) = [axes for axes in figure.axes if axes.images]
    features = one.frontend.transform(one.waveform[None])[0, : one.valid_frames]
    np.testing.assert_array_equal(axes.images[0].get_array(), features.T)
    lines = dict(zip(curve_labels(one), axes.lines, strict=True))
    assert next(iter(lines)) == "Dog"
    first = lines["Alarm"].get_ydata()
    assert (first[0], first[-1]) == pytest.approx((0.0, one.frontend.n_bins))
    np.testing.assert_allclose(np.diff(first), np.diff(first)[0], atol=1e-4)
    assert not lines["Cat"].get_ydata().any()
    middles = (one.edges_s[:-1] + one.edges_s[1:]) / 2
    np.testing.assert_array_equal(lines["Dog"].get_xdata(), middles)
    said = [text.get_text() for text in axes.get_legend().get_texts()]
    assert said[0].startswith("● Dog: ") and "Alarm: 0.10 to 0.90" in said and "Cat: 0.25 to 0.25" in said


def test_more_than_four_curves_take_another_panel(subject: Subject) -> None:
    labels = tuple(f"class{k}" for k in range(9))
    n = subject.scores.framewise.shape[1]
    scores = dataclasses.replace(
        subject.scores, labels=labels, framewise=np.full((1, n, 9), 0.5, np.float32), clipwise=np.zeros((1, 9))
    )
    one = dataclasses.replace(subject, scores=scores, present=frozenset(), truth=None, decoded=None)
    figure = overlay(one)
    assert [len(axes.lines) for axes in figure.axes if axes.images] == [4, 2]


def test_the_way_to_events(subject: Subject) -> None:
    one = known(subject)
    figure = detection(one)
    titles = [axes.get_title() for axes in all_axes(figure) if axes.get_title()]
    assert titles == ["features", "true events", "frame times clip probability", "decoded events"]
    product = named(figure, "frame times").images[0].get_array().T
    np.testing.assert_allclose(product, one.framewise * np.array([0.5, 0.25, 0.8]), rtol=1e-6)
    assert bars(named(figure, "true events")) == [(2.0, 4.0, 2)]
    assert bars(named(figure, "decoded")) == [(1.0, 1.5, 0), (2.5, 6.0, 2)]
    features = one.frontend.transform(one.waveform[None])[0, : one.valid_frames]
    np.testing.assert_array_equal(named(figure, "features").images[0].get_array(), features.T)
    bare = detection(dataclasses.replace(one, truth=None, decoded=None))
    assert [a.get_title() for a in all_axes(bare) if a.get_title()] == ["features", "frame times clip probability"]


def test_events_alone_stand_beside_the_masks(subject: Subject) -> None:
    alone = sum_of_events(subject)
    np.testing.assert_allclose(alone, tone(), atol=2 / 32768)
    figure = masks(subject)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles[-2:] == ["events: spectrogram", "events: features"]
    levels = named(figure, "events: spectrogram").images[0].get_array()
    # Half of full scale at 1 kHz of 0 to 4 kHz; nothing of the noise.
    middle = levels[:, levels.shape[1] // 2]
    assert middle.argmax() == 32 and middle[32] == pytest.approx(20 * np.log10(0.5), abs=0.1)
    assert middle.min() == pytest.approx(levels.max() - 80)
    assert float(np.abs(noise()).max()) > 0.02
    without = masks(dataclasses.replace(subject, stems=None))
    assert "events: " not in " ".join(axes.get_title() for axes in without.axes)


def test_they_are_written_and_what_they_lack_is_said(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = {kind: FIGURES[Subject][kind] for kind in ("curves", "overlay", "detection")}
    with monkeypatch.context() as patch:
        patch.setitem(FIGURES, Subject, new)
        written = write_figures(subject, tmp_path, dpi=20)
    assert [path.name for path in written] == [f"00012.{kind}.{end}" for kind in new for end in ("png", "svg")]
    assert "frame times clip probability</text>" in written[-1].read_text(encoding="utf-8")
    bare = dataclasses.replace(subject, truth=None, lacks={"truth": "no strong.tsv", "stems": "no stems"})
    said = left_out(bare)
    assert "frames, curves, detection without true events: no strong.tsv" in said
    assert "masks without the events alone: no stems" in said


def test_a_constant_curve_is_flat() -> None:
    np.testing.assert_array_equal(stretched_scores(np.full(3, 0.7, np.float32)), np.zeros(3, np.float32))
    np.testing.assert_allclose(stretched_scores(np.array([0.2, 0.4, 0.3])), [0.0, 1.0, 0.5])
