"""Facts in stamps: kept by what is skipped, not believed of another file, joined, and held against what was seen."""

import pytest

from sedkit.core.errors import UsageError
from sedkit.core.facts import joined, overlap, refuse_seen, refuse_to_tune
from sedkit.core.stamp import Step, facts_of

FACTS = {"of": [["a/b", None]], "role": "tuning"}


def made(folder, facts, config=None, content="x"):
    (folder / "in.txt").write_text("in")
    step = Step("make", folder / "out.txt", config or {}, {"in": folder / "in.txt"}, facts=facts)
    return step.run(lambda: step.output.write_text(content))


def test_facts_stand_in_the_stamp_and_decide_nothing(tmp_path):
    assert facts_of(tmp_path / "out.txt") == {}
    assert made(tmp_path, lambda: FACTS)
    assert facts_of(tmp_path / "out.txt") == FACTS
    assert not made(tmp_path, {"of": []})
    (tmp_path / "in.txt").touch()
    assert not made(tmp_path, {"of": []})
    assert facts_of(str(tmp_path / "out.txt")) == FACTS
    assert made(tmp_path, {"of": []}, config={"a": 1})
    assert facts_of(tmp_path / "out.txt") == {"of": []}


def test_facts_are_those_of_the_file_they_were_written_for(tmp_path):
    made(tmp_path, FACTS)
    (tmp_path / "out.txt").write_text("another's")
    assert facts_of(tmp_path / "out.txt") == {}
    (tmp_path / "out.txt").write_text("x")
    assert facts_of(tmp_path / "out.txt") == FACTS
    (tmp_path / "out.txt").unlink()
    assert facts_of(tmp_path / "out.txt") == {}


def test_facts_of_a_folder_are_asked_after_it_was_made(tmp_path):
    seen = []
    step = Step("make", tmp_path / "points", {}, facts=lambda: {"of": list(seen)})
    with step.running():
        (tmp_path / "points").mkdir()
        seen.append(["a", "1"])
    assert facts_of(f"{tmp_path}/points/") == {"of": [["a", "1"]]}


@pytest.mark.parametrize(
    ("a", "b", "where"),
    [
        ([["a", "1"]], [["a", "1"]], "a, fold 1"),
        ([["a", "1"]], [["a", "2"]], ""),
        ([["a", "1"]], [["b", "1"], ["a", None]], "a, fold 1"),
        ([["b", "1"], ["a", None]], [["a", "2"]], "a"),
        ([["a", None]], [["ab", None]], ""),
        ([], [["a", None]], ""),
    ],
)
def test_places_overlap_by_set_and_fold(a, b, where):
    assert overlap(a, b) == where


def test_an_ensemble_saw_what_its_members_saw():
    one = {"of": [["v", None]], "role": "reported", "saw": {"trained": [["a", "1"]], "selected": [["a", "2"]]}}
    two = {"of": [["v", None]], "role": None, "saw": {"trained": [["b", None]], "selected": []}, "tuned": [["c", "1"]]}
    one, two = one | {"run": {"recipe": "r", "seed": 0}}, two | {"run": {"recipe": "r", "seed": 1}}
    both = {
        "of": [["v", None]],
        "role": "reported",
        "saw": {"trained": [["a", "1"], ["b", None]], "selected": [["a", "2"]]},
        "tuned": [["c", "1"]],
        "run": {"recipe": "r"},
    }
    assert joined(one, two) == both
    assert joined(one, two, {})["run"] == {}
    assert joined(one, {}, run={"seed": 3}) == one | {"tuned": [], "run": {"seed": 3}}
    assert joined({}, {}) == {}


def test_what_was_seen_is_refused_by_fact():
    facts = {"of": [["a", "tune"]], "role": "training", "saw": {"trained": [["a", "train"]], "selected": []}}
    refuse_seen("s.h5", facts)
    refuse_to_tune("s.h5", facts | {"tuned": [["a", "tune"]]})
    refuse_seen("s.h5", {})
    refuse_to_tune("s.h5", {})
    with pytest.raises(UsageError, match=r"s\.h5: is of clips that its run was tuned on \(a, fold tune\)"):
        refuse_seen("s.h5", facts | {"tuned": [["a", None]]})
    for refuse in (refuse_seen, refuse_to_tune):
        with pytest.raises(UsageError, match=r"s\.h5: is of clips that its run was trained on \(a\)"):
            refuse("s.h5", facts | {"of": [["a", None]]})
    for role in ("reported", "entered"):
        with pytest.raises(UsageError, match=f"s.h5: a is a set whose figures are {role}"):
            refuse_to_tune("s.h5", facts | {"role": role})
