"""What `sedkit score` refuses, and what it warns of."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from score_case import DUR, EST, ESTIMATE, POINTS, REFERENCE, SCORES, Case

from sedkit.dataio.scores import Scores
from sedkit.dataio.store import read_scores, write_scores


@pytest.mark.parametrize(
    ("groups", "status", "message"),
    [
        ("z/a\tg\nz/b\tg\n", 1, "groups.tsv: holds no clip of the reference, such as a.wav"),
        ("a.wav\tg\nb.wav\tg\na.wav\th\n", 1, "groups.tsv:4: a.wav is in group 'h' here, in 'g' in an earlier row"),
        ("a.wav\tg\nb.wav\tg\nc.wav\th\n", 0, "groups.tsv: no group for d.wav (1 such clips: each is one of its own)"),
        ("a.wav\t\nb.wav\t\n", 0, "groups.tsv: no clip has a group: every clip is one of its own"),
    ],
)
def test_groups_that_do_not_fit_the_reference(case: Case, groups: str, status: int, message: str) -> None:
    case.put("groups.tsv", "filename\tgroup\n" + groups)
    figures, _, err = case.call(*EST, "--bootstrap", "100", "--groups", "@groups.tsv")
    assert (figures, message in err.replace(str(case.folder), "")) == (status, True), err


def test_what_a_judge_cannot_score_is_one_line(case: Case) -> None:
    case.put("none.tsv", "filename\tduration\n")
    status, _, err = case.call(*EST, "--durations", "@none.tsv", "--metrics", "intersection", "--official", "true")
    (line,) = [line for line in err.splitlines() if "error" in line]
    assert (status, "--official: the judge of intersection cannot score this input: " in line) == (1, True)


def test_figures_never_take_the_place_of_what_they_are_made_from(case: Case) -> None:
    before = (case.folder / "ref.tsv").read_text()
    for out in ("@ref.tsv", "@est.tsv", "@points/new.json"):
        status, _, err = case.call(*EST, *POINTS, "--json", out)
        assert (status, "from which it is made; choose another place" in err) == (2, True), err
    assert (case.folder / "ref.tsv").read_text() == before
    assert not (case.folder / "points/new.json").exists()


def test_scores_that_do_not_fit_the_reference_are_warned_of(case: Case) -> None:
    scores = read_scores(case.folder / "scores.h5")
    scores.labels = tuple("Doggy" if label == "Dog" else label for label in scores.labels)
    scores.filenames = (*scores.filenames[:-1], "zz.wav")
    write_scores(case.folder / "odd.h5", scores)
    rows = (case.folder / "dur.tsv").read_text().splitlines()
    case.put("short.tsv", "\n".join([rows[0], *(row.split("\t")[0] + "\t2.0" for row in rows[1:])]) + "\n")
    status, _, err = case.call("--scores", "@odd.h5", "--durations", "@short.tsv")
    assert status == 0
    for message in (
        "scores of zz.wav, no clip of the reference (1 such: not scored)",
        "no scores of the classes 'Dog', which count as 0",
        "scores of the classes 'Doggy', which are not scored",
        "past its end at 2 s",
    ):
        assert message in err, (message, err)


def test_a_reference_with_overlaps_is_scored_without_intersection(case: Case) -> None:
    text = (case.folder / "ref.tsv").read_text()
    row = next(line for line in text.splitlines()[1:] if line.split("\t")[3:])
    name, onset, offset, label = row.split("\t")
    case.put("ref.tsv", text + f"{name}\t{float(onset) + 0.1}\t{float(offset) + 0.1}\t{label}\n")
    figures = case.results(*EST)
    assert "event_based" in figures and "intersection_based" not in figures
    _, _, err = case.call(*EST)
    assert "no intersection-based figures, unless --metrics asks for them" in err
    assert case.call(*EST, "--metrics", "intersection")[0] == 1
    assert case.results(*EST, "--overlaps", "merge")["intersection_based"]["macro"]["f1"] is not None


@pytest.mark.parametrize("scores", [(), SCORES])
@pytest.mark.parametrize("durations", [(), DUR])
@pytest.mark.parametrize(
    "tables",
    [(), EST, POINTS, (*EST, *POINTS), (*POINTS, "--threshold", "0.5"), (*POINTS, "--threshold", "all")],
)
def test_figures_that_can_be_computed_are_not_lost(
    case: Case, tables: tuple[str, ...], scores: tuple[str, ...], durations: tuple[str, ...]
) -> None:
    """Whatever is given: an overlap in the reference costs the figures that refuse it, and no other."""
    case.put("ref.tsv", REFERENCE + "a.wav\t1.500\t2.500\tDog\n")
    has_table = "--estimate" in tables or "--threshold" in tables
    wanted = {"event_based", "segment_based"} if has_table else set()
    wanted |= {"tagging"} if scores else set()
    refused = {"intersection-based"} if has_table else set()
    refused |= {"psds1", "psds2"} if durations and (scores or "--operating-points" in tables) else set()
    status, _, err = case.call(*tables, *scores, *durations, "--json", "@out.json")
    if not wanted:
        # Without any figure left, what stands in the way is an error.
        assert (status, "overlaps another event of its class" in err) == ((1, True) if refused else (2, False))
        return
    assert status == 0, err
    figures = json.loads((case.folder / "out.json").read_text())
    blocks = {"event_based", "segment_based", "intersection_based", "psds1", "psds2", "tagging"}
    assert blocks & set(figures) == wanted
    if refused:
        (line,) = [line for line in err.splitlines() if "unless --metrics asks" in line]
        names = line.partition(": no ")[2].partition(" figures, unless")[0]
        assert set(names.split(", ")) == refused
    merged = case.results(*tables, *scores, *durations, "--overlaps", "merge")
    assert blocks & set(merged) == wanted | {name.replace("-", "_") for name in refused}


def test_an_overlap_in_one_form_costs_the_figures_of_that_form(case: Case) -> None:
    case.put("points/th_0.90.tsv", ESTIMATE + "a.wav\t1.500\t2.500\tDog\n")
    figures = case.results(*EST, *POINTS, *DUR, "--baselines", "true")
    assert ("intersection_based" in figures, "psds1" in figures) == (True, False)
    assert "psds1" not in figures["baselines"]["all_positive"]
    # psds_eval 0.3.0 let overlaps pass, and so does its variant.
    figures = case.results(*EST, *POINTS, *DUR, "--psds-variant", "operating_points_0.3.0")
    assert {"intersection_based", "psds1"} <= set(figures)
    # So does a table to compare with: the difference is left out, the figures stay.
    case.put("other.tsv", ESTIMATE + "a.wav\t1.500\t2.500\tDog\n")
    figures = case.results(*EST, "--against", "@other.tsv")
    assert figures["event_based"]["against"] is not None
    assert (figures["intersection_based"]["macro"]["f1"] is not None, figures["intersection_based"]["against"]) == (
        True,
        None,
    )
    case.put("ref.tsv", "filename\tonset\toffset\tevent_label\n" + "".join(f"{n}.wav\t\t\t\n" for n in "abcd"))
    figures = case.results(*EST, *SCORES, *DUR)
    assert ("event_based" in figures, "psds1" in figures, "tagging" in figures) == (True, False, False)


def test_clips_outside_the_reference_are_false_positives_where_they_have_a_duration(case: Case) -> None:
    """What the warning says of each figure is what the judge makes of it (psds_eval, run by --official)."""
    case.put("est.tsv", ESTIMATE + "z.wav\t1.000\t2.000\tDog\n")
    case.put("long.tsv", (case.folder / "dur.tsv").read_text() + "z.wav\t100.0\n")
    n_false = {}
    for durations, said in (
        ("@dur.tsv", "z.wav is not a clip of the reference (1 such clips, 1 rows: not scored)"),
        (
            "@long.tsv",
            "(1 such clips, 1 rows: event, segment: not scored; intersection: detections there are false positives, "
            "since they have a duration)",
        ),
    ):
        words = (*EST, "--durations", durations)
        assert said in case.call(*words)[2]
        figures = case.results(*words, "--official", "true")
        n_false[durations] = figures["intersection_based"]["classes"]["Dog"]
        assert figures["event_based"]["micro"]["n_estimate"] == 5
    # Dog: 2 of 3 detections are relevant, then 2 of 4.
    precision = {name: figures["precision"] for name, figures in n_false.items()}
    assert precision == {"@dur.tsv": pytest.approx(2 / 3), "@long.tsv": pytest.approx(2 / 4)}
    # Only of figures that are computed.
    assert "not a clip of the reference" not in case.call(*words, *POINTS, "--metrics", "psds1")[2]
    err = case.call(*words, "--metrics", "intersection")[2]
    assert "1 rows: intersection: detections there are false positives" in err
    case.put("points/th_0.10.tsv", ESTIMATE + "z.wav\t1.000\t2.000\tDog\n")
    err = case.call(*POINTS, *words[2:])[2]
    assert "1 rows: psds1, psds2: detections there are false positives, since they have a duration" in err
    # Of the operating point that was chosen: there z.wav has no row.
    assert "z.wav" not in case.call(*POINTS, "--threshold", "0.5")[2]
    # --clips left it out on purpose.
    case.put("clips.tsv", "filename\na.wav\nb.wav\nc.wav\nd.wav\n")
    assert "z.wav" not in case.call(*words, "--clips", "@clips.tsv")[2]


def test_scores_outside_the_reference_are_scored_by_exact_psds_alone(case: Case) -> None:
    scores = read_scores(case.folder / "scores.h5")
    scores.filenames = (*scores.filenames[:-1], "zz.wav")
    write_scores(case.folder / "odd.h5", scores)
    case.put("long.tsv", (case.folder / "dur.tsv").read_text() + "zz.wav\t100.0\n")
    words = ("--scores", "@odd.h5")
    assert "no clip of the reference (1 such: not scored)" in case.call(*words, *DUR)[2]
    err = case.call(*words, "--durations", "@long.tsv")[2]
    assert "(1 such: tagging: not scored; psds1, psds2: detections there are false positives, since they have" in err
    free, counted = (
        case.results(*words, "--durations", name, "--metrics", "psds1")["psds1"]["classes"]["Cat"]
        for name in ("@dur.tsv", "@long.tsv")
    )
    assert counted < free


def test_what_is_compared_is_looked_at_as_closely(case: Case) -> None:
    case.put("other.tsv", ESTIMATE.replace("\n", "\nfolder/").removesuffix("folder/"))
    status, _, err = case.call(*EST, "--against", "@other.tsv")
    assert status == 0
    assert "other.tsv:2: folder/a.wav is not a clip of the reference (4 such clips, 5 rows" in err


def test_classes_left_out_on_purpose_are_not_warned_of(case: Case) -> None:
    case.put("labels.txt", "Dog\n")
    case.put("est.tsv", ESTIMATE + "a.wav\t7.0\t8.0\tDoge\n")
    _, _, err = case.call(*EST, *SCORES, "--labels", "@labels.txt")
    assert "Cat" not in err
    assert "est.tsv:7: label 'Doge' is not among the classes of the reference (1 such rows: left out)" in err


def test_overlaps_are_refused_or_merged(case: Case) -> None:
    case.put("ref.tsv", REFERENCE + "a.wav\t1.500\t2.500\tDog\n")
    status, _, err = case.call(*EST, *POINTS, *DUR, "--metrics", "psds1")
    assert (status, "ref.tsv:7: Dog at 1.5 s overlaps" in err, "--overlaps merge" in err) == (1, True, True)
    assert case.call(*EST, "--metrics", "event,segment")[0] == 0
    figures = case.results(*POINTS, *DUR, "--metrics", "psds1", "--overlaps", "merge")
    assert figures["psds1"]["value"] > 0
    assert figures["overlaps"] == "merge"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing to score"),
        (("--metrics", "evnt", *EST), 'did you mean "event"'),
        (("--metrics", "event", *POINTS), "needs --estimate (or --threshold T|all"),
        (("--metrics", "psds1", *EST, *DUR), "needs --operating-points or --scores"),
        (("--metrics", "psds1", *POINTS), "needs --durations"),
        (("--metrics", "psds1", "--psds-variant", "exact", *POINTS, *DUR), "needs --scores"),
        (("--metrics", "tagging", *EST), "needs --scores"),
        (("--metrics", "pauc", *EST), "needs --scores"),
        (("--threshold", "all", *EST), "needs --operating-points"),
        (("--threshold", "0.5", *EST, *POINTS), "give either it or --estimate"),
        (("--threshold", "half", *POINTS), "expected a number or all"),
        (("--threshold", "0.6", *POINTS), "no such operating point"),
        (("--fold", "x", *EST), "--fold needs --clips"),
        (("--groups", "@ref.tsv", *EST), "give --bootstrap N too"),
        (("--bootstrap", "99", *EST), "from 100"),
        (("--collar", "0", *EST), "from 1e-06"),
        ((*POINTS, "--threshold", "all", "--metrics", "psds1"), "--metrics psds1 needs --durations"),
        ((*POINTS, "--threshold", "all", "--metrics", "tagging"), "--metrics tagging needs --scores"),
        (("--undefined", "nil", *EST), "invalid choice"),
    ],
)
def test_bad_use_is_one_line_and_status_2(case: Case, words: tuple[str, ...], message: str) -> None:
    status, out, err = case.call(*words)
    lines = [line for line in err.splitlines() if not line.startswith("warning")]
    assert (status, out, len(lines)) == (2, "", 1)
    assert lines[0].startswith("sedkit score: error: ")
    assert message in lines[0]


def test_durations_of_recordings_serve_their_excerpts(case: Case) -> None:
    """Two recordings of 4 s in excerpts of 2 s; their last has no row, the table of durations lists recordings."""
    names = [f"{recording}-{100 * s:06d}-{100 * s + 200:06d}.wav" for recording in "ab" for s in (0, 2)]
    values = np.array([[0.9, 0.1], [0.8, 0.7], [0.6, 0.2], [0.5, 0.4]])[..., None]
    scores = Scores(values, np.full(4, 2), np.full(4, 2.0), np.arange(3.0), tuple(names), ("car",))
    write_scores(case.folder / "excerpts.h5", scores)
    rows = f"{names[0]}\t0.0\t1.0\tcar\n{names[2]}\t1.0\t2.0\tcar\n"
    case.put("ref.tsv", "filename\tonset\toffset\tevent_label\n" + rows)
    case.put("dur.tsv", "filename\tduration\na.wav\t4.0\nb.wav\t4.0\nother.wav\t4.0\n")
    words = ("--scores", "@excerpts.h5", *DUR, "--metrics", "pauc")
    figures = case.results(*words, "--bootstrap", "100", "--baselines", "true")
    # Of 8 seconds 2 are active, scored .9 and .2; the others .1, .6 and, where no excerpt has a row, 4 times 0: the
    # first event stands before any other second, the second one after one of 6.
    assert figures["segment_auc"]["value"] == pytest.approx(0.5)
    assert figures["segment_auc"]["variant"] == "recordings"
    assert (figures["segment_auc"]["resampled"]["units"], figures["bootstrap"]["units"]) == (2, 3)
    case.put("clips.tsv", f"filename\n{names[0]}\n{names[1]}\n")
    assert case.results(*words, "--clips", "@clips.tsv")["segment_auc"]["value"] == pytest.approx(1.0)
    # They are no clips: of the excerpts none has a duration that PSDS could count hours by, but for that of `other`.
    assert "no duration of a-000000-000200.wav (2 such clips" in case.call(*words[:4], "--metrics", "psds1")[2]


@pytest.mark.parametrize(("labels", "percent"), [("recipes/esc50_desed/labels.txt", 14.3), (None, 15.9)])
def test_every_class_throughout_on_real_recordings(
    case: Case, real_desed: Path, repository: Path, labels: str | None, percent: float
) -> None:
    """A class has every second of every clip in the output, and those that an event reaches into in the reference."""
    table = pd.read_csv(real_desed / "metadata/validation/validation.tsv", sep="\t").dropna()
    files = sorted((real_desed / "audio/validation").glob("*.wav"))
    seconds = {path.name: sf.info(path).duration for path in files}
    rows = "".join(f"{name}\t{length}\n" for name, length in seconds.items())
    case.put("dur.tsv", "filename\tduration\n" + rows)
    case.put("ref.tsv", (real_desed / "metadata/validation/validation.tsv").read_text())
    classes = (repository / labels).read_text().split() if labels else sorted(set(table.event_label))
    n_output = sum(math.ceil(length) for length in seconds.values())
    f1 = []
    for label in classes:
        active: set[tuple[str, int]] = set()
        for row in table[table.event_label == label].itertuples():
            active |= {(row.filename, s) for s in range(math.floor(row.onset), math.ceil(row.offset))}
        right = sum(s < math.ceil(seconds[name]) for name, s in active)
        f1.append(2 * right / (n_output + len(active)))
    words = ("--estimate", "@ref.tsv", *DUR, "--metrics", "event,segment", "--baselines", "true")
    words += ("--labels", str(repository / labels)) if labels else ()
    figures = case.results(*words)["baselines"]["all_positive"]
    assert round(100 * figures["segment_based"]["macro"]["f1"], 1) == percent
    assert figures["segment_based"]["macro"]["f1"] == pytest.approx(np.mean(f1))
    assert figures["event_based"]["macro"]["f1"] == 0.0


def test_a_missing_file_is_one_line_and_status_1(case: Case) -> None:
    status, _, err = case.call("--estimate", "@nowhere.tsv")
    assert (status, "nowhere.tsv: no such file" in err, len(err.splitlines())) == (1, True, 1)


def test_what_was_trained_or_tuned_on_has_no_figures(case: Case, stamped: Callable[..., None]) -> None:
    known = {"of": [["v", "a"]], "saw": {"trained": [["v", "b"]], "selected": [["v", None]]}, "tuned": [["w", None]]}
    for output in (EST, POINTS, SCORES):
        stamped(output[1], known)
        assert case.call(*output, *DUR)[0] == 0
        for how, seen in (
            ("trained", {"saw": {"trained": [["v", None]]}}),
            ("tuned", {"tuned": [["u", None], ["v", "a"]]}),
        ):
            stamped(output[1], known | seen)
            status, out, err = case.call(*output, *DUR)
            assert (status, out, len(err.splitlines())) == (2, "", 1)
            assert f"{output[1][1:]}: is of clips that its run was {how} on (v, fold a)" in err
        stamped(output[1], known)
    # What it is compared with was trained on the clips: no comparison either.
    case.put("other.tsv", ESTIMATE)
    stamped("@other.tsv", known | {"saw": {"trained": [["v", "a"]]}})
    status, _, err = case.call(*EST, "--against", "@other.tsv")
    assert (status, "other.tsv: is of clips that its run was trained on" in err) == (2, True)


def test_a_refusal_is_not_skipped_with_figures_that_are_there(case: Case, stamped: Callable[..., None]) -> None:
    stamped("@est.tsv", {"of": [["v", None]]})
    case.results(*EST)
    stamped("@est.tsv", {"of": [["v", None]], "saw": {"trained": [["v", "train"]]}})
    assert case.call(*EST, "--json", "@out.json")[0] == 2
