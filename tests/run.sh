#!/usr/bin/env bash
# ./tests/run.sh [pytest arguments]: the environment with the extra `test`, then every check, then the tests.
# --full: those marked full, too, and the extra `browser` for them; what they miss (Chromium, Slurm) is said.
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=recipes/common/lib.sh
source "$root/recipes/common/lib.sh"
extras=(test)
[[ " $* " != *' --full '* ]] || extras+=(browser)
use_environment "${extras[@]}"
cd -- "$root"

check() {
    say "== $*"
    "$@"
}

mapfile -t scripts < <(find . \( -path './.*' -o -path ./data -o -path ./exp -o -path './submissions/*' \) -prune -o -name '*.sh' -print | sort)
check ruff check .
check ruff format --check .
check mypy
check lint-imports
check shellcheck --external-sources "${scripts[@]}" .ci/run

# Two processes, one thread each: quicker than the other way round, and the same figures on any machine.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1
check pytest --numprocesses 2 --dist loadfile "$@"
