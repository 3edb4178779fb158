"""Where the data that ships with sedkit lies: class lists, label maps, official figures, data set registry."""

from __future__ import annotations

import csv
from pathlib import Path

from sedkit.core.errors import SedkitError, suggest


def metadata_path(*parts: str) -> Path:
    """Return a file of `metadata/`, such as ``metadata_path("maps", "x.yaml")``: in the package, else beside it."""
    package = Path(__file__).resolve().parents[1]
    root = next((f for f in (package / "metadata", package.parent / "metadata") if f.is_dir()), None)
    if root is None:
        raise SedkitError(f"metadata/ is neither in {package} nor beside it; install sedkit again")
    path = root.joinpath(*parts)
    if not path.exists():
        names = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        raise SedkitError(f"metadata/{'/'.join(parts)}: no such file{suggest(path.name, names)}")
    return path


def metadata_rows(*parts: str) -> list[dict[str, str]]:
    """Return the rows of a TAB-separated file of `metadata/`, cells by the names in its header."""
    return list(csv.DictReader(metadata_path(*parts).read_text(encoding="utf-8").splitlines(), delimiter="\t"))
