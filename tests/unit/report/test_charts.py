"""What charts of systems on a set show: counted by hand, and by sed_eval and psds_eval."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from page_case import CLIPS, DECODED, LABELS, TRUE, make_data, make_run
from tone_case import all_axes, named

from sedkit.dataio.datadir import DataDir
from sedkit.dataio.events import Events
from sedkit.evaluation.inputs import OperatingPoints
from sedkit.evaluation.judges import official_psds
from sedkit.evaluation.parameters import PSDS1, PSDS2
from sedkit.report.classes import counts
from sedkit.report.figures import FIGURES, drawn
from sedkit.report.panels import SYSTEM_COLOURS, SYSTEM_HATCHES
from sedkit.report.quality import class_f1, class_scores, cross_triggers, sweep_f1, thresholds, trigger_counts
from sedkit.report.rates import class_curves, psd_roc
from sedkit.report.runs import RunSubject
from sedkit.report.sets import SetSubject, SystemsSubject
from sedkit.report.training import learning, learning_curves


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("charts") / "validation")


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    return make_run(data.parent / "one" / "seed0", data, scored=False)


@pytest.fixture(scope="module")
def system(data: Path, run: Path) -> SetSubject:
    return SetSubject.read("validation", DataDir(data), RunSubject.open(run).files["validation"], system="one")


@pytest.fixture(scope="module")
def both(system: SetSubject) -> SystemsSubject:
    return SystemsSubject("validation", (system, replace(system, system="two", decoded=events(TRUE))))


def events(rows: list[tuple[int, float, float, int]]) -> Events:
    table = Events.from_rows([(CLIPS[i], on, off, LABELS[k]) for i, on, off, k in rows], LABELS)
    return table.keep_clips(CLIPS)


def test_f1_of_classes_by_hand(system: SetSubject) -> None:
    event, segment = class_scores(system, LABELS)
    # Alarm is missed; Cat: one of one, with two false; Dog: one of two, with one false.
    np.testing.assert_allclose(event, [0.0, 0.5, 0.5])
    # Segments of 1 s. Cat: true in b 0 and 1; found in b 0 and 1, in d 1 and 2: 2 of 2, 2 false. Dog: true in a 1,
    # b 2; found in a 1, b 0.
    # Of Alarm nothing is detected: 0/0, which sed_eval leaves undefined.
    np.testing.assert_allclose(segment, [np.nan, 2 * 2 / (2 + 4), 2 * 1 / (2 + 2)])


def test_a_bar_for_each_system_and_class(both: SystemsSubject) -> None:
    figure = class_f1(both)
    axes = named(figure, "event-based F1 (collar 200 ms, offset 20%)")
    first, second = axes.containers
    assert [bar.get_width() for bar in first] == [0.0, 0.5, 0.5]
    assert [bar.get_width() for bar in second] == [1.0, 1.0, 1.0]
    assert [text.get_text() for text in axes.texts] == ["0.00", "0.50", "0.50", "1.00", "1.00", "1.00"]
    assert [x.get_text() for x in axes.get_yticklabels()] == ["Alarm (1)", "Cat (1)", "Dog (2)"]
    assert second[0].get_hatch() == SYSTEM_HATCHES[1] != first[0].get_hatch()
    assert [x.get_text() for x in figure.legends[0].get_texts()] == ["one", "two"]


def test_a_class_without_events_has_no_figure(system: SetSubject) -> None:
    axes = named(class_f1(SystemsSubject("validation", (system,))), "segment-based")
    # Nothing of Alarm is detected: 0/0.
    assert [text.get_text() for text in axes.texts] == ["–", "0.67", "0.50"]


def test_classes_that_occur_nowhere_are_left_out(system: SetSubject) -> None:
    labels = ("Siren", *LABELS)
    tables = {kind: getattr(system, kind).keep_labels(labels) for kind in ("truth", "decoded")}
    more = replace(system, labels=labels, **tables)
    assert more.occurring == LABELS == SystemsSubject("validation", (more,)).systems[0].occurring
    axes = named(class_f1(SystemsSubject("validation", (more,))), "event-based")
    assert [x.get_text() for x in axes.get_yticklabels()] == ["Alarm (1)", "Cat (1)", "Dog (2)"]
    titles = [axes.get_title() for axes in psd_roc(SystemsSubject("validation", (more,))).axes]
    assert titles == ["Alarm", "Cat", "Dog"]
    assert trigger_counts(more)[1].tolist() == [0, 2, 0]
    nothing = replace(more, truth=more.truth.keep_clips([]), decoded=None)
    assert nothing.occurring == labels


def test_thresholds_by_hand(system: SetSubject, both: SystemsSubject) -> None:
    """Scores are 0.9 in decoded events and 0.05 elsewhere: between these the events are the decoded ones."""
    swept = sweep_f1(system)
    macro = (0 + 0.5 + 0.5) / 3
    between = (swept.thresholds > 0.05) & (swept.thresholds < 0.9)
    # The onset at 1.05 s is on a frame's edge, so that the events are the same.
    np.testing.assert_allclose(swept.event[between], macro)
    assert (swept.event[swept.thresholds > 0.9] == 0).all() and between.sum() == 21
    figure = thresholds(both)
    axes = named(figure, "event-based")
    np.testing.assert_allclose(axes.lines[0].get_ydata(), swept.event)
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["as decoded 0.333", "as decoded 1.000"]


def test_what_detections_lie_in_by_hand(system: SetSubject) -> None:
    """Dog in clip b lies in half of the true Cat; two of Cat in clip d lie in nothing."""
    triggers, alone = trigger_counts(system)
    assert triggers.tolist() == [[0, 0, 0], [0, 1, 0], [0, 1, 1]]
    assert alone.tolist() == [0, 2, 0]
    axes = named_axes(cross_triggers(system))
    shown = {(t.get_position()[1], t.get_position()[0]): t.get_text() for t in axes.texts}
    assert shown == {(1, 1): "1", (1, 3): "2", (2, 1): "1", (2, 2): "1"}
    # Of the three detections of Cat a third fits.
    assert axes.images[0].get_array()[1].tolist() == pytest.approx([0, 1 / 3, 0, 2 / 3])


def named_axes(figure: object) -> object:
    return next(axes for axes in all_axes(figure) if axes.images)


def test_a_class_without_true_events_triggers_nothing(system: SetSubject) -> None:
    no_cat = replace(system, truth=events([row for row in TRUE if row[3] != 1]))
    triggers, alone = trigger_counts(no_cat)
    assert alone.tolist() == [0, 3, 1] and triggers.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_numbers_of_events_by_hand(both: SystemsSubject) -> None:
    figure = counts(both)
    left, right = figure.axes
    true, one, two = (patch.get_data().values.tolist()[:4] for patch in left.patches)
    # Clips with 0, 1, 2, 3 events.
    assert (true, one, two) == ([2, 2, 1, 0], [2, 1, 2, 0], [2, 2, 1, 0])
    assert [bar.get_height() for bar in right.containers[0]] == [1, 1, 2]
    assert [line.get_ydata().tolist() for line in right.lines] == [[0, 3, 2], [1, 1, 2]]
    assert [x.get_text() for x in left.get_legend().get_texts()] == ["true (4)", "one (5)", "two (4)"]


def hours(system: SetSubject) -> SetSubject:
    """The same events in an hour of clips, at two operating points: the decoded ones, and the first of them alone."""
    tables = (system.decoded, events(DECODED[:1]))
    points = OperatingPoints("points", (0.5, 0.9), tables)
    return replace(system, durations_s=np.full(5, 720.0), points=points, points_from="2 operating points")


def test_roc_of_a_class_by_hand(system: SetSubject, both: SystemsSubject) -> None:
    _, curves = class_curves(hours(system), PSDS1)
    # Dog: one of two without a false one at 0.9; at 0.5 the same with one false in an hour.
    assert curves["Dog"].efpr.tolist() == [0, 0, 1, 100] and curves["Dog"].tpr.tolist() == [0, 0.5, 0.5, 0.5]
    # Cat: nothing at 0.9; at 0.5 one of one with two false.
    assert curves["Cat"].efpr.tolist() == [0, 0, 2, 100] and curves["Cat"].tpr.tolist() == [0, 0, 1, 1]
    assert {label: curve.area for label, curve in curves.items()} == pytest.approx(
        {"Alarm": 0, "Cat": 0.98, "Dog": 0.5}
    )
    figure = psd_roc(SystemsSubject("validation", (hours(system),)))
    solid, dashed = named(figure, "Dog").lines
    assert solid.get_linestyle() == "-" and dashed.get_linestyle() == "--"
    assert solid.get_xdata().tolist() == [0, 0, 1, 100] and solid.get_color() == SYSTEM_COLOURS[0]
    assert [text.get_text() for text in named(figure, "Cat").texts] == ["PSDS1 0.98", "PSDS2 0.98"]


@pytest.mark.parametrize("parameters", [PSDS1, PSDS2])
def test_psds_is_psds_evals(system: SetSubject, parameters: object) -> None:
    subject = hours(system)
    durations = dict.fromkeys(CLIPS, 720.0)
    expected = official_psds(subject.truth, subject.points.tables, durations, parameters)
    assert class_curves(subject, parameters)[0] == pytest.approx(expected, abs=1e-6)
    assert expected > 0.01


def test_learning_curves_are_the_records(run: Path) -> None:
    subject = RunSubject.open(run)
    curves = {(c.side, c.figure): (c.of, c.steps, c.values) for c in learning_curves(subject)}
    assert curves[("train", "loss")] == ("", [1, 2, 3], [1.0, 0.5, 1 / 3])
    assert curves[("select", "clip_map")][0] == "network weak"
    figure = learning(subject)
    loss, clip_map = figure.axes
    assert [line.get_ydata().tolist() for line in loss.lines] == [[1.0, 0.5, 1 / 3], [2.0, 1.0, 2 / 3]]
    assert [x.get_text() for x in loss.get_legend().get_texts()] == ["training", "weak (chosen by)"]
    assert clip_map.get_title() == "clip map"


def test_a_record_that_was_cut_off_ends_the_curves(run: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    text = (run / "metrics.jsonl").read_text()
    (tmp_path / "metrics.jsonl").write_text(text[:-20])
    assert [c.steps for c in learning_curves(RunSubject.open(tmp_path))] == [[1, 2]] * 3


def test_names_of_classes_are_text_in_svg(system: SetSubject) -> None:
    labels = ("a$b$", "<script>", "猫 😀")
    nasty = replace(
        system,
        labels=labels,
        truth=replace(system.truth, labels=labels),
        decoded=replace(system.decoded, labels=labels),
    )
    svg = drawn(FIGURES[SystemsSubject]["class_f1"], SystemsSubject("validation", (nasty,))).decode()
    assert "a$b$ (1)" in svg and "&lt;script&gt; (1)" in svg and "猫 😀 (2)" in svg and "<script>" not in svg
    # The same figure is the same file.
    assert svg == drawn(FIGURES[SystemsSubject]["class_f1"], SystemsSubject("validation", (nasty,))).decode()
