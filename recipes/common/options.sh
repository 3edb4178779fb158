# shellcheck shell=bash
# The command line of every recipe: options, their checks, what a wrong word may have meant. Sourced by lib.sh.
# shellcheck disable=SC2154,SC2034 # options become variables of the same name (dashes as underscores)

COMMON_OPTIONS=(
    "stage|integer:0:9|0|first stage to run"
    "stop-stage|integer:0:9|9|last stage to run"
    "system|systems||systems of the recipe, separated by commas, or all"
    "network|text||of systems that keep several, the networks to score, separated by commas; none: all"
    "seeds|numbers:0:999999999|0|random seeds, separated by commas"
    "dataset-root|directory||the data set, or a folder that holds one folder per data set; none: a generated miniature"
    "data-dir|path|data|data dirs, features and miniatures"
    "exp-dir|path|exp|experiments"
    "submission-dir|path|submissions|submissions"
    "label|label||label of the (first) submitted system"
    "budget|choice:quick,published||training schedule; none: published with --dataset-root and a GPU, else quick"
    "train-on|choice:split,all,all+validation|split|hold a selection and a tuning part out, or train on everything"
    "device|choice:auto,cpu,cuda|auto|where networks run"
    "jobs|jobs:0|0|processes for features and generated data; 0: one per core (shared with --parallel); or dask:tcp://HOST:PORT, for scores and events, too"
    "miniature-size|size|small|size of generated data sets: small, large or a number of clips"
    "weights|file||weights to start from, such as torchvision's ImageNet weights of ResNet-18"
    "authors|file|submissions/authors.example.yaml|authors of the submission (YAML)"
    "report|file||technical report (PDF); without it no zip is written"
    "page|boolean|true|write a page of each run in stage 7 (report/index.html), which takes some seconds"
    "lenient|boolean|false|leave broken rows and files out and count them, instead of stopping"
    "energy|boolean|false|measure the energy of training and prediction (needs codecarbon, and nothing else running)"
    "force|boolean|false|do again what is already done"
    "dry-run|boolean|false|print the commands, run nothing"
    "launcher|choice:local,torchrun,slurm|local|where jobs run: here (torchrun: with --processes a training) or in sbatch arrays"
    "processes|integer:0:4096|1|with torchrun or slurm: processes (on each node) that train a network together; 0: one per GPU"
    "sbatch|text||with slurm: further options of sbatch, such as --sbatch='--partition=gpu --gres=gpu:2 --time=8:00:00'"
    "parallel|jobs:1|1|jobs (systems, seeds) at a time, each with its own log; dask:tcp://HOST:PORT: one at a time, with these --jobs"
    "job|job||run one job of a stage, FUNCTION:ITEM (train_run:SYSTEM/seed0), as the launcher does"
)

# edit_distance A B: the number of letters to add, remove or change.
edit_distance() {
    local a=$1 b=$2 i j cost
    local -a above row
    for ((j = 0; j <= ${#b}; j++)); do above[j]=$j; done
    for ((i = 1; i <= ${#a}; i++)); do
        row=("$i")
        for ((j = 1; j <= ${#b}; j++)); do
            cost=1
            [[ ${a:i-1:1} != "${b:j-1:1}" ]] || cost=0
            row[j]=$((above[j] < row[j - 1] ? above[j] + 1 : row[j - 1] + 1))
            ((above[j - 1] + cost > row[j])) || row[j]=$((above[j - 1] + cost))
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
            nearest=$choice least=$((distance - 1))
        fi
    done
    [[ -z $nearest ]] || printf ' (did you mean %s?)' "$nearest"
}

joined() {
    local IFS=,
    local text="$*"
    printf '%s' "${text//,/, }"
}

# The configurations that name a system; one that does not is a base of others.
system_names() {
    local file
    for file in "$recipe_dir"/conf/*.yaml; do
        grep -qs '^system:' "$file" || continue
        file=${file##*/}
        printf '%s\n' "${file%.yaml}"
    done
}

print_options() {
    local row name type default help
    for row in "$@"; do
        IFS='|' read -r name type default help <<<"$row"
        case $type in
            integer:*) type=N ;;
            numbers:*) type=N,N ;;
            boolean) type='true|false' ;;
            directory | path) type=DIR ;;
            file) type=FILE ;;
            jobs:*) type='N|dask:tcp://HOST:PORT' ;;
            job) type=FUNCTION:ITEM ;;
            existing) type='FILE|DIR' ;;
            choice:*) type=${type#choice:} type=${type//,/|} ;;
            *) type=${name^^} ;;
        esac
        printf '  --%-34s %s%s\n' "$name $type" "$help" "${default:+ [$default]}"
    done
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
    local name=$1 type=$2 value=$3 low high word sign seen=,
    local -a words
    case $type in
        integer:*)
            IFS=: read -r low high <<<"${type#integer:}"
            if [[ ! $value =~ ^[0-9]{1,9}$ ]] || ((10#$value < low || 10#$value > high)); then
                bad_use "--$name takes a whole number from $low to $high, got ${value@Q}"
            fi
            value=$((10#$value))
            ;;
        numbers:*)
            [[ $value =~ ^-?[0-9]{1,9}(,-?[0-9]{1,9})*$ ]] ||
                bad_use "--$name takes whole numbers separated by commas, got ${value@Q}"
            IFS=: read -r low high <<<"${type#numbers:}"
            IFS=, read -ra words <<<"$value"
            value=''
            for word in "${words[@]}"; do
                sign=${word%%[0-9]*}
                word=$((${sign}10#${word#-}))
                ((low <= word && word <= high)) ||
                    bad_use "--$name takes whole numbers from $low to $high, got $word"
                [[ $seen != *",$word,"* ]] || bad_use "--$name names $word twice"
                seen+=$word, value+=${value:+,}$word
            done
            ;;
        jobs:*)
            low=${type#jobs:}
            if [[ ! $value =~ ^dask:[a-z]+://[^[:space:]/]+:[0-9]+$ ]]; then
                if [[ ! $value =~ ^[0-9]{1,4}$ ]] || ((10#$value < low || 10#$value > 4096)); then
                    bad_use "--$name takes a whole number from $low to 4096 or dask:tcp://HOST:PORT, got ${value@Q}"
                fi
                value=$((10#$value))
            fi
            ;;
        boolean) [[ $value == true || $value == false ]] || bad_use "--$name takes true or false, got ${value@Q}" ;;
        choice:*)
            IFS=, read -ra words <<<"${type#choice:}"
            [[ ,${type#choice:}, == *",$value,"* && $value != *,* && -n $value ]] ||
                bad_use "--$name takes one of $(joined "${words[@]}"), got ${value@Q}$(suggest "$value" "${words[@]}")"
            ;;
        directory) [[ -d $value ]] || bad_use "--$name ${value@Q} is not a folder" ;;&
        file) [[ -f $value && -r $value ]] || bad_use "--$name ${value@Q} is not a file that can be read" ;;&
        existing) [[ -e $value ]] || bad_use "--$name ${value@Q} is neither a file nor a folder" ;;&
        path)
            [[ -n $value ]] || bad_use "--$name takes a folder, got an empty word"
            [[ ! -e $value || -d $value ]] || bad_use "--$name ${value@Q} exists and is not a folder"
            ;;&
        directory | file | existing | path) value=$(from_root "$value") ;;
        label)
            [[ $value =~ ^[A-Za-z0-9][A-Za-z0-9_.-]*$ ]] ||
                bad_use "--$name takes letters, digits, dots, dashes and underscores, got ${value@Q}"
            ;;
        systems)
            local -a known
            mapfile -t known < <(system_names)
            [[ $value != all ]] || value=$(system_names | paste -sd ,)
            [[ $value != *, && -n $value ]] || bad_use "--$name takes systems separated by commas, got ${value@Q}"
            IFS=, read -ra words <<<"$value"
            for word in "${words[@]}"; do
                [[ " ${known[*]} " == *" $word "* && $word != *' '* && -n $word ]] ||
                    bad_use "--$name: $recipe has no system ${word@Q}$(suggest "$word" "${known[@]}"); it has: $(joined "${known[@]}")"
                [[ $seen != *",$word,"* ]] || bad_use "--$name names $word twice"
                seen+=$word,
            done
            ;;
        size)
            [[ $value =~ ^(small|large|[1-9][0-9]{1,8})$ ]] ||
                bad_use "--$name takes small, large or a number of clips from 10 on, got ${value@Q}"
            ;;
        job)
            [[ $value =~ ^[a-z_]+:[^[:space:]]+$ ]] ||
                bad_use "--$name takes FUNCTION:ITEM, such as train_run:$DEFAULT_SYSTEM/seed0, got ${value@Q}"
            ;;
        text) ;;
        *) bad_use "option --$name of $recipe has the unknown type $type" ;;
    esac
    printf -v "${name//-/_}" '%s' "$value"
    given[${name//-/_}]=true
}

# given[VARIABLE]: set where the option was given, be it with what it has anyway.
declare -A given=()
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
            word=${value#--}
            if [[ $value == --* ]] && { [[ -z $word ]] || option_type "${word%%=*}"; }; then
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
            run.*=*) bad_use "$word: say it with the recipe's own options, such as --folds" ;;
            training.train_on=*) bad_use "$word: say --train-on ${word#*=} instead" ;;
            budgets.*) bad_use "$word: budgets cannot be changed here; give the key that it sets, such as training.steps=100" ;;
        esac
    done
    if [[ $parallel == dask:* ]]; then
        [[ ! -v given[jobs] ]] || bad_use "--parallel $parallel is --jobs $parallel: give one of the two"
        jobs=$parallel parallel=1
    fi
    # The whole machine is metered: jobs side by side would each be charged for the others.
    [[ $energy == false || $parallel == 1 ]] || bad_use "--energy true goes with --parallel 1, got --parallel $parallel"
    [[ $energy == false || $jobs != dask:* ]] || bad_use "--energy true goes with --jobs N, got --jobs $jobs"
    check_launcher
    ((stage <= stop_stage)) || bad_use "--stage $stage comes after --stop-stage $stop_stage"
}
