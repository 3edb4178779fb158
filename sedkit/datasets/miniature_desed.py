"""A generated copy of DESED in small, in its official layouts, and of DCASE 2018 task 4.

Weak, unlabelled, validation and evaluation clips come from a "real" generator (rooms, microphones, restless
backgrounds), synthetic clips from a cleaner one with other backgrounds. Clips are made of *households*: a household
has one dog, one blender, one room …; a few clips are two excerpts of the same household and then share the video id.
No household, so no source, serves two sets: ``metadata/sources.tsv`` is the ledger.

The large DESED has as many unlabelled clips for each weak one as unlabelled data needs to matter, and sounds of a part
of each class' range (the high dogs, say) that are in no labelled set: only unlabelled clips tell of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sedkit.core.files import write_text
from sedkit.core.options import option
from sedkit.core.parallel import run_jobs
from sedkit.core.registry import NoOptions
from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.dataio.audio import write_wav
from sedkit.datasets.miniature import SAMPLE_RATE_HZ, fingerprint, made_up_id, pcm16, scale_of
from sedkit.datasets.registry import register_miniature
from sedkit.synthesis.backgrounds import HOME, PLAIN
from sedkit.synthesis.render import Placed, Room, mix
from sedkit.synthesis.sounds import DOMESTIC, render_event

# ---- How hard the task is. These constants are what to turn; everything else is layout. -----------------------------
#: Level of an event over the background, dB, uniform: real clips and synthetic ones.
SNR_DB = {"real": (3.0, 25.0), "clean": (6.0, 30.0)}
#: Share of clips with 1, 2 and 3 different labels (the true weak set has .62, .33, .05).
LABEL_COUNTS = (0.50, 0.38, 0.12)
#: Share of long sounds (machines, water, frying) that already run when the clip begins and still do when it ends.
RUNNING_THROUGH = 0.25
#: Most events of a short sound (voices, dishes, alarms) in one clip.
SHORT_EVENTS = 3
#: Root mean square of the background in the file, full scale 1, log-uniform.
BACKGROUND_LEVEL = (0.004, 0.015)
#: Reverberation of real clips: seconds, and its level relative to the direct sound.
REVERBERATION_S, WET = (0.12, 0.5), (0.05, 0.45)
#: Tilt of the microphone of real clips, dB between 100 Hz and 10 kHz, and the corner where it falls off.
TILT_DB, CORNER_HZ = (-5.0, 5.0), (8000.0, 18000.0)
#: In the large DESED: unlabelled clips for each weak one (the true set has 9.1), and the share of the range of a class'
#: first parameter (pitch, size, colour), from its lower end, that sources of labelled clips have.
UNLABELLED_RATIO, LABELLED_RANGE = 5.0, 0.6
# ---------------------------------------------------------------------------------------------------------------------

#: Clips of each set in the small miniature, in the order in which seeds are spawned.
SMALL = {
    "weak": 100,
    "synthetic": 80,
    "unlabel_in_domain": 40,
    "validation": 60,
    "eval": 20,
    "public": 20,
    "synthetic_validation": 30,
    "strong_label_real": 20,
    "test": 40,
    "unlabel_out_of_domain": 20,
}
#: Fewest clips of a set: as many as there are classes, since each class is the first label of a tenth of the clips.
FEWEST = 10


def _at(place: str, ending: str = "tsv", tree: str = "") -> tuple[str, str]:
    return f"{tree}audio/{place}", f"{tree}metadata/{place}.{ending}"


_LAYOUT_2019 = {
    "weak": _at("train/weak"),
    "synthetic": _at("train/synthetic"),
    "unlabel_in_domain": _at("train/unlabel_in_domain"),
    "validation": ("audio/validation", "metadata/validation/validation.tsv"),
    "eval": _at("eval/eval"),
    "public": _at("eval/public"),
}
#: Where audio and table of each set lie, by layout.
FOLDERS = {
    "2018": {
        **{name: _at(f"train/{name}", "csv") for name in ("weak", "unlabel_in_domain", "unlabel_out_of_domain")},
        "test": ("audio/test", "metadata/test/test.csv"),
        "eval": ("audio/eval", "metadata/eval/eval.csv"),
    },
    "2019": _LAYOUT_2019,
    "2021": _LAYOUT_2019
    | {
        "synthetic": _at("train/synthetic21_train/soundscapes"),
        "validation": _at("validation/validation"),
        "synthetic_validation": _at("validation/synthetic21_validation/soundscapes"),
        "strong_label_real": ("audio/train/strong_label_real", "metadata/train/audioset_strong.tsv"),
    },
}
# What is downloaded apart lies apart, and the evaluation set is a folder of audio without a list.
FOLDERS["2024"] = FOLDERS["2021"] | {
    "synthetic": _at("train/synthetic21_train/soundscapes", tree="dcase_synth/"),
    "synthetic_validation": _at("validation/synthetic21_validation/soundscapes", tree="dcase_synth/"),
    "eval": ("audio/eval24", ""),
}
#: Training sets with labels of any kind, and what is held out of them.
LABELLED = ("weak", "synthetic", "synthetic_validation", "strong_label_real")
#: Sounds of machines, water and frying last; the others come and go.
LONG = frozenset({"Blender", "Electric_shaver_toothbrush", "Frying", "Running_water", "Vacuum_cleaner"})
#: Annotators' rules: shortest event, shortest gap between two events of a class.
MIN_EVENT_S, MIN_GAP_S = 0.25, 0.15
#: Every fifth clip is a second excerpt of the household before it.
_SECOND_EXCERPT = 5

Row = tuple[str, float, float, str]


@dataclass(frozen=True)
class ClipPlan:
    """All that is decided before a clip is rendered."""

    set_name: str
    filename: str
    labels: tuple[str, ...]
    seconds: float
    household: np.random.SeedSequence
    seed: np.random.SeedSequence
    range_share: float = 1.0

    @property
    def clean(self) -> bool:
        """Whether the clip comes from the generator of the synthetic sets."""
        return self.set_name.startswith("synthetic")


@dataclass(frozen=True)
class Made:
    """What a rendered clip tells: its events and the sources that went into it."""

    plan: ClipPlan
    rows: tuple[Row, ...]
    recordings: tuple[str, ...]


@dataclass(frozen=True)
class DesedMiniatureOptions:
    """`layout`: of 2019, 2021 or 2024; that of 2018 is a data set of its own."""

    layout: str = option("2019", "--layout", "default: 2019", choices=("2019", "2021", "2024"))


@register_miniature("desed", DesedMiniatureOptions)
def generate(root: Path, options: DesedMiniatureOptions, *, seed: int, size: str, jobs: int) -> dict[str, int]:
    """Fill a folder with `audio/` and `metadata/`; in `size` the weak clips count."""
    return _generate(root, options.layout, seed, size, jobs, unlabelled=size == "large")


@register_miniature("dcase2018", NoOptions)
def generate_2018(root: Path, options: NoOptions, *, seed: int, size: str, jobs: int) -> dict[str, int]:
    """Fill a folder with `audio/` and `metadata/` in the layout of 2018; in `size` the weak clips count."""
    return _generate(root, "2018", seed, size, jobs)


def _generate(root: Path, layout: str, seed: int, size: str, jobs: int, unlabelled: bool = False) -> dict[str, int]:
    """Generate a layout; `unlabelled`: many unlabelled clips, which alone hold sounds of each class' whole range."""
    places = FOLDERS[layout]
    scale = scale_of(size, SMALL["weak"])
    clips = {name: max(FEWEST, round(count * scale)) for name, count in SMALL.items()}
    if unlabelled:
        clips["unlabel_in_domain"] = round(UNLABELLED_RATIO * clips["weak"])
    plans: list[ClipPlan] = []
    for name, set_seed in zip(SMALL, np.random.SeedSequence(seed).spawn(len(SMALL)), strict=True):
        if name in places:
            range_share = LABELLED_RANGE if unlabelled and name in LABELLED else 1.0
            plans += plan_set(name, clips[name], set_seed, layout, range_share)
    folders = {name: root / audio for name, (audio, _) in places.items()}
    for folder in folders.values():
        folder.mkdir(parents=True)
    made = run_jobs(partial(render_clip, folders=folders), plans, jobs, "miniature")
    _write_tables(root, layout, made)
    return {name: sum(p.set_name == name for p in plans) for name in places}


def plan_set(
    name: str, count: int, seed: np.random.SeedSequence, layout: str = "2019", range_share: float = 1.0
) -> list[ClipPlan]:
    """Decide names, labels, lengths, seeds and the sources' range of the clips of one set of a layout."""
    draws, households, clips = seed.spawn(3)
    rng = np.random.default_rng(draws)
    label_sets = _label_sets(rng, count, empty=name in ("validation", "eval", "public"))
    if name == "unlabel_out_of_domain":
        label_sets = [()] * count
    plans = []
    home, video, excerpt = None, "", 0
    for i, (clip_seed, labels) in enumerate(zip(clips.spawn(count), label_sets, strict=True)):
        if home is None or i % _SECOND_EXCERPT != _SECOND_EXCERPT - 1:
            home, video, excerpt = households.spawn(1)[0], made_up_id(rng), int(rng.integers(0, 30)) * 10
        else:
            excerpt += 30
        short = not name.startswith("synthetic") and i % 15 == 11
        seconds = float(np.round(rng.uniform(3.0, 9.5), 1)) if short else 10.0
        style = "development" if layout == "2018" else name
        plans.append(
            ClipPlan(name, _filename(style, i, video, excerpt, rng), labels, seconds, home, clip_seed, range_share)
        )
    return plans


def _label_sets(rng: np.random.Generator, count: int, empty: bool) -> list[tuple[str, ...]]:
    """Labels of each clip: every class is the first label of a tenth of the clips; now and then a clip has none."""
    labels = DESED_CLASSES.labels
    first = np.concatenate([rng.permutation(len(labels)) for _ in range(-(-count // len(labels)))])[:count]
    out = []
    for i in range(count):
        more = int(rng.choice(len(LABEL_COUNTS), p=LABEL_COUNTS))
        others = rng.choice([k for k in range(len(labels)) if k != first[i]], more, replace=False)
        out.append(() if empty and i % 15 == 7 else tuple(labels[k] for k in (first[i], *others)))
    return out


def _filename(style: str, i: int, video: str, excerpt_s: int, rng: np.random.Generator) -> str:
    """File name in the style of a set; any that is not named here has the development clips'."""
    if style.startswith("synthetic"):
        return f"{i}.wav"
    if style == "eval":
        return f"{made_up_id(rng, 8).replace('-', 'a').replace('_', 'b')}.wav"
    if style == "public":
        video = f"-{video[1:]}" if i == 0 else video
        return f"{video}_{excerpt_s}_{excerpt_s + 10}.wav"
    return f"Y{video}_{excerpt_s}.000_{excerpt_s + 10}.000.wav"


class Narrowed(np.random.Generator):
    """`numpy.random.default_rng(seed)`, but its first `uniform` is from the lower `share` of the range it asks for."""

    def __init__(self, seed: np.random.SeedSequence, share: float) -> None:
        super().__init__(np.random.PCG64(seed))
        self._share = share

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        """Draw as numpy does."""
        share, self._share = self._share, 1.0
        return super().uniform(low, high if share == 1.0 else low + share * (high - low), size)


def render_clip(plan: ClipPlan, folders: dict[str, Path]) -> Made:
    """Render one clip to disk; what comes out depends on the plan alone."""
    rng = np.random.default_rng(plan.seed)
    rate = SAMPLE_RATE_HZ
    n = round(plan.seconds * rate)
    # A fresh copy: spawning counts in the sequence itself, and two excerpts must find the same household.
    home = np.random.SeedSequence(plan.household.entropy, spawn_key=plan.household.spawn_key)
    children = home.spawn(len(DESED_CLASSES) + 1)
    family = PLAIN if plan.clean else HOME
    place = family.draw(np.random.default_rng(children[-1]))
    background = family.render(place, rng, n, rate)
    events: list[Placed] = []
    rows: list[Row] = []
    recordings = [fingerprint("background", place)]
    snr_range = SNR_DB["clean" if plan.clean else "real"]
    for label in plan.labels:
        of_source = Narrowed(children[DESED_CLASSES.index(label)], plan.range_share)
        parameters = DOMESTIC[label].draw(of_source)
        recordings.append(fingerprint(label, parameters))
        snr_db = float(rng.uniform(*snr_range))
        for onset, length, cut in _spans(label, rng, n, rate):
            x = render_event(DOMESTIC[label], parameters, rng, length + 2 * cut, rate)[cut : cut + length]
            events.append(Placed(x, onset, snr_db + float(rng.uniform(-2.0, 2.0))))
            rows.append((plan.filename, onset / rate, (onset + length) / rate, label))
    room = Room() if plan.clean else _draw_room(rng)
    level = float(np.exp(rng.uniform(*np.log(BACKGROUND_LEVEL))))
    clip = mix(events, background, room, rng, rate, level)
    write_wav(folders[plan.set_name] / plan.filename, pcm16(clip), rate)
    return Made(plan, tuple(merged(rows)), tuple(recordings))


def _spans(label: str, rng: np.random.Generator, n: int, rate: int) -> list[tuple[int, int, int]]:
    """Onset and length in samples of the events of a label, and how much to cut off at both ends of a longer sound."""
    low, high = DOMESTIC[label].seconds
    if label in LONG and rng.random() < RUNNING_THROUGH:
        return [(0, n, rate)]
    out = []
    for _ in range(1 if label in LONG else int(rng.integers(1, SHORT_EVENTS + 1))):
        length = int(np.clip(rng.uniform(low, high) * rate, MIN_EVENT_S * rate, 0.95 * n))
        out.append((int(rng.integers(0, n - length + 1)), length, 0))
    return out


def _draw_room(rng: np.random.Generator) -> Room:
    corner, tilt = float(rng.uniform(*CORNER_HZ)), float(rng.uniform(*TILT_DB))
    curve = ([50.0, 100.0, 10000.0, corner, 22050.0], [-4.0, -tilt / 2, tilt / 2, tilt / 2, tilt / 2 - 18.0])
    hz, db = zip(*sorted(zip(*curve, strict=True)), strict=False)
    return Room(float(rng.uniform(*REVERBERATION_S)), float(rng.uniform(*WET)), (hz, db))


def merged(rows: Iterable[Row]) -> list[Row]:
    """Rows as an annotator writes them: same-class events less than 150 ms apart are one; sorted by onset."""
    out: list[Row] = []
    for name, onset, offset, label in sorted(rows, key=lambda row: (row[0], row[3], row[1])):
        last = out[-1] if out else None
        if last is not None and last[0] == name and last[3] == label and onset - last[2] < MIN_GAP_S:
            out[-1] = (name, last[1], max(last[2], offset), label)
        else:
            out.append((name, onset, offset, label))
    return sorted(out, key=lambda row: (row[0], row[1], row[3]))


# ---- tables ---------------------------------------------------------------------------------------------------------


def _write_tables(root: Path, layout: str, made: list[Made]) -> None:
    by_set = {name: [m for m in made if m.plan.set_name == name] for name in FOLDERS[layout]}
    for name, (_, table) in FOLDERS[layout].items():
        if name == "weak":
            rows = [(m.plan.filename, ",".join(m.plan.labels)) for m in by_set[name]]
            _write(root / table, ("filename", "event_labels"), rows)
        elif name.startswith("unlabel") or (name == "eval" and table and layout != "2018"):
            _write(root / table, ("filename",), [(m.plan.filename,) for m in by_set[name]])
        elif table:
            # As in the true set: validation lists its clips without events, the public set leaves them out.
            _write_strong(root / table, by_set[name], list_empty=name != "public")
    ledger = [(m.plan.set_name, m.plan.filename, ",".join(m.recordings)) for m in made]
    _write(root / "metadata" / "sources.tsv", ("set", "filename", "recordings"), ledger)
    validation = by_set.get("validation")
    if validation is None:
        return
    # The true validation set is the union of the test (a quarter) and evaluation sets of 2018.
    folder = (root / FOLDERS[layout]["validation"][1]).parent
    _write_strong(folder / "test_dcase2018.tsv", validation[::4])
    _write_strong(folder / "eval_dcase2018.tsv", [m for i, m in enumerate(validation) if i % 4])
    if "synthetic_validation" in by_set:
        _write_durations(folder / "validation_durations.tsv", validation)
        synthetic = root / FOLDERS[layout]["synthetic_validation"][1]
        _write_durations(synthetic.with_name("durations.tsv"), by_set["synthetic_validation"])


def _write_strong(path: Path, made: list[Made], list_empty: bool = True) -> None:
    rows: list[tuple[str, ...]] = []
    for m in made:
        rows += [(name, f"{onset:.3f}", f"{offset:.3f}", label) for name, onset, offset, label in m.rows]
        if not m.rows and list_empty:
            rows.append((m.plan.filename, "", "", ""))
    _write(path, ("filename", "onset", "offset", "event_label"), rows)


def _write_durations(path: Path, made: list[Made]) -> None:
    _write(path, ("filename", "duration"), [(m.plan.filename, f"{m.plan.seconds:.1f}") for m in made])


def _write(path: Path, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    write_text(path, "".join("\t".join(cells) + "\n" for cells in (header, *rows)))
