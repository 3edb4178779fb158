"""The wheel holds the whole package and its metadata, and works away from the repository."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the sources, without the network."""
    source = tmp_path_factory.mktemp("source")
    for part in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "sedkit", "metadata"):
        if (repository / part).is_dir():
            shutil.copytree(
                repository / part, source / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        elif (repository / part).exists():
            shutil.copy2(repository / part, source)
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(out), str(source)], check=True, timeout=120)
    (path,) = out.glob("sedkit-*.whl")
    return path


def test_the_wheel_holds_every_module_the_templates_of_pages_and_all_of_metadata(wheel, repository):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(p.relative_to(repository)) for p in (repository / "sedkit").rglob("*.py")}
    data = {"sedkit/" + str(p.relative_to(repository)) for p in (repository / "metadata").rglob("*") if p.is_file()}
    pages = {str(p.relative_to(repository)) for p in (repository / "sedkit" / "report" / "templates").iterdir()}
    assert modules <= names
    assert len(pages) == 4 and pages <= names
    assert data
    assert data <= names


def test_the_list_of_packages_is_complete(repository):
    setup = configparser.ConfigParser()
    setup.read(repository / "setup.cfg", encoding="utf-8")
    listed = set(setup["options"]["packages"].split())
    found = {".".join(p.parent.relative_to(repository).parts) for p in (repository / "sedkit").rglob("__init__.py")}
    assert listed == found | {"sedkit.metadata"}


def test_the_installed_wheel_reads_its_own_metadata(wheel, repository, tmp_path):
    target = tmp_path / "installed"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*command, str(wheel)], check=True, timeout=120)
    script = (
        "import sedkit, sys; from sedkit.core.resources import metadata_path; "
        "print(sedkit.__file__); print(metadata_path('classes', 'desed.txt'))"
    )
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PYTHONPATH": str(target)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=env, check=True, capture_output=True, text=True, timeout=60
    )
    module, labels = map(Path, done.stdout.split("\n")[:2])
    assert module.is_relative_to(target)
    assert labels.is_relative_to(target)
    assert labels.read_text() == (repository / "metadata" / "classes" / "desed.txt").read_text()
    helped = subprocess.run(
        [sys.executable, "-m", "sedkit", "--version"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
    )
    assert helped.stdout.startswith("sedkit ")


def test_constraints_are_pins_without_local_suffix_or_address(repository):
    lines = (repository / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert pins["torch"] == "2.13.0"
    for name, version in pins.items():
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", name)
        assert re.fullmatch(r"[0-9][0-9A-Za-z.]*", version)
