"""Scaper's folders of sounds: `foreground/LABEL/`, `background/LABEL/`."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from desed_layouts import clip, open_sets, run_prepare

from sedkit.core.errors import SedkitError
from sedkit.synthesis.plan import MixSettings, draw


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    """16 events of two labels, of which eight names stand under both, and 8 backgrounds of two."""
    root = tmp_path / "bank"
    for i in range(8):
        clip(root / f"foreground/siren/{i}.wav")
        clip(root / f"foreground/car horn/{i}.wav")
    for i in range(4):
        clip(root / f"background/park/{i}.wav", seconds=1.0)
        clip(root / f"background/street/{i + 4}.wav", seconds=3.0, channels=2)
    return root


def test_folders_are_labels_and_equal_names_are_clips_of_their_own(bank, out, capsys):
    (bank / "foreground/siren/0.wav").rename(bank / "foreground/siren/0.WAV")
    assert run_prepare("soundbank", bank, out) == 0
    assert capsys.readouterr().out.splitlines() == ["events: 16/16 clips", "scenes: 8/8 clips"]
    sets = open_sets(out)
    events, scenes = sets["events"], sets["scenes"]
    assert events.labels.labels == ("car horn", "siren")
    assert scenes.labels.labels == ("park", "street")
    assert set(events.clips.filename) == {f"{x}-{i}.wav" for x in ("car horn", "siren") for i in range(8)} - {
        "siren-0.wav"
    } | {"siren-0.WAV"}
    for i, name in enumerate(events.clips.filename):
        label = name.split("-")[0]
        assert Path(events.audio_path(i)).resolve() == (bank / "foreground" / label / name.split("-")[1]).resolve()
        assert [events.labels.labels[k] for k in events.weak().present[i].nonzero()[0]] == [label]
    # Nothing is known of what belongs together; each fold gets a fair share of both labels.
    assert set(events.clips.group) == {""}
    whole = Counter(
        (name.split("-")[0], fold[0]) for name, fold in zip(events.clips.filename, events.clips.fold, strict=True)
    )
    assert whole == {(label, fold): 2 for label in ("car horn", "siren") for fold in "1234"}


def test_a_soundbank_is_mixed(bank, out):
    assert run_prepare("soundbank", bank, out) == 0
    sets = open_sets(out)
    wanted = MixSettings("events", "scenes", 3, length_s=1.0, longest_s=0.2, placement="uniform", onsets=())
    plan = draw(wanted, sets["events"], sets["scenes"])
    assert {e.event_label for m in plan.mixtures for e in m.events} == {"car horn", "siren"}


def test_what_is_no_soundbank_is_told(bank, out, tmp_path):
    with pytest.raises(SedkitError, match="expected foreground/ of Scaper's soundbank, found car horn, siren"):
        run_prepare("soundbank", bank / "foreground", out)
    (tmp_path / "empty/foreground/dog").mkdir(parents=True)
    with pytest.raises(SedkitError, match="empty: no audio in .*empty/foreground/LABEL/, expected a folder with audio"):
        run_prepare("soundbank", tmp_path / "empty", out)
    broken = bank / "foreground/siren/3.wav"
    broken.write_bytes(b"no audio")
    with pytest.raises(SedkitError, match="foreground/siren/3.wav: not audio .*--lenient true"):
        run_prepare("soundbank", bank, out)
    assert not out.exists()
    assert run_prepare("soundbank", bank, out, lenient=True) == 0
    assert len(open_sets(out)["events"].clips) == 15


def test_two_files_of_one_clip_are_told(bank, out):
    clip(bank / "foreground/siren-a/0.wav")
    clip(bank / "foreground/siren/a-0.wav")
    with pytest.raises(SedkitError, match=r"would both be clip 'siren-a-0.wav'; rename one of the files"):
        run_prepare("soundbank", bank, out)


def test_a_label_that_is_no_tag_is_told(bank, out):
    clip(bank / "foreground/dog, barking/0.wav")
    with pytest.raises(SedkitError, match="dog, barking"):
        run_prepare("soundbank", bank, out)


def test_an_empty_label_and_stray_audio_are_told_and_left_out(bank, out, messages):
    (bank / "foreground/quiet").mkdir()
    (bank / "foreground/.hidden").mkdir()
    clip(bank / "background/stray.wav")
    assert run_prepare("soundbank", bank, out) == 0
    assert "foreground: no audio, so no label: quiet" in messages.text
    assert "belong to none of these sets: audio in background/" in messages.text
    assert "taken without labels" not in messages.text
    sets = open_sets(out)
    assert sets["events"].labels.labels == ("car horn", "siren")
    assert len(sets["scenes"].clips) == 8


def test_events_alone_are_a_soundbank(bank, out, messages):
    shutil.rmtree(bank / "background")
    assert run_prepare("soundbank", bank, out) == 0
    assert list(open_sets(out)) == ["events"]
    assert "scenes: absent: no audio in " in messages.text
