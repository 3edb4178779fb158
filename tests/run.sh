#!/usr/bin/env bash
# ./tests/run.sh [pytest arguments]: the environment with the extra `test`, then every check, then the tests.
# ./tests/run.sh --full [--kills N] [--inputs N] [--seed S] [pytest arguments]: those marked full, too, with the extras that
# they need; what they miss (Chromium, Slurm) is said. What the tests of faults count goes into docs/reliability.md.
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=recipes/common/lib.sh
source "$root/recipes/common/lib.sh"
extras=(test) words=("${@/#--seed/--fault-seed}")
if [[ " $* " == *' --full '* ]]; then
    extras+=(browser dask)
    # As many as the page is to speak of, where the call does not say.
    [[ " $* " == *' --kills'* ]] || words+=(--kills 200)
    [[ " $* " == *' --inputs'* ]] || words+=(--inputs 100000)
    SEDKIT_RELIABILITY=$(mktemp)
    export SEDKIT_RELIABILITY
    trap 'rm -f -- "$SEDKIT_RELIABILITY"' EXIT
fi
use_environment "${extras[@]}"
cd -- "$root"

check() {
    say "== $*"
    "$@"
}

mapfile -t scripts < <(find . \( -path './.*' -o -path ./data -o -path ./exp -o -path './submissions/*' \) -prune -o -name '*.sh' -print | sort)
# Hundreds of processes load the package: compiled once, not by each of them.
unset PYTHONDONTWRITEBYTECODE

# One process, as long as all the others together.
check mypy &
check ruff check .
check ruff format --check .
check lint-imports
check shellcheck --external-sources "${scripts[@]}" .ci/run
wait "$!"

# Two processes, one thread each: quicker than the other way round, and the same figures on any machine.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1
check pytest --numprocesses 2 --dist loadfile "${words[@]}"
[[ -z ${SEDKIT_RELIABILITY-} || ! -s $SEDKIT_RELIABILITY ]] || python -m tests.full.reliability
