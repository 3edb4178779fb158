import csv
import io
import logging
import lzma

import pytest
from desed_layouts import clip, desed_2019, open_sets, run_prepare, table, video

from sedkit.core.errors import SedkitError
from sedkit.core.resources import metadata_path
from sedkit.core.vocabulary import DESED_CLASSES, Vocabulary
from sedkit.datasets.esc50 import read_rows
from sedkit.datasets.maps import load_class_map

HEADER = "filename,fold,target,category,esc10,src_file,take"


@pytest.fixture
def root(tmp_path):
    rows = [HEADER]
    for fold in range(1, 6):
        for target, category in ((5, "cat"), (0, "dog"), (37, "clock_alarm")):
            name = f"{fold}-{1000 * fold + target}-A-{target}.wav"
            clip(tmp_path / "esc/audio" / name)
            rows.append(f"{name},{fold},{target},{category},False,{1000 * fold + target},A")
    (tmp_path / "esc/meta").mkdir()
    (tmp_path / "esc/meta/esc50.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "esc"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "data"


def _change(root, old, new):
    path = root / "meta/esc50.csv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def test_one_data_dir_with_folds_groups_and_labels_by_target(root, out, capsys):
    assert run_prepare("esc50", root, out) == 0
    assert capsys.readouterr().out == "esc50: 15/15 clips\n"
    data = open_sets(out)["esc50"]
    assert data.labels.labels == ("dog", "cat", "clock_alarm")
    assert data.clips.fold[:4] == ("1", "1", "1", "2")
    assert data.clips.group[:2] == ("1005", "1000")
    assert data.weak().present[0].tolist() == [False, True, False]


def test_other_formats_and_missing_clips(root, out, capsys):
    import soundfile

    path = root / "audio/1-1005-A-5.wav"
    x, rate = soundfile.read(path)
    path.unlink()
    soundfile.write(path.with_suffix(".ogg"), x, rate)
    (root / "audio/2-2000-A-0.wav").unlink()
    assert run_prepare("esc50", root, out) == 0
    data = open_sets(out)["esc50"]
    assert data.clips.audio[0].endswith(".ogg")
    assert data.missing() == ("2-2000-A-0.wav",)
    assert run_prepare("esc50", root, out, coverage_only=True) == 0
    assert capsys.readouterr().out.splitlines() == ["esc50: 14/15 clips"] * 2


def test_the_folder_of_the_unpacked_archive_is_found(root, out):
    (root.parent / "up").mkdir()
    root.rename(root.parent / "up/ESC-50-master")
    assert run_prepare("esc50", root.parent / "up", out) == 0


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("wav,1,5,cat", "wav,6,5,cat", "fold '6'"),
        ("wav,2,5,cat", "wav,2,five,cat", "target 'five'"),
        ("wav,2,5,cat", "wav,2,5,kitten", "target 5 is 'kitten' here and 'cat' before"),
        ("2-2005-A-5.wav", "1-1005-A-5.wav", "stands twice"),
    ],
)
def test_broken_rows(root, out, old, new, what):
    _change(root, old, new)
    with pytest.raises(SedkitError) as error:
        run_prepare("esc50", root, out)
    assert what in str(error.value)
    assert "esc50.csv:" in str(error.value)
    assert run_prepare("esc50", root, out, lenient=True) == 0
    assert len(open_sets(out)["esc50"].clips) == 14


def test_a_recording_in_two_folds_is_told(root, out, caplog):
    caplog.set_level(logging.INFO, logger="sedkit")
    _change(root, "False,2005,A", "False,1005,A")
    assert run_prepare("esc50", root, out) == 0
    assert "1 recordings stand in two folds (1005)" in caplog.text


def test_a_recording_that_desed_reports_on_stops(root, out, tmp_path):
    desed = desed_2019(tmp_path / "desed")
    assert run_prepare("esc50", root, out, reported=desed) == 0
    ledger = desed / "metadata/sources.tsv"
    header = "set|filename|recordings"
    # On the training side of DESED it may stand.
    table(ledger, header, "synthetic|0.wav|Dog:1000")
    assert run_prepare("esc50", root, out, reported=desed) == 0
    table(ledger, header, f"validation|{video(0, 'v')}|Cat:7,Dog:1000")
    with pytest.raises(SedkitError) as error:
        run_prepare("esc50", root, out, reported=desed)
    assert "recording 1000 is in" in str(error.value)
    assert "1-1000-A-0.wav" in str(error.value)
    assert video(0, "v") in str(error.value)
    assert run_prepare("esc50", root, out, reported=desed, lenient=True) == 0
    assert len(open_sets(out)["esc50"].clips) == 14


def test_equal_bytes_in_desed_validation_stop(root, out, tmp_path):
    desed = desed_2019(tmp_path / "desed")
    twin = desed / "audio/validation" / video(0, "v")
    twin.write_bytes((root / "audio/3-3005-A-5.wav").read_bytes())
    with pytest.raises(SedkitError, match="are equal byte for byte"):
        run_prepare("esc50", root, out, reported=desed)


def test_no_esc50(tmp_path, out):
    (tmp_path / "x").mkdir()
    with pytest.raises(SedkitError, match="expected meta/esc50.csv of ESC-50, found nothing"):
        run_prepare("esc50", tmp_path / "x", out)


def test_the_true_table(shared, tmp_path):
    with lzma.open(shared / "vectors" / "metadata_true" / "esc50.csv.xz", "rt") as file:
        (tmp_path / "esc50.csv").write_text(file.read())
    rows = read_rows(tmp_path / "esc50.csv")
    assert len(rows) == 2000
    names = Vocabulary.read(metadata_path("classes", "esc50.txt")).labels
    assert {(row.target, row.category) for row in rows} == set(enumerate(names))
    assert csv.DictReader(io.StringIO((tmp_path / "esc50.csv").read_text())).fieldnames[0] == "filename"


# ---- maps between label sets


def test_the_map_from_esc50_to_desed_names_classes_of_both():
    classes = load_class_map("esc50_desed")
    esc50 = Vocabulary.read(metadata_path("classes", "esc50.txt"))
    assert set(classes) < set(DESED_CLASSES)
    assert all(source in esc50 for sources in classes.values() for source in sources)
    assert classes["Running_water"] == ("pouring_water",)


def test_class_lists_agree_with_the_code():
    assert Vocabulary.read(metadata_path("classes", "desed.txt")).labels == DESED_CLASSES.labels
    assert len(Vocabulary.read(metadata_path("classes", "fsdkaggle2018.txt"))) == 41


def test_a_map_of_ones_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("classes:\n  Cat: [cat, crying_baby]\n  Dog: dog\n")
    assert load_class_map(path) == {"Cat": ("cat", "crying_baby"), "Dog": ("dog",)}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Cat: cat\n", "expected a mapping `classes`"),
        ("classes: {Cat: 3}\n", "classes.Cat: got 3"),
        ("classes: {Cat: []}\n", "classes.Cat"),
        ("classes: {Cat: cat, Dog: cat}\n", "cat stands for Cat and for Dog"),
    ],
)
def test_a_wrong_map_is_refused(tmp_path, text, what):
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(SedkitError, match=what):
        load_class_map(path)
    with pytest.raises(SedkitError, match="did you mean"):
        load_class_map("esc50_dsed")
