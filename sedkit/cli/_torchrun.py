"""`torchrun` as recipes call it: what ended the processes is a line, where torch's own prints a traceback of itself."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from sedkit.cli.main import guarded
from sedkit.core.errors import SedkitError, UsageError


def main(words: Sequence[str]) -> int:
    """Start processes as `torchrun WORDS` does; return the status of the first that failed, which has said why.

    Raises
    ------
    UsageError
        A process for each GPU, where there is none.
    SedkitError
        A process was killed.
    """
    import torch
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    if "gpu" in words and not torch.cuda.is_available():
        raise UsageError(
            "--processes 0 is a process for each GPU, and torch finds none here; say how many with --processes N"
        )
    # What torch's agent tells of processes that end.
    logging.disable(logging.ERROR)
    try:
        torchrun(list(words))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode > 0:
            return failure.exitcode
        raise SedkitError(
            f"process {rank} was ended by {failure.signal_name()}, and the others with it; what was saved is kept: "
            "give the same command again"
        ) from None
    except SignalException as error:
        return 128 + error.sigval
    return 0


if __name__ == "__main__":
    sys.exit(guarded("torchrun", lambda: main(sys.argv[1:])))
