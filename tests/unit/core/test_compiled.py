"""What compiled code shares."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sedkit.core.compiled import doubled, sort_rows


@pytest.mark.parametrize("n", [0, 1, 2, 63, 64, 65, 128, 129, 1000])
@pytest.mark.parametrize("distinct", [3, 10**6])
@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_rows_are_sorted_and_equal_ones_stay_in_order(n: int, distinct: int, dtype: type) -> None:
    rng = np.random.default_rng(n)
    values = rng.integers(0, distinct, 2 * n + 1).astype(dtype)
    rows = rng.permutation(2 * n + 1)[:n]
    wanted = rows[np.argsort(values[rows], kind="stable")]
    sort_rows(rows, values)
    np.testing.assert_array_equal(rows, wanted)


def test_room_for_as_many_rows_again() -> None:
    rows = np.arange(6).reshape(3, 2)
    more = doubled(rows)
    assert more.shape == (6, 2)
    np.testing.assert_array_equal(more[:3], rows)


_ADDER = """
from sedkit.core.compiled import inner

FIRST = 1

@inner()
def add(values):
    values[0] += FIRST
"""
_VECTORS_ADDER = """
from sedkit.core.vectors import vector_code

FIRST = 1

def twice(x):
    return FIRST * x + x

@vector_code
def add(values):
    values.write(0, twice(values.read(0)))
"""
_CALLER = """
from sedkit.core.compiled import kernel
from sedkit.adder import add

@kernel()
def call(values):
    add(values)
"""
_CALL = """
import numpy as np
from sedkit.caller import call
values = np.ones(8, np.float32)
call(values)
print(values[0], sum(call.stats.cache_hits.values()))
"""


@pytest.mark.parametrize("adder", [_ADDER, _VECTORS_ADDER])
def test_what_was_compiled_goes_with_any_file_that_it_is_made_of(repository: Path, tmp_path: Path, adder: str) -> None:
    package = tmp_path / "sedkit"
    shutil.copytree(repository / "sedkit" / "core", package / "core", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(repository / "sedkit" / "__init__.py", package)
    (package / "caller.py").write_text(_CALLER)

    def call(first: int) -> list[float]:
        (package / "adder.py").write_text(adder.replace("FIRST = 1", f"FIRST = {first}"))
        done = subprocess.run([sys.executable, "-c", _CALL], cwd=tmp_path, check=True, capture_output=True, text=True)
        assert len(list((package / "__pycache__").glob("sedkit.caller-*"))) == 1
        return [float(word) for word in done.stdout.split()]

    assert call(1) == [2, 0]
    assert call(1) == [2, 1]
    # Of another length: Python looks at the size and the second of a file.
    assert call(10) == [11, 0]


def test_a_place_that_was_chosen_is_kept_to(tmp_path: Path) -> None:
    script = "from sedkit.core.compiled import sort_rows; print(sort_rows.stats.cache_path)"
    env = {"NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=env)
    assert Path(done.stdout).is_relative_to(tmp_path)


def test_what_compiled_functions_use_comes_from_modules_whose_changes_are_seen(repository: Path) -> None:
    """Else the code from before would run after a change there."""
    seen = re.compile(r"^(?:from|import) (?:numba|sedkit\.core\.(?:compiled|vectors))\b", re.MULTILINE)
    used = 0
    for file in (repository / "sedkit").rglob("*.py"):
        if not seen.search(text := file.read_text()):
            continue
        tree = ast.parse(text)
        origins = {
            name.asname or name.name: node.module
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("sedkit.")
            for name in node.names
        }
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef) or not function.decorator_list:
                continue
            decorators = " ".join(map(ast.unparse, function.decorator_list))
            if not re.search(r"\b(?:compiled|kernel|inner|njit|overload|vector_code|grids)\b", decorators):
                continue
            names = {n.id for part in function.body for n in ast.walk(part) if isinstance(n, ast.Name)}
            for origin in {origins[name] for name in names if name in origins}:
                used += 1
                module = repository / f"{origin.replace('.', '/')}.py"
                assert seen.search(module.read_text()), f"{file}: {function.name} uses {origin}"
    assert used > 20
