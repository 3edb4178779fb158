"""Choosing post-processing on a held-out set: `sedkit tune` as a function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.log import log
from sedkit.dataio.events import Events, Tags, tags_of
from sedkit.postprocessing.gate import open_gate
from sedkit.postprocessing.presets import Preset
from sedkit.postprocessing.rules import BoxRule, FrameRule, Postprocessing
from sedkit.postprocessing.tuning.base import Problem, build_objective
from sedkit.postprocessing.tuning.choose import folds_of

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores


def tune(
    scores: Scores,
    reference: Events | Tags,
    objective: str,
    start: Postprocessing | Preset | None = None,
    seed: int = 0,
    tags: Scores | Tags | None = None,
    groups: Mapping[str, str] | None = None,
) -> Postprocessing:
    """Choose rules per class that maximise an objective on a set with labels.

    Parameters
    ----------
    scores
        Scores of the tuning set, which must be no reported set.
    reference
        Its events, or for `tagging` its tags; further clips are passed over.
    objective
        `tagging`: clip thresholds by macro F1 of the clip scores; frame rules stay as in `start`.
        A metric of tables (`event`, `segment`, `intersection`): frame thresholds, second thresholds, median windows,
        gaps and durations by its macro F1. `psds1`, `psds2`: median windows. For a start with the decoder `csebbs` the
        last two choose step filter and merging, and the first of them the threshold. The clip thresholds of `start`
        are kept, and their gate is in force while the rest is chosen.
    start
        Rules to begin with; None: a frame threshold of 0.5 and no gate.
    seed
        Of the random folds in which the value is cross-validated.
    tags
        What opens the clip gate in place of the scores' own clip scores, as in `decode`.
    groups
        Clip to group (recording, location); a group is in one fold of cross-validation. None: every clip is its own.

    Returns
    -------
    rules
        With objective, value (on this very set), cross-validated value and grid.

    Raises
    ------
    UsageError
        An unknown objective, tags for one that needs events, or a gate for the one that chooses it.
    SedkitError
        Clips or classes that the reference does not know, no positive at all, missing clip scores.
    """
    chooser = build_objective({"name": objective})
    if isinstance(reference, Tags) and chooser.needs_events:
        raise UsageError(
            f"{reference.source}: a table of tags serves the objective tagging only, {objective} needs events "
            "(filename onset offset event_label)"
        )
    if tags is not None and not chooser.gated:
        raise UsageError(f"--tags: the objective {objective} chooses the clip gate, expected one that works behind it")
    rules = (start or Postprocessing.uniform(scores.labels, FrameRule(0.5))).over(scores.labels)
    scores = scores.named_as(reference.filenames)
    clips = set(reference.filenames)
    unknown = [name for name in scores.filenames if name not in clips]
    if unknown:
        raise SedkitError(
            f"{reference.source}: does not list {len(unknown)} of the {len(scores.filenames)} scored clips "
            f"({listed(unknown, 3)}); expected the table of this very set"
        )
    foreign = [label for label in reference.labels if label not in scores.labels]
    if foreign:
        raise SedkitError(f"{reference.source}: holds classes that the scores lack: {listed(foreign)}")
    known = reference.keep_clips(scores.filenames).keep_labels(scores.labels)
    events = known if isinstance(known, Events) else None
    true_tags = tags_of(known) if isinstance(known, Events) else known
    positive = true_tags.present.any(axis=0)
    if chooser.needs_events and not positive.any():
        raise SedkitError(f"{reference.source}: no event in the {len(scores.filenames)} scored clips to tune on")
    missing = [label for label, occurs in zip(scores.labels, positive, strict=True) if not occurs]
    if missing and len(missing) < len(scores.labels):
        log.warning(
            "%s: no positive of %s: %s the optimum of all classes together",
            reference.source,
            listed(missing, 12),
            "it gets" if len(missing) == 1 else "they get",
        )
    if events is not None and chooser.joins_overlaps:
        from sedkit.evaluation.overlaps import merge_overlaps

        events, absorbed = merge_overlaps(events)
        if absorbed:
            log.info("%s: %d events joined with overlapping ones of their class", events.source, absorbed)
    opened = open_gate(scores, rules, tags) if chooser.gated else np.ones_like(true_tags.present)
    gate = Tags(scores.filenames, scores.labels, opened, "gate")
    problem = Problem(scores, true_tags, events, rules, folds_of(scores.filenames, groups or {}, seed), gate)
    tuned = chooser.search(problem)
    return replace(tuned, objective=objective, value=chooser.value(problem, tuned))


def describe(rules: Postprocessing) -> str:
    """Return a table of the rules for people."""
    names = [name for name in _COLUMNS if any(getattr(rule, name, None) is not None for rule in rules.rules)]
    width = max(len(label) for label in rules.labels)
    out = [f"{'':<{width}}" + "".join(f"  {name:>14}" for name in names)]
    for label, rule in zip(rules.labels, rules.rules, strict=True):
        cells = (getattr(rule, name, None) for name in names)
        out.append(f"{label:<{width}}" + "".join(f"  {'-' if x is None else f'{x:.4g}':>14}" for x in cells))
    return "\n".join(out)


#: What no objective chooses stays out.
_COLUMNS = [
    *(x for x in FrameRule.__dataclass_fields__ if x not in ("rescale_trim_s", "mean_s")),
    *(x for x in BoxRule.__dataclass_fields__ if x.startswith(("st", "me"))),
]
