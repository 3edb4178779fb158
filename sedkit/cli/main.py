"""`sedkit VERB …`: find the verb, parse its options, turn an error into one line and a status."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence

import sedkit
from sedkit.cli._options import Parser
from sedkit.core.errors import SedkitError, UsageError, printable, suggest
from sedkit.core.log import start_logging

#: Every verb with its line of help; the module of the same name is imported only when the verb is called.
VERBS = {
    "miniature": "generate a small data set in an official layout",
    "download": "fetch a public data set: resumed, checksummed, unpacked safely",
    "prepare": "official layout -> validated data dirs",
    "mix": "events + scenes -> plan of mixtures; plan -> mixtures, stems, truth",
    "extract": "data dir -> features",
    "weights": "weights of others -> a plain file; a published tagger -> experiment",
    "train": "features -> experiment",
    "predict": "experiment + features -> frame and clip scores",
    "fuse": "several score files -> the ensemble's scores",
    "tune": "scores + labels -> post-processing",
    "decode": "scores -> events",
    "tag": "clip scores -> tags",
    "score": "events or scores + reference -> figures",
    "detect": "experiment + any recording -> events",
    "separate": "experiment + any recording -> the sound of each class",
    "export": "experiment -> ONNX file, with all that other programs need beside it",
    "report": "experiments, or any system's output -> a page to see and hear; figures",
    "pack": "experiment -> challenge submission",
    "check": "look for faults in a challenge submission made by anyone",
    "benchmark": "results beside the official figures",
    "stage": "every call of a recipe's stage, for its runs, in one process",
}

USAGE = """usage: sedkit VERB [options]      sedkit VERB --help      sedkit --version

From a sound event detection data set to a checked DCASE challenge submission.

verbs:
{verbs}
"""


def usage() -> str:
    """Return the overall help."""
    return USAGE.format(verbs="\n".join(f"  {verb:<11}{text}" for verb, text in VERBS.items()))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit status: 0 done, 1 failed, 2 bad use."""
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(f"sedkit {words[0]}" if words and words[0] in VERBS else "sedkit", lambda: _run(words))


def guarded(name: str, call: Callable[[], int]) -> int:
    """Return the status of a call; an error ends in one line that begins with `name`, never in a traceback."""
    start_logging()
    try:
        status = call()
        sys.stdout.flush()
        return status
    except SedkitError as error:
        print(f"{name}: error: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`| head`): not an error of this program.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        # No right to write there, a folder in a file's place, a full disk: said by the system, with its file.
        if error.filename is None and error.strerror is None:
            raise
        where = error.filename2 or error.filename
        print(f"{name}: error: {f'{where}: ' if where else ''}{error.strerror or error}", file=sys.stderr)
        return 1


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0 if words else 2
    if words[0] in ("--version", "-V"):
        print(f"sedkit {sedkit.__version__}")
        return 0
    verb = words[0]
    if verb not in VERBS:
        raise UsageError(f"unknown verb {verb!r}{suggest(verb, VERBS)}; `sedkit --help` lists them")
    module = importlib.import_module(f"sedkit.cli.{verb}")
    parser = Parser(prog=f"sedkit {verb}", description=VERBS[verb])
    module.add_arguments(parser)
    parser.refuse_unknown(words[1:])
    return int(module.run(parser.parse_intermixed_args(words[1:])) or 0)


def console() -> None:
    """Entry point of the console script."""
    sys.exit(main())
