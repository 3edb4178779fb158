"""The browser of clips of a page: every clip's events, and of as many as the page may hold what is seen and heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sedkit.core.errors import SedkitError, UsageError, suggest
from sedkit.core.parallel import progress
from sedkit.dataio.audio import read_audio
from sedkit.dataio.names import renamed
from sedkit.features.frontends import FrontEnd, frontend_from
from sedkit.report import media
from sedkit.report.html import script_json
from sedkit.report.outcomes import clip_errors, clip_rows, worth_hearing
from sedkit.report.panels import readable
from sedkit.report.reported import PageOptions, ReportedSet
from sedkit.report.runs import RunSubject

_MB = 1_000_000


def browser(
    runs: Sequence[RunSubject], sets: Sequence[ReportedSet], options: PageOptions
) -> tuple[list[dict[str, Any]], list[str], list[tuple[str, str]]]:
    """Return the sets of the clip browser, what is said of them, and the scripts of clips that hold their media."""
    wanted = options.clips
    names = [name for one in sets for name in one.outputs[0].filenames]
    if not isinstance(wanted, int):
        called = dict(zip(wanted, renamed([*wanted], names, "--clips"), strict=True))
        for word, name in called.items():
            if name not in names:
                raise UsageError(f"--clips {word}: no such clip{suggest(word, names)}, expected some of the sets'")
        wanted = [*called.values()]
    frontend, left = _frontend(runs), options.max_mb * _MB
    rows, about, texts = [], [], []
    for k, one in enumerate(sets):
        clips = clip_rows(one.outputs)
        for clip in clips:
            # Systems without output on the set have their place, too.
            clip["systems"] = [clip["systems"].pop(0) if system is not None else None for system in one.systems]
        chosen = _chosen(one, wanted)
        scale = media.scale_of(system.scores for system in one.outputs if system.scores is not None)
        reasons = Counter[str]()
        n = 0
        for i in progress(chosen, description=f"clips of {one.name}"):
            if left <= 0:
                reasons[f"the sounds and pictures of more than {options.max_mb:g} MB (--max-size)"] += 1
                continue
            content, lacks = _media(one, i, frontend, scale)
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
        labels = [readable(label) for label in one.outputs[0].labels]
        marks = media.frequency_marks(frontend)
        rows.append({"name": one.name, "labels": labels, "marks": marks, "clips": clips, "without": without})
    if about:
        about.append(
            f"Events and counts are those of all clips. Sound: {media.LISTENING_HZ // 1000} kHz, compressed, for "
            "listening; spectrogram: the loudest 80 dB of the front end's bands."
        )
    return rows, about, texts


def _chosen(one: ReportedSet, wanted: int | Sequence[str]) -> list[int]:
    filenames = one.outputs[0].filenames
    if isinstance(wanted, int):
        return worth_hearing(clip_errors(one.outputs), wanted)
    return [i for i, name in enumerate(filenames) if name in wanted]


def _how_chosen(one: ReportedSet, wanted: int | Sequence[str], n: int) -> str:
    if not isinstance(wanted, int):
        return ", those of --clips"
    worst = (n + 1) // 2
    how = f"the {worst} with the most errors" if one.outputs[0].truth is not None else f"the first {worst}"
    return f" ({how} and {n - worst} evenly spread over the others; --clips takes more)"


def _frontend(runs: Sequence[RunSubject]) -> FrontEnd:
    """Return the front end of the first run that tells it, else a usual one; an embedding is no picture of a sound."""
    for run in runs:
        section = run.experiment.config.get("frontend") if run.experiment else None
        if isinstance(section, Mapping):
            frontend = frontend_from(dict(section), f"{run.path}: frontend")
            if frontend.scale != "embedding":
                return frontend
    return media.usual_frontend()


def _media(one: ReportedSet, i: int, frontend: FrontEnd, scale: tuple[float, float]) -> tuple[dict[str, Any], str]:
    """Return what is seen and heard of a clip, and why its recording is not."""
    content: dict[str, Any] = {"curves": []}
    lacks = ""
    name = one.outputs[0].filenames[i]
    for system in one.systems:
        curves = None
        if system is not None and system.scores is not None:
            # Scores may list other clips than the page, in another order.
            row = system.scores.filenames.index(name)
            tables = [table for table in (system.truth, system.decoded) if table is not None]
            in_clip = {t.labels[k] for t in tables for k in t.label[t.clip == i]}
            wanted = {k for k, label in enumerate(system.labels) if label in in_clip}
            curves = media.curves(system.scores, row, system.labels, wanted, scale)._asdict()
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
