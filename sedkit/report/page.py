"""The report of runs as one page: what was run, how well, and the clips to see and hear."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sedkit
from sedkit.core.errors import SedkitError, UsageError, suggest
from sedkit.core.files import write_text
from sedkit.core.log import log
from sedkit.core.parallel import progress
from sedkit.dataio.audio import read_audio
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.names import renamed
from sedkit.evaluation.parameters import EventParameters
from sedkit.features.frontends import FrontEnd, frontend_from
from sedkit.leaderboard.runs import ScoredRun, controls, load_runs
from sedkit.leaderboard.show import PrintedTable, sections
from sedkit.leaderboard.systems import Group
from sedkit.leaderboard.table import benchmark
from sedkit.report import media
from sedkit.report.facts import configurations, differences, facts_of_runs
from sedkit.report.figures import FIGURES, AnySubject, drawn, left_out
from sedkit.report.html import render, script_json
from sedkit.report.outcomes import clip_errors, clip_rows, worth_hearing
from sedkit.report.panels import SYSTEM_COLOURS, readable
from sedkit.report.runs import RunSubject, chosen_sets
from sedkit.report.sets import SetSubject, SystemsSubject

#: Charts that are wider than half a page.
_BROAD = ("class_f1", "psd_roc", "counts", "durations", "thresholds", "cooccurrence")
_MB = 1_000_000


@dataclass(frozen=True)
class PageOptions:
    """What a page holds.

    Attributes
    ----------
    sets
        The sets; None: all that the runs have.
    clips
        Clips of each set with sound, spectrogram and score curves: how many, or which.
    max_mb
        Megabytes of all of these together.
    folds
        Only clips of these folds of the data dirs.
    """

    sets: Sequence[str] | None = None
    clips: int | Sequence[str] = 100
    max_mb: float = 30.0
    folds: Sequence[str] | None = None


@dataclass
class ReportedSet:
    """A set of a page: the systems on it, its data dir, what is drawn, and what is missing."""

    name: str
    data: DataDir | None
    systems: tuple[SetSubject | None, ...]
    charts: list[dict[str, Any]] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)

    @property
    def there(self) -> list[SetSubject]:
        """The systems that have output on it."""
        return [system for system in self.systems if system is not None]


def read_sets(
    runs: Sequence[RunSubject], given: Sequence[DataDir], options: PageOptions
) -> list[ReportedSet]:
    """Read the output of every run on every set, on the clips that all of them list.

    Raises
    ------
    UsageError
        A set that no run has; more runs than can be told apart.
    SedkitError
        A file that cannot be read, or runs whose clips have nothing in common.
    """
    if len(runs) > len(SYSTEM_COLOURS):
        raise UsageError(f"{len(runs)} experiments: expected {len(SYSTEM_COLOURS)} at most, to tell them apart")
    out = []
    for name in chosen_sets(runs, options.sets):
        having = [run for run in runs if name in run.files]
        data = next(filter(None, (run.data_of(name, given) for run in having)), None)
        systems = [
            SetSubject.read(name, data, run.files[name], options.folds, run.name, run.path if run.is_folder else None)
            if run in having
            else None
            for run in runs
        ]
        shared = set.intersection(*({*system.filenames} for system in systems if system is not None))
        if not shared:
            raise SedkitError(f"{name}: {' and '.join(run.name for run in having)} list no clip in common")
        cut = tuple(None if system is None else system.keep_clips(shared) for system in systems)
        lacking = [f"{run.name} has no output on {name}" for run in runs if run not in having]
        lacking += [
            f"{system.system} lists {len(system.filenames)} clips of {name}, of which {len(shared)} are reported"
            for system in systems
            if system is not None and len(system.filenames) > len(shared)
        ]
        out.append(ReportedSet(name, data, cut, lacking=lacking))
    return out


def chart_subjects(one: ReportedSet) -> Iterable[AnySubject]:
    """Yield what the charts of a set are of: all systems together, then each."""
    yield SystemsSubject(one.name, tuple(one.there))
    yield from one.there


def write_page(runs: Sequence[RunSubject], given: Sequence[DataDir], path: Path, options: PageOptions) -> None:
    """Write the report of runs as a page.

    Parameters
    ----------
    given
        Data dirs, beside those that the runs themselves tell.
    path
        The file, `index.html`.
    """
    sets = read_sets(runs, given, options)
    lacking: list[str] = []
    for one in progress(sets, description="charts"):
        for subject in chart_subjects(one):
            one.charts += _charts(subject, one.lacking, len(runs) > 1)
    training: list[dict[str, Any]] = []
    for run in runs:
        training += _charts(run, lacking, len(runs) > 1)
    tables, results = _tables(runs, sets, lacking)
    rows, clips_about, texts = _browser(runs, sets, options)
    lacking += [f"{one.name}: {line}" for one in sets for line in dict.fromkeys(one.lacking)]
    names = [run.name for run in runs]
    context = {
        "title": " and ".join(names),
        "about": f"Sound event detection on {', '.join(one.name for one in sets)}" if sets else "No output on any set",
        "systems": names,
        "facts": facts_of_runs(runs),
        "configurations": configurations(runs),
        "sets": [_about(one, results) for one in sets],
        "tables": tables,
        "differences": _differences(sets, lacking) if len(runs) > 1 else [],
        "training": training,
        "clips": clips_about,
        "matching": _matching(),
        "lacking": list(dict.fromkeys(lacking)),
        "made": f"Made by sedkit {sedkit.__version__} (sedkit report); everything that is shown is in this file.",
        "data": script_json({"systems": names, "sets": rows}),
        "media": texts,
    }
    write_text(path, render(context))
    for line in context["lacking"]:
        log.info("report: %s", line)
    log.info("report: %s: %.1f MB, %s", path, path.stat().st_size / _MB, " ".join(clips_about[:1]))


def _charts(subject: AnySubject, lacking: list[str], several: bool) -> list[dict[str, Any]]:
    """Draw every chart that a subject has; say what it does not have."""
    charts = []
    lacking += left_out(subject)
    for kind, drawing in FIGURES[type(subject)].items():
        if subject.lacks.keys() & set(drawing.needs):
            continue
        try:
            (svg,) = drawn(drawing, subject, ["svg"])
        except SedkitError as error:
            # Such as events of one class that overlap, which PSDS refuses.
            lacking.append(f"no {kind}: {error}")
            continue
        width, height = _size(svg)
        whose = f" of {subject.system}" if several and isinstance(subject, SetSubject) else ""
        charts.append(
            {
                "name": f"{kind.replace('_', ' ')}{whose}",
                "caption": f"{drawing.caption}{f' ({subject.system})' if whose else ''}",
                "svg": media.text_of(svg),
                "width": width,
                "height": height,
                "broad": kind in _BROAD and not (whose and kind != "durations"),
            }
        )
    return charts


def _size(svg: bytes) -> tuple[int, int]:
    """Return the size of an SVG in CSS pixels; its own is in points."""
    head = svg[:2000].decode("utf-8", "replace")
    found = [re.search(rf'\b{side}="([\d.]+)pt"', head) for side in ("width", "height")]
    width, height = (round(float(match[1]) * 96 / 72) if match else 100 for match in found)
    return width, height


def _tables(
    runs: Sequence[RunSubject], sets: Sequence[ReportedSet], lacking: list[str]
) -> tuple[list[dict[str, Any]], list[ScoredRun]]:
    """Return the tables of results, with official rows where these are comparable, and the results."""
    scored: list[ScoredRun] = []
    for run in runs:
        files = [results.path for results in run.results]
        if not files:
            lacking.append(f"no results of {run.name}: `sedkit score --json` makes them")
            continue
        # Runs stand side by side: seeds of one system are not pooled, and carry their name.
        scored += [replace(one, system=run.name) if len(runs) > 1 else one for one in load_runs(files)]
    shown = {one.name for one in sets}
    scored = [one for one in scored if not shown or _of_sets(one, shown)]
    groups = [Group((one,)) for one in [*scored, *controls(scored)]]
    comparison = replace(benchmark(groups), published={})
    return [
        {
            "heading": section.heading,
            "lines": section.lines,
            "blocks": [_printed(block) for block in section.blocks],
        }
        for section in sections(comparison)
    ], scored


def _of_sets(scored: ScoredRun, names: Iterable[str]) -> bool:
    whole = scored.set_title.partition(",")[0]
    return any(title == name or title.startswith(f"{name}.") for name in names for title in (whole, scored.set_name))


def _printed(block: PrintedTable) -> dict[str, Any]:
    return {
        "title": block.title,
        "about": block.about,
        "rows": block.cells(lambda name, ours: name),
        "ours": [line.ours for line in block.lines],
        "remarks": block.remarks,
    }


def _differences(sets: Sequence[ReportedSet], lacking: list[str]) -> list[Any]:
    rows: list[Any] = []
    for one in sets:
        groups = None
        if one.data is not None and one.data.clips.group is not None:
            groups = dict(zip(one.data.clips.filename, one.data.clips.group, strict=True))
        try:
            rows += differences(one.there, groups) if len(one.there) > 1 else []
        except SedkitError as error:
            lacking.append(f"{one.name}: no differences: {error}")
    return rows


def _about(one: ReportedSet, scored: Sequence[ScoredRun]) -> dict[str, Any]:
    """Return what is told of a set."""
    first = one.there[0]
    results = next((run.results for run in scored if _of_sets(run, [one.name])), None)
    missing = len(one.data.missing()) if one.data is not None else 0
    reference = "not scored" if results is None else results.known_as or "not an official one"
    coverage = f"{len(first.filenames)} of {len(one.data.clips)} clips" if one.data is not None else "not known"
    return {
        "name": one.name,
        "clips": f"{len(first.filenames):,}",
        "hours": f"{first.durations_s.sum() / 3600:.2f}",
        "events": "not known" if first.truth is None else f"{first.truth.n_events:,}",
        "reference": reference,
        "coverage": coverage + (f", {missing} more are not on disk" if missing else ""),
        "data": "not known" if one.data is None else str(one.data.path),
        "charts": one.charts,
    }


def _matching() -> str:
    parameters = EventParameters()
    return (
        f"right: onset within {parameters.collar_s * 1000:g} ms of a true event of the class, offset within that or "
        f"{parameters.offset_fraction:.0%} of its length"
    )


def _browser(
    runs: Sequence[RunSubject], sets: Sequence[ReportedSet], options: PageOptions
) -> tuple[list[dict[str, Any]], list[str], list[tuple[str, str]]]:
    """Return the sets of the clip browser, what is said of them, and the scripts of clips that hold their media."""
    wanted = options.clips
    names = [name for one in sets for name in one.there[0].filenames]
    if not isinstance(wanted, int):
        called = {word: new for word, new in zip(wanted, renamed([*wanted], names, "--clips"), strict=True)}
        for word, name in called.items():
            if name not in names:
                raise UsageError(f"--clips {word}: no such clip{suggest(word, names)}, expected some of the sets'")
        wanted = [*called.values()]
    frontend, left = _frontend(runs), options.max_mb * _MB
    rows, about, texts = [], [], []
    for k, one in enumerate(sets):
        clips = clip_rows(one.there)
        for clip in clips:
            # Systems without output on the set have their place, too.
            clip["systems"] = [clip["systems"].pop(0) if system is not None else None for system in one.systems]
        chosen = _chosen(one, wanted)
        reasons = Counter[str]()
        n = 0
        for i in progress(chosen, description=f"clips of {one.name}"):
            if left <= 0:
                reasons[f"the sounds and pictures of more than {options.max_mb:g} MB (--max-size)"] += 1
                continue
            content, lacks = _media(one, i, frontend)
            if lacks:
                reasons[lacks] += 1
            if not content:
                continue
            text = script_json(content)
            left -= len(text)
            clips[i]["media"] = f"media-{k}-{i}"
            texts.append((clips[i]["media"], text))
            n += 1
        line = f"{one.name}: sound, spectrogram and score curves of {n} of {len(clips)} clips"
        line += _how_chosen(one, wanted, len(chosen)) if len(chosen) < len(clips) else ""
        line += "".join(f"; left out for {reason}: {count}" for reason, count in reasons.items())
        about.append(f"{line}.")
        without = "No sound, spectrogram or curves of this clip are in the page (see above)."
        labels = [readable(label) for label in one.there[0].labels]
        marks = media.frequency_marks(frontend)
        rows.append({"name": one.name, "labels": labels, "marks": marks, "clips": clips, "without": without})
    if about:
        about.append(
            f"Events and counts are those of all clips. Sound: {media.LISTENING_HZ // 1000} kHz, compressed, for "
            "listening; spectrogram: the loudest 80 dB of the front end's bands."
        )
    return rows, about, texts


def _chosen(one: ReportedSet, wanted: int | Sequence[str]) -> list[int]:
    filenames = one.there[0].filenames
    if isinstance(wanted, int):
        return worth_hearing(clip_errors(one.there), wanted)
    return [i for i, name in enumerate(filenames) if name in wanted]


def _how_chosen(one: ReportedSet, wanted: int | Sequence[str], n: int) -> str:
    if not isinstance(wanted, int):
        return ", those of --clips"
    worst = (n + 1) // 2
    how = f"the {worst} with the most errors" if one.there[0].truth is not None else f"the first {worst}"
    return f" ({how} and {n - worst} evenly spread over the others; --clips takes more)"


def _frontend(runs: Sequence[RunSubject]) -> FrontEnd:
    """Return the front end of the first run that tells it, else a usual one."""
    for run in runs:
        section = run.experiment.config.get("frontend") if run.experiment else None
        if isinstance(section, Mapping):
            return frontend_from(dict(section), f"{run.path}: frontend")
    return media.usual_frontend()


def _media(one: ReportedSet, i: int, frontend: FrontEnd) -> tuple[dict[str, Any], str]:
    """Return what is seen and heard of a clip, and why its recording is not."""
    content: dict[str, Any] = {"curves": []}
    lacks = ""
    name = one.there[0].filenames[i]
    for system in one.systems:
        curves = None
        if system is not None and system.scores is not None:
            # Scores may list other clips than the page, in another order.
            row = system.scores.filenames.index(name)
            tables = [table for table in (system.truth, system.decoded) if table is not None]
            in_clip = {t.labels[k] for t in tables for k in t.label[t.clip == i]}
            wanted = {k for k, label in enumerate(system.labels) if label in in_clip}
            curves = media.curves(system.scores, row, system.labels, wanted)._asdict()
            curves["levels"] = media.text_of(curves["levels"].tobytes())
        content["curves"].append(curves)
    try:
        if one.data is None:
            raise SedkitError(f"the data dir of {one.name} is not known (--data DIR names it)")
        row = one.data.clips.filename.index(name)
        waveform = read_audio(one.data.audio_path(row), frontend.sample_rate)
    except SedkitError as error:
        lacks = str(error).replace(name, "its name") if one.data is None else "recordings that cannot be read"
        if not any(content["curves"]):
            return {}, lacks
        return content | {"lacks": f"No sound and no spectrogram: {error}"}, lacks
    heard = media.sound(waveform, frontend.sample_rate)
    image = media.shades(frontend, waveform)
    frames = frontend.valid_frames(len(waveform) / frontend.sample_rate)
    every = -(-frames // image.shape[1])
    content |= {
        "mime": heard.mime,
        "sound": media.text_of(heard.content),
        "image": media.text_of(media.png(image)),
        "image_s": round(image.shape[1] * every * frontend.grid.frame_s, 4),
    }
    return content, lacks
