"""No recording stands on both the training and the reported side, and clips that share one stay together."""

import pytest
from desed_layouts import STRONG, clip, desed_2019, prepare_sets, run_prepare, table, video

from sedkit.core.errors import SedkitError

pytestmark = pytest.mark.usefixtures("messages")


def test_a_video_on_both_sides_stops(root, out):
    name = video(0).replace("_0.000_10.000", "_50.000_60.000")
    clip(root / "audio/validation" / name)
    path = root / "metadata/validation/validation.tsv"
    path.write_text(path.read_text() + f"{name}\t\t\t\n")
    with pytest.raises(SedkitError) as error:
        run_prepare("desed", root, out)
    assert "video t0000000000" in str(error.value)
    assert str(root / "audio/train/weak" / video(0)) in str(error.value)
    assert str(root / "audio/validation" / name) in str(error.value)
    assert not (out / "weak").exists()
    sets = prepare_sets(root, out, lenient=True)
    assert video(0) not in sets["weak"].clips.filename
    assert sets["weak"].missing() == ()
    assert name in sets["validation"].clips.filename


def test_a_source_recording_on_both_sides_stops(root, out):
    table(
        root / "metadata/sources.tsv",
        "set|filename|recordings",
        "synthetic|2.wav|Dog:17,Cat:3",
        f"validation|{video(1, 'v')}|Speech:9,Dog:17",
    )
    with pytest.raises(SedkitError, match="recording Dog:17 is in .*2.wav .*validation"):
        run_prepare("desed", root, out)


def test_equal_bytes_on_both_sides_stop(root, out):
    twin = root / "audio/train/synthetic/0.wav"
    twin.write_bytes((root / "audio/validation" / video(2, "v")).read_bytes())
    with pytest.raises(SedkitError, match="are equal byte for byte"):
        run_prepare("desed", root, out)


def test_files_that_agree_in_size_and_middle_only_are_not_equal(root, out):
    path = root / "audio/train/synthetic/0.wav"
    data = bytearray((root / "audio/validation" / video(2, "v")).read_bytes())
    data[60] ^= 1
    path.write_bytes(bytes(data))
    assert "synthetic" in prepare_sets(root, out)


def test_videos_that_the_official_tables_share_are_left_out_of_training(root, out, messages):
    train, reported = "YAaeemnJDijQ_300.000_310.000.wav", "AaeemnJDijQ_250_260.wav"
    clip(root / "audio/train/weak" / train)
    clip(root / "audio/eval/public" / reported)
    path = root / "metadata/train/weak.tsv"
    path.write_text(path.read_text() + f"{train}\tDog\n")
    table(root / "metadata/eval/public.tsv", STRONG, f"{reported}|0.0|0.3|Dog")
    sets = prepare_sets(root, out)
    assert train not in sets["weak"].clips.filename
    assert "left out of training: 1 clips whose video the official tables also report on" in messages.text


def test_such_a_clip_stays_while_the_reported_one_is_not_on_disk(root, out):
    train = "YAaeemnJDijQ_300.000_310.000.wav"
    clip(root / "audio/train/weak" / train)
    path = root / "metadata/train/weak.tsv"
    path.write_text(path.read_text() + f"{train}\tDog\n")
    assert train in prepare_sets(root, out)["weak"].clips.filename


def test_clips_that_share_recordings_form_a_group_on_one_part(tmp_path, out, messages):
    root = desed_2019(tmp_path / "desed", weak=40, synthetic=40)
    rows = [f"synthetic|{i}.wav|Dog:{i // 2}" for i in range(40)]
    table(root / "metadata/sources.tsv", "set|filename|recordings", *rows)
    clips = prepare_sets(root, out)["synthetic"].clips
    assert len(set(clips.group)) == 20
    for i in range(0, 40, 2):
        assert clips.fold[i] == clips.fold[i + 1]
        assert clips.group[i] == clips.group[i + 1]
    assert "grouped by source recording" in messages.text
    assert min(clips.fold.count(part) for part in ("select", "tune")) >= 8


def test_chained_recordings_are_told_and_not_used(tmp_path, out, messages):
    root = desed_2019(tmp_path / "desed", weak=40, synthetic=40)
    rows = [f"synthetic|{i}.wav|Dog:{i},Dog:{i + 1}" for i in range(40)]
    table(root / "metadata/sources.tsv", "set|filename|recordings", *rows)
    clips = prepare_sets(root, out)["synthetic"].clips
    assert set(clips.group) == {""}
    assert set(clips.fold) == {"train", "select", "tune"}
    assert (
        "shared source recordings chain 40 of 82 clips together; grouped by video id or clip instead" in messages.text
    )
