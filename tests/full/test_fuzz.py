"""Inputs that are nearly right, by the thousand: each is read or refused in a line, with no traceback and no hang."""

from __future__ import annotations

import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from sedkit.core.errors import SedkitError
from tests.full import reliability
from tests.full.fuzz.targets import TARGETS, Files, prepare
from tests.full.fuzz.texts import Bytes

#: An input that takes longer than this hangs.
PATIENCE_S = 20
#: How many inputs there are of one that was drawn: itself, and the others with some bytes spoilt, which is soon done.
_OF_ONE = 3
#: Drawn inputs that are kept, to be spoilt again where no others are left to draw.
_MOST_KEPT = 1000


@contextmanager
def patience() -> Iterator[None]:
    """Raise TimeoutError where the block takes too long."""

    def late(*_: object) -> None:
        raise TimeoutError(f"an input took more than {PATIENCE_S} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(PATIENCE_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def inputs_of(files: Files, draw: random.Random) -> Iterator[Files]:
    """Yield what was drawn, then the same with some bytes of a file changed, put in, taken out, cut off or repeated."""
    yield files
    for _ in range(_OF_ONE - 1 if files else 0):
        name = draw.choice(sorted(files))
        content, header = files[name]
        at, some = draw.randrange(len(content) + 1), draw.randbytes(draw.randint(1, 4))
        whole = content
        content = draw.choice(
            (
                content[:at] + some + content[at + len(some) :],
                content[:at] + some + content[at:],
                content[:at] + content[at + len(some) :],
                content[:at],
                content + content[at:],
            )
        )
        # The first line, or what tells a kind of file.
        head = len(whole[:64].partition(b"\n")[0])
        yield files | {name: Bytes(content, header and content[:head] == whole[:head])}


def save(files: Files, folder: Path) -> str:
    """Keep the input, and say where."""
    for file, content in files.items():
        (folder / file).write_bytes(content.content)
    return f"the input is in {folder}"


@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", TARGETS)
def test_what_is_nearly_right_is_read_or_refused(name: str, inputs: int, fault_seed: int, tmp_path: Path) -> None:
    target = TARGETS[name]
    n = max(20, round(inputs * target.share / sum(other.share for other in TARGETS.values())))
    outcomes, draw = Counter[str](), random.Random(f"{fault_seed} {name}")
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as root:
        prepare(Path(root), name)
        there = set(Path(root).iterdir())
        drawn: list[Files] = []

        @seed(fault_seed)
        @settings(
            max_examples=-(-n // _OF_ONE),
            deadline=None,
            derandomize=False,
            database=None,
            phases=[Phase.generate],
            report_multiple_bugs=False,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        )
        @given(target.files)
        def read_all(files: Files) -> None:
            if files and len(drawn) < _MOST_KEPT:
                drawn.append(files)
            for one in inputs_of(files, draw):
                read(one)

        def read(files: Files) -> None:
            folder = Path(root)
            for path in set(folder.iterdir()) - there:
                path.unlink()
            for file, content in files.items():
                (folder / file).write_bytes(content.content)
            outcomes["inputs"] += 1
            outcomes["header"] += all(content.header for content in files.values())
            begin = time.monotonic()
            try:
                with patience():
                    target.call(folder)
                outcomes["read"] += 1
            except SedkitError as error:
                outcomes["refused"] += 1
                text = str(error)
                assert text and "\n" not in text and "Traceback" not in text, save(files, tmp_path)
            except Exception as error:
                raise AssertionError(f"{type(error).__name__}: {str(error)[:200]}; {save(files, tmp_path)}") from error
            outcomes["slow"] += time.monotonic() - begin > 1

        with reliability.branches(target.modules) as covered:
            read_all()
            # A strategy may run out of inputs that differ; there are always further ways to spoil them.
            while outcomes["inputs"] < n and drawn:
                for one in islice(inputs_of(draw.choice(drawn), draw), 1, None):
                    read(one)
    assert not Path(root, "made").exists() and not Path("made").exists()
    assert outcomes["inputs"] >= n
    # Neither everything nor nothing comes through, and half of what there is passes the header.
    if n >= 100 and name != "package":
        assert outcomes["read"] and outcomes["refused"], outcomes
    print(f"{name}: {dict(outcomes)}; branches {covered}", file=sys.stderr)
    reliability.record("inputs", name, {**outcomes, "seed": fault_seed, "branches": str(covered)})
