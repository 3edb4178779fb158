"""The finished run on a split whose steps and rules a run on all clips takes over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.files import read_json
from sedkit.core.log import log
from sedkit.core.runs import run_of


def find_split_run(folder: Path, given: Path | None, networks: Sequence[str]) -> Path:
    """Return the finished split run behind a run on all clips: as given, else the folder without its `all_`.

    It is finished where it was trained, and rules tuned: its own, or those of the run of one of its networks.
    """
    split = given or folder.with_name(re.sub(r"(^|_)all(\+validation)?_", r"\1", folder.name))
    if split.resolve() == folder.resolve():
        raise UsageError(f"{folder}: cannot tell which split run it follows; give --split-run EXP")
    scored = [run_of(split, network) for network in networks] or [split]
    finished = {
        "training": (split / "checkpoints" / "best.pt.done.json").is_file(),
        "post-processing": any((run / "postprocessing.yaml").is_file() for run in scored),
    }
    for what, done in finished.items():
        if not done:
            raise SedkitError(
                f"--train-on all takes the number of steps and the post-processing of a finished run with "
                f"--train-on split: {split} has no finished {what}; run that first, or name it with --split-run EXP"
            )
    return split


def steps_of(split: Path) -> dict[str, int]:
    """Return the keys of `training` that a run on all clips takes from a split run: its schedule, up to its best."""
    best = read_json(split / "summary.json")
    log.info("train: %d of %d steps, as the best of %s", best["best_step"], best["steps"], split)
    return {"steps": best["steps"], "last_step": best["best_step"]}
