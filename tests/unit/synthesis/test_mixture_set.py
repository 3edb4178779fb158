import csv
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import yaml

from sedkit.core.errors import UsageError
from sedkit.dataio.datadir import DataDir
from sedkit.synthesis import mixture_set
from sedkit.synthesis.mixture_set import render_plan
from sedkit.synthesis.mixtures import RenderedMixtures, Studio
from sedkit.synthesis.plan import draw
from sedkit.synthesis.plan_file import read_plan, write_plan

from .mix_case import LABELS, RATE, events_dir, scenes_dir
from .test_plan import settings


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """The file of a plan of 12 mixtures with overlaps, three a fold."""
    folder = tmp_path_factory.mktemp("mix")
    wanted = settings(mixtures=3, placement="uniform", longest_s=0.7)
    write_plan(folder / "plan.yaml", draw(wanted, events_dir(folder / "events"), scenes_dir(folder / "scenes")))
    return folder / "plan.yaml"


@pytest.fixture(scope="module")
def whole(planned):
    """An undisturbed render."""
    out = planned.parent / "whole"
    assert render_plan(planned, read_plan(planned), out)
    return out


def content(out):
    """Every file of a render by its place, whatever the render is called."""
    folders = (out, *(out.with_name(f"{out.name}.{kind}") for kind in ("audio", "stems")))
    files = {}
    for kind, folder in zip(("set", "audio", "stems"), folders, strict=True):
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "set.json"):
            files[kind, str(path.relative_to(folder))] = path.read_bytes().replace(out.name.encode(), b"OUT")
    return files


def test_the_data_dir_says_what_the_plan_says(planned, whole):
    plan, data = read_plan(planned), DataDir(whole)
    assert (data.identity, data.role) == ("mixtures/whole", "training")
    assert data.labels.labels == LABELS
    assert data.clips.filename == tuple(m.mixture_name for m in plan.mixtures)
    assert data.clips.fold == tuple(m.fold for m in plan.mixtures)
    assert data.clips.group == tuple(",".join(sorted({e.event_audio_name for e in m.events})) for m in plan.mixtures)
    assert data.clips.duration_s.tolist() == [2.0] * 12
    weak, strong = data.weak(), data.strong()
    for i, mixture in enumerate(plan.mixtures):
        assert soundfile.info(data.audio_path(i)).duration == 2.0
        present = {e.event_label for e in mixture.events}
        assert {LABELS[k] for k in weak.present[i].nonzero()[0]} == present
        stems = whole.with_name("whole.stems") / mixture.mixture_name.removesuffix(".wav")
        assert {p.stem for p in stems.iterdir()} == {"scene", *present}
        for label in present:
            # Every sample in turn: a sample that an event of the plan covers is one that a row covers.
            rows = (strong.clip == i) & (strong.label == LABELS.index(label))
            t = (np.arange(2 * RATE) + 0.5) / RATE
            truth, plans = np.zeros(len(t), bool), np.zeros(len(t), bool)
            for onset, offset in zip(strong.onset_s[rows], strong.offset_s[rows], strict=True):
                assert not truth[(t >= onset) & (t < offset)].any()
                truth |= (t >= onset) & (t < offset)
            for e in mixture.events:
                plans |= (e.event_label == label) & (t >= e.onset) & (t < e.offset)
            assert (truth != plans).sum() <= 2 * len(mixture.events)
            stem = soundfile.read(stems / f"{label}.wav")[0]
            assert not stem[~truth].any()


def test_written_stems_add_up_to_the_written_mixture(whole):
    data = DataDir(whole)
    for i, name in enumerate(data.clips.filename):
        folder = whole.with_name("whole.stems") / name.removesuffix(".wav")
        parts = [soundfile.read(path, dtype="int16")[0].astype(int) for path in folder.iterdir()]
        mixture = soundfile.read(data.audio_path(i), dtype="int16")[0]
        assert np.abs(np.sum(parts, axis=0) - mixture).max() <= (len(parts) + 1) / 2


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
@pytest.mark.parametrize("snr", ["source", "excerpt"])
def test_written_stems_are_as_loud_as_the_plan_says(planned, tmp_path, snr, snr_db):
    """By soundfile and numpy alone. An excerpt of a recording tells what the whole was multiplied with."""
    wanted = settings(mixtures=3, placement="uniform", longest_s=0.3, snr=snr, snr_db=snr_db)
    plan = draw(wanted, DataDir(planned.parent / "events"), DataDir(planned.parent / "scenes"))
    out, checked = tmp_path / "mixed", 0
    write_plan(tmp_path / "plan.yaml", plan)
    render_plan(tmp_path / "plan.yaml", plan, out)
    for mixture in yaml.safe_load((tmp_path / "plan.yaml").read_text())["mixtures"]:
        folder = out.with_name("mixed.stems") / mixture["mixture_name"].removesuffix(".wav")
        scene = soundfile.read(folder / "scene.wav")[0]
        labels = [event["event_label"] for event in mixture["events"]]
        for event in mixture["events"]:
            if labels.count(event["event_label"]) > 1:
                continue
            assert event["snr_db"] == snr_db
            first, last = (round(event[key] * RATE) for key in ("onset", "offset"))
            heard = soundfile.read(folder / f"{event['event_label']}.wav")[0][first:last]
            if snr == "source":
                x = soundfile.read(planned.parent / "events.wavs" / event["event_audio_name"])[0]
                y = x[: len(heard)]
                heard = x * (heard @ y) / (y @ y)
            achieved = 10 * np.log10(np.mean(heard**2) / np.mean(scene**2))
            assert achieved == pytest.approx(snr_db, abs=0.1)
            checked += 1
    assert checked > 10


def test_levels_tell_what_recordings_were_multiplied_with(planned, whole):
    with open(whole / "levels.tsv") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) == 36
    for row in rows:
        alone = [r for r in rows if (r["filename"], r["event_label"]) == (row["filename"], row["event_label"])]
        if len(alone) > 1:
            continue
        x = soundfile.read(planned.parent / "events.wavs" / row["event_audio_name"])[0]
        folder = whole.with_name("whole.stems") / row["filename"].removesuffix(".wav")
        stem = soundfile.read(folder / f"{row['event_label']}.wav")[0]
        first, last = (round(float(row[key]) * RATE) for key in ("onset", "offset"))
        assert np.abs(stem[first:last] - float(row["gain"]) * x[: last - first]).max() <= 0.51 / 32768


def test_two_processes_write_the_same_bytes(planned, whole):
    out = planned.parent / "two"
    render_plan(planned, read_plan(planned), out, jobs=2)
    assert content(out) == content(whole)


def test_what_is_rendered_on_the_fly_is_what_is_written(planned, whole):
    data, waves = DataDir(whole), RenderedMixtures(read_plan(planned))
    assert len(waves) == 12
    for i in (0, 5, 11):
        assert np.array_equal(waves[i], soundfile.read(data.audio_path(i), dtype="float32")[0])


def test_a_front_end_takes_mixtures_without_files(planned, whole):
    from sedkit.dataio.windows import lay
    from sedkit.features.frontends import frontend_from
    from sedkit.features.sources import Waveforms, open_waveforms

    shape = {"sample_rate": RATE, "n_fft": 256, "win_length": 256, "hop_samples": 80, "n_mels": 16}
    frontend = frontend_from({"name": "logmel", "fmax_hz": 4000.0, "clip_s": 2.0} | shape)
    waves = RenderedMixtures(read_plan(planned))
    of_files = open_waveforms(DataDir(whole), np.arange(12), frontend)
    on_the_fly = Waveforms(waves, waves.duration_s, frontend)
    windows = lay(on_the_fly.n_frames, frontend.window_grid, 200, 200)
    assert np.array_equal(on_the_fly.features(windows), of_files.features(windows))


def test_a_killed_render_goes_on_where_it_stopped(planned, whole, monkeypatch):
    out = planned.parent / "killed"
    process = os.fork()
    if process == 0:
        # Dies as by a kill, in the middle of the sixth mixture: stems of it are written, the mixture is not.
        write, count = mixture_set.write_wav, []

        def dying(path, x, rate):
            count.append(path)
            if len({p.parent.name for p in count if "stems" in str(p)}) == 6 and "audio" in str(path.parent):
                os._exit(9)
            write(path, x, rate)

        mixture_set.write_wav = dying
        render_plan(planned, read_plan(planned), out)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9
    assert not out.exists()
    names = []
    render = Studio.render
    monkeypatch.setattr(
        Studio, "render", lambda self, m, *files: names.append(m.mixture_name) or render(self, m, *files)
    )
    assert render_plan(planned, read_plan(planned), out)
    assert names == [f"{i:05d}.wav" for i in range(5, 12)]
    assert content(out) == content(whole)
    assert not out.with_name("killed.audio.parts").exists()


def test_what_another_plan_left_half_done_is_not_gone_on_with(planned, whole, monkeypatch):
    out = planned.parent / "changed"
    plan, render = read_plan(planned), Studio.render

    def stopped(self, mixture, *files):
        if mixture.mixture_name == "00004.wav":
            raise KeyboardInterrupt
        return render(self, mixture, *files)

    monkeypatch.setattr(Studio, "render", stopped)
    with pytest.raises(KeyboardInterrupt):
        render_plan(planned, plan.at_snr(20.0), out)
    monkeypatch.setattr(Studio, "render", render)
    render_plan(planned, plan, out)
    assert content(out) == content(whole)


def test_nothing_is_done_twice_and_a_change_is_noticed(planned):
    out, plan = planned.parent / "again", read_plan(planned)
    few = replace(plan, mixtures=plan.mixtures[:2])
    assert render_plan(planned, few, out)
    assert not render_plan(planned, few, out)
    (out / "logmel-1.h5").write_bytes(b"features of these mixtures")
    assert not render_plan(planned, few, out)
    assert render_plan(planned, few, out, force=True)
    assert render_plan(planned, few, out, stems=False)
    assert not out.with_name("again.stems").exists()
    assert render_plan(planned, few.at_snr(10.0), out)
    shutil.copy(out.with_name("again.audio") / "00000.wav", out.with_name("again.audio") / "00001.wav")
    assert render_plan(planned, few.at_snr(10.0), out)


def test_an_event_is_as_many_db_louder_as_is_asked_for(planned, whole):
    out, plan = planned.parent / "loud", read_plan(planned)
    render_plan(planned, replace(plan, mixtures=plan.mixtures[:1]).at_snr(10.0), out)

    def ratio(of):
        folder = of.with_name(f"{of.name}.stems") / "00000"
        levels = {p.stem: np.std(soundfile.read(p)[0]) for p in folder.iterdir()}
        return {label: 20 * np.log10(x / levels["scene"]) for label, x in levels.items() if label != "scene"}

    before, after = ratio(whole), ratio(out)
    assert before.keys() == after.keys()
    assert all(after[x] - before[x] == pytest.approx(10.0, abs=0.1) for x in before)


def test_the_folder_of_something_else_is_left_alone(planned):
    plan = read_plan(planned)
    with pytest.raises(UsageError, match="events: holds something that is no render of mixtures"):
        render_plan(planned, plan, planned.parent / "events")
    assert DataDir(planned.parent / "events").clips
    with pytest.raises(UsageError, match=r"would take the place of .*plan.yaml"):
        render_plan(planned, plan, planned.parent)
    other = planned.parent / "other.audio"
    other.mkdir()
    (other / "mine.wav").write_bytes(b"")
    with pytest.raises(UsageError, match="other.audio: holds something"):
        render_plan(planned, plan, planned.parent / "other")
    assert (other / "mine.wav").exists()


def test_a_class_that_cannot_name_a_stem_is_told(planned):
    plan = read_plan(planned)
    first = plan.mixtures[0]
    for label in ("scene", "a/b"):
        event = replace(first.events[0], event_label=label)
        renamed = replace(plan, mixtures=(replace(first, events=(event,)),))
        with pytest.raises(UsageError, match=f"label '{label}' cannot name a stem"):
            render_plan(planned, renamed, planned.parent / "named")
