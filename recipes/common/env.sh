# shellcheck shell=bash
# The Python environment and what the machine offers. Sourced by lib.sh and by tests/run.sh.
#
# .venv is made from setup.cfg and constraints.txt; .venv/.sedkit-complete says from which, and is written last.
# Where the stamp differs, the packages are brought up to date; a build that was interrupted starts again.
#
# shellcheck disable=SC2034 # used by the files that source this one

# pins: what decides the packages. The folder is part of it, because an environment cannot be moved.
pins() {
    printf 'root %s\n' "$SEDKIT_ROOT"
    cat -- "$SEDKIT_ROOT/setup.cfg" "$SEDKIT_ROOT/constraints.txt"
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

# python_fits FILE: runs, is of a version that setup.cfg allows, and can make environments.
python_fits() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
    local candidate
    if [[ -n ${SEDKIT_PYTHON-} ]]; then
        python_fits "$SEDKIT_PYTHON" || environment_error "SEDKIT_PYTHON=$SEDKIT_PYTHON is not a Python 3.11 to 3.13 with the venv module"
        command -v -- "$SEDKIT_PYTHON"
        return
    fi
    for candidate in python3.11 python3.12 python3.13 python3 python; do
        if command -v "$candidate" >/dev/null && python_fits "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    environment_error "no Python 3.11 to 3.13 with the venv module was found; install one (Debian: python3-venv) or name it in SEDKIT_PYTHON"
}

environment_error() {
    printf 'sedkit: error: %s\n' "$*" >&2
    exit 1
}

# environment_serves EXTRA...: the stamp is there, of these pins, and has these extras.
environment_serves() {
    local stamp=$SEDKIT_ROOT/.venv/.sedkit-complete python='' pinned='' extras='' extra
    [[ -f $stamp && -x $SEDKIT_ROOT/.venv/bin/python ]] || return 1
    { read -r _ python && read -r _ pinned && read -r _ extras; } <"$stamp" || return 1
    [[ $pinned == "$(pins | sha256)" ]] || return 1
    [[ -z ${SEDKIT_PYTHON-} || $python == "$(python_version "$SEDKIT_PYTHON")" ]] || return 1
    for extra in "$@"; do [[ ,$extras, == *",$extra,"* ]] || return 1; done
    "$SEDKIT_ROOT/.venv/bin/python" -c '' 2>/dev/null
}

python_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

# use_environment EXTRA...: makes or completes .venv where it does not serve, and puts it on PATH.
use_environment() {
    if [[ ${SEDKIT_VENV-} == none ]]; then
        use_active_environment "$@"
        return
    fi
    [[ -z ${SEDKIT_VENV-} ]] || environment_error "SEDKIT_VENV is 'none' (use the active environment) or unset, got '$SEDKIT_VENV'"
    if ! environment_serves "$@"; then
        (
            lock_environment
            if ! environment_serves "$@"; then build_environment "$@"; fi
        )
    fi
    export VIRTUAL_ENV=$SEDKIT_ROOT/.venv PATH=$SEDKIT_ROOT/.venv/bin:$PATH
    unset PYTHONHOME
    export SEDKIT_PYTHON_BIN=$SEDKIT_ROOT/.venv/bin/python SEDKIT_ENVIRONMENT_OF=$SEDKIT_ROOT
    set_machine_environment
}

# Two commands at once: the second waits until the first has made the environment.
lock_environment() {
    command -v flock >/dev/null || return 0
    exec 9>"$SEDKIT_ROOT/.venv.lock"
    flock -n 9 && return
    say "another process is making .venv; waiting for it"
    flock 9
}

build_environment() {
    local venv=$SEDKIT_ROOT/.venv base extra extras=''
    base=$(find_python)
    [[ ! -f $venv/.sedkit-complete ]] || extras=$(sed -n 's/^extras //p' "$venv/.sedkit-complete")
    if [[ -f $venv/.sedkit-unfinished ]]; then
        say "an earlier build of .venv was interrupted: starting again"
        rm -rf -- "$venv"
    elif [[ -d $venv && $(python_version "$venv/bin/python") != "$(python_version "$base")" ]] || was_moved; then
        say ".venv is of another Python or was moved here: making it again"
        rm -rf -- "$venv"
    fi
    mkdir -p -- "$venv"
    : >"$venv/.sedkit-unfinished"
    rm -f -- "$venv/.sedkit-complete"
    if [[ ! -x $venv/bin/python ]]; then
        say "making .venv with $base ($(python_version "$base"))"
        "$base" -m venv "$venv" || environment_error "$base could not make an environment in $venv"
    fi
    for extra in "$@"; do [[ ,$extras, == *",$extra,"* ]] || extras+=${extras:+,}$extra; done
    say "installing the packages of setup.cfg${extras:+ with the extras $extras}, pinned by constraints.txt, into .venv (a few minutes the first time)"
    # setuptools first: with the pinned one at hand, packages that only come as sources build with it too.
    pip_install setuptools
    # Python compiles what is imported, a third of it, at its first import. Where it is told not to keep that, all is
    # compiled here, by all cores, of which pip would use one, but for the packages' tests; what cannot be compiled
    # nobody imports.
    pip_install --no-compile --no-build-isolation --editable ".${extras:+[$extras]}"
    [[ -z ${PYTHONDONTWRITEBYTECODE-} ]] ||
        "$venv/bin/python" -m compileall -qq -j 0 -x /tests/ "$venv"/lib/python*/site-packages || true
    printf 'python %s\npins %s\nextras %s\n' "$(python_version "$venv/bin/python")" "$(pins | sha256)" "$extras" >"$venv/.sedkit-new"
    rm -f -- "$venv/.sedkit-unfinished"
    mv -- "$venv/.sedkit-new" "$venv/.sedkit-complete"
    say ".venv is complete"
}

pip_install() {
    (cd -- "$SEDKIT_ROOT" && PYTHONWARNINGS=ignore .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "$@") >&2 ||
        environment_error "pip could not install the packages (see above); give the same command again to go on, or install them yourself and set SEDKIT_VENV=none"
}

# was_moved: .venv was made in another folder, so its console scripts belong to another Python.
was_moved() {
    local made
    made=$(sed -n 's/^command = //p' "$SEDKIT_ROOT/.venv/pyvenv.cfg" 2>/dev/null) || return 1
    [[ -n $made && $made != *" $SEDKIT_ROOT/.venv" ]]
}

# The active environment serves if it has what setup.cfg asks for, in the versions that it allows.
use_active_environment() {
    local python=${SEDKIT_PYTHON:-python3}
    python=$(command -v -- "$python") || environment_error "SEDKIT_VENV=none: there is no ${SEDKIT_PYTHON:-python3}"
    [[ $python == /* ]] || python=$PWD/$python
    "$python" - "$SEDKIT_ROOT/setup.cfg" "$@" <<'PYTHON' || exit 1
import configparser
import sys
from importlib.metadata import PackageNotFoundError, version

try:
    from packaging.requirements import Requirement
except ImportError:
    from pip._vendor.packaging.requirements import Requirement

setup = configparser.ConfigParser()
setup.read(sys.argv[1], encoding="utf-8")
python = setup["options"]["python_requires"]
lines = [setup["options"]["install_requires"], *(setup["options.extras_require"][extra] for extra in sys.argv[2:])]
problems = []
running = "%d.%d.%d" % sys.version_info[:3]
if not Requirement("python" + python.replace(" ", "")).specifier.contains(running):
    problems.append("Python " + running + " (wanted " + python + ")")
for line in "\n".join(lines).splitlines():
    if not line.strip() or line.strip().startswith("#"):
        continue
    wanted = Requirement(line.strip())
    try:
        needed = not wanted.marker or wanted.marker.evaluate()
        if needed and not wanted.specifier.contains(version(wanted.name), prereleases=True):
            problems.append("%s %s (wanted %s)" % (wanted.name, version(wanted.name), wanted.specifier))
    except PackageNotFoundError:
        problems.append(wanted.name + " is not installed")
if problems:
    sys.exit("sedkit: error: SEDKIT_VENV=none: the active environment does not serve: " + "; ".join(problems))
PYTHON
    say "using the active environment: $python"
    export SEDKIT_PYTHON_BIN=$python SEDKIT_ENVIRONMENT_OF=$SEDKIT_ROOT
    PATH=$("$python" -c 'import sysconfig; print(sysconfig.get_path("scripts"))'):$PATH
    export PATH PYTHONPATH=$SEDKIT_ROOT${PYTHONPATH:+:$PYTHONPATH}
    set_machine_environment
}

# What the numerical libraries are told about the machine, in one place; what the user has set stays. One job at a
# time may use every core, which the libraries and joblib do by themselves; jobs side by side share the cores.
set_machine_environment() {
    local threads name
    if ((${parallel:-1} > 1)); then
        threads=$(($(cores) / parallel))
        for name in OMP_NUM_THREADS MKL_NUM_THREADS OPENBLAS_NUM_THREADS NUMBA_NUM_THREADS; do
            [[ -n ${!name-} ]] || export "$name=$((threads > 0 ? threads : 1))"
        done
    fi
    # Threads that wait for each other sleep: spinning takes the cores from whoever works on a shared machine, and from
    # each other (40 steps of CNN9 beside other work: 19 s of processor time instead of 55).
    export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}
    # But for some microseconds, which is how long the small operations of recurrent networks take: waking a thread takes
    # longer (of a step of fdy_crnn_small that took 0.30 s on two quiet cores, a fifth).
    export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-1000}
    export MPLBACKEND=${MPLBACKEND:-Agg} PYTHONUNBUFFERED=${PYTHONUNBUFFERED:-1}
}

cores() {
    if command -v nproc >/dev/null; then nproc; else getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1; fi
}

has_gpu() { [[ ${device:-auto} != cpu ]] && command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; }
