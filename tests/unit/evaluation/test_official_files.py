"""Files are read and scored as the organisers' scripts read and score them.

The right values come from the scripts' own sequence of calls (DCASE 2019 to 2024 task 4: `pandas.read_csv(path,
sep="\t")`, the clips of the ground truth, each clip's rows as dictionaries, sed_eval; psds_eval on the frames as they
are), written down here from its description.
"""

from __future__ import annotations

import csv
import json
import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import psds_eval
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedkit.cli.main import main
from sedkit.evaluation.score import Request, score_files

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import sed_eval

HEADER = ("filename", "onset", "offset", "event_label")
LABELS = ("Air horn, truck horn", "Cat", "Dog", "Speech")
CLIPS = ("Y-a_70.000_80.000.wav", "Yab_1.wav", "c d.wav", "ü.wav", "5.wav")
METRICS = ("event", "segment", "intersection")


def as_dictionaries(frame: pd.DataFrame, name: str) -> list[dict[str, object]]:
    rows = frame[frame["filename"] == name]
    if len(rows) == 1 and pd.isna(rows["event_label"].iloc[0]):
        return [{"filename": name}]
    return rows.to_dict("records")


def organisers_figures(reference: Path, estimate: Path, durations: Path | None = None) -> dict[str, dict[str, float]]:
    """Return event-, segment- and intersection-based F1 of two files: macro, and by class."""
    truth, output = pd.read_csv(reference, sep="\t"), pd.read_csv(estimate, sep="\t")
    labels = sorted({*truth["event_label"].dropna(), *output["event_label"].dropna()})
    judges = {
        "event": sed_eval.sound_event.EventBasedMetrics(
            event_label_list=labels, t_collar=0.2, percentage_of_length=0.2, empty_system_output_handling="zero_score"
        ),
        "segment": sed_eval.sound_event.SegmentBasedMetrics(event_label_list=labels, time_resolution=1.0),
    }
    figures = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for metric, judge in judges.items():
            for name in truth["filename"].unique():
                judge.evaluate(
                    reference_event_list=as_dictionaries(truth, name),
                    estimated_event_list=as_dictionaries(output, name),
                )
            classes = {k: v["f_measure"]["f_measure"] for k, v in judge.results_class_wise_metrics().items()}
            macro = judge.results_class_wise_average_metrics()["f_measure"]["f_measure"]
            figures[metric] = {"macro": macro, **classes}
        if durations is not None:
            judge = psds_eval.PSDSEval(
                ground_truth=truth,
                metadata=pd.read_csv(durations, sep="\t"),
                dtc_threshold=0.5,
                gtc_threshold=0.5,
                cttc_threshold=0.3,
            )
            macro, classes = judge.compute_macro_f_score(output)
            figures["intersection"] = {"macro": macro, **{k: v for k, v in classes.items() if k != "macro"}}
    return figures


def sedkit_figures(reference: Path, estimate: Path, durations: Path | None = None) -> dict[str, dict[str, float]]:
    metrics = METRICS if durations is not None else METRICS[:2]
    results = score_files(
        Request(
            str(reference), estimate=str(estimate), durations=str(durations) if durations else None, metrics=metrics
        )
    )
    return {
        metric: {
            "macro": results[f"{metric}_based"]["macro"]["f1"],
            **{label: block["f1"] for label, block in results[f"{metric}_based"]["classes"].items()},
        }
        for metric in metrics
    }


def compare(ours: dict[str, dict[str, float]], theirs: dict[str, dict[str, float]]) -> None:
    assert ours.keys() == theirs.keys()
    for metric, figures in theirs.items():
        assert ours[metric].keys() >= figures.keys()
        for place, value in figures.items():
            mine = ours[metric][place]
            assert (mine is None) == math.isnan(value), (metric, place, mine, value)
            assert mine is None or mine == pytest.approx(value, abs=1e-12), (metric, place)


def write(path: Path, rows: list[tuple[str, str, str, str]], dress: str) -> Path:
    """Write a table by hand, so that its numbers stand there to the letter, in one of the shapes found in the wild."""
    quoting = csv.QUOTE_ALL if dress == "quoted" else csv.QUOTE_MINIMAL
    end = "\r\n" if dress == "crlf" else "\n"
    missing = dress if dress in ("NA", "N/A", "None", "NULL", "nan") else ""
    header: list[str] = list(HEADER)
    body = [[cell or missing for cell in row] for row in rows]
    if dress in ("named index", "unnamed index"):
        header = ["", *header] if dress == "unnamed index" else ["index", *header]
    if dress.endswith("index"):
        body = [[str(i), *row] for i, row in enumerate(body)]
    with path.open("w", encoding="utf-8-sig" if dress == "bom" else "utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=quoting, lineterminator=end)
        writer.writerow(header)
        for row in body:
            writer.writerow(row)
            if dress == "blank lines":
                file.write(end)
    return path


# A row has at least one event, so that the file's own index is not mistaken for names.
DRESSES = st.sampled_from(
    ("plain", "quoted", "crlf", "bom", "blank lines", "index", "named index", "unnamed index", "NA", "N/A", "None",
     "NULL", "nan")
)  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> tuple[list, list]:
    """Draw references in milliseconds, and outputs whose times sit on, or within some last places of, the collars."""
    reference, estimate = [], []
    for name in draw(st.lists(st.sampled_from(CLIPS), min_size=1, unique=True)):
        for label in draw(st.lists(st.sampled_from(LABELS), unique=True)):
            start = draw(st.integers(0, 4000))
            for _ in range(draw(st.integers(1, 2))):
                length = draw(st.integers(250, 2500))
                on, off = start / 1000, (start + length) / 1000
                start += length + draw(st.integers(1, 900))
                reference.append((name, f"{on:.3f}", f"{off:.3f}", label))
                collar = max(0.2, 0.2 * (off - on))
                near = [
                    at + side * draw(st.sampled_from((collar if at == off else 0.2, 0.05))) + draw(tiny)
                    for at, side in ((on, draw(sides)), (off, draw(sides)))
                ]
                if 0 <= near[0] < near[1]:
                    estimate.append((name, repr(near[0]), draw(digits) % near[1], label))
        if all(row[0] != name for row in reference):
            reference.append((name, "", "", ""))
    apart = without_overlaps(estimate)
    return reference, apart or [(reference[0][0], "0.5", "1.5", "Cat")]


sides = st.sampled_from((-1, 0, 1))
tiny = st.integers(-3, 3).map(lambda n: n * 2.0**-51)
digits = st.sampled_from(("%r", "%.17g", "%.16f", "%.18f", "%.15g", "%.3f"))


def without_overlaps(rows: list) -> list:
    out: list = []
    for row in rows:
        if all(
            row[0] != other[0] or row[3] != other[3] or float(row[1]) > float(other[2]) + 1e-3 or
            float(row[2]) < float(other[1]) - 1e-3
            for other in out
        ):  # fmt: skip
            out.append(row)
    return out


@given(tables(), DRESSES, DRESSES)
def test_generated_files_are_scored_as_the_organisers_score_them(tmp_path_factory, rows, dress, other_dress) -> None:
    folder = tmp_path_factory.mktemp("t")
    reference = write(folder / "reference.tsv", rows[0], dress)
    estimate = write(folder / "estimate.tsv", rows[1], other_dress)
    durations = folder / "durations.tsv"
    durations.write_text("filename\tduration\n" + "".join(f"{name}\t10.0\n" for name in CLIPS), encoding="utf-8")
    psds_can = any(row[3] for row in rows[0])
    theirs = organisers_figures(reference, estimate, durations if psds_can else None)
    compare(sedkit_figures(reference, estimate, durations if psds_can else None), theirs)


@pytest.mark.parametrize(
    ("times", "estimated", "hit"),
    [
        # One unit in the last place decides, and pandas' reading is not the nearest double.
        (("4.274", "4.717"), ("4.274", "4.5169999999999995"), 1.0),
        (("1.287", "2.075"), ("1.287", "1.8750000000000002"), 0.0),
    ],
)
def test_a_last_digit_is_read_as_the_organisers_read_it(tmp_path: Path, times, estimated, hit: float) -> None:
    reference = write(tmp_path / "reference.tsv", [("a.wav", *times, "Dog")], "plain")
    estimate = write(tmp_path / "estimate.tsv", [("a.wav", *estimated, "Dog")], "plain")
    assert organisers_figures(reference, estimate)["event"]["macro"] == hit
    compare(sedkit_figures(reference, estimate), organisers_figures(reference, estimate))


def test_the_judges_read_the_files_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    reference = write(tmp_path / "reference.tsv", [("a.wav", "1.287", "2.075", "Dog")], "plain")
    estimate = write(tmp_path / "estimate.tsv", [("a.wav", "1.287", "1.8750000000000002", "Dog")], "plain")
    call = ["score", "--reference", str(reference), "--estimate", str(estimate), "--metrics", "event", "--official",
            "true", "--json", str(tmp_path / "out.json")]  # fmt: skip
    assert main(call) == 0
    assert json.loads((tmp_path / "out.json").read_text())["event_based"]["official"]["macro"]["f1"] == 0.0
    # A reader that rounds correctly finds a hit here: the judges notice.
    from sedkit.dataio.rows import Rows

    monkeypatch.setattr(
        Rows, "numbers", lambda self, name: np.array([float(self.text(name, i)) for i in range(len(self))])
    )
    assert main([*call, "--force", "true"]) == 1
    assert "official tools disagree" in capsys.readouterr().err


@pytest.mark.parametrize("header", [HEADER, ("filename ", " onset", "offset", "event_label")])
def test_names_that_look_like_numbers_stay_names_to_the_judges(tmp_path: Path, header: tuple[str, ...]) -> None:
    rows = "001\t1.0\t2.0\t1\n002\t1.0\t2.0\tTrue\n"
    (tmp_path / "reference.tsv").write_text("\t".join(HEADER) + "\n" + rows)
    (tmp_path / "estimate.tsv").write_text("\t".join(header) + "\n" + rows)
    call = ["score", "--reference", str(tmp_path / "reference.tsv"), "--estimate", str(tmp_path / "estimate.tsv")]
    assert main([*call, "--official", "true", "--json", str(tmp_path / "out.json")]) == 0
    assert json.loads((tmp_path / "out.json").read_text())["event_based"]["macro"]["f1"] == 1.0
