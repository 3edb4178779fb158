"""Every place where a recipe of the organisers looks for a set is known, and every set is spoken of."""

import pytest
from desed_layouts import STRONG, clip, desed_2019, prepare_sets, run_prepare, table, video

from sedkit.core.errors import SedkitError

pytestmark = pytest.mark.usefixtures("messages")

WEAK = "filename|event_labels"
SYNTHETIC = tuple(f"{i}.wav" for i in range(3))
#: Rows of a table by what it is.
ROWS = {
    "weak": (WEAK, *(f"{video(i)}|Dog,Cat" for i in range(3))),
    "list": ("filename", *(video(i, "u") for i in range(3))),
    "out": ("filename", *(video(i, "o") for i in range(3))),
    "synthetic": (STRONG, *(f"{name}|0.1|0.4|Dog" for name in SYNTHETIC)),
    "strong": (STRONG, *(f"{video(i, 's')}|0.1|0.4|Cat" for i in range(3))),
    "validation": (STRONG, *(f"{video(i, 'v')}|0.1|0.4|Cat" for i in range(3))),
    "public": (STRONG, *(f"{video(i, 'p')}|0.1|0.4|Cat" for i in range(3))),
    "eval": ("filename", "e0.wav", "e1.wav", "e2.wav"),
}
#: What the configuration of each year's baseline names: set -> folder of its audio, its table, what that holds.
YEARS = {
    "dcase2018_baseline": {
        "weak": ("audio/train/weak", "metadata/train/weak.csv", "weak"),
        "unlabelled": ("audio/train/unlabel_in_domain", "metadata/train/unlabel_in_domain.csv", "list"),
        "unlabelled_out_of_domain": (
            "audio/train/unlabel_out_of_domain",
            "metadata/train/unlabel_out_of_domain.csv",
            "out",
        ),
        "validation": ("audio/test", "metadata/test/test.csv", "validation"),
        "evaluation": ("audio/eval", "metadata/eval/eval.csv", "eval"),
    },
    "DCASE2019_task4": {
        "weak": ("audio/train/weak", "metadata/train/weak.csv", "weak"),
        "unlabelled": ("audio/train/unlabel_in_domain", "metadata/train/unlabel_in_domain.csv", "list"),
        "synthetic": ("audio/train/synthetic", "metadata/train/synthetic.csv", "synthetic"),
        "validation": ("audio/validation", "metadata/validation/validation.csv", "validation"),
        "evaluation": ("audio/eval", "metadata/eval/eval.csv", "eval"),
        "public": ("audio/eval/public", "metadata/eval/public.csv", "public"),
    },
    "DESED, real and synthetic apart": {
        "weak": ("real/audio/train/weak", "real/metadata/train/weak.tsv", "weak"),
        "unlabelled": ("real/audio/train/unlabel_in_domain", "real/metadata/train/unlabel_in_domain.tsv", "list"),
        "synthetic": (
            "synthetic/audio/train/synthetic",
            "synthetic/metadata/train/soundscapes/synthetic.tsv",
            "synthetic",
        ),
        "validation": ("real/audio/validation", "real/metadata/validation/validation.tsv", "validation"),
        "public": ("real/audio/eval/public", "real/metadata/eval/public.tsv", "public"),
    },
    "dcase20_task4": {
        "weak": ("audio/train/weak", "metadata/train/weak.tsv", "weak"),
        "unlabelled": ("audio/train/unlabel_in_domain", "metadata/train/unlabel_in_domain.tsv", "list"),
        "synthetic": (
            "audio/train/synthetic20/soundscapes",
            "metadata/train/synthetic20/soundscapes.tsv",
            "synthetic",
        ),
        "validation": ("audio/validation", "metadata/validation/validation.tsv", "validation"),
        "public": ("audio/eval/public", "metadata/eval/public.tsv", "public"),
    },
    "dcase20_task4, reverberated": {
        "synthetic": (
            "audio/train/synthetic20_reverb/soundscapes",
            "metadata/train/synthetic20_reverb/soundscapes.tsv",
            "synthetic",
        ),
    },
    "DESED, examples/generate_dcase_task4_2020": {
        "synthetic": (
            "audio/train/synthetic20_train/soundscapes",
            "metadata/train/synthetic20_train/soundscapes.tsv",
            "synthetic",
        ),
        "synthetic_validation": (
            "audio/validation/synthetic20_validation/soundscapes",
            "metadata/validation/synthetic20_validation/soundscapes.tsv",
            "synthetic",
        ),
        "synthetic20_eval": (
            "audio/eval/synthetic20_eval/soundscapes",
            "metadata/eval/synthetic20_eval/soundscapes.tsv",
            "synthetic",
        ),
    },
    "dcase2021_task4_baseline": {
        "weak": ("audio/train/weak_16k", "metadata/train/weak.tsv", "weak"),
        "unlabelled": ("audio/train/unlabel_in_domain_16k", None, "list"),
        "synthetic": (
            "audio/train/synthetic21_train/soundscapes_16k",
            "metadata/train/synthetic21_train/soundscapes.tsv",
            "synthetic",
        ),
        "synthetic_validation": (
            "audio/validation/synthetic21_validation/soundscapes_16k",
            "metadata/validation/synthetic21_validation/soundscapes.tsv",
            "synthetic",
        ),
        "validation": ("audio/validation/validation_16k", "metadata/validation/validation.tsv", "validation"),
        "evaluation": ("audio/eval21_16k", None, "eval"),
    },
    "dcase2022_task4_baseline": {
        "strong_label_real": ("audio/train/strong_label_real", "metadata/train/audioset_strong.tsv", "strong"),
        "validation": ("audio/validation/validation", "metadata/validation/validation_old.tsv", "validation"),
        "evaluation": ("audio/eval21", None, "eval"),
    },
    "dcase2023_task4_baseline": {
        "weak": ("audio/train/weak", "metadata/train/weak.tsv", "weak"),
        "synthetic": (
            "dcase_synth/audio/train/synthetic21_train/soundscapes",
            "dcase_synth/metadata/train/synthetic21_train/soundscapes.tsv",
            "synthetic",
        ),
        # The resampled audio lies in another tree than its table.
        "synthetic_validation": (
            "audio/validation/synthetic21_validation/soundscapes_16k",
            "dcase_synth/metadata/validation/synthetic21_validation/soundscapes.tsv",
            "synthetic",
        ),
        "strong_label_real": ("audio/train/strong_label_real", "metadata/train/audioset_strong.tsv", "strong"),
        "validation": ("audio/validation/validation", "metadata/validation/validation.tsv", "validation"),
    },
    "dcase2024_task4_baseline": {
        "synthetic": (
            "dcase_synth/audio/train/synthetic21_train/soundscapes_16k",
            "dcase_synth/metadata/train/synthetic21_train/soundscapes.tsv",
            "synthetic",
        ),
        "synthetic_validation": (
            "dcase_synth/audio/validation/synthetic21_validation/soundscapes",
            "dcase_synth/metadata/validation/synthetic21_validation/soundscapes.tsv",
            "synthetic",
        ),
        "evaluation": ("audio/eval24", None, "eval"),
    },
    "pieces of several years": {
        "weak": ("real/audio/train/weak_16k", "metadata/train/weak.csv", "weak"),
        "synthetic": ("audio/train/synthetic", "metadata/train/synthetic.tsv", "synthetic"),
        "strong_label_real": ("audio/train/strong_label_real_16k", "metadata/train/audioset_strong.csv", "strong"),
        "synthetic_validation": (
            "dcase_synth/audio/validation/synthetic21_validation/soundscapes",
            "metadata/validation/synthetic21_validation/soundscapes.tsv",
            "synthetic",
        ),
        "validation": ("audio/validation_16k", "metadata/validation/validation.csv", "validation"),
    },
}


def names_in(rows):
    return [row.split("|")[0] for row in rows[1:]]


def lay_out(root, sets):
    for kind in ("audio", "metadata"):
        (root / kind).mkdir(parents=True, exist_ok=True)
    for folder, path, rows in sets.values():
        for name in names_in(ROWS[rows]):
            clip(root / folder / name)
        if path:
            table(root / path, *ROWS[rows])
    return root


@pytest.mark.parametrize("below", ["", "data/dcase/dataset"])
@pytest.mark.parametrize("year", YEARS)
def test_every_place_of_an_official_recipe(tmp_path, out, year, below, messages, capsys):
    lay_out(tmp_path / "root" / below, YEARS[year])
    sets = prepare_sets(tmp_path / "root", out)
    assert set(sets) == set(YEARS[year])
    printed = capsys.readouterr().out.splitlines()
    assert sorted(printed) == sorted(f"{name}: 3/3 clips" for name in YEARS[year])
    for name, (folder, _, rows) in YEARS[year].items():
        data = sets[name]
        assert sorted(data.clips.filename) == sorted(names_in(ROWS[rows]))
        assert data.audio_path(0).parent == tmp_path / "root" / below / folder
        assert data.has_strong == (ROWS[rows][0] == STRONG)
        assert data.has_weak == (rows not in ("list", "out", "eval"))
    assert not [record for record in messages.records if record.levelname == "WARNING"]
    assert "not read" not in messages.text
    # Each set that is not there is named, with the places where it was looked for.
    absent = {"weak", "synthetic", "strong_label_real", "unlabelled", "validation", "public", "evaluation"} - set(sets)
    for name in absent:
        assert f"{name}: absent: no " in messages.text
    capsys.readouterr()
    messages.clear()
    assert run_prepare("desed", tmp_path / "root", tmp_path / "none", coverage_only=True) == 0
    assert capsys.readouterr().out.splitlines() == printed
    assert all(f"{name}: absent: no " in messages.text for name in absent)


def test_clips_of_one_place_never_get_the_table_of_another(tmp_path, out, messages):
    # 0.wav, 1.wav … are other sounds in 2019 and in 2021.
    root = lay_out(tmp_path / "root", {"synthetic": YEARS["DCASE2019_task4"]["synthetic"]})
    table(root / "metadata/train/synthetic21_train/soundscapes.tsv", STRONG, "0.wav|0.0|0.2|Speech")
    sets = prepare_sets(root, out)
    assert sets["synthetic"].strong().n_events == 3
    assert "not read, for they belong to none of these sets: metadata/train/synthetic21_train" in messages.text
    lay_out(root, {"synthetic": YEARS["dcase2021_task4_baseline"]["synthetic"]})
    sets = prepare_sets(root, out, force=True)
    assert "synthetic21_train" in sets["synthetic"].clips.audio[0]
    assert "not read, for they belong to none of these sets: audio in audio/train/synthetic" in messages.text


#: Tables that lie beside those of the public and the evaluation set.
OTHERS = {
    "durations": ("public_meta", "filename|duration", "p0.wav|10.0"),
    "a map of names": ("mapping_file_eval", "eval_name|original|set", "e0.wav|Yx.wav|youtube"),
    "labels of MAESTRO": (
        "maestro_real",
        "filename|onset|offset|event_label|confidence",
        "a.wav|0.0|1.0|people_talking|0.5",
    ),
    "soft labels": ("soft", "filename|onset|offset|birds_singing|car", "a.wav|0|1|0.5|0.2"),
    "other tags": ("tags", WEAK, "a.wav|Gong,Harp"),
    "nothing": ("empty",),
    "a header": ("header", "filename|duration"),
    "ragged rows": ("ragged", STRONG, "a.wav|0|1|Dog|x|y", "b.wav|0|1|Dog"),
    "broken rows": ("broken", STRONG, "a.wav|soon|later|Dog"),
    "missing files": ("missing_files_public", "filename|error", "p7.wav|gone"),
}


@pytest.mark.parametrize("ending", [".tsv", ".csv"])
@pytest.mark.parametrize("name", OTHERS)
def test_a_table_of_another_purpose_stops_nothing(root, out, name, ending, messages):
    stem, *rows = OTHERS[name]
    table(root / f"metadata/eval/{stem}{ending}", *rows)
    assert run_prepare("desed", root, out, coverage_only=True) == 0
    assert set(prepare_sets(root, out)) == {"weak", "synthetic", "unlabelled", "validation"}
    assert f"metadata/eval/{stem}{ending}" in messages.text


def test_tables_that_are_no_text_and_hidden_ones_stop_nothing(root, out, messages):
    folder = root / "metadata/eval"
    folder.mkdir()
    (folder / "image.tsv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    (folder / "latin.csv").write_bytes("filename\tonset\toffset\tevent_label\n\xe9.wav\t0\t1\tDog\n".encode("latin-1"))
    (folder / "._public.tsv").write_bytes(b"\0\5\26\7")
    (folder / "notes.tsv").mkdir()
    assert "evaluation" not in prepare_sets(root, out)
    assert "not read, for they belong to none of these sets: metadata/eval/image.tsv, metadata/eval/latin.csv" in (
        messages.text
    )


def test_a_broken_row_of_an_evaluation_set_with_audio_is_still_an_error(root, out):
    clip(root / "audio/eval/mine/a.wav")
    path = table(root / "metadata/eval/mine.tsv", STRONG, "a.wav|soon|0.4|Dog")
    with pytest.raises(SedkitError, match=f"{path}:2: onset 'soon'"):
        run_prepare("desed", root, out)
    table(path, STRONG, "a.wav|0.0|0.4|Dgo", "a.wav|0.0|0.4|Dog")
    with pytest.raises(SedkitError, match="did you mean"):
        run_prepare("desed", root, out)


@pytest.mark.parametrize("coverage_only", [True, False])
def test_a_set_without_a_clip_on_disk_is_warned_of(root, out, coverage_only, messages, capsys):
    for path in (root / "audio/train/synthetic").iterdir():
        path.unlink()
    (root / "audio/train/weak" / video(3)).unlink()
    table(root / "metadata/eval/eval.csv", "filename", "e0.wav")
    assert run_prepare("desed", root, out, coverage_only=coverage_only) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "synthetic: 0/4 clips" in printed and "weak: 11/12 clips" in printed and "evaluation: 0/1 clips" in printed
    warnings = [record.getMessage() for record in messages.records if record.levelname == "WARNING"]
    assert len(warnings) == 2
    assert f"synthetic: none of the 4 clips of {root}/metadata/train/synthetic.tsv is on disk" in warnings[0]
    assert f"{root}/audio/train/synthetic" in warnings[0]
    assert f"evaluation: none of the 1 clips of {root}/metadata/eval/eval.csv is on disk" in warnings[1]


@pytest.mark.parametrize("coverage_only", [True, False])
@pytest.mark.parametrize("name", ["validation", "weak", "synthetic", "public"])
def test_audio_without_its_table_is_warned_of(root, out, name, coverage_only, messages):
    clip(root / "audio/eval/public/p0.wav")
    table(root / "metadata/eval/public.tsv", STRONG, "p0.wav|0.0|0.3|Dog")
    path = {"validation": "validation/validation", "public": "eval/public"}.get(name, f"train/{name}")
    (root / f"metadata/{path}.tsv").unlink()
    assert run_prepare("desed", root, out, coverage_only=coverage_only) == 0
    warnings = [record.getMessage() for record in messages.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{name}: ") and "no table: they are taken without labels" in warnings[0]
    assert "no audio" not in warnings[0], "there is audio"
    assert f"metadata/{path}.tsv" in warnings[0]


def test_audio_of_no_set_is_named(root, out, messages):
    for folder in ("maestro_real_train", "eval/extra", "train/mine"):
        clip(root / "audio" / folder / "a.wav")
    table(root / "metadata/maestro_real_train.tsv", "filename|onset|offset|event_label|confidence")
    assert set(prepare_sets(root, out)) == {"weak", "synthetic", "unlabelled", "validation"}
    assert (
        "audio in audio/maestro_real_train, audio/eval/extra, audio/train/mine" in messages.text
        and "metadata/maestro_real_train.tsv" in messages.text
    )


def test_evaluation_folders_beside_a_list_without_audio(tmp_path, out):
    # The repository of 2019 ships the list of an evaluation set that nobody can fetch any more.
    root = desed_2019(tmp_path / "desed")
    table(root / "metadata/eval/eval.csv", "filename", "e0.wav")
    for year in ("eval21", "eval24_16k"):
        clip(root / "audio" / year / f"{year}.wav")
    sets = prepare_sets(root, out)
    assert {"evaluation_eval21", "evaluation_eval24"} < set(sets)
    (root / "audio/eval21/eval21.wav").unlink()
    sets = prepare_sets(root, out, force=True)
    assert sets["evaluation"].clips.filename == ("eval24_16k.wav",)
    assert "evaluation_eval21" not in sets
