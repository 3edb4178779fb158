"""`python -m benchmarks`: what it prints is not tested here, only its command line and the JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import __main__ as benchmarks
from benchmarks._measure import Form, Report, compared, in_turn, table, verdict
from benchmarks._results import Measured, page, seconds
from benchmarks.curves import Emulated
from sedkit.core.errors import SedkitError, UsageError
from sedkit.features.sources import StoredFeatures


@pytest.mark.slow
def test_two_benchmarks_in_a_call_and_one_json(repository: Path, tmp_path: Path) -> None:
    out, results = (tmp_path / "new folder" / name for name in ("speed.json", "speed.md"))
    call = [sys.executable, "-m", "benchmarks", "decoding", "training", "--quick"]
    call += ["--json", str(out), "--results", str(results)]
    done = subprocess.run(call, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert list(found) == [key for name in ("decoding", "training") for key in benchmarks.known()[name].comparisons]
    assert {"decoding", "training"} < set(found)
    for row in found.values():
        assert list(row) == ["ours", "peer", "ratio", "spread", "equal", "limit_share"]
        assert row["equal"] is True
        assert min(row["ours"], row["peer"], row["ratio"], row["limit_share"]) > 0 and row["spread"] >= 0
    assert sorted(path.name for path in out.parent.iterdir()) == ["speed.json", "speed.md"]
    text = results.read_text()
    for key in found:
        assert f"\n| {key} | " in text and f"\n{key}: " in text
    assert f"torch {version('torch')}" in text and "--quick --json" in text


def test_a_result_that_differs_is_status_1_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = StoredFeatures.features
    monkeypatch.setattr(StoredFeatures, "features", lambda self, windows: features(self, windows) + 1)
    assert benchmarks.main(["storage", "--quick", "--json", str(tmp_path / "speed.json")]) == 1
    assert json.loads((tmp_path / "speed.json").read_text())["storage"]["equal"] is False


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["storage", "featuers"], "unknown benchmark 'featuers' .did you mean \"features\""),
        (["storage", "--quik"], 'unknown option --quik .did you mean "--quick"'),
        (["storage", "--results", "."], "--results .: is a folder, expected a place for a file"),
        (["storage", "--runs", "0"], "expected a whole number from 2"),
        (["storage", "--json", "."], "is a folder, expected a place for a file"),
    ],
)
def test_bad_use(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        benchmarks.main(words)


def test_the_first_comparison_has_the_benchmarks_name() -> None:
    for name, (title, comparisons, _) in benchmarks.known().items():
        assert title.endswith(".") and next(iter(comparisons)) == name
        assert all(key.startswith(f"{name}.") for key in list(comparisons)[1:])


def test_ratios_are_taken_within_a_run() -> None:
    seconds = {"a": np.array([1.0, 2.0, 4.0]), "b": np.array([2.0, 8.0, 4.0])}
    (row,) = compared(Report("work", seconds, {"x": True}), {"x": ("a", "b", None)}).values()
    # Ratios 2, 4 and 1: median 2, quartiles 1.5 and 3.
    assert row == {"ours": 2.0, "peer": 4.0, "ratio": 2.0, "spread": 0.75, "equal": True, "limit_share": None}


def a_report(**more: object) -> Report:
    """Ours takes 2 s, the peer 5, what cannot be avoided 0.5."""
    times = {name: np.array([value, value]) for name, value in (("us", 2.0), ("them", 5.0), ("copy", 0.5))}
    return Report("some work", times, {"x": True, "x.y": False}, limits={"x": "copy"}, **more)


OF_REPORT = {"x": ("us", "them", 3.0), "x.y": ("them", "us", 0.1), "x.absent": ("us", "nobody", None)}


def test_the_share_of_the_limit_is_in_json_table_and_verdict() -> None:
    report = a_report()
    rows = compared(report, OF_REPORT)
    # What could not be measured is in no row.
    assert {key: row["limit_share"] for key, row in rows.items()} == {"x": 0.25, "x.y": None}
    title, header, us, them, copy = table(report, OF_REPORT).splitlines()
    assert (title, header.split()[-3:]) == ("some work", ["of", "the", "limit"])
    assert us.split()[-1] == "25%" and them.split()[-1] == copy.split()[-1] == "0%"
    assert verdict("x", rows["x"], 3.0, "copy").endswith("MISSED: 3 times is asked for; 25% of the limit (copy)")
    assert "limit" not in verdict("x.y", rows["x.y"], 0.1)


def test_the_page_has_a_row_for_each_comparison_and_each_benchmarks_own_text() -> None:
    judged = Measured("work", OF_REPORT, a_report(notes=("a note",)), judged=True)
    text = page(["work", "--runs", "2"], {"processor": "one"}, [judged])
    assert "\n    python -m benchmarks work --runs 2\n" in text and "\n| processor | one |\n" in text
    rows = [line for line in text.splitlines() if line.startswith("| x")]
    assert rows == [
        "| x | us: 2.00 s | them: 5.00 s | 2.50 | 0% | 3 | MISSED | agree | 25% |",
        "| x.y | them: 5.00 s | us: 2.00 s | 0.40 | 0% | 0.1 | reached | DIFFER | - |",
    ]
    assert f"\n## work\n\n```text\n{judged.text()}\n```\n" in text and "\na note\n" in judged.text()
    unjudged = Measured("work", OF_REPORT, a_report(), judged=False)
    assert [cells[5:7] for cells in unjudged.cells()] == [("-", "no ratio asked for")] * 2


def test_seconds_have_three_figures_that_count() -> None:
    assert [seconds(x) for x in (0.00021384, 0.0999, 0.5, 1.0, 12.345, 250.04)] == [
        "0.000214 s", "0.0999 s", "0.500 s", "1.00 s", "12.3 s", "250 s"
    ]  # fmt: skip


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three benchmarks, the second of which lacks something and the third of which must be named."""
    calls = []

    def measured(name: str, *form: object) -> Report:
        calls.append(name)
        if name == "lacking":
            raise UsageError("needs a thing")
        return Report("t", {"us": np.ones(2), "them": np.ones(2)}, {name: True})

    known = {
        name: benchmarks.Benchmark("T.", {name: ("us", "them", None)}, name == "long")
        for name in ("first", "lacking", "long")
    }
    monkeypatch.setattr(benchmarks, "known", lambda: known)
    for way in ("measure", "measure_apart"):
        monkeypatch.setattr(benchmarks, way, measured)
    return calls


def test_without_names_all_but_the_long_ones_are_run_and_their_page_is_written(
    three: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmarks, "RESULTS", tmp_path / "RESULTS.md")
    # One that cannot be measured does not lose what was; the call ends with its error all the same.
    with pytest.raises(UsageError, match="^lacking: not measured: needs a thing$"):
        benchmarks.main([])
    assert three == ["first", "lacking"]
    text = (tmp_path / "RESULTS.md").read_text()
    assert "\n| first | us: 1.00 s |" in text and "\nlacking: not measured: needs a thing\n" in text


@pytest.mark.parametrize("words", [["--quick", "first"], ["first"], ["first", "long", "--json", "x.json"]])
def test_other_calls_leave_the_page_alone(
    three: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(benchmarks, "RESULTS", tmp_path / "RESULTS.md")
    assert benchmarks.main(words) == 0
    assert three == [word for word in words if word in ("first", "long")]
    assert not (tmp_path / "RESULTS.md").exists()


def test_contestants_work_in_turn_after_a_run_that_warms_up() -> None:
    done: list[tuple[int, str]] = []
    at = [0]
    seconds, results = in_turn(
        Form(quick=True, runs=2),
        {name: lambda name=name: done.append((at[0], name)) or name for name in "ab"},
        before=lambda run: at.__setitem__(0, run),
    )
    assert done == [(run, name) for run in range(3) for name in "ab"]
    assert results == {"a": "a", "b": "b"}
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}


def test_only_whole_trainings_and_the_first_command_must_be_named() -> None:
    assert [name for name, benchmark in benchmarks.known().items() if benchmark.by_name] == ["curves", "first"]


def test_a_start_that_loads_something_heavy_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import startup

    assert startup.loaded(("--help",)).isdisjoint(startup.HEAVY)
    monkeypatch.setattr(startup, "_LOADED", f"import colorsys{startup._LOADED}")
    monkeypatch.setattr(startup, "HEAVY", {"colorsys"})
    report = startup.run(Form(quick=True, runs=1))
    assert report.equal == dict.fromkeys(startup.COMPARISONS, False)
    assert report.notes[0] == "sedkit --help: loads colorsys of colorsys"


def test_growth_tells_what_a_size_takes_and_whether_all_make_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import growth

    def measured(work: str, folder: Path, clips: int, unit: int, threads: int) -> dict[str, object]:
        # 10 ms a clip; 100 MiB, and half a one a clip; scoring of the largest set has other figures.
        digest = "other" if (work, clips) == ("scoring", 16 * unit) else "same"
        return {"seconds": 0.01 * clips, "mib": 100 + clips / 2, "digest": digest}

    monkeypatch.setattr(growth, "measured", measured)
    monkeypatch.setattr(growth, "INPUTS", dict.fromkeys(growth.UNITS, lambda folder, sizes, unit: None))
    report = growth.run(Form(quick=True, runs=2))
    rows = compared(report, growth.COMPARISONS)
    assert [row["ratio"] for row in rows.values()] == pytest.approx([1] * 5)
    assert rows["growth.features"]["ours"] == pytest.approx(0.04)
    assert {key for key, row in rows.items() if not row["equal"]} == {"growth", "growth.scoring"}
    # Half a MiB for each of 19,203 clips; 10 ms each.
    assert "512.0 KiB a clip more, so 9702 MiB of 19,203, in about 192 s on 1 threads" in report.notes[0]


def test_figures_of_a_set_written_again_and_again_are_its_own(tmp_path: Path) -> None:
    from benchmarks import _growing

    _growing.make_scoring_input(tmp_path, [6, 12], 6)
    reference = (tmp_path / "tables12" / "reference.tsv").read_text().splitlines()
    assert len(reference) == 1 + 3 * 12 and reference[1].startswith("00000.wav\t")
    first, second = ([line.split("\t")[1:] for line in reference[1 + 18 * k : 19 + 18 * k]] for k in (0, 1))
    assert first == second
    assert _growing.scoring(tmp_path, 6, 6)().digest == _growing.scoring(tmp_path, 12, 6)().digest


def test_the_first_command_is_cut_into_its_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import first

    repository = tmp_path / "repository"
    repository.mkdir()
    script = "echo '== stage 0 data: check it' >&2; sleep 0.05; echo '== stage 0 data: done in 0 s' >&2\n"
    script += (
        "echo '== stage 2 mix: not used by this' >&2; echo '== stage 3 features: features files' >&2; exit $FAIL\n"
    )
    (repository / "runme.sh").write_text(script)
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "x"]):
        author = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", *author, *words], cwd=repository, check=True)
    monkeypatch.setattr(first, "REPOSITORY", repository)
    monkeypatch.setenv("FAIL", "0")
    parts, commit = first.first_command(quick=True)
    assert list(parts) == ["clone", "environment", "0 data", "3 features"] and len(commit) == 12
    assert 0.05 <= parts["0 data"] < 10
    with pytest.raises(SedkitError, match="left no results in exp/"):
        first.first_command(quick=False)
    monkeypatch.setenv("FAIL", "3")
    with pytest.raises(SedkitError, match="ended with status 3: == stage 3 features"):
        first.first_command(quick=True)


def test_the_first_command_has_none_of_this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import first

    monkeypatch.setenv("VIRTUAL_ENV", "/v")
    monkeypatch.setenv("PATH", "/v/bin:/usr/bin")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    environment = first.settings(quick=False)
    assert environment["PATH"] == "/usr/bin"
    assert not {"VIRTUAL_ENV", "OMP_NUM_THREADS", "SEDKIT_VENV", "PYTHONPATH"} & set(environment)


def test_loudness_of_the_recommendations_sine_is_that_of_the_recommendation() -> None:
    from benchmarks.peers.scaper_soundscape import loudness

    # ITU-R BS.1770-4: a sine of 997 Hz at full scale in one channel reads -3.01 LKFS; a gate leaves silence out.
    for rate in (44100, 48000):
        sine = np.sin(2 * np.pi * 997 * np.arange(5 * rate) / rate)
        assert loudness(sine, rate) == pytest.approx(-3.01, abs=0.01)
        assert loudness(np.concatenate([sine, np.zeros(5 * rate)]), rate) == pytest.approx(-3.01, abs=0.2)
        assert loudness(0.1 * sine, rate) == pytest.approx(-23.01, abs=0.01)


def test_emulated_bfloat16_is_rounded_once() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(2, 8, 9, 7).bfloat16(), torch.randn(16, 8, 3, 3).bfloat16()
    outer = torch.randn(2, 16, 9, 7).bfloat16()
    sides = []
    for dtype in (torch.bfloat16, torch.float64):
        given = [v.to(dtype).requires_grad_() for v in (x, weight)]
        with Emulated():
            y = torch.nn.functional.conv2d(*given, padding=1)
            sides.append([y.detach(), *torch.autograd.grad(y, given, outer.to(dtype))])
    for got, exact in zip(*sides, strict=True):
        assert got.dtype == torch.bfloat16 and exact.dtype == torch.float64
        # Half a unit of the last of 8 bits, and the sums in float32.
        torch.testing.assert_close(got.double(), exact, rtol=2**-8, atol=1e-4)
