"""Areas of scores (PSDS, partial AUC) are found again from what a package holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from submission_packages import CLIPS, events, meta
from submission_systems import LABELS, codecarbon, run

from sedkit.dataio.events import Events
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import read_scores, write_scores
from sedkit.dataio.tables import read_strong, write_events
from sedkit.evaluation.maestro import MAESTRO_EVALUATED
from sedkit.submission.check.clips import ClipList
from sedkit.submission.check.examine import examine_package
from sedkit.submission.findings import NOTE, SCORED_WRONGLY
from sedkit.submission.formats import get_format
from sedkit.submission.pack.meta import meta_text

PIECES = (
    *(f"street_00-{100 * a:06d}-{100 * a + 1000:06d}.wav" for a in (0, 5, 10, 15)),
    *(f"metro_01-{100 * a:06d}-{100 * a + n:06d}.wav" for a, n in ((0, 1000), (5, 1000), (10, 750))),
)


def table_2024(path: Path) -> Path:
    """A table of MAESTRO: seconds with a confidence, of which those above .5 count."""
    rng = np.random.default_rng(3)
    rows = ["filename\tonset\toffset\tevent_label\tconfidence"]
    for name in PIECES:
        for second in range(10 if "750" not in name else 8):
            for label in rng.choice([*MAESTRO_EVALUATED, "announcement"], 3, replace=False):
                rows.append(f"{name}\t{second}.0\t{second + 1}.0\t{label}\t{rng.random():.2f}")
    path.write_text("\n".join(rows) + "\n")
    return path


def informed(truth: Events, labels: tuple[str, ...], clips: tuple[str, ...], seed: int) -> Scores:
    """Scores in windows of a tenth of a second: mostly low ones by the second, mostly high ones where an event is."""
    rng = np.random.default_rng(seed)
    framewise = np.repeat(rng.random((len(clips), 10, len(labels))) ** 60, 10, axis=1).astype(np.float32)
    for clip, label, on, off in zip(truth.clip, truth.label, truth.onset_s, truth.offset_s, strict=True):
        row, column = clips.index(truth.filenames[clip]), labels.index(truth.labels[label])
        framewise[row, round(10 * on) : round(10 * off), column] = 1.0 - 0.9 * rng.random() ** 2
    return Scores(framewise, np.full(len(clips), 100), np.full(len(clips), 10.0), np.arange(101) / 10, clips, labels)


def psds(path: Path, reference: Path, durations: Path) -> dict[str, float]:
    """What `sedkit score` says of a score file."""
    out = path.with_suffix(".json")
    words = ("--durations", durations, "--metrics", "psds1,psds2", "--json", out)
    assert run("score", "--reference", reference, "--scores", path, *words) == 0
    found = json.loads(out.read_text())
    return {key: found[key]["value"] for key in ("psds1", "psds2")}


class Case:
    """Three runs of foreign scores of the development set, with references, durations and what belongs to them."""

    def __init__(self, folder: Path, form_name: str, authors: Path, report: Path) -> None:
        self.form = get_format(form_name)
        self.folder, self.authors, self.report = folder, authors, report
        self.clips = CLIPS if self.form.year == 2023 else (*CLIPS, *PIECES)
        self.desed = folder / "desed.tsv"
        self.desed.write_text(events(get_format("dcase2019"), 5))
        self.maestro = table_2024(folder / "maestro.tsv")
        self.references = [self.desed] if self.form.year == 2023 else [self.desed, self.maestro]
        self.list = folder / "dev.tsv"
        seconds = {name: 7.5 if "750" in name else 10.0 for name in self.clips}
        self.list.write_text("filename\tduration\n" + "".join(f"{n}\t{x}\n" for n, x in seconds.items()))
        self.clip_list = ClipList(self.clips, seconds)
        rows = list(read_strong(self.desed, LABELS).rows())
        if self.form.year == 2024:
            rows += read_strong(self.maestro, self.form.labels).rows()
        truth = Events.from_rows(rows, self.form.labels)
        self.runs, self.raw = [], []
        for seed in range(3):
            made = informed(truth, self.form.labels, self.clips, seed)
            short = np.array([seconds[name] for name in made.filenames])
            self.runs.append(folder / f"run{seed}.h5")
            made = replace(made, n_frames=(10 * short).astype(int), duration_s=short)
            write_scores(self.runs[-1], made)
            self.raw.append(folder / f"raw{seed}.h5")
            write_scores(self.raw[-1], replace(made, framewise=0.5 * made.framewise))
        (folder / "desed_s.tsv").write_text("filename\tduration\n" + "".join(f"{n}\t10.0\n" for n in CLIPS))
        self.exact = [psds(path, self.desed, folder / "desed_s.tsv") for path in self.runs]

    def meta(self, **values: float) -> Path:
        """A meta file with these figures: PSDS1, PSDS2 or mPAUC."""
        described = meta(self.form, "Someone_ELSE_task4_4")
        if self.form.year == 2023:
            described["results"]["development_dataset"]["overall"] = values
        else:
            described["results"]["devtest"] = {
                "desed": {"PSDS1": values["PSDS1"]},
                "maestro": {"mPAUC": values["mPAUC"]},
            }
        for key in described["system"]["complexity"]["energy"]:
            described["system"]["complexity"]["energy"][key] = None
        (self.folder / "m.yaml").write_text(meta_text(described))
        return self.folder / "m.yaml"

    def pack(self, meta_file: Path) -> Path:
        """Pack the runs, and return the zip."""
        stages = [f"training:{codecarbon(self.folder, 'training', 1.39)}"]
        stages.append(f"validation:{codecarbon(self.folder, 'validation', 0.019)}")
        if self.form.year == 2023:
            stages.append(f"evaluation:{codecarbon(self.folder, 'evaluation', 0.021)}")
        out = self.folder / "out"
        words = ["pack", "--format", self.form.name, "--scores", *self.runs, "--unprocessed", *self.raw]
        words += ["--codecarbon", *stages, "--meta", meta_file, "--files", self.list]
        assert run(*words, "--authors", self.authors, "--report", self.report, "--out", out) == 0
        return next(out.glob("*.zip"))

    def area(self) -> list[float]:
        """The partial ROC area of each run by loops: whole recordings, segments of a second, scores averaged."""
        return [area_by_loops(read_scores(path), self.maestro) for path in self.runs]


def area_by_loops(made: Scores, table: Path, seconds: dict[str, int] | None = None) -> float:
    """Average over classes; where the clips of the table do not reach, a recording scores 0 up to its end."""
    rows = [line.split("\t") for line in table.read_text().splitlines()[1:]]
    active = {(r[0], int(float(r[1])), r[3]) for r in rows if float(r[4]) > 0.5}
    areas = []
    for label in MAESTRO_EVALUATED:
        seen: dict[tuple[str, int], list[float]] = {}
        true: set[tuple[str, int]] = set()
        for name in dict.fromkeys(r[0] for r in rows):
            recording, start, end = name.removesuffix(".wav").rsplit("-", 2)
            frames = made.framewise[made.filenames.index(name), :, made.labels.index(label)]
            for second in range(-(-(int(end) - int(start)) // 100)):
                at = (recording, int(start) // 100 + second)
                heard = frames[10 * second : min(10 * second + 10, (int(end) - int(start)) // 10)]
                seen.setdefault(at, []).append(float(np.mean(heard, dtype=np.float64)))
                true |= {at} if (name, second, label) in active else set()
        for recording, end in (seconds or {}).items():
            for second in range(end):
                seen.setdefault((recording, second), [0.0])
        keys = list(seen)
        score = np.array([np.float32(np.mean(seen[key])) for key in keys])
        target = np.array([key in true for key in keys])
        area, x, y = 0.0, 0.0, 0.0
        for threshold in np.unique(score)[::-1]:
            fpr, tpr = (score[~target] >= threshold).mean(), (score[target] >= threshold).mean()
            area += (min(fpr, 0.1) - min(x, 0.1)) * y
            x, y = fpr, tpr
        areas.append(area / 0.1)
    return float(np.mean(areas))


@pytest.fixture
def case_2023(tmp_path: Path, authors: Path, report: Path) -> Case:
    return Case(tmp_path, "dcase2023a", authors, report)


@pytest.fixture
def case_2024(tmp_path: Path, authors: Path, report: Path) -> Case:
    return Case(tmp_path, "dcase2024", authors, report)


def test_foreign_scores_of_2023_go_round_without_finding(case_2023: Case, capsys: pytest.CaptureFixture[str]) -> None:
    case, mean = case_2023, {k: float(np.mean([x[k] for x in case_2023.exact])) for k in ("psds1", "psds2")}
    zipped = case.pack(case.meta(PSDS1=round(mean["psds1"], 4), PSDS2=round(case.exact[1]["psds2"], 3)))
    capsys.readouterr()
    words = ("check", zipped, "--format", "dcase2023", "--files", case.list, "--reference", case.desed)
    assert run(*words, "--json", case.folder / "f.json") == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "no finding"
    assert "overall.PSDS1" in lines[0]
    assert "the mean of 3 runs, exact, over every threshold" in lines[0]
    assert "run 2, exact, over every threshold" in lines[1]
    written = json.loads((case.folder / "f.json").read_text())
    assert written["findings"] == []
    assert [x["key"].rpartition(".")[2] for x in written["recomputed"]] == ["PSDS1", "PSDS2"]
    assert written["recomputed"][0]["recomputed"] == pytest.approx(mean["psds1"], abs=1e-6)


def test_a_wrong_figure_of_2023_is_exactly_one_finding(case_2023: Case) -> None:
    right = {key.upper(): round(value, 4) for key, value in case_2023.exact[0].items()}
    for key in right:
        zipped = case_2023.pack(case_2023.meta(**right | {key: round(right[key] + 0.1, 3)}))
        checked = examine_package(zipped, case_2023.form, case_2023.clip_list, [case_2023.desed])
        (finding,) = checked.findings
        assert (finding.severity, finding.kind) == (SCORED_WRONGLY, "results_differ")
        assert finding.file.endswith(".meta.yaml")
        assert f"results.development_dataset.overall.{key} is" in finding.message
        assert f"(runs {right[key]:.4f}," in finding.expected
        assert "from 50 operating points" in finding.expected
        assert len(checked.confirmed) == 1


def test_psds_of_operating_points_is_right_too(case_2023: Case) -> None:
    points, folder = [], case_2023.folder / "points"
    for path in case_2023.runs:
        assert run("decode", path, "--out", case_2023.folder / "e.tsv", "--operating-points-out", folder) == 0
        more = ("--metrics", "psds1,psds2", "--durations", case_2023.list, "--json", case_2023.folder / "p.json")
        assert run("score", "--reference", case_2023.desed, "--operating-points", folder, *more) == 0
        points.append(json.loads((case_2023.folder / "p.json").read_text()))
    missed = [case_2023.exact[i]["psds2"] - points[i]["psds2"]["value"] for i in range(3)]
    i = int(np.argmax(missed))
    assert missed[i] > 0.01, "a few thresholds miss what all find"
    zipped = case_2023.pack(case_2023.meta(PSDS1=0.0, PSDS2=round(points[i]["psds2"]["value"], 4)))
    checked = examine_package(zipped, case_2023.form, case_2023.clip_list, [case_2023.desed])
    assert [f.kind for f in checked.findings] == ["results_differ"], "nor is 0 the PSDS1 of any run"
    assert [x.how for x in checked.confirmed] == [f"run {i + 1}, from 50 operating points"]


def test_psds_without_the_clips_without_events_is_right_too(case_2023: Case) -> None:
    """The organisers' baselines leave such clips out before they ask sed_scores_eval."""
    folder = case_2023.folder
    rows = [row for row in case_2023.desed.read_text().splitlines() if not row.endswith("\t\t\t")]
    (folder / "with.tsv").write_text("\n".join(rows) + "\n")
    names = sorted({row.split("\t")[0] for row in rows[1:]})
    assert len(names) < len(CLIPS)
    (folder / "with_s.tsv").write_text("filename\tduration\n" + "".join(f"{name}\t10.0\n" for name in names))
    found = psds(case_2023.runs[0], folder / "with.tsv", folder / "with_s.tsv")
    zipped = case_2023.pack(case_2023.meta(**{key.upper(): round(value, 4) for key, value in found.items()}))
    checked = examine_package(zipped, case_2023.form, case_2023.clip_list, [case_2023.desed])
    assert checked.findings == []
    assert {x.how for x in checked.confirmed} == {"run 1, exact, clips without events left out"}


def test_foreign_scores_of_2024_go_round_without_finding(case_2024: Case) -> None:
    case = case_2024
    area = case.area()
    stated = {"PSDS1": round(case.exact[0]["psds1"], 4), "mPAUC": round(float(np.mean(area)), 4)}
    zipped = case.pack(case.meta(**stated))
    checked = examine_package(zipped, case.form, case.clip_list, case.references)
    assert checked.findings == []
    psds, pauc = checked.confirmed
    assert psds.key == "results.devtest.desed.PSDS1"
    assert psds.how == "run 1, exact, over every threshold"
    assert pauc.key == "results.devtest.maestro.mPAUC"
    assert pauc.how == "the mean of 3 runs, recordings joined from their clips"
    assert pauc.recomputed == pytest.approx(np.mean(area), abs=1e-6)
    # One reference alone leaves the other figure unseen: said, and nothing more.
    for reference, name in ((case.desed, "mPAUC"), (case.maestro, "PSDS1")):
        (finding,) = examine_package(zipped, case.form, case.clip_list, [reference]).findings
        assert (finding.severity, finding.kind) == (NOTE, "results_not_recomputed")
        assert finding.message.startswith(f"{name} not recomputed")
    # Both in one table serve as well.
    both = case.desed.read_text().replace("\n", "\t1.0\n").replace("event_label\t1.0", "event_label\tconfidence")
    (case.folder / "both.tsv").write_text(both + case.maestro.read_text().partition("\n")[2])
    checked = examine_package(zipped, case.form, case.clip_list, [case.folder / "both.tsv"])
    assert checked.findings == []
    assert [x.how for x in checked.confirmed] == [psds.how, pauc.how]


def test_recordings_that_end_in_silence_are_as_long_as_their_durations_say(case_2024: Case) -> None:
    """The reference has no row of the last clip of a recording: the seconds that it alone covers count all the same."""
    case = case_2024
    rows = case.maestro.read_text().splitlines()
    case.maestro.write_text("\n".join(row for row in rows if not row.startswith(PIECES[3])) + "\n")
    runs = [read_scores(path) for path in case.runs]
    shorter, whole = (
        [area_by_loops(made, case.maestro, ends) for made in runs] for ends in (None, {"street_00": 25, "metro_01": 18})
    )
    assert min(abs(a - b) for a, b in zip(shorter, whole, strict=True)) > 1e-3
    zipped = case.pack(case.meta(PSDS1=round(case.exact[0]["psds1"], 4), mPAUC=round(float(np.mean(whole)), 4)))
    checked = examine_package(zipped, case.form, case.clip_list, case.references)
    assert not {"results_differ", "results_not_recomputed"} & {finding.kind for finding in checked.findings}
    assert checked.confirmed[1].recomputed == pytest.approx(np.mean(whole), abs=1e-6)


def test_wrong_figures_of_2024_are_one_finding_each(case_2024: Case) -> None:
    case, area = case_2024, case_2024.area()
    right = {"PSDS1": round(case.exact[2]["psds1"], 4), "mPAUC": round(area[1], 4)}
    for key in right:
        zipped = case.pack(case.meta(**right | {key: round(right[key] + 0.1, 4)}))
        (finding,) = examine_package(zipped, case.form, case.clip_list, case.references).findings
        assert (finding.severity, finding.kind) == (SCORED_WRONGLY, "results_differ")
        assert f".{key} is" in finding.message
        assert f"{right[key]:.4f}" in finding.expected


def test_scores_of_another_set_are_not_compared(case_2023: Case) -> None:
    zipped = case_2023.pack(case_2023.meta(PSDS1=0.9, PSDS2=0.9))
    more = case_2023.folder / "more.tsv"
    more.write_text(case_2023.desed.read_text() + "other.wav\t0.0\t1.0\tDog\n")
    (finding,) = examine_package(zipped, case_2023.form, case_2023.clip_list, [more]).findings
    assert (finding.severity, finding.kind) == (NOTE, "results_not_recomputed")
    assert "PSDS1, PSDS2 not recomputed: scores of 12 (each run) of the 13 clips" in finding.message
    (finding,) = examine_package(zipped, case_2023.form, None, [case_2023.desed]).findings
    assert "the durations of the clips" in finding.message


def test_a_mean_cannot_be_told_without_all_runs(case_2023: Case) -> None:
    zipped = case_2023.pack(case_2023.meta(PSDS1=0.9, PSDS2=round(case_2023.exact[0]["psds2"], 4)))
    folder = zipped.parent / "Okafor_UNI_task4a_1"
    table = folder / "Okafor_UNI_task4a_1_run2.output" / "clip_03.tsv"
    table.write_text(table.read_text().replace("0.5\t0.6\t", "0.5\t0.65\t", 1))
    checked = examine_package(folder, case_2023.form, case_2023.clip_list, [case_2023.desed])
    kinds = [f.kind for f in checked.findings]
    assert kinds == ["windows_gap", "report_missing", "results_not_recomputed"]
    assert "PSDS1 0.9 is not that of run 1, 3" in checked.findings[2].message
    assert "12 (run 1), 11 (run 2), 12 (run 3) of the 12 clips" in checked.findings[2].message
    assert [x.how for x in checked.confirmed] == ["run 1, exact, over every threshold"]


def test_a_wrong_label_of_a_reference_is_one_line(case_2024: Case, capsys: pytest.CaptureFixture[str]) -> None:
    zipped = case_2024.pack(case_2024.meta(PSDS1=0.5, mPAUC=0.5))
    capsys.readouterr()
    case_2024.maestro.write_text(case_2024.maestro.read_text().replace("\tcar\t", "\tcars\t"))
    assert run("check", zipped, "--format", "dcase2024", "--reference", case_2024.maestro) == 1
    assert "unknown label 'cars' (did you mean \"car\"?)" in capsys.readouterr().err


def test_the_baseline_run_of_2023(shared: Path, tmp_path: Path, authors: Path, report: Path) -> None:
    """Published scores of 20 clips: the figures that sed_scores_eval has of them are recognised."""
    folder = shared / "vectors" / "dcase2023_scores"
    wanted = json.loads((folder / "expected.json").read_text())
    run_1 = read_scores(folder / "baseline2_run1_scores")
    write_events(tmp_path / "ref.tsv", read_strong(folder / "ground_truth.tsv", LABELS).keep_clips(run_1.filenames))
    seconds = [line.split("\t") for line in (folder / "audio_durations.tsv").read_text().splitlines()[1:]]
    clips = ClipList(run_1.filenames, {n: float(x) for n, x in seconds if n in run_1.filenames})
    form = get_format("dcase2023")
    described = meta(form, "Someone_ELSE_task4a_4")
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(described))
    stated = {"PSDS1": round(wanted["psds1_exact"], 3), "PSDS2": round(wanted["psds2_exact"], 3)}
    out = tmp_path / "out"
    words = ["pack", "--format", "dcase2023", "--meta", tmp_path / "m.yaml", "--authors", authors, "--report", report]
    for i in range(1, 4):
        # PSDS over every threshold knows the order of the scores alone.
        write_scores(tmp_path / f"run{i}.h5", replace(run_1, framewise=run_1.framewise / i))
    assert run(*words, "--scores", *(tmp_path / f"run{i}.h5" for i in range(1, 4)), "--out", out) == 0
    file = next(out.glob("*/*.meta.yaml"))
    written = yaml.safe_load(file.read_text())
    for key, kinds in (("", []), ("PSDS1", ["results_differ"]), ("PSDS2", ["results_differ"])):
        overall = {name: value + 0.02 * (name == key) for name, value in stated.items()}
        written["results"]["development_dataset"]["overall"] = overall
        file.write_text(meta_text(written))
        checked = examine_package(file.parent, form, clips, [tmp_path / "ref.tsv"])
        assert [f.kind for f in checked.findings if f.kind.startswith("results")] == kinds
        assert len(checked.confirmed) == 2 - len(kinds)
        assert all("exact, over every threshold" in x.how for x in checked.confirmed)
