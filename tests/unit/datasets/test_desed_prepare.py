"""`sedkit prepare desed` on small official layouts with everything that the true set does to people."""

import numpy as np
import pytest
from desed_layouts import STRONG, clip, prepare_sets, run_prepare, table, video

from sedkit.core.errors import SedkitError, UsageError

pytestmark = pytest.mark.usefixtures("messages")


def test_a_sound_root_becomes_four_sets(root, out, capsys):
    sets = prepare_sets(root, out)
    assert capsys.readouterr().out.splitlines() == [
        "weak: 12/12 clips",
        "synthetic: 4/4 clips",
        "unlabelled: 2/2 clips",
        "validation: 4/4 clips",
    ]
    assert set(sets) == {"weak", "synthetic", "unlabelled", "validation"}
    assert sets["weak"].has_weak
    assert not sets["weak"].has_strong
    assert not sets["unlabelled"].has_weak
    validation = sets["validation"]
    assert len(validation.clips) == 4
    assert validation.strong().n_events == 3
    assert validation.weak().present.sum(axis=1).tolist() == [1, 1, 1, 0]
    assert set(validation.clips.fold) == {"validation"}
    assert validation.labels.labels[0] == "Alarm_bell_ringing"
    assert set(sets["weak"].clips.fold) == {"train", "select", "tune"}
    assert sets["unlabelled"].clips.fold == ("train", "train")
    assert validation.audio_path(0).is_file()


def test_missing_clips_are_listed_and_counted(root, out, capsys):
    (root / "audio/train/weak" / video(3)).unlink()
    sets = prepare_sets(root, out)
    assert "weak: 11/12 clips" in capsys.readouterr().out
    assert sets["weak"].missing() == (video(3),)
    assert video(3) not in sets["weak"].clips.filename
    assert sets["validation"].missing() == ()


def test_irregular_audio_is_taken_as_it_is(root, out, messages):
    weak = root / "audio/train/weak"
    clip(weak / video(0), seconds=0.2)
    clip(weak / video(1), channels=2)
    clip(weak / video(2), rate=16000)
    sets = prepare_sets(root, out)
    assert sets["weak"].clips.duration_s[:3] == pytest.approx([0.2, 0.5, 0.5])
    assert "16000 Hz: 1" in messages.text
    assert "1 not mono" in messages.text
    assert "12 shorter than 10 s" in messages.text


def test_other_formats_of_the_same_stem_serve(root, out):
    import soundfile

    path = root / "audio/train/weak" / video(0)
    x, rate = soundfile.read(path)
    path.unlink()
    soundfile.write(path.with_suffix(".flac"), x, rate)
    sets = prepare_sets(root, out)
    assert sets["weak"].clips.filename[0] == video(0)
    assert sets["weak"].clips.audio[0].endswith(".flac")


def test_older_csv_tables_with_crlf_and_bom(root, out):
    path = root / "metadata/train/weak.tsv"
    text = path.read_text().replace("\n", "\r\n")
    path.unlink()
    path.with_suffix(".csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert len(prepare_sets(root, out)["weak"].clips) == 12


def test_names_that_begin_with_a_dash(root, out):
    name = "-abcdefghij_30_40.wav"
    clip(root / "audio/eval/public" / name)
    table(root / "metadata/eval/public.tsv", STRONG, f"{name}|0.0|0.3|Dog")
    sets = prepare_sets(root, out)
    assert sets["public"].clips.filename == (name,)
    assert sets["public"].clips.group == ("-abcdefghij",)


def test_repeated_labels_count_once(root, out):
    path = root / "metadata/train/weak.tsv"
    path.write_text(path.read_text().replace("Alarm_bell_ringing,Blender", "Dog,Dog,Cat", 1))
    assert prepare_sets(root, out)["weak"].weak().present[0].sum() == 2


def test_overlapping_rows_of_a_class_stay(root, out):
    path = root / "metadata/validation/validation.tsv"
    path.write_text(path.read_text() + f"{video(0, 'v')}\t0.1\t0.4\tAlarm_bell_ringing\n")
    assert prepare_sets(root, out)["validation"].strong().n_events == 4


def test_events_past_the_end_stay_and_are_told(root, out, messages):
    path = root / "metadata/validation/validation.tsv"
    path.write_text(path.read_text() + f"{video(1, 'v')}\t0.3\t0.9\tDog\n")
    assert prepare_sets(root, out)["validation"].strong().offset_s.max() == pytest.approx(0.9)
    assert "validation: 1 events end after their clip (kept as they are), the first:" in messages.text
    assert "validation.tsv:6 ends at 0.9 s, clip at 0.5 s" in messages.text


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("0.wav|soon|0.4|Dog", "onset 'soon'"),
        ("0.wav|0.4|0.2|Dog", "onset before offset"),
        ("0.wav|0.2|0.2|Dog", "onset before offset"),
        ("0.wav|0.1|0.4|Dgo", 'did you mean "Dog"'),
        ("0.wav||0.4|Dog", "expected both"),
    ],
)
def test_a_broken_row_is_one_clear_error_or_left_out(root, out, row, what, messages):
    path = root / "metadata/train/synthetic.tsv"
    path.write_text(path.read_text() + row.replace("|", "\t") + "\n")
    with pytest.raises(SedkitError) as error:
        run_prepare("desed", root, out)
    assert f"{path}:6" in str(error.value)
    assert what in str(error.value)
    assert "--lenient true" in str(error.value)
    assert not (out / "prepare.json").exists()
    sets = prepare_sets(root, out, lenient=True)
    assert sets["synthetic"].strong().n_events == 4
    assert "1 rows left out" in messages.text


def test_an_unknown_label_of_a_weak_row(root, out, messages):
    path = root / "metadata/train/weak.tsv"
    path.write_text(path.read_text().replace("Alarm_bell_ringing", "Alarm", 1))
    with pytest.raises(SedkitError, match=r"weak.tsv:2: unknown label 'Alarm'"):
        run_prepare("desed", root, out)
    assert len(prepare_sets(root, out, lenient=True)["weak"].clips) == 11


@pytest.mark.parametrize("damage", ["zero", "cut", "text"])
def test_a_broken_file_is_one_clear_error_or_left_out(root, out, damage, messages, capsys):
    path = root / "audio/train/synthetic/1.wav"
    data = path.read_bytes()
    path.write_bytes({"zero": b"", "cut": data[: len(data) // 2], "text": b"<html>not found</html>" * 20}[damage])
    with pytest.raises(SedkitError) as error:
        run_prepare("desed", root, out)
    assert str(path) in str(error.value)
    assert "--lenient true" in str(error.value)
    sets = prepare_sets(root, out, lenient=True)
    assert "synthetic: 3/4 clips" in capsys.readouterr().out
    assert sets["synthetic"].missing() == ("1.wav",)
    assert "1 broken files left out" in messages.text


def test_coverage_alone_writes_nothing(root, out, capsys):
    (root / "audio/validation" / video(0, "v")).unlink()
    assert run_prepare("desed", root, out, coverage_only=True) == 0
    assert "validation: 3/4 clips" in capsys.readouterr().out
    assert not out.exists()


def test_no_audio_at_all_is_an_error(tmp_path, out):
    (tmp_path / "r/audio/train").mkdir(parents=True)
    table(tmp_path / "r/metadata/train/weak.tsv", "filename|event_labels", "a.wav|Dog")
    with pytest.raises(SedkitError, match="no clip of any DESED set is on disk"):
        run_prepare("desed", tmp_path / "r", out)


def test_a_missing_root_is_bad_use(tmp_path, out):
    with pytest.raises(UsageError, match="no such folder, expected the root of desed"):
        run_prepare("desed", tmp_path / "nowhere", out)
    assert not out.exists()


def test_another_folder_is_refused_with_what_it_holds(tmp_path, out):
    (tmp_path / "r/wavs").mkdir(parents=True)
    with pytest.raises(SedkitError, match="expected audio/ and metadata/ of DESED, found wavs"):
        run_prepare("desed", tmp_path / "r", out)


def test_a_set_whose_audio_is_all_away_gets_no_data_dir(root, out, messages, capsys):
    for path in (root / "audio/train/unlabel_in_domain").iterdir():
        path.unlink()
    sets = prepare_sets(root, out)
    assert "unlabelled" not in sets
    assert "unlabelled: 0/2 clips" in capsys.readouterr().out


# ---- evaluation sets


def test_public_set_with_clips_that_have_no_row(root, out):
    for i in range(3):
        clip(root / f"audio/eval/public/p{i:010d}_0_10.wav")
    table(root / "metadata/eval/public.tsv", STRONG, "p0000000001_0_10.wav|0.0|0.3|Dog")
    public = prepare_sets(root, out)["public"]
    assert len(public.clips) == 3
    assert public.strong().n_events == 1
    assert public.clips.fold is None


def test_a_list_of_names_is_the_evaluation_set(root, out):
    for name in ("abcd1234.wav", "zzzz9999.wav"):
        clip(root / "audio/eval/eval" / name)
    table(root / "metadata/eval/eval.csv", "filename", "abcd1234.wav", "n.wav")
    evaluation = prepare_sets(root, out)["evaluation"]
    assert evaluation.clips.filename == ("abcd1234.wav",)
    assert evaluation.missing() == ("n.wav",)
    assert not evaluation.has_weak
    assert not evaluation.has_strong


def test_a_folder_of_audio_is_an_evaluation_set(root, out, tmp_path):
    for name in ("b.wav", "a.wav"):
        clip(tmp_path / "mine" / name)
    assert prepare_sets(root, out, evaluation=tmp_path / "mine")["evaluation"].clips.filename == ("a.wav", "b.wav")


def test_a_list_beside_its_audio_is_an_evaluation_set(root, out, tmp_path):
    clip(tmp_path / "mine/a.wav")
    path = table(tmp_path / "mine/list.tsv", "filename", "a.wav")
    assert prepare_sets(root, out, evaluation=path)["evaluation"].clips.filename == ("a.wav",)
    with pytest.raises(SedkitError, match="no such folder of audio or list"):
        run_prepare("desed", root, out, evaluation=tmp_path / "nowhere")
    # What was asked for must be there: another set would be entered in its place.
    for asked in (table(tmp_path / "other/list.tsv", "filename", "b.wav"), tmp_path / "other"):
        with pytest.raises(SedkitError, match="none of its clips is on disk"):
            run_prepare("desed", root, out, evaluation=asked)


def test_validation_is_known_by_its_parts(root, out):
    table(root / "metadata/validation/test_dcase2018.tsv", STRONG, f"{video(0, 'v')}|0.0|0.3|Dog")
    table(root / "metadata/validation/eval_dcase2018.tsv", STRONG, f"{video(1, 'v')}|0.0|0.3|Dog")
    validation = prepare_sets(root, out)["validation"]
    assert validation.clips.fold == ("test_dcase2018", "eval_dcase2018", "validation", "validation")


def test_validation_is_joined_from_its_parts_where_the_union_is_absent(root, out):
    path = root / "metadata/validation/validation.tsv"
    header, *rows = path.read_text().splitlines()
    path.unlink()
    table(root / "metadata/validation/test_dcase2018.csv", header, *rows[:1])
    table(root / "metadata/validation/eval_dcase2018.csv", header, *rows[1:])
    validation = prepare_sets(root, out)["validation"]
    assert len(validation.clips) == 4
    assert validation.strong().n_events == 3


# ---- layout since 2021


@pytest.fixture
def root_2021(tmp_path):
    root = tmp_path / "d21"
    audio, meta = root / "audio", root / "metadata"
    for i in range(4):
        clip(audio / "train/weak" / video(i))
        clip(audio / "train/synthetic21_train/soundscapes" / f"{i}.wav")
        clip(audio / "validation/synthetic21_validation/soundscapes" / f"{i}.wav")
        clip(audio / "train/unlabel_in_domain" / video(i, "u"))
        clip(audio / "train/strong_label_real" / video(i, "s"))
        clip(audio / "validation/validation" / video(i, "v"))
    rows = [f"{i}.wav|0.1|0.4|Dog" for i in range(4)]
    table(meta / "train/weak.tsv", "filename|event_labels", *(f"{video(i)}|Dog" for i in range(4)))
    table(meta / "train/synthetic21_train/soundscapes.tsv", STRONG, *rows)
    table(meta / "validation/synthetic21_validation/soundscapes.tsv", STRONG, *rows)
    table(meta / "train/audioset_strong.tsv", STRONG, *(f"{video(i, 's')}|0.1|0.4|Cat" for i in range(4)))
    table(meta / "validation/validation.tsv", STRONG, *(f"{video(i, 'v')}|0.1|0.4|Cat" for i in range(4)))
    return root


def test_layout_since_2021(root_2021, out, capsys):
    sets = prepare_sets(root_2021, out)
    assert set(sets) == {
        "weak",
        "synthetic",
        "synthetic_validation",
        "strong_label_real",
        "unlabelled",
        "validation",
    }
    # There is no list of unlabelled clips: every file of the folder counts.
    assert "unlabelled: 4/4 clips" in capsys.readouterr().out
    assert set(sets["synthetic_validation"].clips.fold) == {"select", "tune"}
    assert sets["strong_label_real"].strong().n_events == 4


def test_16k_siblings_stand_in(root_2021, out):
    folder = root_2021 / "audio/train/weak"
    folder.rename(folder.with_name("weak_16k"))
    sibling = root_2021 / "audio/validation/validation_16k"
    sibling.mkdir()
    (root_2021 / "audio/validation/validation" / video(0, "v")).rename(sibling / video(0, "v"))
    sets = prepare_sets(root_2021, out)
    assert len(sets["weak"].clips) == 4
    assert "weak_16k" in sets["weak"].clips.audio[0]
    validation = sets["validation"].clips
    assert "validation_16k" in validation.audio[0]
    assert "validation_16k" not in validation.audio[1]


def test_a_clip_of_two_training_sets_is_on_one_part(root_2021, out):
    for i in range(4):
        clip(root_2021 / "audio/train/strong_label_real" / video(i))
    table(root_2021 / "metadata/train/audioset_strong.tsv", STRONG, *(f"{video(i)}|0.1|0.4|Cat" for i in range(4)))
    sets = prepare_sets(root_2021, out)
    assert sets["weak"].clips.fold == sets["strong_label_real"].clips.fold


# ---- roles


def test_every_set_says_what_it_is_for(root_2021, out, tmp_path):
    clip(root_2021 / "audio/eval/public/p.wav")
    table(root_2021 / "metadata/eval/public.tsv", STRONG, "p.wav|0.0|0.3|Dog")
    clip(tmp_path / "mine/a.wav")
    mine = table(tmp_path / "mine/list.tsv", STRONG, "a.wav|0.0|0.3|Dog")
    sets = prepare_sets(root_2021, out, evaluation=mine)
    assert {name: data.role for name, data in sets.items()} == {
        **dict.fromkeys(("weak", "synthetic", "strong_label_real", "unlabelled"), "training"),
        "synthetic_validation": "tuning",
        **dict.fromkeys(("validation", "public"), "reported"),
        # Entered, though its labels are known.
        "evaluation": "entered",
    }
    assert sets["evaluation"].has_strong
    assert {data.identity for data in sets.values()} == {f"desed/{name}" for name in sets}


# ---- doing it again


def test_real_recordings(real_desed, out, capsys, messages):
    sets = prepare_sets(real_desed, out)
    assert capsys.readouterr().out.splitlines() == [
        "weak: 99/100 clips",
        "synthetic: 80/80 clips",
        "unlabelled: 100/100 clips",
        "validation: 80/80 clips",
    ]
    assert "grouped by video id or clip instead" in messages.text
    weak = sets["weak"]
    assert len(weak.missing()) == 1
    for part in ("select", "tune"):
        held = weak.weak().present[weak.select([part])]
        assert 8 <= len(held) <= 16
        assert np.all(held.any(axis=0) | (weak.weak().present.sum(axis=0) < 6))
