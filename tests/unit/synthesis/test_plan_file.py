import pytest
import yaml

from sedkit.core.errors import SedkitError
from sedkit.synthesis.plan import MixSettings, draw
from sedkit.synthesis.plan_file import read_plan, write_plan

from .mix_case import LABELS, table

#: The shape of the authors' mixture.yaml.
PUBLISHED = """\
- events:
  - {event_audio_name: a.wav, event_label: Bark, offset: 1.22, onset: 0.5}
  - {event_audio_name: b.wav, event_label: Chime, offset: 3.38, onset: 3.0}
  fold: 1
  mixture_name: 00000.wav
  scene_audio_name: s.wav
- events:
  - {event_audio_name: c.wav, event_label: Cough, offset: 7.5, onset: 5.5}
  fold: 2
  mixture_name: 00001.wav
  scene_audio_name: t.wav
"""
HEADER = """\
sample_rate: 32000
length_s: 10.0
snr: source
assignment: grouped
events: events
scenes: scenes
"""


@pytest.fixture
def plan_file(tmp_path):
    """A plan that was written by hand, in a folder with its data dirs."""
    table(tmp_path / "events", ["a.wav", "b.wav", "c.wav"], [0.72, 0.38, 2.0], None, ("g", "h", "i"), LABELS[:3])
    table(tmp_path / "scenes", ["s.wav", "t.wav"], [10.0, 12.0], None, ("p", "q"))
    path = tmp_path / "plan.yaml"
    path.write_text(f"{HEADER}mixtures:\n{PUBLISHED}")
    return path


def test_a_published_list_under_a_header_is_a_plan(plan_file):
    plan = read_plan(plan_file)
    first, second = plan.mixtures
    assert (first.mixture_name, first.fold, first.scene_audio_name) == ("00000.wav", "1", "s.wav")
    assert (first.scene_group, first.scene_start, second.scene_group) == ("p", 0.0, "q")
    bark = first.events[0]
    assert (bark.event_audio_name, bark.event_label, bark.onset, bark.offset) == ("a.wav", "Bark", 0.5, 1.22)
    assert (bark.source_start, bark.snr_db) == (0.0, 0.0)
    assert plan.samples == 320000


def test_what_is_left_out_of_an_event_is_the_whole_plans(plan_file):
    plan_file.write_text(plan_file.read_text().replace("snr: source", "snr: source\nsnr_db: 10"))
    assert {e.snr_db for m in read_plan(plan_file).mixtures for e in m.events} == {10.0}


def test_a_plan_is_read_as_it_was_written_also_from_elsewhere(plan_file, tmp_path):
    plan = read_plan(plan_file)
    write_plan(tmp_path / "below" / "again.yaml", plan)
    again = read_plan(tmp_path / "below" / "again.yaml")
    assert again.mixtures == plan.mixtures
    assert again.events.resolve() == plan.events.resolve()
    raw = yaml.safe_load((tmp_path / "below" / "again.yaml").read_text())
    ours = {"source_start": 0.0, "snr_db": 0.0}
    assert raw["mixtures"][1]["events"] == [yaml.safe_load(PUBLISHED)[1]["events"][0] | ours]
    assert raw["generator"].startswith("sedkit ")
    assert raw["scenes"] == "../scenes"


def test_a_drawn_plan_is_read_as_it_was_written(tmp_path):
    names = [f"{k}.wav" for k in range(8)]
    events = table(tmp_path / "events", names, [0.1 + k / 7 for k in range(8)], None, None, LABELS * 2)
    scenes = table(tmp_path / "scenes", names, [10.0] * 8)
    plan = draw(MixSettings("events", "scenes", mixtures=5, placement="uniform", snr_db=-3.5), events, scenes)
    write_plan(tmp_path / "plan.yaml", plan)
    again = read_plan(tmp_path / "plan.yaml")
    assert again.mixtures == plan.mixtures
    assert (again.seed, again.sample_rate, again.length_s, again.snr) == (1234, 32000, 10.0, "source")


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("onset: 3.0", "onset: 3.39", "mixtures[0].events[1].onset: got 3.39 to offset 3.38"),
        ("offset: 7.5", "offset: 10.6", "mixtures[1].events[0].onset: got 5.5 to offset 10.6"),
        ("onset: 0.5", "onset: soon", "mixtures[0].events[0].onset: got 'soon', expected a number"),
        ("onset: 0.5", "onset: .nan", "mixtures[0].events[0].onset: got nan, expected a number"),
        ("onset: 0.5", "onset: 0.4", "mixtures[0].events[0].source_start: got 0.82 s from 0 s on"),
        ("onset: 0.5", "onset: 0.5, snr: 3", "mixtures[0].events[0]: unknown key 'snr' (did you mean"),
        (", onset: 0.5", "", "mixtures[0].events[0]: key 'onset' is missing"),
        ("a.wav", "aa.wav", "mixtures[0].events[0].event_audio_name: got 'aa.wav' (did you mean"),
        ("label: Bark", "label: Flute", "mixtures[0].events[0].event_label: got 'Flute', expected Bark"),
        ("s.wav", "u.wav", "mixtures[0].scene_audio_name: got 'u.wav'"),
        ("scene_audio_name: s.wav", "scene_audio_name: s.wav\n  scene_start: 1", "mixtures[0].scene_start: got 10 s"),
        ("scene_audio_name: s.wav", "scene_audio_name: s.wav\n  scene_group: x", "mixtures[0].scene_group: got 'x'"),
        ("00001.wav", "00000.wav", "mixtures[1].mixture_name: '00000.wav' is that of mixtures[0]"),
        ("00001.wav", "../1.wav", "mixtures[1].mixture_name: got '../1.wav', expected a file name"),
        ("fold: 2", "fold: true", "mixtures[1].fold: got True"),
        ("c.wav, event_label: Cough, offset: 7.5", "a.wav, event_label: Bark, offset: 6", "event group g is in fold 1"),
        ("t.wav", "s.wav", "mixtures: scene group p is in fold 1 and in fold 2"),
        ("snr: source", "snr: sources", "snr: got 'sources' (did you mean \"source\"?)"),
        ("length_s: 10.0", "length_s: 0", "length_s and sample_rate"),
        ("sample_rate: 32000", "sample_rate: 32e3", "sample_rate: got"),
        ("events: events", "events: sounds", "sounds: not a data dir"),
        ("- events:\n  - {event_audio_name: c", "- 7\n- events:\n  - {event_audio_name: c", "mixtures[1]: got 7"),
    ],
)
def test_a_wrong_edit_is_told_in_one_line_with_file_and_key(plan_file, right, wrong, message):
    text = plan_file.read_text()
    assert right in text
    plan_file.write_text(text.replace(right, wrong, 1))
    with pytest.raises(SedkitError) as told:
        read_plan(plan_file)
    assert str(told.value).startswith(f"{plan_file}: ")
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_the_published_assignment_lets_scenes_meet(plan_file):
    plan_file.write_text(plan_file.read_text().replace("t.wav", "s.wav").replace("grouped", "published"))
    assert {m.scene_group for m in read_plan(plan_file).mixtures} == {"p"}


def test_no_yaml_is_told_with_its_line(plan_file):
    plan_file.write_text(plan_file.read_text() + "- {a: [\n")
    with pytest.raises(SedkitError, match=r"plan.yaml:\d+: not valid YAML"):
        read_plan(plan_file)
