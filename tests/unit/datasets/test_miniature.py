"""The generated data sets: official tables, one ledger, same bytes, no source on two sides."""

import csv
import hashlib
from argparse import ArgumentParser

import numpy as np
import pytest
import soundfile
from desed_layouts import open_sets, run_prepare

from sedkit.cli import miniature as verb
from sedkit.core.errors import UsageError
from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.dataio.tables import read_filenames, read_strong, read_weak
from sedkit.datasets import miniature_desed, miniature_esc50
from sedkit.datasets.miniature import generate
from sedkit.datasets.recordings import read_ledger, video_id
from sedkit.synthesis.sounds import DOMESTIC

SIZE = "10"


def _hashes(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def desed(tmp_path_factory):
    out = tmp_path_factory.mktemp("miniature") / "desed"
    generate("desed", out, size=SIZE)
    return out


@pytest.fixture(scope="module")
def esc50(tmp_path_factory):
    out = tmp_path_factory.mktemp("miniature") / "esc50"
    generate("esc50", out, size=SIZE)
    return out


def test_the_official_tables_of_2019(desed):
    tables = {str(path.relative_to(desed / "metadata")) for path in (desed / "metadata").rglob("*.tsv")}
    assert tables == {
        "train/weak.tsv",
        "train/synthetic.tsv",
        "train/unlabel_in_domain.tsv",
        "validation/validation.tsv",
        "validation/test_dcase2018.tsv",
        "validation/eval_dcase2018.tsv",
        "eval/public.tsv",
        "eval/eval.tsv",
        "sources.tsv",
    }
    weak = read_weak(desed / "metadata/train/weak.tsv", DESED_CLASSES.labels)
    assert weak.present.any(axis=0).all()
    assert weak.present.any(axis=1).all()
    validation = read_strong(desed / "metadata/validation/validation.tsv", DESED_CLASSES.labels)
    counts = np.bincount(validation.clip, minlength=len(validation.filenames))
    assert (counts == 0).any()
    assert (validation.offset_s - validation.onset_s).min() >= 0.25
    parts = [read_filenames(desed / f"metadata/validation/{part}.tsv") for part in ("test_dcase2018", "eval_dcase2018")]
    assert sorted([*parts[0], *parts[1]]) == sorted(validation.filenames)
    # One clip of the public set has no row, as seven of the true one.
    listed = set(read_filenames(desed / "metadata/eval/public.tsv"))
    held = {path.name for path in (desed / "audio/eval/public").iterdir()}
    assert len(held - listed) == 1
    assert any(name.startswith("-") for name in listed)
    assert not any(name.startswith("Y") and video_id(name) == "" for name in listed)


def test_every_listed_clip_is_there_as_44100_hz_pcm16(desed):
    for part, (audio, path) in miniature_desed.FOLDERS["2019"].items():
        for name in read_filenames(desed / path):
            info = soundfile.info(desed / audio / name)
            assert (info.samplerate, info.channels, info.subtype) == (44100, 1, "PCM_16"), (part, name)
            x, _ = soundfile.read(desed / audio / name, dtype="float32")
            assert 0.001 < np.abs(x).max() < 1.0


def test_no_source_stands_on_both_sides(desed):
    ledger = read_ledger(desed / "metadata/sources.tsv")
    side = {"validation": "reported", "eval": "reported", "public": "reported"}
    used = {"training": set(), "reported": set()}
    for (part, _), recordings in ledger.items():
        assert recordings
        used[side.get(part, "training")].update(recordings)
    assert used["training"]
    assert not used["training"] & used["reported"]
    # Not even two sets of a side share one.
    owner = {}
    for (part, _), recordings in ledger.items():
        for recording in recordings:
            assert owner.setdefault(recording, part) == part
    # But a household does give two excerpts, with one video id.
    weak = [name for part, name in ledger if part == "weak"]
    assert len({video_id(name) for name in weak}) < len(weak)


def test_ledger_and_tables_agree(desed):
    ledger = read_ledger(desed / "metadata/sources.tsv")
    weak = read_weak(desed / "metadata/train/weak.tsv", DESED_CLASSES.labels)
    for name, row in zip(weak.filenames, weak.present, strict=True):
        labels = {recording.split(":")[0] for recording in ledger["weak", name]} - {"background"}
        assert labels == {label for label, on in zip(weak.labels, row, strict=True) if on}


def test_events_are_heard_where_the_table_says(desed):
    """The clip is louder within its events than outside, over all synthetic clips."""
    strong = read_strong(desed / "metadata/train/synthetic.tsv", DESED_CLASSES.labels)
    inside, outside = [], []
    for i, name in enumerate(strong.filenames):
        x, rate = soundfile.read(desed / "audio/train/synthetic" / name, dtype="float32")
        active = np.zeros(len(x), dtype=bool)
        for j in np.flatnonzero(strong.clip == i):
            active[int(strong.onset_s[j] * rate) : int(strong.offset_s[j] * rate)] = True
        if 0.05 < active.mean() < 0.95:
            inside.append(10 * np.log10(np.mean(x[active] ** 2)))
            outside.append(10 * np.log10(np.mean(x[~active] ** 2)))
    assert len(inside) >= 4
    assert np.mean(np.array(inside) - np.array(outside)) > 6.0


def test_same_bytes_whatever_the_number_of_jobs(tmp_path, monkeypatch):
    monkeypatch.setattr(miniature_desed, "SMALL", dict.fromkeys(miniature_desed.SMALL, 4))
    monkeypatch.setattr(miniature_desed, "FEWEST", 4)
    for jobs in (1, 2):
        generate("desed", tmp_path / str(jobs), jobs=jobs)
    assert _hashes(tmp_path / "1") == _hashes(tmp_path / "2")


def test_another_seed_is_another_set(tmp_path):
    plans = [miniature_desed.plan_set("weak", 10, np.random.SeedSequence(seed).spawn(1)[0]) for seed in (0, 1)]
    assert {p.filename for p in plans[0]}.isdisjoint({p.filename for p in plans[1]})


def test_a_longer_set_begins_with_other_sets_untouched(tmp_path):
    """The size of one set does not move the seeds of another."""
    first = miniature_desed.plan_set("validation", 10, np.random.SeedSequence(0).spawn(8)[3])
    second = miniature_desed.plan_set("validation", 10, np.random.SeedSequence(0).spawn(8)[3])
    assert first[3].filename == second[3].filename
    assert first[3].seed.generate_state(2).tolist() == second[3].seed.generate_state(2).tolist()


def test_only_unlabelled_clips_tell_of_the_whole_range(tmp_path, monkeypatch):
    """Of the large set: five unlabelled clips for each weak one; what is reported is of the whole range, too."""
    drawn = {}

    def rendered(plan, folders):
        children = plan.household.spawn(len(DESED_CLASSES) + 1)
        at = DESED_CLASSES.index("Cat")
        pitch = DOMESTIC["Cat"].draw(miniature_desed.Narrowed(children[at], plan.range_share))["f0_hz"]
        drawn.setdefault(plan.set_name, []).append((pitch - 420) / (800 - 420))
        return miniature_desed.Made(plan, (), ())

    monkeypatch.setattr(miniature_desed, "render_clip", rendered)
    counts = generate("desed", tmp_path / "large", size="large")
    assert counts["unlabel_in_domain"] >= 5 * counts["weak"]
    for name, share in {"weak": 0.6, "synthetic": 0.6, "unlabel_in_domain": 1, "validation": 1, "public": 1}.items():
        assert 0.9 * share < max(drawn[name]) <= share and min(drawn[name]) < 0.1
    drawn.clear()
    assert generate("desed", tmp_path / "small")["unlabel_in_domain"] == 40
    assert max(drawn["weak"]) > 0.9


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_only_the_first_draw_is_narrowed(share):
    plain, narrow = (
        np.random.default_rng(np.random.SeedSequence(7)),
        miniature_desed.Narrowed(np.random.SeedSequence(7), share),
    )
    assert narrow.uniform(2.0, 6.0) - 2.0 == pytest.approx(share * (plain.uniform(2.0, 6.0) - 2.0))
    assert narrow.uniform(1.0, 9.0) == plain.uniform(1.0, 9.0)
    assert narrow.integers(5, size=3).tolist() == plain.integers(5, size=3).tolist()


def test_layout_2021_is_prepared_with_all_its_sets(tmp_path, monkeypatch):
    monkeypatch.setattr(miniature_desed, "SMALL", dict.fromkeys(miniature_desed.SMALL, 4))
    monkeypatch.setattr(miniature_desed, "FEWEST", 4)
    generate("desed", tmp_path / "d", miniature_desed.DesedMiniatureOptions("2021"))
    assert run_prepare("desed", tmp_path / "d", tmp_path / "data") == 0
    sets = open_sets(tmp_path / "data")
    assert set(sets) == {
        "weak",
        "synthetic",
        "synthetic_validation",
        "strong_label_real",
        "unlabelled",
        "validation",
        "public",
        "evaluation",
    }
    assert sets["validation"].missing() == ()


def test_the_miniature_of_2019_is_prepared_with_all_its_sets(desed, tmp_path, capsys):
    assert run_prepare("desed", desed, tmp_path / "data") == 0
    sets = open_sets(tmp_path / "data")
    assert set(sets) == {"weak", "synthetic", "unlabelled", "validation", "public", "evaluation"}
    assert all(not d.missing() for d in sets.values())
    assert set(sets["validation"].clips.fold) == {"test_dcase2018", "eval_dcase2018"}
    assert len(sets["public"].clips) == len(read_filenames(desed / "metadata/eval/public.tsv")) + 1
    assert not sets["evaluation"].has_strong


def test_merged_follows_the_annotators_rule():
    rows = [
        ("a.wav", 0.0, 1.0, "Dog"),
        ("a.wav", 1.1, 2.0, "Dog"),
        ("a.wav", 2.2, 3.0, "Dog"),
        ("a.wav", 0.5, 1.0, "Cat"),
    ]
    assert miniature_desed.merged(rows) == [
        ("a.wav", 0.0, 2.0, "Dog"),
        ("a.wav", 0.5, 1.0, "Cat"),
        ("a.wav", 2.2, 3.0, "Dog"),
    ]


# ---- ESC-50


def test_esc50_layout(esc50):
    with open(esc50 / "meta/esc50.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["filename", "fold", "target", "category", "esc10", "src_file", "take"]
    assert {row["fold"] for row in rows} == set("12345")
    assert {"dog", "cat", "clock_alarm", "pouring_water", "vacuum_cleaner"} < {row["category"] for row in rows}
    fold = {}
    for row in rows:
        assert row["filename"] == f"{row['fold']}-{row['src_file']}-{row['take']}-{row['target']}.wav"
        assert fold.setdefault(row["src_file"], row["fold"]) == row["fold"]
    held = {path.name for path in (esc50 / "audio").iterdir()}
    assert held == {row["filename"] for row in rows}
    assert {row["filename"].split("-")[3] for row in rows if row["category"] == "dog"} == {"0.wav"}


def test_esc50_clips_last_5_s_and_some_end_in_zeros(esc50):
    tails = []
    for path in (esc50 / "audio").iterdir():
        x, rate = soundfile.read(path, dtype="int16")
        assert (len(x), rate) == (220500, 44100)
        tails.append(not x[-rate // 2 :].any())
        assert x[: rate // 2].any()
    assert 0.1 < np.mean(tails) < 0.9


def test_esc50_takes_share_a_source_and_nothing_is_shared_with_desed(desed, esc50):
    ledger = read_ledger(esc50 / "meta/sources.tsv")
    plans = {p.filename: p for p in miniature_esc50.plan(0, 0.1)}
    assert {name: recordings for (_, name), recordings in ledger.items()} == {
        name: (miniature_esc50.source_of(p)[2],) for name, p in plans.items()
    }
    by_source = {}
    plans = miniature_esc50.plan(0, 1.0)
    for p in plans:
        by_source.setdefault(p.src_file, set()).add(miniature_esc50.source_of(p)[2])
    assert all(len(recordings) == 1 for recordings in by_source.values())
    assert len(by_source) < len(plans)
    assert len(set().union(*by_source.values())) == len(by_source)
    ours = set().union(*read_ledger(desed / "metadata/sources.tsv").values())
    assert not ours & set().union(*by_source.values())


def test_esc50_same_bytes_whatever_the_number_of_jobs(esc50, tmp_path):
    generate("esc50", tmp_path / "two", size=SIZE, jobs=2)
    assert _hashes(tmp_path / "two") == _hashes(esc50)


def test_esc50_is_prepared(esc50, tmp_path, capsys):
    assert run_prepare("esc50", esc50, tmp_path / "data") == 0
    data = open_sets(tmp_path / "data")["esc50"]
    assert set(data.clips.fold) == set("12345")
    assert (data.weak().present.sum(axis=1) == 1).all()


# ---- the verb


def _run(*words):
    parser = ArgumentParser()
    verb.add_arguments(parser)
    return verb.run(parser.parse_args([*words, "--jobs", "1"])) or 0


def test_a_second_call_is_skipped(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(miniature_esc50, "CATEGORIES", {"dog": "Dog"})
    out = tmp_path / "e"
    assert _run("esc50", str(out), "--size", SIZE) == 0
    assert "clips" in capsys.readouterr().out
    before = (out / "meta/esc50.csv").stat().st_mtime_ns
    assert _run("esc50", str(out), "--size", SIZE) == 0
    assert (out / "meta/esc50.csv").stat().st_mtime_ns == before
    assert _run("esc50", str(out), "--size", SIZE, "--seed", "1") == 0
    assert (out / "meta/esc50.csv").stat().st_mtime_ns != before
    # A miniature whose stamp is lost is known by its own note and made again.
    (tmp_path / "e.done.json").unlink()
    assert _run("esc50", str(out), "--size", SIZE) == 0


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match="holds something that is no miniature"):
        _run("desed", str(tmp_path))
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize("size", ["huge", "3", "-5", "1e3"])
def test_sizes_are_checked(tmp_path, size):
    with pytest.raises(UsageError, match="expected small, large or a number"):
        _run("esc50", str(tmp_path / "x"), f"--size={size}")
    assert not (tmp_path / "x").exists()


def test_only_desed_has_layouts(tmp_path):
    with pytest.raises(UsageError, match="--layout 2021: esc50 has no such option, only desed"):
        _run("esc50", str(tmp_path / "x"), "--layout", "2021")
