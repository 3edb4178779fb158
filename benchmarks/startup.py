"""Until the command line answers: `sedkit --help`, a verb's help, the import, beside an interpreter that does nothing.

Each call is a process of its own, timed by the clock on the wall. Results agree where the call loads none of the
packages that cost seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial

import numpy as np

from benchmarks._measure import Comparisons, Form, Report, in_turn

RUNS = 9
COMPARISONS: Comparisons = {
    "startup": ("sedkit --help", "0.15 s, asked for", 1.0),
    "startup.verb": ("sedkit score --help", "python -c pass", None),
    "startup.import": ("import sedkit.cli", "python -c pass", None),
}
#: Seconds until `sedkit --help` has ended.
ASKED_S = 0.15
#: Not to be loaded.
HEAVY = {"torch", "librosa", "pandas", "matplotlib"}
NOTHING = "python -c pass"
CALLS = {
    "sedkit --help": ("-m", "sedkit", "--help"),
    "sedkit score --help": ("-m", "sedkit", "score", "--help"),
    "import sedkit.cli": ("-c", "import sedkit.cli.main"),
    NOTHING: ("-c", "pass"),
}
_LOADED = """
import json, sys
from sedkit.cli.main import main
try:
    main(sys.argv[1:]) if sys.argv[1:] else None
except SystemExit:
    pass
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def call(words: tuple[str, ...]) -> None:
    """Run an interpreter."""
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)


def loaded(words: tuple[str, ...]) -> set[str]:
    """Return the packages that a call of sedkit loads."""
    done = subprocess.run([sys.executable, "-c", _LOADED, *words], check=True, stdout=subprocess.PIPE, text=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def run(form: Form) -> Report:
    """Start each in turn."""
    seconds, _ = in_turn(form, {name: partial(call, words) for name, words in CALLS.items()}, processes=True)
    seconds[COMPARISONS["startup"][1]] = np.full(form.runs, ASKED_S)
    words = {key: CALLS[ours][2:] if CALLS[ours][0] == "-m" else () for key, (ours, _, _) in COMPARISONS.items()}
    heavy = {key: loaded(given) & HEAVY for key, given in words.items()}
    return Report(
        title="processes until they have ended, clock on the wall",
        seconds=seconds,
        equal={key: not found for key, found in heavy.items()},
        notes=tuple(
            f"{COMPARISONS[key][0]}: loads {', '.join(sorted(found)) or 'none'} of {', '.join(sorted(HEAVY))}"
            for key, found in heavy.items()
        ),
        limits=dict.fromkeys(COMPARISONS, NOTHING),
    )
