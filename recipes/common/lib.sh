# shellcheck shell=bash
# Options, stages and messages of every recipe. Sourced by runme.sh and by recipes/<name>/run.sh, never run.
#
# A recipe declares RECIPE_OPTIONS (rows "name|type|default|help", the common options' form), EXPECTED_TIME (one text
# per budget), RECIPE_HELP and DEFAULT_SYSTEM, defines stage_<name> functions and ends with `main "$@"`.
# Everything that can be wrong with the command line is found before an environment or a folder is made.
#
# The options become variables of the same name (dashes as underscores), which shellcheck cannot see:
# shellcheck disable=SC2154,SC2034

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
# shellcheck source=recipes/common/runs.sh
source "$SEDKIT_ROOT/recipes/common/runs.sh"

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

COMMON_OPTIONS=(
    "stage|integer:0:9|0|first stage to run"
    "stop-stage|integer:0:9|9|last stage to run"
    "system|systems||systems of the recipe, separated by commas, or all"
    "seeds|numbers|0|random seeds, separated by commas"
    "dataset-root|directory||the data set, or a folder that holds one folder per data set; none: a generated miniature"
    "data-dir|path|data|data dirs, features and miniatures"
    "exp-dir|path|exp|experiments"
    "submission-dir|path|submissions|submissions"
    "label|label||label of the (first) submitted system"
    "budget|choice:quick,published||training schedule; none: published with --dataset-root and a GPU, else quick"
    "train-on|choice:split,all,all+validation|split|hold a selection and a tuning part out, or train on everything"
    "device|choice:auto,cpu,cuda|auto|where networks run"
    "jobs|integer:0:4096|0|processes for features and generated data; 0: one per core (shared with --parallel)"
    "lenient|boolean|false|leave broken rows and files out and count them, instead of stopping"
    "energy|boolean|false|measure the energy of training and prediction (needs codecarbon, and nothing else running)"
    "force|boolean|false|do again what is already done"
    "dry-run|boolean|false|print the commands, run nothing"
    "launcher|choice:local|local|where the jobs of a stage run"
    "parallel|integer:1:4096|1|jobs (systems, seeds) at a time, each with its own log"
)

say() { printf '%s\n' "$*" >&2; }

# Bad use of the command line: one line, status 2.
bad_use() {
    printf 'runme.sh: error: %s\n' "$*" >&2
    exit 2
}

# edit_distance A B: the number of letters to add, remove or change.
edit_distance() {
    local a=$1 b=$2 i j cost best
    local -a above row
    for ((j = 0; j <= ${#b}; j++)); do above[j]=$j; done
    for ((i = 1; i <= ${#a}; i++)); do
        row=("$i")
        for ((j = 1; j <= ${#b}; j++)); do
            cost=1
            [[ ${a:i-1:1} == "${b:j-1:1}" ]] && cost=0
            best=$((above[j - 1] + cost))
            ((above[j] + 1 < best)) && best=$((above[j] + 1))
            ((row[j - 1] + 1 < best)) && best=$((row[j - 1] + 1))
            row[j]=$best
        done
        above=("${row[@]}")
    done
    printf '%s' "${above[${#b}]}"
}

# suggest WORD CHOICE...: ' (did you mean X?)' where one is near, else nothing.
suggest() {
    local word=$1 choice distance nearest='' least
    shift
    ((${#word} <= 40)) || return 0
    least=$((${#word} / 4 + 1))
    for choice in "$@"; do
        distance=$(edit_distance "${word#--}" "${choice#--}")
        if ((distance <= least)); then
            nearest=$choice
            least=$((distance - 1))
        fi
    done
    [[ -z $nearest ]] || printf ' (did you mean %s?)' "$nearest"
}

joined() {
    local IFS=,
    local text="$*"
    printf '%s' "${text//,/, }"
}

recipe_names() {
    local file
    for file in "$SEDKIT_ROOT"/recipes/*/run.sh; do
        [[ -f $file ]] || continue
        file=${file%/run.sh}
        printf '%s\n' "${file##*/}"
    done
}

system_names() {
    local file
    for file in "$recipe_dir"/conf/*.yaml; do
        [[ -f $file ]] || continue
        file=${file##*/}
        printf '%s\n' "${file%.yaml}"
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

print_options() {
    local row name type default help
    for row in "$@"; do
        IFS='|' read -r name type default help <<<"$row"
        case $type in
            integer:* | numbers) type=N ;;
            boolean) type='true|false' ;;
            directory | path) type=DIR ;;
            file) type=FILE ;;
            existing) type='FILE|DIR' ;;
            choice:*) type=${type#choice:} type=${type//,/|} ;;
            *) type=${name^^} ;;
        esac
        [[ $name != seeds ]] || type=N,N
        printf '  --%-34s %s%s\n' "$name $type" "$help" "${default:+ [$default]}"
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

# option_type NAME: sets OPTION_TYPE, status 1 where there is no such option.
option_type() {
    local row
    for row in "${COMMON_OPTIONS[@]}" "${RECIPE_OPTIONS[@]}"; do
        if [[ ${row%%|*} == "$1" ]]; then
            OPTION_TYPE=${row#*|} OPTION_TYPE=${OPTION_TYPE%%|*}
            return 0
        fi
    done
    return 1
}

unknown_option() {
    local row names=(--help --list --list-stages)
    for row in "${COMMON_OPTIONS[@]}" "${RECIPE_OPTIONS[@]}"; do names+=("--${row%%|*}"); done
    bad_use "unknown option ${1@Q}$(suggest "$1" "${names[@]}"); --help lists them"
}

# from_root PATH: the same place as seen from the repository's folder, where everything runs.
from_root() {
    local path=$1
    [[ $path == /* ]] || path=$PWD/$path
    [[ ! -d $path ]] || path=$(CDPATH='' cd -- "$path" && pwd -P)
    printf '%s' "${path#"$SEDKIT_ROOT"/}"
}

# set_option NAME TYPE VALUE: checks the value and puts it into the variable of that name (dashes become underscores).
set_option() {
    local LC_ALL=C
    local name=$1 type=$2 value=$3 low high word seen=,
    local -a words
    case $type in
        integer:*)
            IFS=: read -r low high <<<"${type#integer:}"
            [[ $value =~ ^[0-9]+$ ]] || bad_use "--$name takes a whole number from $low to $high, got ${value@Q}"
            ((${#value} <= 9)) || bad_use "--$name takes a number from $low to $high, got ${value@Q}"
            value=$((10#$value))
            ((value >= low && value <= high)) || bad_use "--$name takes a number from $low to $high, got ${value@Q}"
            ;;
        numbers)
            [[ $value =~ ^[0-9]{1,9}(,[0-9]{1,9})*$ ]] ||
                bad_use "--$name takes whole numbers separated by commas, got ${value@Q}"
            IFS=, read -ra words <<<"$value"
            value=''
            for word in "${words[@]}"; do
                word=$((10#$word))
                [[ $seen != *",$word,"* ]] || bad_use "--$name names $word twice"
                seen+=$word, value+=${value:+,}$word
            done
            ;;
        boolean)
            [[ $value == true || $value == false ]] || bad_use "--$name takes true or false, got ${value@Q}"
            ;;
        choice:*)
            IFS=, read -ra words <<<"${type#choice:}"
            [[ ,${type#choice:}, == *",$value,"* && $value != *,* && -n $value ]] ||
                bad_use "--$name takes one of $(joined "${words[@]}"), got ${value@Q}$(suggest "$value" "${words[@]}")"
            ;;
        directory)
            [[ -d $value ]] || bad_use "--$name ${value@Q} is not a folder"
            value=$(from_root "$value")
            ;;
        file)
            [[ -f $value && -r $value ]] || bad_use "--$name ${value@Q} is not a file that can be read"
            value=$(from_root "$value")
            ;;
        existing)
            [[ -e $value ]] || bad_use "--$name ${value@Q} is neither a file nor a folder"
            value=$(from_root "$value")
            ;;
        path)
            [[ -n $value ]] || bad_use "--$name takes a folder, got an empty word"
            [[ ! -e $value || -d $value ]] || bad_use "--$name ${value@Q} exists and is not a folder"
            value=$(from_root "$value")
            ;;
        label)
            [[ $value =~ ^[A-Za-z0-9][A-Za-z0-9_.-]*$ ]] ||
                bad_use "--$name takes letters, digits, dots, dashes and underscores, got ${value@Q}"
            ;;
        systems)
            local -a known=() chosen
            mapfile -t known < <(system_names)
            IFS=, read -ra chosen <<<"$value"
            [[ $value != all ]] || chosen=("${known[@]}")
            [[ $value != *, && -n $value ]] || bad_use "--$name takes systems separated by commas, got ${value@Q}"
            for word in "${chosen[@]}"; do
                [[ " ${known[*]} " == *" $word "* && $word != *' '* && -n $word ]] ||
                    bad_use "--$name: $recipe has no system ${word@Q}$(suggest "$word" "${known[@]}"); it has: $(joined "${known[@]}")"
                [[ $seen != *",$word,"* ]] || bad_use "--$name names $word twice"
                seen+=$word,
            done
            value=$(
                IFS=,
                printf '%s' "${chosen[*]}"
            )
            ;;
        size)
            [[ $value =~ ^(small|large|[1-9][0-9]{1,8})$ ]] ||
                bad_use "--$name takes small, large or a number of clips from 10 on, got ${value@Q}"
            ;;
        text) ;;
        *) bad_use "option --$name of $recipe has the unknown type $type" ;;
    esac
    printf -v "${name//-/_}" '%s' "$value"
}

parse_options() {
    local row name type default help word value
    for row in "${COMMON_OPTIONS[@]}" "${RECIPE_OPTIONS[@]}"; do
        IFS='|' read -r name type default help <<<"$row"
        printf -v "${name//-/_}" '%s' "$default"
    done
    overrides=()
    while (($#)); do
        word=$1
        shift
        case $word in
            --)
                overrides=("$@")
                break
                ;;
            --help | -h) wanted=print_help && continue ;;
            --list) wanted=list_recipes && continue ;;
            --list-stages) wanted=list_stages && continue ;;
            --*) name=${word#--} name=${name%%=*} ;;
            -*) unknown_option "$word" ;;
            *) bad_use "stray word ${word@Q}; options begin with --, and a recipe's name comes first" ;;
        esac
        option_type "$name" || unknown_option "${word%%=*}"
        type=$OPTION_TYPE
        if [[ $word == *=* ]]; then
            value=${word#*=}
        elif [[ $type == boolean && ($# -eq 0 || ${1-} == -*) ]]; then
            value=true
        else
            (($#)) || bad_use "--$name needs a value"
            value=$1
            # A value may begin with dashes, but one of our own options here means that the value was forgotten.
            if [[ $value == --* ]] && { [[ $value == -- ]] || option_type "$(option_name "$value")"; }; then
                bad_use "--$name needs a value, got the option $value (write --$name=$value where it is meant)"
            fi
            shift
        fi
        set_option "$name" "$type" "$value"
    done
    for word in "${overrides[@]}"; do
        [[ $word =~ ^[A-Za-z_][A-Za-z0-9_.+-]*= ]] || bad_use "after -- comes key=value, got ${word@Q}"
        # The recipes give these to every call themselves, so that a change here would be passed over in silence.
        case $word in
            training.seed=*) bad_use "$word: say --seeds ${word#*=} instead" ;;
            training.device=*) bad_use "$word: say --device ${word#*=} instead" ;;
            training.train_on=*) bad_use "$word: say --train-on ${word#*=} instead" ;;
            budgets.*) bad_use "$word: budgets cannot be changed here; give the key that it sets, such as training.steps=100" ;;
        esac
    done
    # The whole machine is metered: jobs side by side would each be charged for the others.
    [[ $energy == false || $parallel == 1 ]] || bad_use "--energy true goes with --parallel 1, got --parallel $parallel"
    ((stage <= stop_stage)) || bad_use "--stage $stage comes after --stop-stage $stop_stage"
}

option_name() {
    local name=${1#--}
    printf '%s' "${name%%=*}"
}

# What was not given is chosen here, from what the machine has, and said.
choose_defaults() {
    if [[ -z $budget ]]; then
        budget=quick
        [[ -z $dataset_root ]] || ! has_gpu || budget=published
    fi
    # Jobs side by side share the cores.
    ((jobs)) || jobs=$(($(cores) / parallel))
    ((jobs)) || jobs=1
    IFS=, read -ra systems <<<"${system:-$DEFAULT_SYSTEM}"
    IFS=, read -ra seeds <<<"$seeds"
    local one seed prefix=''
    [[ $train_on == split ]] || prefix=${train_on}_
    runs=() experiments=()
    for one in "${systems[@]}"; do
        for seed in "${seeds[@]}"; do
            runs+=("$one/${prefix}seed$seed")
            experiments+=("$exp_dir/$recipe/$one/${prefix}seed$seed")
        done
    done
    forced=()
    [[ $force == false ]] || forced=(--force true)
    measured=()
    [[ $energy == false ]] || measured=(--energy true)
}

# quoted WORD...: the words as they can be pasted into a shell.
quoted() {
    local word line=''
    for word in "$@"; do
        if [[ -z $word || $word == *[^A-Za-z0-9_/.,:=+-]* ]]; then
            if [[ $word == *[\'[:cntrl:]]* ]]; then printf -v word '%q' "$word"; else word="'$word'"; fi
        fi
        line+=" $word"
    done
    printf '%s' "${line# }"
}

# perform COMMAND...: prints it so that it can be pasted, and runs it unless this is a dry run; a failure ends the job.
perform() {
    if [[ $dry_run == true ]]; then
        printf '%s\n' "$(quoted "$@")"
        return 0
    fi
    say "+ $(quoted "$@")"
    if [[ $1 == sedkit ]]; then
        shift
        set -- "$SEDKIT_PYTHON_BIN" -m sedkit "$@"
    fi
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
    local name status=0 begun stage_begun
    begun=$SECONDS
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
    return "$status"
}

# Says which stage ended the run, and how to go on from there.
on_exit() {
    local status=$?
    if ((status)) && [[ -n ${current_stage-} ]]; then
        say "== stage $current_stage ${STAGES[current_stage]} of $recipe failed (status $status); finished work is kept: give the same command again, or begin with --stage $current_stage"
        record "stage $current_stage ${STAGES[current_stage]}: failed (status $status)" || true
    fi
}

main() {
    local wanted='' command
    recipe_dir=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
    recipe=${recipe_dir##*/}
    command=$(quoted ./runme.sh "$recipe" "$@")
    parse_options "$@"
    if [[ -n $wanted ]]; then
        "$wanted"
        exit 0
    fi
    choose_defaults
    cd -- "$SEDKIT_ROOT"
    data=$data_dir/$recipe
    say "$recipe: systems $(joined "${systems[@]}"); seeds $(joined "${seeds[@]}"); data: ${dataset_root:-generated miniature}; trained on: $train_on"
    say "budget $budget, expected: ${EXPECTED_TIME[$budget]}"
    if [[ $budget == quick && $device != cuda ]] && ! has_gpu && ! has_bf16; then
        say "this processor has no bf16: systems that have a smaller network for such (budgets.quick_without_bf16) take it"
    fi
    if [[ $dry_run == false ]]; then
        # shellcheck disable=SC2119
        use_environment
        mkdir -p -- "$exp_dir/$recipe"
        record "$command"
        record "budget $budget, expected: ${EXPECTED_TIME[$budget]}"
        check_overrides
    fi
    trap on_exit EXIT
    run_stages
}
