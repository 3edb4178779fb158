"""Data dirs that are there already: kept, brought up to date, made again or refused."""

import pytest
from desed_layouts import desed_2019, prepare_sets, run_prepare

from sedkit.core.errors import SedkitError

pytestmark = pytest.mark.usefixtures("messages")


def test_a_data_dir_of_before_gets_its_facts_and_keeps_its_features(root, out):
    facts = prepare_sets(root, out)["weak"].path / "set.json"
    text = facts.read_text()
    features = out / "weak/logmel.h5"
    features.write_bytes(b"x")
    for damage in (facts.unlink, lambda: facts.write_text("{}")):
        damage()
        prepare_sets(root, out)
        assert (facts.read_text(), features.read_bytes()) == (text, b"x")


def test_a_second_call_is_skipped_and_features_survive(root, out, messages, capsys):
    prepare_sets(root, out)
    features = out / "weak" / "logmel.h5"
    features.write_bytes(b"x")
    capsys.readouterr()
    prepare_sets(root, out)
    assert capsys.readouterr().out == ""
    assert "up to date" in messages.text
    prepare_sets(root, out, force=True)
    assert features.exists()


def test_a_changed_table_is_prepared_again(root, out):
    prepare_sets(root, out)
    path = root / "metadata/train/weak.tsv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    assert len(prepare_sets(root, out)["weak"].clips) == 11


def test_a_damaged_data_dir_is_made_again(root, out):
    prepare_sets(root, out)
    (out / "weak/clips.tsv").write_text("filename\taudio\tduration\n")
    assert len(prepare_sets(root, out)["weak"].clips) == 12


def test_a_set_that_is_no_more_is_removed(root, out):
    prepare_sets(root, out)
    for path in (root / "audio/train/unlabel_in_domain").iterdir():
        path.unlink()
    assert "unlabelled" not in prepare_sets(root, out)


def test_another_root_is_refused(root, out, tmp_path):
    prepare_sets(root, out)
    other = desed_2019(tmp_path / "other")
    with pytest.raises(SedkitError) as error:
        run_prepare("desed", other, out)
    assert str(root) in str(error.value)
    assert str(other) in str(error.value)
    assert len(prepare_sets(other, out, force=True)["weak"].clips) == 12
