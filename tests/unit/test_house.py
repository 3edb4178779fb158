"""The house rules that a linter cannot hold by itself."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

#: Not loaded by importing the command line: they cost seconds.
HEAVY = ("torch", "librosa", "pandas", "matplotlib", "scipy", "sklearn", "numba", "h5py", "sed_eval", "psds_eval")


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after a statement."""
    script = f"{statement}\nimport sys, json\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_command_line_loads_nothing_heavy(repository):
    verbs = [p.stem for p in (repository / "sedkit" / "cli").glob("*.py") if not p.stem.startswith("_")]
    statement = "import argparse, importlib\n" + "\n".join(f"import sedkit.cli.{verb}" for verb in verbs)
    assert loaded_by(statement).isdisjoint(HEAVY)


def test_every_verb_declares_its_options_without_loading_anything_heavy(repository):
    statement = (
        "import argparse, importlib\n"
        "from sedkit.cli.main import VERBS\n"
        "for verb in VERBS:\n"
        "    module = importlib.import_module(f'sedkit.cli.{verb}')\n"
        "    module.add_arguments(argparse.ArgumentParser())\n"
    )
    assert loaded_by(statement).isdisjoint(HEAVY)


@pytest.mark.parametrize("room", ["core", "dataio", "evaluation", "postprocessing", "submission", "leaderboard"])
def test_light_rooms_load_neither_torch_nor_librosa(repository, room):
    modules = [
        ".".join(p.relative_to(repository).with_suffix("").parts) for p in (repository / "sedkit" / room).rglob("*.py")
    ]
    assert modules
    assert loaded_by("import " + ", ".join(modules)).isdisjoint({"torch", "librosa"})


def test_help_is_quick():
    def cpu_seconds() -> float:
        # Processor time, so that other work on the machine does not count.
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "sedkit", "--help"], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(cpu_seconds() for _ in range(5)) < 0.15


def test_every_verb_is_in_the_help_and_has_its_own():
    from sedkit.cli.main import VERBS

    done = subprocess.run([sys.executable, "-m", "sedkit", "--help"], capture_output=True, text=True, check=True)
    for verb in VERBS:
        assert re.search(rf"^  {verb} ", done.stdout, re.M)


def test_files_stay_readable(repository):
    """One thing each: a file that grows past this wants to be two."""
    long = {
        str(p.relative_to(repository)): count
        for p in (repository / "sedkit").rglob("*.py")
        if (count := len(p.read_text(encoding="utf-8").splitlines())) > 600
    }
    assert long == {}


def test_nothing_unfinished_is_left(repository):
    words = re.compile("|".join((r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bXX" + r"X\b", "raise NotImpl" + "emented")))
    found = []
    for folder in ("sedkit", "recipes", "tests", "metadata", "docs"):
        for path in (repository / folder).rglob("*"):
            if path.suffix in (".py", ".sh", ".yaml", ".md", ".tsv") and words.search(path.read_text(encoding="utf-8")):
                found.append(str(path.relative_to(repository)))
    assert found == []


def test_ignored_folders_are_anchored(repository):
    """An unanchored `data/` would keep source folders of that name out of the repository."""
    lines = (repository / ".gitignore").read_text().splitlines()
    for name in ("data", "exp", "submissions", "build", "dist"):
        for line in lines:
            if line.strip("/").split("/")[0] == name:
                assert line.startswith("/"), line


def test_shell_scripts_that_are_called_can_be(repository):
    for name in ("runme.sh", "tests/run.sh", ".ci/run", *map(str, Path("recipes").glob("*/run.sh"))):
        assert os.access(repository / name, os.X_OK), name


def test_every_folder_of_tests_is_a_package(repository):
    """Two test files may then have one name, and helper functions can be handed to other processes."""
    folders = {p.parent for p in (repository / "tests").rglob("test_*.py")}
    assert [str(f.relative_to(repository)) for f in folders if not (f / "__init__.py").exists()] == []
