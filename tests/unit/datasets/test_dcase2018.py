"""DCASE 2018 task 4 in its own layout."""

from __future__ import annotations

import hashlib
import json
import logging
import lzma
from pathlib import Path

import pytest
from desed_layouts import LABELS, STRONG, clip, desed_2019, open_sets, run_prepare, table, video

from sedkit.core.errors import SedkitError
from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.datasets.download import parts_of
from sedkit.datasets.recordings import video_id


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small root in which nothing is wrong, below the folder where the baseline keeps it."""
    root = tmp_path / "root" / "task4" / "dataset"
    audio, meta = root / "audio", root / "metadata"
    names = {
        "train/weak": [video(i) for i in range(12)],
        "train/unlabel_in_domain": [video(i, "u") for i in range(2)],
        "train/unlabel_out_of_domain": [video(i, "o") for i in range(2)],
        "test": [video(i, "s") for i in range(4)],
        "eval": [video(i, "e") for i in range(3)],
    }
    for place, clips in names.items():
        for name in clips:
            clip(audio / place / name)
    for place in ("train/unlabel_in_domain", "train/unlabel_out_of_domain"):
        table(meta / f"{place}.csv", "filename", *names[place])
    weak = (f"{name}|{LABELS[i % 7]}" for i, name in enumerate(names["train/weak"]))
    table(meta / "train/weak.csv", "filename|event_labels", *weak)
    for place in ("test", "eval"):
        rows = (f"{name}|0.1|0.4|{LABELS[i % 7]}" for i, name in enumerate(names[place]))
        table(meta / place / f"{place}.csv", STRONG, *rows)
    return tmp_path / "root"


def test_sets_and_their_roles(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_prepare("dcase2018", root, tmp_path / "out") == 0
    assert capsys.readouterr().out.splitlines() == [
        "test: 4/4 clips",
        "weak: 12/12 clips",
        "unlabel_in_domain: 2/2 clips",
        "unlabel_out_of_domain: 2/2 clips",
        "eval: 3/3 clips",
    ]
    sets = open_sets(tmp_path / "out")
    assert {name: data.role for name, data in sets.items()} == {
        "test": "tuning",
        "weak": "training",
        "unlabel_in_domain": "training",
        "unlabel_out_of_domain": "training",
        "eval": "reported",
    }
    assert all(data.labels.labels == DESED_CLASSES.labels for data in sets.values())
    assert set(sets["unlabel_in_domain"].clips.fold) == {"train"}
    assert sets["eval"].clips.fold is None


def test_weak_clips_that_test_lists_are_left_out(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    meta, other = root / "task4/dataset/metadata", video(3, "s").replace("_30.000_40.000", "_60.000_70.000")
    for name in (video(0, "s"), other):
        clip(root / "task4/dataset/audio/train/weak" / name)
    with (meta / "train/weak.csv").open("a") as file:
        file.write(f"{video(0, 's')}\tDog\n{other}\tCat\n")
    with caplog.at_level(logging.INFO):
        assert run_prepare("dcase2018", root, tmp_path / "out") == 0
    assert "weak: 1 clips left out, which test lists too" in caplog.text
    weak = open_sets(tmp_path / "out")["weak"]
    assert video(0, "s") not in weak.clips.filename
    # Another excerpt of a video of test's is in the part where that is, never trained on.
    assert weak.clips.fold[weak.clips.filename.index(other)] in ("select", "tune")


def test_a_clip_of_eval_among_the_weak_ones_stops(root: Path, tmp_path: Path) -> None:
    clip(root / "task4/dataset/audio/train/weak" / video(1, "e"))
    with (root / "task4/dataset/metadata/train/weak.csv").open("a") as file:
        file.write(f"{video(1, 'e')}\tDog\n")
    with pytest.raises(SedkitError, match=rf"{video(1, 'e')} \(weak\)"):
        run_prepare("dcase2018", root, tmp_path / "out")


def test_missing_clips_are_named(root: Path, tmp_path: Path) -> None:
    (root / "task4/dataset/audio/test" / video(2, "s")).unlink()
    assert run_prepare("dcase2018", root, tmp_path / "out") == 0
    data = open_sets(tmp_path / "out")["test"]
    assert data.missing() == (video(2, "s"),) and len(data.clips) == 3


def test_a_root_of_desed_serves_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = desed_2019(tmp_path / "data/desed/dataset", validation=7)
    for name, clips in (("test", range(3)), ("eval", range(3, 7))):
        rows = (f"{video(i, 'v')}|0.000|0.300|Dog" for i in clips)
        table(root / f"metadata/validation/{name}_dcase2018.tsv", STRONG, *rows)
    # What is called eval in a root of DESED is the clips of a later challenge.
    table(root / "metadata/eval/eval.tsv", "filename", clip(root / "audio/eval/a1b2c3d4.wav").name)
    assert run_prepare("dcase2018", tmp_path / "data", tmp_path / "out") == 0
    assert capsys.readouterr().out.splitlines() == [
        "test: 3/3 clips",
        "weak: 12/12 clips",
        "unlabel_in_domain: 2/2 clips",
        "eval: 4/4 clips",
    ]
    sets = open_sets(tmp_path / "out")
    assert sets["test"].strong().n_events == 3
    assert sets["eval"].clips.filename == tuple(video(i, "v") for i in range(3, 7))


def test_a_validation_set_that_is_not_divided_is_test_as_a_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desed_2019(tmp_path / "data", validation=7)
    assert run_prepare("dcase2018", tmp_path / "data", tmp_path / "out") == 0
    assert "test: 7/7 clips" in capsys.readouterr().out.splitlines()
    assert "eval" not in open_sets(tmp_path / "out")


def test_eval_as_it_was_handed_out_has_no_labels(root: Path, tmp_path: Path) -> None:
    table(root / "task4/dataset/metadata/eval/eval.csv", "filename", *(video(i, "e") for i in range(3)))
    assert run_prepare("dcase2018", root, tmp_path / "out") == 0
    data = open_sets(tmp_path / "out")["eval"]
    assert (len(data.clips), data.role, (tmp_path / "out/eval/strong.tsv").exists()) == (3, "reported", False)


def test_the_table_of_the_ranking_has_the_checksum_that_is_stated(shared: Path) -> None:
    (part,) = parts_of("dcase2018", ["eval_2018-10"])
    table = (shared / "vectors/dcase2018_baseline_eval/gt_eval_released_2018-10-10.csv").read_bytes()
    assert part.known_hash == f"sha256:{hashlib.sha256(table).hexdigest()}"


@pytest.mark.parametrize(
    ("place", "file", "repeated", "release"),
    [
        ("test", "metadata_true/test_dcase2018.tsv.xz", 15, "dcase2018_test_2018-07"),
        ("test", "metadata_true/test_dcase2018.tsv.xz", 0, "dcase2018_test_2019-08"),
        ("test", "metadata_true/test_dcase2018_desed.tsv.xz", 0, "dcase2018_test_desed"),
        ("eval", "dcase2018_baseline_eval/gt_eval_released_2018-10-10.csv", 0, "dcase2018_evaluation_2018-10"),
        ("eval", "dcase2018_baseline_eval/gt_eval_corrected_2019-08-19.csv", 0, "dcase2018_evaluation_2019-08"),
    ],
)
def test_the_release_of_the_labels_is_told(
    root: Path,
    tmp_path: Path,
    shared: Path,
    capsys: pytest.CaptureFixture[str],
    place: str,
    file: str,
    repeated: int,
    release: str,
) -> None:
    """By the true tables, of which few clips are there; a clip without events may be a row of its name alone."""
    data = (shared / "vectors" / file).read_bytes()
    rows = (lzma.decompress(data) if file.endswith(".xz") else data).decode().splitlines()
    names = list(dict.fromkeys(row.split("\t")[0] for row in rows[1:]))
    (silent, *_) = [row.rstrip("\t") for row in rows if len(row.split()) == 1] or [names[0]]
    table(root / f"task4/dataset/metadata/{place}/{place}.csv", *rows, *rows[1 : 1 + repeated])
    for name in {silent, *names[1:4]}:
        clip(root / f"task4/dataset/audio/{place}" / name)
    assert run_prepare("dcase2018", root, tmp_path / "out") == 0
    assert json.loads((tmp_path / "out/prepare.json").read_text())["sets"][place]["reference"] == release
    (line,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith(f"{place}:"))
    assert line.startswith(
        f"{place}: 4/{len(names)} clips, DCASE 2018 task 4 {'test' if place == 'test' else 'evaluation'} set"
    )
    assert open_sets(tmp_path / "out")[place].clips.filename.count(silent) == 1


def test_a_miniature_in_the_layout_of_2018(tmp_path: Path) -> None:
    from sedkit.cli.main import main

    assert main(["miniature", "dcase2018", str(tmp_path / "m"), "--size", "10", "--jobs", "1"]) == 0
    assert run_prepare("dcase2018", tmp_path / "m", tmp_path / "out") == 0
    sets = open_sets(tmp_path / "out")
    assert {name: len(data.clips) for name, data in sets.items()} == dict.fromkeys(
        ("test", "weak", "unlabel_in_domain", "unlabel_out_of_domain", "eval"), 10
    )
    events = {name: sets[name].strong() for name in ("test", "eval")}
    silent = {name: set(e.filenames) - {e.filenames[i] for i in e.clip} for name, e in events.items()}
    assert {name: len(clips) for name, clips in silent.items()} == {"test": 0, "eval": 1}
    # As in the true sets, a clip tells by its name from which video it is, and some videos have two.
    assert all(0 < len({video_id(name) for name in data.clips.filename} - {""}) < 10 for data in sets.values())
    # No household of one side is on the other: the ledger says so.
    rows = [line.split("\t") for line in (tmp_path / "m/metadata/sources.tsv").read_text().splitlines()[1:]]
    homes = {
        side: {r for name, _, of in rows if (name == "eval") is side for r in of.split(",")} for side in (True, False)
    }
    assert not homes[True] & homes[False]
