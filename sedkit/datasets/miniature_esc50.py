"""A generated copy of ESC-50 in small: isolated sounds in five folds, with the true set's habits.

Clips last 5 s; a sound that is shorter is followed by exact zeros, as in the true set. Some clips are two takes of one
source and stand in one fold. Sources are drawn from seeds of their own, so none is one of the DESED miniature's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sedkit.core.files import write_text
from sedkit.core.parallel import run_jobs
from sedkit.core.registry import NoOptions
from sedkit.core.resources import metadata_path
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import write_wav
from sedkit.datasets.miniature import SAMPLE_RATE_HZ, fingerprint, isolated, pcm16, scale_of
from sedkit.datasets.registry import register_miniature
from sedkit.synthesis.signals import ramps
from sedkit.synthesis.sounds import DOMESTIC, OTHER, Kind

SECONDS = 5.0
FOLDS = 5
#: Category of ESC-50 to the procedural sound that stands for it. The first five are those that are mapped to DESED.
CATEGORIES = {
    "dog": "Dog",
    "cat": "Cat",
    "pouring_water": "Running_water",
    "vacuum_cleaner": "Vacuum_cleaner",
    "clock_alarm": "Alarm_bell_ringing",
    "rain": "rain",
    "crickets": "crickets",
    "door_wood_knock": "door_wood_knock",
    "clock_tick": "clock_tick",
    "siren": "siren",
    "engine": "engine",
}
MAPPED = 5
#: Clips of each mapped category and of each other one, in each fold of the small set.
MAPPED_PER_FOLD, OTHER_PER_FOLD = 4, 2
#: The ten categories of the subset ESC-10, by number.
_ESC10 = frozenset({0, 1, 10, 11, 12, 20, 21, 38, 40, 41})
#: Every third clip of a category and fold is a second take of the source before it.
_SECOND_TAKE = 3
#: Spawn key that sets these seeds apart from the DESED miniature's of the same number.
_SEED_BRANCH = 50


@dataclass(frozen=True)
class ClipPlan:
    """All that is decided before a clip is rendered."""

    filename: str
    fold: int
    target: int
    category: str
    src_file: str
    take: str
    source: np.random.SeedSequence
    seed: np.random.SeedSequence


@register_miniature("esc50")
def generate(root: Path, options: NoOptions, *, seed: int, size: str, jobs: int) -> dict[str, int]:
    """Fill a folder (`meta/esc50.csv`, `audio/`, `meta/sources.tsv`); `small` has 100 clips of mapped categories."""
    plans = plan(seed, scale_of(size, MAPPED * MAPPED_PER_FOLD * FOLDS))
    (root / "audio").mkdir()
    recordings = run_jobs(partial(render_clip, folder=root / "audio"), plans, jobs, "miniature esc50")
    header = "filename,fold,target,category,esc10,src_file,take"
    rows = sorted(
        f"{p.filename},{p.fold},{p.target},{p.category},{p.target in _ESC10},{p.src_file},{p.take}" for p in plans
    )
    write_text(root / "meta" / "esc50.csv", "\n".join([header, *rows]) + "\n")
    ledger = [f"esc50\t{p.filename}\t{recording}" for p, recording in zip(plans, recordings, strict=True)]
    write_text(root / "meta" / "sources.tsv", "\n".join(["set\tfilename\trecordings", *ledger]) + "\n")
    return {"clips": len(plans)}


def plan(seed: int, scale: float) -> list[ClipPlan]:
    """Decide sources, folds, names and seeds."""
    numbers = Vocabulary.read(metadata_path("classes", "esc50.txt"))
    root = np.random.SeedSequence(seed, spawn_key=(_SEED_BRANCH,))
    plans: list[ClipPlan] = []
    src_file = 100000
    for i, (category, branch) in enumerate(zip(CATEGORIES, root.spawn(len(CATEGORIES)), strict=True)):
        count = max(1, round((MAPPED_PER_FOLD if i < MAPPED else OTHER_PER_FOLD) * scale))
        target = numbers.index(category)
        for fold, fold_seed in enumerate(branch.spawn(FOLDS), start=1):
            source, take = fold_seed, 0
            for k, clip_seed in enumerate(fold_seed.spawn(count)):
                if k % _SECOND_TAKE == _SECOND_TAKE - 1:
                    take += 1
                else:
                    source, take, src_file = fold_seed.spawn(1)[0], 0, src_file + 17
                letter = chr(ord("A") + take)
                name = f"{fold}-{src_file}-{letter}-{target}.wav"
                plans.append(ClipPlan(name, fold, target, category, str(src_file), letter, source, clip_seed))
    return plans


def source_of(plan: ClipPlan) -> tuple[Kind, dict[str, float], str]:
    """Kind, parameters and name of the source of a clip."""
    label = CATEGORIES[plan.category]
    kind = DOMESTIC.get(label) or OTHER[label]
    parameters = kind.draw(np.random.default_rng(plan.source))
    return kind, parameters, fingerprint(label, parameters)


def render_clip(plan: ClipPlan, folder: Path) -> str:
    """Render one clip to disk and return the name of its source."""
    rate, n = SAMPLE_RATE_HZ, int(SECONDS * SAMPLE_RATE_HZ)
    kind, parameters, name = source_of(plan)
    rng = np.random.default_rng(plan.seed)
    low, high = kind.seconds
    length = int(rate * rng.uniform(low, min(high, SECONDS + 1.0)))
    length = n if length > 0.9 * n else length
    # A little of the recording before and after the sound; then the file is filled up with zeros.
    lead, trail = (0, 0) if length == n else (int(rate * rng.uniform(0, 0.1)), int(rate * rng.uniform(0.05, 0.4)))
    heard = min(n, lead + length + trail)
    x = isolated(kind, parameters, rng, lead, length, heard)
    clip = np.zeros(n, dtype=np.float32)
    clip[:heard] = x if heard == n else x * ramps(heard, rate, 0.005, 0.02)
    write_wav(folder / plan.filename, pcm16(clip), rate)
    return name
