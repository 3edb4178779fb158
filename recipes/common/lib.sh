# shellcheck shell=bash
# Stages and messages of every recipe. Sourced by runme.sh and by recipes/<name>/run.sh, never run.
#
# A recipe says what its sets are for in recipe.yaml; its run.sh declares RECIPE_HELP, DEFAULT_SYSTEM, EXPECTED_TIME (one
# text per budget) and, where it has options of its own, RECIPE_OPTIONS (rows "name|type|default|help", the common options'
# form), defines again what it does otherwise than stages.sh (stage_<name>, <job>_run, prepare_options,
# choose_data_sets) and ends with `main "$@"`.
# Everything that can be wrong with the command line is found before an environment or a folder is made.
# shellcheck disable=SC2154,SC2034 # options become variables of the same name (options.sh)

set -euo pipefail

if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
    printf 'sedkit: bash %s is too old, 4.4 or newer is needed\n' "$BASH_VERSION" >&2
    exit 1
fi

SEDKIT_ROOT=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck source=recipes/common/env.sh
source "$SEDKIT_ROOT/recipes/common/env.sh"
# shellcheck source=recipes/common/launch.sh
source "$SEDKIT_ROOT/recipes/common/launch.sh"
# shellcheck source=recipes/common/options.sh
source "$SEDKIT_ROOT/recipes/common/options.sh"
# shellcheck source=recipes/common/runs.sh
source "$SEDKIT_ROOT/recipes/common/runs.sh"
# shellcheck source=recipes/common/stages.sh
source "$SEDKIT_ROOT/recipes/common/stages.sh"

RECIPE_OPTIONS=()

STAGES=(data prepare mix features train predict tune score submit benchmark)
STAGE_HELP=(
    "check the given data set, or make the miniature"
    "official layout to validated data dirs and folds"
    "plan and render mixtures"
    "features files"
    "train every pass of the system"
    "score the tuning, validation and evaluation sets"
    "tune post-processing on the tuning set"
    "decode, score and report"
    "write, check and zip the submission"
    "the table beside the official figures"
)

say() { printf '%s\n' "$*" >&2; }

# Bad use of the command line: one line, status 2.
bad_use() {
    printf 'runme.sh: error: %s\n' "$*" >&2
    exit 2
}

recipe_names() {
    local file
    for file in "$SEDKIT_ROOT"/recipes/*/run.sh; do
        [[ -f $file ]] || continue
        file=${file%/run.sh}
        printf '%s\n' "${file##*/}"
    done
}

list_recipes() {
    local name recipe_dir
    while read -r name; do
        recipe_dir=$SEDKIT_ROOT/recipes/$name
        printf '%-20s %s\n' "$name" "$(sed -n 's/^RECIPE_HELP="\(.*\)"$/\1/p' "$recipe_dir/run.sh")"
        printf '%-20s systems: %s\n' '' "$(system_names | paste -sd ' ')"
    done < <(recipe_names)
}

list_stages() {
    local stage name note
    for stage in "${!STAGES[@]}"; do
        name=${STAGES[stage]} note=''
        declare -F "stage_$name" >/dev/null || note=' (not used by this recipe)'
        printf '%s  %-10s %s%s\n' "$stage" "$name" "${STAGE_HELP[stage]}" "$note"
    done
}

print_help() {
    printf 'Usage: ./runme.sh [RECIPE] [options] [-- key=value ...]\n\n'
    printf 'Recipes (default: dcase2019_task4):\n'
    list_recipes | sed 's/^/  /'
    printf '\nStages of %s:\n' "$recipe"
    list_stages | sed 's/^/  /'
    printf '\nOptions:\n'
    print_options "${COMMON_OPTIONS[@]}"
    printf '  --%-34s %s\n' "list" "the recipes" "list-stages" "the stages of the recipe" "help" "this page"
    if ((${#RECIPE_OPTIONS[@]})); then
        printf '\nOptions of %s:\n' "$recipe"
        print_options "${RECIPE_OPTIONS[@]}"
    fi
    printf '\nAfter --: any key=value of the systems'\'' configuration, such as training.steps=100.\n'
    printf 'SEDKIT_PYTHON=FILE picks the interpreter, SEDKIT_VENV=none uses the active environment.\n'
}

# What was not given is chosen here, from what the machine has, and said.
choose_defaults() {
    [[ -z $job ]] || choose_run_of_job
    if [[ -z $budget ]]; then
        budget=quick
        [[ -z $dataset_root ]] || ! has_gpu || budget=published
    fi
    collect_job_options
    # Jobs side by side share the cores.
    [[ $jobs != 0 ]] || jobs=$(($(cores) / parallel))
    [[ $jobs != 0 ]] || jobs=1
    system=${system:-$DEFAULT_SYSTEM}
    IFS=, read -ra systems <<<"$system"
    cross_axes
    forced=()
    [[ $force == false ]] || forced=(--force true)
    measured=()
    [[ $energy == false ]] || measured=(--energy true)
    # A network has every core of this machine already, and what decodes is done sooner than another process is there.
    cluster=()
    [[ $jobs != dask:* ]] || cluster=(--jobs "$jobs")
}

# quoted WORD...: the words as they can be pasted into a shell.
quoted() {
    local word line=''
    for word in "$@"; do
        if [[ -z $word || $word == *[^A-Za-z0-9_/.,:=+@-]* ]]; then
            if [[ $word == *[\'[:cntrl:]]* ]]; then printf -v word '%q' "$word"; else word="'$word'"; fi
        fi
        line+=" $word"
    done
    printf '%s' "${line# }"
}

# perform COMMAND...: prints it so that it can be pasted, and runs it unless this is a dry run; a failure ends the job.
perform() {
    [[ $dry_run == false ]] || { printf '%s\n' "$(quoted "$@")" && return; }
    say "+ $(quoted "$@")"
    case $1 in
        sedkit) set -- "$SEDKIT_PYTHON_BIN" -m sedkit "${@:2}" ;;
        python) set -- "$SEDKIT_PYTHON_BIN" "${@:2}" ;;
        torchrun) set -- "$SEDKIT_PYTHON_BIN" -m sedkit.cli._torchrun "${@:2}" ;;
        # Four options of its own, then torchrun.
        srun) set -- "${@:1:5}" "$SEDKIT_PYTHON_BIN" -m sedkit.cli._torchrun "${@:7}" ;;
    esac
    "$@" || exit $?
}

sedkit() { perform sedkit "$@"; }

# sedkit_paths VERB...: as sedkit, and puts the paths that it prints into the array `paths`.
sedkit_paths() {
    local printed
    printed=$(sedkit "$@") || exit $?
    printf '%s\n' "$printed"
    mapfile -t paths <<<"$printed"
    [[ $dry_run == false ]] || paths=("$submission_dir/$recipe/${label:-LABEL}")
}

# record TEXT: one line of the recipe's log of runs.
record() {
    [[ $dry_run == true ]] || printf '%s %s\n' "$(date '+%Y-%m-%dT%H:%M:%S')" "$*" >>"$exp_dir/$recipe/runs.log"
}

run_stages() {
    local name begun=$SECONDS stage_begun
    for ((current_stage = stage; current_stage <= stop_stage; current_stage++)); do
        name=${STAGES[current_stage]}
        if ! declare -F "stage_$name" >/dev/null; then
            say "== stage $current_stage $name: not used by $recipe"
            continue
        fi
        say "== stage $current_stage $name: ${STAGE_HELP[current_stage]}"
        stage_begun=$SECONDS
        "stage_$name"
        say "== stage $current_stage $name: done in $((SECONDS - stage_begun)) s"
        record "stage $current_stage $name: $((SECONDS - stage_begun)) s"
    done
    current_stage=''
    say "== $recipe: stages $stage to $stop_stage done in $((SECONDS - begun)) s"
    record "done in $((SECONDS - begun)) s"
}

# Says which stage ended the run, and how to go on from there.
on_exit() {
    local status=$?
    if ((status)) && [[ -n ${current_stage-} ]]; then
        say "== stage $current_stage ${STAGES[current_stage]} of $recipe failed (status $status); finished work is kept: give the same command again, or begin with --stage $current_stage"
        record "stage $current_stage ${STAGES[current_stage]}: failed (status $status)" || true
    fi
}

# choose_run_of_job: a job names its run itself, where the options do not.
choose_run_of_job() {
    local item=${job#*:} one level axis prefix option
    while [[ -z $system ]] && read -r one; do
        [[ $item != "$one"[/@]* ]] || system=$one
    done < <(system_names)
    # Where it names none, what there is can be said of all of them.
    [[ -n $system ]] || system=$(system_names | paste -sd ,)
    while IFS=$'\t' read -r level axis prefix _ option; do
        [[ $level == run && $prefix != - && -v $option && ! -v given[$option] ]] || continue
        [[ ! $item =~ [/_]$prefix(-?[0-9]{1,9})(_|$) ]] || printf -v "$option" '%s' "${BASH_REMATCH[1]}"
    done <"$SEDKIT_ROOT/metadata/run_axes.tsv"
}

# run_job: the job that --job names, as a process of its own; the call that launched it keeps the record.
run_job() {
    open_job "$job"
    # shellcheck disable=SC2119
    [[ $dry_run == true || -n ${SEDKIT_PYTHON_BIN-} && ${SEDKIT_ENVIRONMENT_OF-} == "$SEDKIT_ROOT" ]] || use_environment
    "${job%%:*}" "${job#*:}"
}

main() {
    local wanted='' command
    recipe_dir=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
    recipe=${recipe_dir##*/}
    command=$(quoted ./runme.sh "$recipe" "$@")
    parse_options "$@"
    read_recipe
    [[ -z $wanted ]] || { "$wanted"; exit; }
    choose_defaults
    cd -- "$SEDKIT_ROOT"
    data=$data_dir/$recipe
    [[ -z $job ]] || { run_job; exit; }
    say "$recipe: $(axes_in_words); data: ${dataset_root:-generated miniature}"
    say "budget $budget, expected: ${EXPECTED_TIME[$budget]}"
    if [[ $dry_run == false ]]; then
        # shellcheck disable=SC2119
        use_environment
        mkdir -p -- "$exp_dir/$recipe"
        record "$command"
        record "budget $budget, expected: ${EXPECTED_TIME[$budget]}"
        check_what_comes_later
    fi
    trap on_exit EXIT
    run_stages
}
