"""What figures have to know of the run behind an output: facts that its stamp carries along from call to call.

    {"of": [["desed/validation", null]],    # the clips that were scored: sets, each with a fold of it or null
     "role": "reported",                    # of that set: training, tuning, reported, entered; or null
     "saw": {"trained": [["desed/weak", "train"]], "selected": [["desed/weak", "select"]]},
     "tuned": [["desed/weak", "tune"]],     # what its post-processing was chosen on
     "run": {"recipe": "dcase2019_task4", "system": "cnn9_weak", "seed": 0}}

`sedkit predict` writes them, the calls that go on from its scores pass them on. Of scores and tables made by others
nothing is known, and no name of a folder tells anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sedkit.core.errors import UsageError

Facts = Mapping[str, Any]
#: Sets, each with a fold of it; None is the whole set, which every fold is part of.
Places = Sequence[Sequence[str | None]]

#: Roles of sets, from those to learn from to those that nothing may be chosen on.
ROLES = ("training", "tuning", "reported", "entered")


def joined(*outputs: Facts, run: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what is known of an output made from several things: all that any of them saw.

    Parameters
    ----------
    outputs
        Facts of each; those of what is foreign are empty.
    run
        Which run it is of; None: what the runs of all agree on.
    """
    if not any(outputs):
        return {}
    runs = [facts.get("run", {}) for facts in outputs]
    agreed = {key: value for key, value in runs[0].items() if all(run.get(key) == value for run in runs)}
    return {
        "of": _union(outputs, "of"),
        "role": max((role for facts in outputs if (role := facts.get("role"))), key=ROLES.index, default=None),
        "saw": {how: _union([facts.get("saw", {}) for facts in outputs], how) for how in ("trained", "selected")},
        "tuned": _union(outputs, "tuned"),
        "run": agreed if run is None else dict(run),
    }


def _union(outputs: Sequence[Facts], key: str) -> list[list[str | None]]:
    return [list(place) for place in dict.fromkeys(tuple(place) for facts in outputs for place in facts.get(key, ()))]


def overlap(a: Places, b: Places) -> str:
    """Return the first place of `a` that holds clips of one of `b`, as text; empty where there is none.

    >>> overlap([["desed/weak", None]], [["desed/weak", "train"]]), overlap([["a", "1"]], [["a", "2"], ["b", "1"]])
    ('desed/weak', '')
    """
    for name, fold in a:
        if any(name == other and (fold == its_fold or None in (fold, its_fold)) for other, its_fold in b):
            return f"{name}, fold {fold}" if fold is not None else str(name)
    return ""


def refuse_seen(path: str, facts: Facts) -> None:
    """Raise UsageError where an output is of clips that its run was trained on, or that its rules were tuned on."""
    for how, places in (("trained", facts.get("saw", {}).get("trained", ())), ("tuned", facts.get("tuned", ()))):
        if where := overlap(facts.get("of", ()), places):
            raise UsageError(
                f"{path}: is of clips that its run was {how} on ({where}), so figures on them would say nothing; "
                "expected scores of other clips (`sedkit predict --fold` takes those of a fold)"
            )


def refuse_to_tune(path: str, facts: Facts) -> None:
    """Raise UsageError where rules may not be chosen on the clips of scores."""
    refuse_seen(path, {**facts, "tuned": ()})
    if (role := facts.get("role")) in ROLES[2:]:
        sets = ", ".join(str(name) for name, _ in facts["of"])
        raise UsageError(f"{path}: {sets} is a set whose figures are {role}; expected scores of a set to tune on")
