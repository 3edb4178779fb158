"""Choosing post-processing on a held-out set: `sedkit tune` as a function."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.core.log import log
from sedkit.dataio.events import Events, Tags, tags_of
from sedkit.postprocessing.choose import FOLDS, Counts, folds_of, macro_f1, per_fold
from sedkit.postprocessing.rules import BoxRule, FrameRule, Postprocessing, Preset

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores

OBJECTIVES = ("tagging", "event", "segment", "psds1", "psds2")

#: More distinct clip scores than this are thinned out evenly before thresholds are laid between them.
_MOST_CANDIDATES = 20_000


def tune(
    scores: Scores,
    reference: Events | Tags,
    objective: str,
    start: Postprocessing | Preset | None = None,
    seed: int = 0,
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
        `event`, `segment`: frame thresholds, second thresholds, median windows, gaps and durations by macro F1
        (collar 0.2 s and 20 %; segments of 1 s). `psds1`, `psds2`: median windows. For a start with the decoder
        `csebbs` the last four choose step filter and merging, and the first two of them the threshold. The clip
        thresholds of `start` are kept, and their gate is in force while the rest is chosen.
    start
        Rules to begin with; None: a frame threshold of 0.5 and no gate.
    seed
        Of the random parts in which the value is cross-validated.

    Returns
    -------
    rules
        With objective, value (on this very set), cross-validated value and grid.

    Raises
    ------
    UsageError
        An unknown objective, or tags for one that needs events.
    SedkitError
        Clips or classes that the reference does not know, no positive at all, missing clip scores.
    """
    if objective not in OBJECTIVES:
        raise UsageError(
            f"objective {objective!r}{suggest(objective, OBJECTIVES)}, expected one of {listed(OBJECTIVES)}"
        )
    if isinstance(reference, Tags) and objective != "tagging":
        raise UsageError(
            f"{reference.source}: a table of tags serves the objective tagging only, {objective} needs events "
            "(filename onset offset event_label)"
        )
    rules = (start or Preset("start", "threshold", FrameRule(threshold=0.5), "")).over(scores.labels)
    scores = scores.named_as(reference.filenames)
    known = set(reference.filenames)
    unknown = [name for name in scores.filenames if name not in known]
    if unknown:
        raise SedkitError(
            f"{reference.source}: does not list {len(unknown)} of the {len(scores.filenames)} scored clips "
            f"({listed(unknown, 3)}); expected the table of this very set"
        )
    foreign = [label for label in reference.labels if label not in scores.labels]
    if foreign:
        raise SedkitError(f"{reference.source}: holds classes that the scores lack: {listed(foreign)}")
    fold = folds_of(len(scores.filenames), seed)
    if objective == "tagging":
        tags = tags_of(reference) if isinstance(reference, Events) else reference
        return _tune_tagging(scores, tags.keep_clips(scores.filenames), rules, fold)
    assert isinstance(reference, Events)
    return _tune_events(scores, reference, objective, rules, fold)


def _tell_missing(labels: tuple[str, ...], n_reference: np.ndarray, source: str) -> None:
    missing = [label for label, n in zip(labels, n_reference, strict=True) if n == 0]
    if missing and len(missing) < len(labels):
        log.warning(
            "%s: no positive of %s: %s the optimum of all classes together",
            source,
            listed(missing, 12),
            "it gets" if len(missing) == 1 else "they get",
        )


# ------------------------------------------------------------------------------------------------ clip thresholds


def _tune_tagging(scores: Scores, tags: Tags, rules: Postprocessing, fold: np.ndarray) -> Postprocessing:
    if scores.clipwise is None:
        raise SedkitError("the scores hold no clip scores, which the objective tagging chooses thresholds for")
    present = np.zeros((len(scores.filenames), len(scores.labels)), bool)
    for k, label in enumerate(tags.labels):
        present[:, scores.labels.index(label)] = tags.present[:, k]
    _tell_missing(scores.labels, present.sum(axis=0), tags.source)
    clipwise = scores.clipwise.astype(np.float64)
    candidates = _between(clipwise)
    counts = tagging_counts(clipwise, present, candidates, fold)
    n_reference = counts.n_reference.sum(0)
    setting, best = counts.choose()
    n_true, n_estimate = (x.sum(0) for x in counts.at(setting, best))
    held_true, held_estimate = np.zeros(len(scores.labels)), np.zeros(len(scores.labels))
    for left_out in range(FOLDS):
        if np.delete(counts.n_reference, left_out, axis=0).any():
            there = counts.at(*counts.choose(left_out))
            held_true, held_estimate = held_true + there[0][left_out], held_estimate + there[1][left_out]
    return replace(
        rules.with_rules(
            [
                replace(rule, clip_threshold=_short(candidates, int(k)))
                for rule, k in zip(rules.rules, best, strict=True)
            ]
        ),
        objective="tagging",
        value=macro_f1(n_reference, n_true, n_estimate),
        cross_validated=macro_f1(n_reference, held_true, held_estimate),
        grid={"clip_threshold": "midway between neighbouring clip scores of all classes"},
    )


def _between(clipwise: np.ndarray) -> np.ndarray:
    """Return one threshold between every two neighbouring scores, and one below the lowest."""
    values = np.unique(clipwise)
    if len(values) > _MOST_CANDIDATES:
        values = values[np.linspace(0, len(values) - 1, _MOST_CANDIDATES).astype(np.int64)]
    return np.concatenate([[min(values[0] / 2, values[0] - 1e-6)], (values[:-1] + values[1:]) / 2])


def _short(candidates: np.ndarray, k: int) -> float:
    """Return candidate `k` with as few decimals (at least three) as leave it nearest to its own place."""
    low = candidates[k - 1] if k > 0 else -np.inf
    high = candidates[k + 1] if k + 1 < len(candidates) else np.inf
    for digits in range(3, 17):
        value = round(float(candidates[k]), digits)
        # Halfway to its neighbours a threshold still lies between the same two scores.
        if (low + candidates[k]) / 2 < value < (high + candidates[k]) / 2:
            return value
    return float(candidates[k])


def tagging_counts(clipwise: np.ndarray, present: np.ndarray, candidates: np.ndarray, fold: np.ndarray) -> Counts:
    """Count decisions score > threshold: one setting, all `candidates` (ascending)."""
    shape = (FOLDS, clipwise.shape[1], 1, len(candidates))
    n_true, n_estimate = np.zeros(shape), np.zeros(shape)
    for f in range(FOLDS):
        for c in range(clipwise.shape[1]):
            own = clipwise[fold == f, c]
            hits = np.sort(own[present[fold == f, c]])
            own = np.sort(own)
            n_estimate[f, c, 0] = len(own) - np.searchsorted(own, candidates, side="right")
            n_true[f, c, 0] = len(hits) - np.searchsorted(hits, candidates, side="right")
    return Counts(per_fold(present, fold), n_true, n_estimate)


# ------------------------------------------------------------------------------------------------ frame rules


def _tune_events(
    scores: Scores, reference: Events, objective: str, rules: Postprocessing, fold: np.ndarray
) -> Postprocessing:
    # Compiled code is loaded only here: clip thresholds do not need it.
    from sedkit.evaluation.overlaps import merge_overlaps
    from sedkit.postprocessing.tune_frames import Search, f1_of, psds, search_f1, search_psds

    truth = reference.keep_clips(scores.filenames).keep_labels(scores.labels)
    if not truth.n_events:
        raise SedkitError(f"{reference.source}: no event in the {len(scores.filenames)} scored clips to tune on")
    _tell_missing(truth.labels, np.bincount(truth.label, minlength=len(truth.labels)), reference.source)
    if objective.startswith("psds"):
        truth, absorbed = merge_overlaps(truth)
        if absorbed:
            log.info("%s: %d events joined with overlapping ones of their class, as PSDS needs", truth.source, absorbed)
        found = search_psds(scores, truth, rules, fold, objective)
        value = psds(scores, truth, found.rules, objective)[0]
    else:
        found = search_f1(Search(scores, truth, rules, fold, objective))
        value = f1_of(scores, truth, found.rules, objective)
    return replace(
        found.rules, objective=objective, value=value, cross_validated=found.cross_validated, grid=found.grid
    )


def describe(rules: Postprocessing) -> str:
    """Return a table of the rules for people."""
    names = [name for name in _COLUMNS if any(getattr(rule, name, None) is not None for rule in rules.rules)]
    width = max(len(label) for label in rules.labels)
    out = [f"{'':<{width}}" + "".join(f"  {name:>14}" for name in names)]
    for label, rule in zip(rules.labels, rules.rules, strict=True):
        cells = (getattr(rule, name, None) for name in names)
        out.append(f"{label:<{width}}" + "".join(f"  {'-' if x is None else f'{x:.4g}':>14}" for x in cells))
    return "\n".join(out)


_COLUMNS = [*FrameRule.__dataclass_fields__, *(x for x in BoxRule.__dataclass_fields__ if x.startswith(("st", "me")))]
