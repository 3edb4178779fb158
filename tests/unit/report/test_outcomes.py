"""What became of events: by hand, and as many as sed_eval counts."""

from __future__ import annotations

import numpy as np
import pytest
import sed_eval
from page_case import CLIPS, LABELS, TALLIES, make_data, make_run

from sedkit.dataio.datadir import DataDir
from sedkit.dataio.events import Events
from sedkit.report.outcomes import clip_errors, clip_rows, match, worth_hearing
from sedkit.report.sets import SetSubject


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> SetSubject:
    folder = tmp_path_factory.mktemp("outcomes")
    data = make_data(folder / "validation")
    return SetSubject.of(DataDir(data), make_run(folder / "one" / "seed0", data, scored=False))


def table(*rows: tuple[str, float, float, str]) -> Events:
    return Events.from_rows(rows, LABELS).keep_clips(["a", "b"])


@pytest.mark.parametrize(
    ("onset_s", "offset_s", "right"),
    [
        (1.1875, 3.0, True),  # within 200 ms
        (1.25, 3.0, False),
        (1.0, 3.375, True),  # within 20 % of 2 s
        (1.0, 3.4375, False),
        (0.8125, 2.625, True),
    ],
)
def test_tolerances(onset_s: float, offset_s: float, right: bool) -> None:
    outcome = match(table(("a", 1.0, 3.0, "Dog")), table(("a", onset_s, offset_s, "Dog")))
    assert (outcome.detected.tolist(), outcome.correct.tolist()) == ([right], [right])


def test_an_event_answers_one_other_of_its_clip_and_class() -> None:
    truth = table(("a", 1.0, 2.0, "Dog"), ("b", 1.0, 2.0, "Dog"), ("b", 1.0, 2.0, "Cat"))
    decoded = table(("a", 1.0, 2.0, "Dog"), ("a", 1.1, 2.1, "Dog"), ("b", 1.0, 2.0, "Alarm"))
    outcome = match(truth, decoded)
    assert outcome.detected.tolist() == [True, False, False]
    assert outcome.correct.sum() == 1 and not outcome.correct[2]


def test_as_many_are_matched_as_can_be() -> None:
    """Whoever gives the first true event the first estimate leaves the second one without."""
    truth = table(("a", 1.0, 2.0, "Dog"), ("a", 1.3, 2.3, "Dog"))
    decoded = table(("a", 1.15, 2.15, "Dog"), ("a", 0.9, 1.9, "Dog"))
    assert match(truth, decoded).detected.tolist() == [True, True]


def test_as_many_are_right_as_sed_eval_counts() -> None:
    rng = np.random.default_rng(3)

    def crowd(n: int) -> list[tuple[str, float, float, str]]:
        onsets_s, names = rng.uniform(0, 6, n).round(3), rng.integers(0, 3, n)
        return [
            (f"{clip}.wav", on, on + 1.0 + round(float(rng.uniform(0, 0.4)), 3), LABELS[k])
            for clip, on, k in zip(rng.integers(0, 8, n).tolist(), onsets_s.tolist(), names.tolist(), strict=True)
        ]

    names = [f"{k}.wav" for k in range(8)]
    truth, decoded = (Events.from_rows(crowd(300), LABELS).keep_clips(names) for _ in range(2))
    judge = sed_eval.sound_event.EventBasedMetrics(
        list(LABELS), t_collar=0.2, percentage_of_length=0.2, event_matching_type="optimal"
    )
    for name in names:
        lists = [
            [
                {"filename": name, "onset": on, "offset": off, "event_label": label}
                for _, on, off, label in events.keep_clips([name]).rows()
                if label
            ]
            for events in (truth, decoded)
        ]
        judge.evaluate(*lists)
    outcome = match(truth, decoded)
    for k, label in enumerate(LABELS):
        expected = judge.class_wise[label]["Ntp"]
        assert outcome.detected[truth.label == k].sum() == outcome.correct[decoded.label == k].sum() == expected > 5


def test_clips_as_the_page_takes_them(system: SetSubject) -> None:
    rows = clip_rows([system, system])
    assert [row["name"] for row in rows] == list(CLIPS)
    assert rows[1]["truth"] == [[1, 0.5, 1.5], [2, 2.0, 3.0]]
    of_b = {"events": [[2, 0.0, 1.0, 0], [1, 0.5, 1.5, 1]], "detected": [1, 0]}
    assert rows[1]["systems"] == [of_b, of_b]
    tallies = [
        (len(row["truth"]), len(row["systems"][0]["events"]), sum(e[3] for e in row["systems"][0]["events"]))
        for row in rows
    ]
    assert tallies == TALLIES
    assert [row["seconds"] for row in rows] == [4.0] * 5


def test_without_truth_nothing_is_right_or_wrong(system: SetSubject) -> None:
    from dataclasses import replace

    rows = clip_rows([replace(system, truth=None)])
    assert rows[0]["truth"] is None and rows[0]["systems"][0]["detected"] is None
    assert clip_errors([replace(system, truth=None)]).tolist() == [0] * 5


def test_clips_with_the_most_errors_are_heard_and_others_between(system: SetSubject) -> None:
    errors = clip_errors([system])
    assert errors.tolist() == [0, 2, 1, 2, 0]
    assert clip_errors([system, system]).tolist() == [0, 4, 2, 4, 0]
    # b and d have the most; of a, c and e the first and the last.
    assert worth_hearing(errors, 4) == [1, 0, 3, 4]
    assert sorted(worth_hearing(errors, 9)) == [0, 1, 2, 3, 4]
    assert worth_hearing(errors, 1) == [1] and worth_hearing(errors, 0) == []
    assert len({*worth_hearing(np.arange(1000), 100)}) == 100
