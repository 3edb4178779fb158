"""The evaluation of 2024 by `sedkit score`: excerpts against their recordings' reference, PSDS without empty clips."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from sedkit.cli.main import main
from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.excerpts import excerpt_of
from sedkit.dataio.rows import read_table
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import write_scores
from sedkit.datasets.maestro import AUDIO, TRACKS
from sedkit.datasets.maps import load_classes

EVALUATED = load_classes("maestro_evaluated").labels
JOINT = load_classes("desed_maestro").labels
#: Names of the true validation set, and seconds.
RECORDINGS = {"metro_station_01": 40.0, "metro_station_04": 37.3, "city_center_05": 43.61}
HOP_S = 0.064


class Official:
    """Recordings with soft labels as `sedkit prepare` leaves them, and scores of their excerpts on frames of 64 ms."""

    def __init__(self, folder: Path) -> None:
        from sedkit.dataio.audio import write_wav

        rng = np.random.default_rng(5)
        self.rows: list[tuple[str, float, float, str]] = []
        self.true: dict[str, np.ndarray] = {}
        labels = [*EVALUATED, "announcement"]
        for name, seconds in RECORDINGS.items():
            scene = name.rpartition("_")[0]
            soft = np.round(rng.random((int(np.ceil(seconds)), len(labels))), 3)
            self.true[name] = soft > 0.5
            track = folder / "m" / TRACKS / f"soft_labels_{scene}" / f"{name}.txt"
            audio = folder / "m" / AUDIO / scene / f"{name}.wav"
            for path in (track, audio):
                path.parent.mkdir(parents=True, exist_ok=True)
            write_wav(audio, rng.integers(-9, 9, round(seconds * 1000), dtype=np.int16), 1000)
            lines = [
                f"{t}.0\t{t + 1}.0\t{c}\t{v}" for t, row in enumerate(soft) for c, v in zip(labels, row, strict=True)
            ]
            track.write_text("\n".join(lines) + "\n")
        assert main(["prepare", "maestro", str(folder / "m"), str(folder / "data")]) == 0
        self.data = DataDir(folder / "data/maestro_validation")
        table = read_table(self.data.path / "excerpts.tsv", ("filename", "onset", "offset", "excerpt"))
        self.excerpts, framewise = tuple(table["excerpt"]), []
        self.seconds = [float(b) - float(a) for a, b in zip(table["onset"], table["offset"], strict=True)]
        for name, onset in zip(table["filename"], map(float, table["onset"]), strict=True):
            at = np.minimum((onset + HOP_S * np.arange(157)).astype(int), len(self.true[name[:-4]]) - 1)
            heard = self.true[name[:-4]][at].astype(np.float64)
            values = np.zeros((157, len(JOINT)))
            # Errors that last as long as a second: those of frames would go in its mean.
            error = rng.normal(0, 0.9, (11, heard.shape[1]))[(HOP_S * np.arange(157)).astype(int)]
            error += rng.normal(0, 0.2, heard.shape)
            values[:, [JOINT.index(label) for label in labels]] = heard + error
            framewise.append(values)
        self.scores = Scores(
            np.array(framewise),
            np.minimum(np.ceil(np.array(self.seconds) / HOP_S), 157),
            np.array(self.seconds),
            np.arange(158) * HOP_S,
            self.excerpts,
            JOINT,
        )
        self.file = folder / "scores.h5"
        write_scores(self.file, self.scores)

    def by_second(self) -> dict[str, np.ndarray]:
        """The recordings' scores, (seconds, evaluated classes), off the integral of each excerpt's staircase."""
        columns = [JOINT.index(label) for label in EVALUATED]
        total = {name: np.zeros((len(true), len(EVALUATED))) for name, true in self.true.items()}
        times = {name: np.zeros((len(true), 1)) for name, true in self.true.items()}
        for i, clip in enumerate(self.excerpts):
            excerpt = excerpt_of(clip)
            assert excerpt is not None
            edges = np.minimum(np.arange(158) * HOP_S, self.seconds[i])
            area = np.cumsum(np.diff(edges)[:, None] * self.scores.framewise[i][:, columns], axis=0)
            area = np.concatenate([np.zeros((1, len(columns))), area])
            bounds = np.minimum(np.arange(int(np.ceil(self.seconds[i] - 1e-9)) + 1), self.seconds[i])
            at = np.stack([np.interp(bounds, edges, column) for column in area.T], axis=1)
            first = int(excerpt.start_s)
            total[excerpt.recording][first : first + len(bounds) - 1] += np.diff(at, axis=0) / np.diff(bounds)[:, None]
            times[excerpt.recording][first : first + len(bounds) - 1] += 1
        return {name: total[name] / times[name] for name in total}

    def score(self, out: Path, *words: str) -> dict[str, Any]:
        call = ["score", "--reference", str(self.data.path / "strong.tsv"), "--scores", str(self.file)]
        call += ["--durations", str(self.data.path / "clips.tsv"), "--metrics", "pauc", "--labels", "maestro_evaluated"]
        assert main([*call, "--json", str(out), *words]) == 0
        return json.loads(out.read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Official:
    return Official(tmp_path_factory.mktemp("official"))


def test_the_mean_partial_area_is_that_of_2024(official: Official, tmp_path: Path) -> None:
    block = official.score(tmp_path / "r.json")["segment_auc"]
    score = np.concatenate(list(official.by_second().values()))
    target = np.concatenate([true[:, : len(EVALUATED)] for true in official.true.values()])
    wanted = {}
    for k, label in enumerate(EVALUATED):
        fpr, tpr, _ = roc_curve(target[:, k], np.round(score[:, k], 9), drop_intermediate=False)
        # Steps: the curve stays at a rate until the next point.
        wanted[label] = float((tpr[:-1] * np.diff(np.minimum(fpr, 0.1))).sum() / 0.1)
    assert block["variant"] == "recordings"
    assert block["classes"] == pytest.approx(wanted, abs=1e-9)
    assert block["value"] == pytest.approx(sum(wanted.values()) / 11, abs=1e-9)
    assert 0.2 < block["value"] < 0.9


def test_the_judge_says_the_same_where_it_is_installed(official: Official, tmp_path: Path) -> None:
    judge = pytest.importorskip("sed_scores_eval")
    from sed_scores_eval.base_modules.scores import create_score_dataframe

    frames, truth = {}, {}
    for name, values in official.by_second().items():
        edges = np.minimum(np.arange(len(values) + 1.0), RECORDINGS[name])
        frames[name] = create_score_dataframe(values, edges, list(EVALUATED))
        seconds = official.true[name][:, : len(EVALUATED)]
        truth[name] = [(float(t), t + 1.0, EVALUATED[k]) for t, k in zip(*np.nonzero(seconds), strict=True)]
    merged = {name: merge(events) for name, events in truth.items()}
    wanted = judge.segment_based.auroc(frames, merged, RECORDINGS, segment_length=1.0, max_fpr=0.1)[0]
    block = official.score(tmp_path / "r.json")["segment_auc"]
    assert block["classes"] == pytest.approx({label: wanted[label] for label in EVALUATED}, abs=1e-9)
    assert block["value"] == pytest.approx(wanted["mean"], abs=1e-9)


def test_the_organisers_table_of_excerpts_gives_the_same(official: Official, tmp_path: Path) -> None:
    rows = ["filename\tonset\toffset\tevent_label\tconfidence"]
    for clip, seconds in zip(official.excerpts, official.seconds, strict=True):
        excerpt = excerpt_of(clip)
        assert excerpt is not None
        heard = official.true[excerpt.recording]
        for t in range(int(excerpt.start_s), int(np.ceil(excerpt.start_s + seconds - 1e-9))):
            onset, offset = t - excerpt.start_s, min(t + 1 - excerpt.start_s, seconds)
            labels = zip((*EVALUATED, "announcement"), heard[t], strict=True)
            rows += [f"{clip}\t{onset}\t{offset}\t{label}\t{0.9 if is_heard else 0.1}" for label, is_heard in labels]
    (tmp_path / "excerpts.tsv").write_text("\n".join(rows) + "\n")
    # The organisers' table of durations names recordings, without an ending.
    durations = "".join(f"{name}\t{seconds}\n" for name, seconds in RECORDINGS.items())
    (tmp_path / "dur.tsv").write_text("filename\tduration\n" + durations)
    call = ["score", "--reference", str(tmp_path / "excerpts.tsv"), "--scores", str(official.file), "--metrics", "pauc"]
    call += ["--durations", str(tmp_path / "dur.tsv"), "--labels", "maestro_evaluated"]
    assert main([*call, "--json", str(tmp_path / "r.json")]) == 0
    block = json.loads((tmp_path / "r.json").read_text())["segment_auc"]
    assert block == official.score(tmp_path / "other.json")["segment_auc"]


def merge(events: list[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Join events of a class that touch each other."""
    out: list[tuple[float, float, str]] = []
    for onset, offset, label in sorted(events, key=lambda event: (event[2], event[0])):
        if out and out[-1][2] == label and out[-1][1] >= onset:
            out[-1] = (out[-1][0], offset, label)
        else:
            out.append((onset, offset, label))
    return out


def test_recordings_are_what_is_drawn_cut_and_missing(
    official: Official, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clips = str(official.data.path / "clips.tsv")
    block = official.score(tmp_path / "a.json", "--bootstrap", "100", "--groups", clips)["segment_auc"]
    assert block["resampled"] == {"over": "groups", "units": 3}
    (tmp_path / "two.tsv").write_text("filename\nmetro_station_01.wav\ncity_center_05.wav\n")
    cut = official.score(tmp_path / "b.json", "--clips", str(tmp_path / "two.tsv"))
    assert cut["reference"]["clips"] == sum(not name.startswith("metro_station_04") for name in official.excerpts)
    assert cut["segment_auc"]["value"] != block["value"]
    # Without the excerpts of one recording.
    few = [name for name in official.excerpts if name.startswith("metro_station_01")]
    write_scores(tmp_path / "few.h5", official.scores.keep_clips(few))
    caplog.clear()
    call = ["score", "--reference", str(official.data.path / "strong.tsv"), "--metrics", "pauc", "--scores"]
    with caplog.at_level(logging.WARNING):
        assert main([*call, str(tmp_path / "few.h5")]) == 0
    assert "no excerpt of city_center_05, metro_station_04: they are not scored" in caplog.text


def test_the_judges_want_a_reference_of_the_excerpts(official: Official, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["score", "--reference", str(official.data.path / "strong.tsv"), "--scores", str(official.file)]
    assert main([*call, "--metrics", "pauc", "--official", "true"]) == 2
    assert "expected a reference of the excerpts" in capsys.readouterr().err


# ---- DESED's side ----------------------------------------------------------------------------------------------------


class Desed:
    """Clips of 10 s, some without an event, and scores of the 27 classes."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(8)
        names = [f"c{i}.wav" for i in range(40)]
        self.truth: dict[str, list[tuple[float, float, str]]] = {name: [] for name in names}
        # Louder or softer by clip and class, so that some thresholds find false events in clips without any.
        framewise = np.repeat(rng.normal(-0.5, 0.35, (40, 1, 27)), 157, axis=1) + rng.normal(0, 0.02, (40, 157, 27))
        for i, name in enumerate(names):
            for k in rng.permutation(10)[: rng.integers(0, 4) if i % 4 else 0]:
                onset, length = np.round(rng.uniform(0, 6), 3), np.round(rng.uniform(1, 4), 3)
                self.truth[name].append((float(onset), float(onset + length), DESED_CLASSES.labels[k]))
                framewise[i, int(onset / HOP_S) : int((onset + length + rng.normal(0, 0.3)) / HOP_S), k] += 1
        self.scores = 1 / (1 + np.exp(-4 * framewise))
        rows = [f"{n}\t{a}\t{b}\t{k}" for n, events in self.truth.items() for a, b, k in events]
        rows += [f"{n}\t\t\t" for n, events in self.truth.items() if not events]
        (folder / "ref.tsv").write_text("\n".join(["filename\tonset\toffset\tevent_label", *rows]) + "\n")
        (folder / "dur.tsv").write_text("filename\tduration\n" + "".join(f"{n}\t10.0\n" for n in names))
        edges = np.arange(158) * HOP_S
        scores = Scores(self.scores, np.full(40, 157), np.full(40, 10.0), edges, tuple(names), JOINT)
        write_scores(folder / "scores.h5", scores)
        self.folder = folder

    def psds(self, *words: str, clips: str | None = None) -> dict[str, Any]:
        call = ["score", *("--scores", str(self.folder / "scores.h5"), "--metrics", "psds1", "--labels", "desed")]
        call += ["--reference", str(self.folder / "ref.tsv"), "--durations", str(self.folder / "dur.tsv")]
        out = self.folder / "psds.json"
        assert main([*call, "--json", str(out), *words, *(["--clips", clips] if clips else [])]) == 0
        return json.loads(out.read_text())["psds1"]  # type: ignore[no-any-return]


def test_psds_without_the_clips_that_hold_no_event(tmp_path: Path) -> None:
    desed = Desed(tmp_path)
    every, eventful = desed.psds(), desed.psds("--psds-variant", "exact_with_events")
    assert (every["variant"], eventful["variant"]) == ("exact", "exact_with_events")
    names = [name for name, events in desed.truth.items() if events]
    assert 20 < len(names) < 35
    (tmp_path / "kept.tsv").write_text("\n".join(["filename", *names]) + "\n")
    assert desed.psds(clips=str(tmp_path / "kept.tsv"))["value"] == pytest.approx(eventful["value"], abs=1e-12)
    assert abs(eventful["value"] - every["value"]) > 1e-4


def test_psds_of_2024_is_the_judges_where_it_is_installed(tmp_path: Path) -> None:
    judge = pytest.importorskip("sed_scores_eval")
    from sed_scores_eval.base_modules.scores import create_score_dataframe

    desed = Desed(tmp_path)
    names = [name for name, events in desed.truth.items() if events]
    edges = np.minimum(np.arange(158) * HOP_S, 10.0)
    frames = {
        name: create_score_dataframe(values[:, :10], edges, list(DESED_CLASSES.labels))
        for name, values in zip(desed.truth, desed.scores, strict=True)
        if name in names
    }
    truth = {name: desed.truth[name] for name in names}
    psds = judge.intersection_based.psds(
        frames, truth, dict.fromkeys(names, 10.0), dtc_threshold=0.7, gtc_threshold=0.7, cttc_threshold=None,
        alpha_ct=0.0, alpha_st=1.0, unit_of_time="hour", max_efpr=100.0,
    )  # fmt: skip
    block = desed.psds("--psds-variant", "exact_with_events")
    assert block["value"] == pytest.approx(psds[0], abs=1e-6)
