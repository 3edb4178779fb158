"""`run.sh` of an experiment: the call that trains it, wherever it is moved together with its data."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from sedkit.training.plan import Plan


def run_script(plan: Plan) -> str:
    """Return a shell script that trains again: with the places as seen from the experiment, else as they were."""
    places = {"data": plan.data_root, "split_run": plan.split_run, "weights": plan.training.weights}
    lines, options = [], ""
    for name, place in places.items():
        if place is not None:
            target = Path(place).resolve()
            seen = shlex.quote(os.path.relpath(target, plan.folder.resolve()))
            lines.append(f'{name}="$here"/{seen}; [[ -e ${name} ]] || {name}={shlex.quote(str(target))}\n')
            options += f' --{name.replace("_", "-")} "${name}"'
    return (
        "#!/usr/bin/env bash\n"
        "# Trains this experiment again; skipped while it is up to date (--force true trains anyway).\n"
        'here=$(CDPATH=\'\' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)\n'
        + "".join(lines)
        + 'exec "${SEDKIT:-sedkit}" train --config "$here/config.yaml" --exp "$here"'
        + options
        + (f" --budget {shlex.quote(plan.budget)}" if plan.budget else "")
        + (f" --pass {shlex.quote(plan.of_pass)}" if plan.of_pass else "")
        + ' "$@"\n'
    )
