"""Which run a file of an experiment comes from, by its path; light, for calls with nothing to do ask too."""

from __future__ import annotations

import re
from typing import Any

_RUN = re.compile(
    r"(?:^|/)(?P<recipe>[^/]+)/(?P<system>[^/]+)/"
    r"(?:snr(?P<snr_db>-?[\d.]+)_)?(?:fold(?P<fold>\d+)_)?(?P<all>all(?:\+validation)?_)?seed(?P<seed>\d+)(?:/|$)"
)


def run_of_path(path: str) -> dict[str, Any]:
    """Read recipe, system, seed, fold, SNR and training set off an experiment file's path; None for another path.

    >>> run_of_path("exp/dcase2019/crnn/fold2_seed1/events/validation.tsv")["fold"]
    2
    """
    match = _RUN.search(path)
    if not match:
        return dict.fromkeys(("recipe", "system", "seed", "fold", "snr_db", "trained_on"))
    found = match.groupdict()
    return {
        "recipe": found["recipe"],
        "system": found["system"],
        "seed": int(found["seed"]),
        "fold": int(found["fold"]) if found["fold"] else None,
        "snr_db": float(found["snr_db"]) if found["snr_db"] else None,
        "trained_on": (found["all"] or "split_").removesuffix("_"),
    }
