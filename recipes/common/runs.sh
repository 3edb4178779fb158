# shellcheck shell=bash
# Which data dirs and experiments a stage works on, and the jobs that are the same in every recipe. Sourced by lib.sh.
#
# The options' variables come from options.sh, and recipes use what is set here:
# shellcheck disable=SC2154,SC2034

# open_run SYSTEM/[all_]seed0: sets the variables that a job of a stage needs.
open_run() {
    run=$1
    system=${1%%/*}
    seed=${1##*seed}
    config=recipes/$recipe/conf/$system.yaml
    experiment=$exp_dir/$recipe/$run
    split_experiment=$exp_dir/$recipe/$system/seed$seed
    split_run=()
    [[ $train_on == split ]] || split_run=(--split-run "$split_experiment")
}

# present_sets DATA_DIRS SET...: the names of those that were prepared (in a dry run, all of them).
present_sets() { sets_with clips.tsv "$@"; }

# tuning_sets DATA_DIRS SET...: those with a held-out part to tune on; none where everything was trained on.
tuning_sets() { [[ $train_on != split ]] || present_sets "$@"; }

# reported_sets DATA_DIRS SET...: those with events to score against that were not trained on.
reported_sets() {
    local set
    for set in $(sets_with strong.tsv "$@"); do
        if [[ $train_on == "all+$set" ]]; then
            say "$set was trained on (--train-on $train_on): no figures on it"
        else
            printf '%s\n' "$set"
        fi
    done
}

# reported_folds DATA_DIRS SET FOLD...: the folds that clips of a reported set have.
reported_folds() {
    local folder=$1 set=$2 fold
    shift 2
    [[ $train_on != "all+$set" ]] || return 0
    for fold in "$@"; do
        ! has_fold "$folder/$set" "$fold" || printf '%s\n' "$fold"
    done
}

sets_with() {
    local file=$1 folder=$2 set
    shift 2
    for set in "$@"; do
        [[ $dry_run == false && ! -f $folder/$set/$file ]] || printf '%s\n' "$set"
    done
}

# has_fold DATA_DIR FOLD: whether a clip of the data dir is of that fold (in a dry run, yes).
has_fold() {
    [[ $dry_run == false ]] || return 0
    [[ -f $1/clips.tsv ]] || return 1
    # Counted to the end: a grep that stops at the first one would break the pipe.
    (($(tr '\t' '\n' <"$1/clips.tsv" | grep -cxF -- "$2") > 0))
}

# choose_submission DATA_DIRS SET...: the first set that was prepared, and the experiments to hand in: the first seed
# of each system, four at most, as the challenge allows.
choose_submission() {
    local one
    if ! read -r submitted_set < <(present_sets "$@"); then
        say "none of the sets ${*:2} is in $1; stage 1 makes them"
        exit 1
    fi
    submitted=()
    for one in "${experiments[@]}"; do
        [[ ${one##*seed} != "${seeds[0]}" ]] || submitted+=("$one")
    done
    if ((${#submitted[@]} > 4)); then
        say "a submission holds four systems at most: left out are $(joined "${submitted[@]:4}")"
        submitted=("${submitted[@]:0:4}")
    fi
}

# choose_reported: the experiments that have figures; those trained on every labelled set have none.
choose_reported() {
    local one results
    reported=()
    for one in "${experiments[@]}"; do
        results=("$one"/results/*.json)
        if [[ $dry_run == true || -f ${results[0]} ]]; then
            reported+=("$one")
        else
            say "$one has no results"
        fi
    done
    ((${#reported[@]})) || { say "no results to compare; stage 7 makes them" && exit 1; }
}

# data_set NAME: the folder of one data set, in --dataset-root or among the miniatures.
data_set() {
    if [[ -z $dataset_root ]]; then
        printf '%s' "$data_dir/miniature/$1"
    elif [[ -d $dataset_root/$1 ]]; then
        printf '%s' "$dataset_root/$1"
    else
        printf '%s' "$dataset_root"
    fi
}

# Keys and values after -- are read in stages 3 and 4, which may be hours away.
check_overrides() {
    local one
    ((${#overrides[@]} && stage <= 4)) || return 0
    for one in "${systems[@]}"; do
        sedkit train --config "recipes/$recipe/conf/$one.yaml" --data "$data" --exp "$exp_dir/$recipe/$one" \
            --budget "$budget" --check-config true "${overrides[@]}"
    done
}

# extract_set SYSTEM/SET: the job of stage 3.
extract_set() {
    open_run "$1"
    sedkit extract "$data/${1#*/}" --config "$config" --jobs "$jobs" "${forced[@]}" "${overrides[@]}"
}

# submit FORMAT DATA_DIRS SET...: writes and checks the submission for the first of the sets that was prepared. The recipe
# declares the options `authors` and `report`.
submit() {
    local format=$1 folder=$2 path
    shift
    choose_submission "$@"
    sedkit_paths pack --format "$format" --experiment "${submitted[@]}" --set "$submitted_set" \
        --files "$folder/$submitted_set/clips.tsv" --authors "$authors" ${label:+--label "$label"} \
        ${report:+--report "$report"} --out "$submission_dir/$recipe"
    for path in "${paths[@]}"; do
        sedkit check "$path" --format "$format" --files "$folder/$submitted_set/clips.tsv"
    done
}
