# shellcheck shell=bash
# What recipe.yaml says to the shell, what runs are called, and what a stage's job works on. Sourced by lib.sh.
# shellcheck disable=SC2154,SC2034 # the options' variables come from options.sh, and stages use what is set here

# read_recipe: the keys of recipe.yaml that the shell needs, each of which stands on a line of its own.
read_recipe() {
    mapfile -t data_sets < <(recipe_words data_sets 2>/dev/null)
    ((${#data_sets[@]})) || bad_use "recipes/$recipe/recipe.yaml has no line 'data_sets: {NAME: FOLDER}'"
    mapfile -t entered < <(recipe_words entered)
    format=$(recipe_words format) development=$(recipe_words development | paste -sd ,)
    submitted_seeds=$(recipe_words submitted_seeds)
    compared=$(recipe_words compared) contrasts=$(recipe_words contrasts | paste -sd ,)
    ! declare -F choose_data_sets >/dev/null || choose_data_sets
}

# recipe_words KEY [FILE]: a line each of `KEY: [a, b]`, `KEY: {a: b, c: d}` (as a:b) or `KEY: a` of recipe.yaml.
recipe_words() {
    sed -n "s/ #.*//; s/^$1: *//p" "${2:-$recipe_dir/recipe.yaml}" | tr -d '[]{} ' | tr ',' '\n' | sed '/^$/d'
}

# open_data_set NAME:FOLDER: sets name, root, out and what the recipe adds to the calls that prepare it or make it in
# small; a miniature with options of its own lies apart from that without.
open_data_set() {
    name=${1%%:*} out=$data/${1#*:} prepare_words=() miniature_words=()
    out=${out%/.}
    root=$(data_set "$name")
    ! declare -F prepare_options >/dev/null || prepare_options "$name"
    [[ -n $dataset_root ]] || ((${#miniature_words[@]} == 0)) || root+=-${miniature_words[-1]}
}

# data_set NAME: the folder of one data set, in --dataset-root or among the miniatures.
data_set() {
    local folder=${dataset_root:-$data_dir/miniature}
    [[ -n $dataset_root && ! -d $folder/$1 ]] || folder+=/$1
    printf '%s' "$folder"
}

# sets_with TABLE SET...: those whose data dir has the table (in a dry run, all of them).
sets_with() {
    local set
    for set in "${@:2}"; do
        [[ $dry_run == false && ! -f $data/$set/$1 ]] || printf '%s\n' "$set"
    done
}

# run_name AXIS=VALUE...: the folder of a run, by the axes that sedkit reads too.
run_name() {
    local level axis prefix unsaid value name='' before='' word
    local -A values=()
    for word in "$@"; do values[${word%%=*}]=${word#*=}; done
    while IFS=$'\t' read -r level axis prefix unsaid _; do
        [[ $level != level ]] || continue
        value=${values[$axis]-}
        [[ -n $value && $value != "$unsaid" ]] || continue
        case $before:$level in
            :* | system:system) ;;
            run:run) name+=_ ;;
            *) name+=/ ;;
        esac
        name+=${prefix#-}$value before=$level
    done <"$SEDKIT_ROOT/metadata/run_axes.tsv"
    printf '%s' "$name"
}

# passes_of SYSTEM: PASS:OWNER, a line each, of the trainings that come before the system's own, in their order. OWNER is
# the `system` that a pass names, so that several share it, else the system. Each key stands on a line of its own.
passes_of() {
    local file=$recipe_dir/conf/$1.yaml base
    base=$(sed -n 's/^base: *//p' "$file")
    awk -v owner="$1" '
        { sub(/ #.*/, ""); sub(/ +$/, "") }
        /^[^ #]/ { inside = $1 == "passes:"; if (inside && $2 == "null") split("", of) }
        inside && /^  [^ #]/ {
            name = $1
            sub(/:$/, "", name)
            if (!(name in seen)) names[n++] = name
            seen[name]
            if ($2 == "null") delete of[name]
            else if (!(name in of)) of[name] = owner
        }
        inside && /^    base: *null/ { of[name] = owner }
        inside && /^    system:/ { of[name] = $2 }
        END { for (i = 0; i < n; i++) if (names[i] in of) print names[i] ":" of[names[i]] }
    ' ${base:+"$recipe_dir/conf/$base"} "$file"
}

# networks_of SYSTEM: a line each of the networks that its trainings keep and that are runs of their own, as the line
# `networks: [a, b]` of its configuration names them, of those that --network asks for; none where it has no such line.
networks_of() {
    local file=$recipe_dir/conf/$1.yaml base name asked=() known=() kept=()
    base=$(sed -n 's/^base: *//p' "$file")
    mapfile -t known < <(recipe_words networks "$file")
    ((${#known[@]})) || [[ -z $base ]] || mapfile -t known < <(recipe_words networks "$recipe_dir/conf/$base")
    [[ ${known[*]} != null ]] || known=()
    IFS=, read -ra asked <<<"$network"
    for name in "${known[@]}"; do
        [[ -n $network && " ${asked[*]} " != *" $name "* ]] || kept+=("$name")
    done
    ((${#kept[@]} || !${#known[@]})) || bad_use "--network ${network@Q}: $1 has none of these; it has: $(joined "${known[@]}")"
    ((!${#kept[@]})) || printf '%s\n' "${kept[@]}"
}

# check_networks NAMES...: ends with status 2 where --network asks for one that is not among the words.
check_networks() {
    local name asked=() all="$*"
    IFS=, read -ra asked <<<"$network"
    for name in "${asked[@]}"; do
        [[ " ${all//$'\n'/ } " == *" $name "* ]] || bad_use "--network ${name@Q}: no such network of $(joined "${systems[@]}")"
    done
}

# cross_axes: the product of the axes that options of this recipe have values for, each training as AXIS=VALUE words in
# axes_of[RUN], its configuration's system in system_of[RUN]. Its networks are the runs that are scored, or it is one
# itself. In first_trainings and first_runs those of the first seed, in pass_runs[K] the runs of every system's pass K.
declare -A axes_of=() system_of=()
cross_axes() {
    local axis option one value name pass depth kept
    local -A passes=() networks=()
    local -a values products=('') crossed
    while IFS=$'\t' read -r _ axis _ _ option; do
        [[ $option != - && $option != option && -v $option ]] || continue
        IFS=, read -ra values <<<"${!option}"
        crossed=()
        for one in "${products[@]}"; do
            for value in "${values[@]}"; do crossed+=("${one:+$one }$axis=$value"); done
        done
        products=("${crossed[@]}")
    done <"$SEDKIT_ROOT/metadata/run_axes.tsv"
    trainings=() first_trainings=() runs=() first_runs=() pass_runs=()
    for one in "${systems[@]}"; do
        passes[$one]=$(passes_of "$one")
        networks[$one]=$(networks_of "$one") || exit $?
    done
    check_networks "${networks[@]}"
    for one in "${products[@]}"; do
        read -r value _ <<<"${one#system=}"
        depth=0
        for pass in ${passes[$value]}; do
            pass="system=${pass#*:} pass=${pass%%:*} ${one#system=* }"
            # shellcheck disable=SC2086 # words
            name=$(run_name $pass)
            if [[ ! -v axes_of[$name] ]]; then
                pass_runs[depth]+="$name "
                axes_of[$name]=$pass system_of[$name]=$value
            fi
            depth=$((depth + 1))
        done
        # shellcheck disable=SC2086 # words
        name=$(run_name $one)
        trainings+=("$name")
        axes_of[$name]=$one system_of[$name]=$value
        kept=()
        for pass in ${networks[$value]}; do
            # shellcheck disable=SC2086 # words
            kept+=("$(run_name $one network="$pass")")
        done
        ((${#kept[@]})) || kept=("$name")
        runs+=("${kept[@]}")
        [[ $one != *" seed=${values[0]}" ]] || { first_trainings+=("$name") && first_runs+=("${kept[@]}"); }
    done
}

# axes_in_words: what there is of each axis, for people.
axes_in_words() {
    local option text=''
    while IFS=$'\t' read -r _ _ _ _ option; do
        [[ $option == - || $option == option || ! -v $option ]] || text+="; ${option//_/ } ${!option//,/, }"
    done <"$SEDKIT_ROOT/metadata/run_axes.tsv"
    printf '%s' "${text#; }"
}

# open_run RUN: sets the variables that a job of one run needs.
open_run() {
    local word split=()
    experiment=$exp_dir/$recipe/$1
    config=recipes/$recipe/conf/${system_of[$1]}.yaml
    axes=() split_run=() of_pass=()
    for word in ${axes_of[$1]}; do
        [[ $word == trained_on=* ]] || split+=("$word")
        case $word in
            system=* | trained_on=*) ;;
            pass=*) of_pass=(--pass "${word#*=}") ;;
            seed=*) axes+=("training.$word") ;;
            *) axes+=("run.$word") ;;
        esac
    done
    [[ $train_on == split ]] || split_run=(--split-run "$exp_dir/$recipe/$(run_name "${split[@]}")")
}

# staged STAGE RUN... OPTION...: all calls of a stage for these runs, in one process.
staged() {
    local stage=$1 folders=()
    shift
    while (($#)) && [[ $1 == */* && $1 != *=* ]]; do
        folders+=("$exp_dir/$recipe/$1")
        shift
    done
    sedkit stage "$stage" --recipe "recipes/$recipe/recipe.yaml" --data "$data" --run "${folders[@]}" "${forced[@]}" "$@"
}

# What is said of the submission is read in stage 8, keys and values after -- in stages 3 and 4, and so are the files of
# weights that published budgets begin with: hours away, maybe.
check_what_comes_later() {
    local one pass start
    if [[ -v given[label] || -v given[authors] || -v given[report] ]] && declare -F stage_submit >/dev/null &&
        ((stage <= 8 && 8 <= stop_stage)); then
        sedkit pack --format "$format" --authors "$authors" ${label:+--label "$label"} ${report:+--report "$report"} \
            --out "$submission_dir/$recipe" --check-config true
    fi
    ((stage <= 4)) || return 0
    ((${#overrides[@]})) || [[ $budget == published ]] || return 0
    for one in "${systems[@]}"; do
        for pass in $(passes_of "$one") ''; do
            start=()
            [[ -z $weights || -n $pass ]] || start=(--weights "$weights")
            sedkit train --config "recipes/$recipe/conf/$one.yaml" --data "$data" --exp "$exp_dir/$recipe/$one" \
                --budget "$budget" ${pass:+--pass "${pass%%:*}"} "${start[@]}" --check-config true "${overrides[@]}"
        done
    done
}
