from __future__ import annotations

import json
import lzma
import os
import resource
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from score_case import DUR, EST, ESTIMATE, POINTS, SCORES, Case


def test_the_results_file(case: Case) -> None:
    figures = case.results(*EST, *POINTS, *DUR, *SCORES)
    assert list(figures) == [
        *("reference", "estimate", "event_based", "segment_based", "intersection_based", "psds1", "psds2"),
        *("tagging", "run", "undefined", "overlaps", "versions"),
    ]
    assert (figures["reference"]["clips"], figures["reference"]["events"], figures["reference"]["known_as"]) == (
        4,
        4,
        None,
    )
    assert (figures["estimate"]["clips"], figures["estimate"]["coverage"], figures["estimate"]["partial"]) == (
        4,
        1.0,
        False,
    )
    event = figures["event_based"]
    assert event["parameters"] == {"collar_s": 0.2, "offset_fraction": 0.2}
    assert event["micro"]["n_true_positives"] == 3
    assert event["micro"]["f1"] == pytest.approx(2 * 3 / 9)
    # One substitution (Dog for Cat) and one insertion on four reference events.
    assert event["micro"]["error_rate"] == pytest.approx(0.5)
    assert event["classes"]["Dog"]["precision"] == pytest.approx(2 / 3)
    assert figures["segment_based"]["parameters"] == {"segment_s": 1.0}
    assert "micro" not in figures["intersection_based"]
    assert figures["psds1"]["variant"] == "operating_points"
    assert figures["tagging"]["macro"]["average_precision"] == 1.0
    assert figures["undefined"] == "official"
    assert "interval" not in event["macro"]


def test_figures_that_are_up_to_date_are_not_counted_again(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="sedkit")
    case.results(*EST)
    written = (case.folder / "out.json").stat().st_mtime_ns
    case.results(*EST)
    assert "out.json is up to date" in caplog.text
    assert (case.folder / "out.json").stat().st_mtime_ns == written
    assert case.results(*EST, "--collar", "0.3")["event_based"]["parameters"]["collar_s"] == 0.3
    case.put("est.tsv", ESTIMATE.replace("4.000\tDog", "4.900\tDog"))
    assert case.results(*EST)["event_based"]["micro"]["n_true_positives"] == 2


def test_psds_comes_from_points_else_from_scores(case: Case) -> None:
    assert case.results(*SCORES, *DUR)["psds1"]["variant"] == "exact"
    both = ("--metrics", "psds1", *SCORES, *POINTS, *DUR)
    assert case.results(*both)["psds1"]["variant"] == "operating_points"
    for variant in ("exact", "operating_points_0.3.0"):
        assert case.results(*both, "--psds-variant", variant)["psds1"]["variant"] == variant
    # Scores that are right at some threshold for every class: the exact figure is whole.
    assert case.results(*SCORES, *DUR)["psds2"]["value"] == pytest.approx(1.0)


def test_thresholds_choose_operating_points(case: Case) -> None:
    one = case.results(*POINTS, "--threshold", "0.5")
    assert (one["event_based"]["micro"]["n_estimate"], "points" in one["event_based"]) == (3, False)
    every = case.results(*POINTS, "--threshold", "all")["event_based"]
    assert [row["threshold"] for row in every["points"]] == [0.1, 0.5, 0.9]
    assert every["threshold"] == 0.1
    assert every["macro"]["f1"] == max(row["macro"]["f1"] for row in every["points"])
    status, out, _ = case.call(*POINTS, "--threshold", "all")
    assert status == 0
    assert "the best of 3" in out


def test_labels_keep_classes_and_clips(case: Case) -> None:
    case.put("labels.txt", "Dog\n")
    figures = case.results(*EST, *DUR, *POINTS, "--labels", "@labels.txt")
    assert list(figures["event_based"]["classes"]) == ["Dog"]
    assert (figures["reference"]["clips"], figures["reference"]["events"]) == (4, 2)
    assert figures["event_based"]["macro"]["n_estimate"] == 3
    case.put("labels.txt", "Dgo\n")
    status, _, err = case.call(*EST, "--labels", "@labels.txt")
    assert (status, "none of its 1 classes occurs" in err, 'did you mean "Dog"' in err) == (1, True, True)


def test_clips_and_folds_cut_both_sides(case: Case) -> None:
    case.put("clips.tsv", "filename\tfold\na.wav\tx\nb.wav\ty\nc.wav\ty\nd.wav\tz\n")
    figures = case.results(*EST, *DUR, "--clips", "@clips.tsv", "--fold", "y,z")
    assert (figures["reference"]["clips"], figures["estimate"]["coverage"]) == (3, 1.0)
    assert figures["event_based"]["micro"]["n_reference"] == 2
    assert figures["event_based"]["micro"]["n_estimate"] == 3
    status, _, err = case.call(*EST, "--clips", "@clips.tsv", "--fold", "w")
    assert (status, "--fold w: not in" in err) == (2, True)


def test_intervals_and_paired_differences(case: Case) -> None:
    case.put("other.tsv", ESTIMATE.replace("b.wav\t1.000", "b.wav\t3.000"))
    figures = case.results(*EST, *POINTS, *DUR, "--bootstrap", "200", "--against", "@other.tsv")
    for block in (figures["event_based"]["macro"], figures["event_based"]["micro"], figures["psds1"]):
        low, high = block["interval"]
        assert 0 <= low <= high <= 1
    against = figures["event_based"]["against"]["micro"]
    assert against["difference"] == pytest.approx(figures["event_based"]["micro"]["f1"] - against["f1"])
    assert against["difference"] > 0
    assert against["interval"][0] <= against["difference"] <= against["interval"][1]
    assert figures["psds1"]["against"] is None
    assert figures["bootstrap"]["over"] == "clips"
    case.put("groups.tsv", "filename\tgroup\na.wav\tg\nb.wav\tg\nc.wav\th\nd.wav\ti\n")
    grouped = case.results(*EST, "--bootstrap", "100", "--groups", "@groups.tsv")
    assert (grouped["bootstrap"]["over"], grouped["bootstrap"]["units"]) == ("groups", 3)
    # Points feed PSDS alone, scores tagging alone.
    for other, fed in (("@points", ["psds1", "psds2"]), ("@scores.h5", ["tagging"])):
        figures = case.results(*SCORES, *POINTS, *DUR, "--against", other)
        assert [name for name in ("psds1", "psds2", "tagging") if figures[name]["against"] is not None] == fed
    same = case.results(*POINTS, *DUR, "--against", "@points")["psds1"]["against"]["value"]
    assert (same["difference"], same["interval"]) == (0.0, [0.0, 0.0])


def test_psds_has_an_interval_and_no_second_value(case: Case) -> None:
    case.put("est.tsv", ESTIMATE.replace("Cat", "Cow"))
    words = (*EST, *POINTS, *DUR, *SCORES, "--bootstrap", "100")
    figures = case.results(*words, "--against", "@points")
    assert "corrected" not in json.dumps(figures)
    low, high = figures["psds1"]["interval"]
    assert 0 <= low <= high <= 1
    status, out, err = case.call(*words)
    assert (status, "corrected" in out) == (0, False)
    assert f"PSDS1                      {figures['psds1']['value']:.4f} [{low:.4f}, {high:.4f}]" in out
    assert "PSDS from 3 operating points: intervals from fewer than 5 are too narrow" in err
    narrow = "intervals of PSDS from 4 clips: those of poor systems are too narrow from fewer than 150"
    assert err.count(narrow) == 1
    # What F1 of few clips gives needs no such word.
    assert "too narrow" not in case.call(*EST, "--bootstrap", "100")[2]


def test_an_official_psds_below_its_interval_is_explained(case: Case) -> None:
    from sedkit.evaluation.show import as_text

    results = case.results(*POINTS, *DUR, "--bootstrap", "100")
    line = "PSDS1: its interval is about very many clips; on few, the official figure lies lower"
    for interval, said in (([0.5, 0.8], False), ([0.7, 0.9], True)):
        psds = results["psds1"] | {"value": 0.6, "interval": interval}
        assert (line in as_text(results | {"psds1": psds})) == said


def test_only_like_is_compared_with_like(case: Case) -> None:
    # PSDS of operating points and exact PSDS are two variants: their difference says nothing of the outputs.
    figures = case.results(*SCORES, *POINTS, *DUR, "--against", "@scores.h5")
    assert (figures["psds1"]["variant"], figures["psds1"]["against"]) == ("operating_points", None)
    assert figures["tagging"]["against"] is not None
    status, _, err = case.call(*EST, "--against", "@points")
    assert (status, "none can be computed from it" in err) == (2, True)
    status, _, err = case.call(*EST, "--seed", "3")
    assert (status, "give --bootstrap N" in err) == (2, True)


def test_the_same_seed_gives_the_same_interval(case: Case) -> None:
    runs = [
        case.results(*EST, "--bootstrap", "100", "--seed", seed)["event_based"]["macro"]["interval"] for seed in "112"
    ]
    assert runs[0] == runs[1] != runs[2]


def test_every_class_throughout_ends_where_the_clips_do(case: Case) -> None:
    """Two clips of 10 s, events in seconds 0-1 of one, by hand: every class throughout has 20 segments, 2 right."""
    case.put("two.tsv", "filename\tonset\toffset\tevent_label\na.wav\t0.000\t2.000\tDog\nb.wav\t\t\t\n")
    case.put("two_s.tsv", "filename\tduration\na.wav\t10.0\nb.wav\t10.0\n")
    words = (*EST, "--metrics", "event,segment", "--baselines", "true")
    figures = case.results(*words, "--durations", "@two_s.tsv", reference="two.tsv")["baselines"]["all_positive"]
    # Precision 2/20, recall 1. Without durations the output would end at 2 s, miss b.wav, and reach 1.
    assert figures["segment_based"]["macro"]["f1"] == pytest.approx(2 * 2 / (20 + 2))
    assert figures["segment_based"]["micro"]["n_estimate"] == 20
    assert (figures["event_based"]["macro"]["f1"], figures["event_based"]["micro"]["n_estimate"]) == (0.0, 2)
    # A clip with a duration only has no event either: it is no clip of sed_eval's figures, and one of psds_eval's.
    case.put("two_s.tsv", "filename\tduration\na.wav\t10.0\nb.wav\t10.0\nc.wav\t10.0\n")
    words = (*EST, "--metrics", "segment,intersection", "--baselines", "true")
    figures = case.results(*words, "--durations", "@two_s.tsv", reference="two.tsv")["baselines"]["all_positive"]
    assert figures["segment_based"]["micro"]["n_estimate"] == 20
    assert figures["intersection_based"]["classes"]["Dog"]["n_estimate"] == 3


@pytest.mark.parametrize("words", [EST, (*SCORES, "--metrics", "pauc"), SCORES, (*SCORES, "--metrics", "tagging")])
def test_baselines_need_the_duration_of_every_clip(case: Case, words: tuple[str, ...]) -> None:
    status, out, err = case.call(*words, "--baselines", "true")
    (line,) = err.splitlines()
    assert (status, out, "--baselines needs --durations" in line) == (2, "", True)
    case.put("dur.tsv", "filename\tduration\na.wav\t100\nb.wav\t100\n")
    status, out, err = case.call(*words, *DUR, "--baselines", "true")
    assert (status, out) == (1, "")
    assert "--baselines: no duration of c.wav (2 of 4 clips of the reference), expected all in --durations" in err


def test_baselines(case: Case) -> None:
    figures = case.results(*EST, *POINTS, *DUR, *SCORES, "--baselines", "true")["baselines"]
    assert figures["all_negative"]["event_based"]["macro"]["f1"] == 0.0
    assert figures["all_negative"]["psds1"]["value"] == 0.0
    assert figures["all_positive"]["event_based"]["micro"]["n_estimate"] == 8
    assert figures["all_positive"]["segment_based"]["macro"]["recall"] == 1.0
    assert figures["all_positive"]["tagging"]["macro"]["roc_auc"] == 0.5
    assert figures["all_positive"]["tagging"]["macro"]["average_precision"] == 0.5


def test_official_prints_both(case: Case) -> None:
    status, out, _ = case.call(*EST, *POINTS, *DUR, "--official", "true")
    assert status == 0
    assert out.count("equal") == 5


def test_undefined_figures_are_null_and_named(case: Case) -> None:
    case.put("est.tsv", "".join(x for x in ESTIMATE.splitlines(keepends=True) if "Cat" not in x))
    segment = case.results(*EST)["segment_based"]
    assert (segment["classes"]["Cat"]["f1"], segment["left_out_of_macro"]) == (None, ["Cat"])
    _, out, _ = case.call(*EST)
    assert "Cat undefined, left out of the macro average" in out
    zero = case.results(*EST, "--undefined", "zero")
    assert zero["undefined"] == "zero"
    assert zero["segment_based"]["macro"]["f1"] == pytest.approx(segment["macro"]["f1"] / 2)


def test_a_weak_reference_serves_tagging_only(case: Case) -> None:
    case.put("weak.tsv", "filename\tevent_labels\na.wav\tCat,Dog\nb.wav\tDog\nc.wav\t\nd.wav\tCat\n")
    figures = case.results(*SCORES, reference="weak.tsv")
    assert figures["tagging"]["macro"] == {"average_precision": 1.0, "roc_auc": 1.0, "f1": 1.0}
    status, _, err = case.call(*SCORES, *DUR, "--metrics", "psds1", reference="weak.tsv")
    assert (status, "is a weak table" in err) == (2, True)


def test_figures_on_a_data_dir_with_missing_clips_are_partial(case: Case) -> None:
    case.put("clips.tsv", "filename\tfold\na.wav\tx\nb.wav\ty\nc.wav\ty\nd.wav\ty\n")
    assert case.results(*EST)["estimate"]["partial"] is False
    case.put("missing.tsv", "filename\ne.wav\n")
    figures = case.results(*EST)
    assert (figures["reference"]["clips"], figures["reference"]["missing"]) == (4, 1)
    assert (figures["estimate"]["coverage"], figures["estimate"]["partial"]) == (0.8, True)
    assert case.results(*EST, "--clips", "@clips.tsv", "--fold", "x")["estimate"]["partial"] is True
    assert ", partial)" in case.call(*EST)[1]


def test_clips_without_a_duration_are_warned_of(case: Case) -> None:
    assert "no duration" not in case.call(*POINTS, *DUR)[2]
    case.put("dur.tsv", "filename\tduration\na.wav\t100\nb.wav\t100\n")
    status, _, err = case.call(*POINTS, *DUR)
    assert (status, "no duration of c.wav (2 such clips" in err) == (0, True)
    assert "psds1, psds2: no detection in them is a false positive" in err
    # Only where a figure depends on it: those of sed_eval do not.
    assert "no duration" not in case.call(*EST, *DUR, "--metrics", "event,segment")[2]
    for words, n in ((DUR, 2), ((), 4)):
        err = case.call(*SCORES, *words, "--metrics", "pauc")[2]
        assert f"({n} of 4 clips; pauc: they end at their last reference event" in err


def test_clips_that_the_output_lacks(case: Case) -> None:
    case.put("est.tsv", "".join(ESTIMATE.splitlines(keepends=True)[:3]))
    estimate = case.results(*EST)["estimate"]
    # A table without rows for empty clips cannot say whether a missing clip was processed.
    assert (estimate["coverage"], estimate["partial"]) == (0.25, None)
    case.put("est.tsv", "".join(ESTIMATE.splitlines(keepends=True)[:3]) + "c.wav\t\t\t\n")
    assert case.results(*EST)["estimate"]["partial"] is True
    case.put("est.tsv", ESTIMATE.replace("\n", "\nfolder/").removesuffix("folder/"))
    status, _, err = case.call(*EST)
    assert (status, "none of its 4 clips is in the reference" in err) == (1, True)


def test_the_run_is_what_the_stamp_says_not_what_a_folder_is_called(case: Case, stamped: Callable[..., None]) -> None:
    inside = "exp/dcase2019/crnn/snr-6_fold2_all_seed3/events"
    (case.folder / inside).mkdir(parents=True)
    (case.folder / inside / "validation.tsv").write_text(ESTIMATE)
    words = ("--estimate", f"@{inside}/validation.tsv")
    nothing = dict.fromkeys(("recipe", "system", "seed", "fold", "snr_db", "trained_on"))
    assert case.results(*words)["run"] == nothing
    run = {"recipe": "r", "system": "s", "seed": 1, "pass": "second", "trained_on": "split"}
    stamped(words[1], {"of": [["v", None]], "run": run})
    assert case.results(*words, *SCORES)["run"] == nothing | run


def test_an_outdated_reference_is_named(shared: Path, case: Case) -> None:
    folder = shared / "vectors" / "metadata_true"
    for name in ("validation_2019", "validation_desed"):
        text = lzma.decompress((folder / f"{name}.tsv.xz").read_bytes()).decode()
        case.put(f"{name}.tsv", text)
    words = ("--estimate", "@validation_desed.tsv", "--metrics", "segment")
    status, out, err = case.call(*words, reference="validation_2019.tsv")
    assert (status, "validation_2019 (outdated, corrected as validation_desed)" in out) == (0, True)
    assert "validation_2019.tsv: validation set of DCASE 2019 and 2020 task 4 (4251 rows" in err
    case.put("labels.txt", "Dog\nCat\n")
    figures = case.results(*words, "--labels", "@labels.txt", reference="validation_desed.tsv")
    assert figures["reference"]["known_as"] == "validation_desed/subset"
    assert figures["segment_based"]["macro"]["f1"] == 1.0


def test_the_whole_command_on_the_2021_baseline(shared: Path, tmp_path: Path) -> None:
    folder = shared / "vectors" / "dcase2021_baseline"
    with tarfile.open(folder / "teacher_operating_points.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    (points,) = tmp_path.iterdir()
    code = "import sys; from sedkit.cli.main import main; status = main(sys.argv[1:]); "
    code += "print(sorted({'torch', 'librosa'} & set(sys.modules)), file=sys.stderr); sys.exit(status)"
    words = ["--reference", folder / "gt_validation.tsv", "--estimate", folder / "teacher_predictions0.5.csv"]
    words += ["--operating-points", points, "--durations", folder / "durations.tsv", "--json", tmp_path / "out.json"]
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", code, "score", *map(str, words)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert done.stderr.splitlines()[-1] == "[]"
    figures = json.loads((tmp_path / "out.json").read_text())
    assert figures["reference"]["known_as"] == "validation_desed"
    assert figures["psds1"]["value"] == pytest.approx(0.35349, abs=1e-5)
    # Processor time, which does not depend on what else the machine does; the first call may compile.
    assert min(seconds) < 2
