# shellcheck shell=bash
# The stages that recipes share, by what recipe.yaml says of the sets. Sourced by lib.sh; a recipe that does one in
# another way defines the function again.
# shellcheck disable=SC2154 # the options' variables come from options.sh

stage_data() {
    local pair name root out prepare_words miniature_words
    for pair in "${data_sets[@]}"; do
        open_data_set "$pair"
        if [[ -z $dataset_root ]]; then
            sedkit miniature "$name" "$root" "${miniature_words[@]}" --size "$miniature_size" --jobs "$jobs" "${forced[@]}"
        else
            sedkit prepare "$name" "$root" "$out" --coverage-only true "${prepare_words[@]}"
        fi
    done
}

stage_prepare() { prepare_data_sets; }
prepare_data_sets() {
    local pair name root out prepare_words miniature_words
    for pair in "${data_sets[@]}"; do
        open_data_set "$pair"
        sedkit prepare "$name" "$root" "$out" "${prepare_words[@]}" --lenient "$lenient" --jobs "$jobs" "${forced[@]}"
    done
}

# Features depend on system and budget alone.
stage_features() { launch_together features_run "${first_trainings[@]}"; }
features_run() { staged features "$@" --budget "$budget" --jobs "$jobs" "${overrides[@]}"; }

# First each pass of the systems, as far as the tags that the next one needs.
stage_train() {
    local -a of_depth
    local one job
    for one in "${pass_runs[@]}"; do
        read -ra of_depth <<<"$one"
        launch train_run "${of_depth[@]}"
        for job in predict_run tune_run tag_run; do launch_together "$job" "${of_depth[@]}"; done
    done
    launch train_run "${trainings[@]}"
}
tag_run() { staged tag "$@"; }
train_run() {
    local start=()
    open_run "$1"
    # Weights are those of the system, not of what comes before it.
    [[ -z $weights ]] || ((${#of_pass[@]})) || start=(--weights "$weights")
    together train --config "$config" "${of_pass[@]}" --data "$data" --exp "$experiment" --budget "$budget" \
        --train-on "$train_on" --device "$device" "${start[@]}" "${split_run[@]}" "${measured[@]}" "${forced[@]}" \
        "${overrides[@]}" "${axes[@]}"
}

stage_predict() { launch_together predict_run "${runs[@]}"; }
predict_run() { staged predict "$@" --device "$device" "${measured[@]}" "${cluster[@]}"; }

stage_tune() { launch_together tune_run "${runs[@]}"; }
tune_run() { staged tune "$@"; }

stage_score() { launch_together score_run "${runs[@]}"; }
score_run() { scored "$@"; }
# scored RUN...: decodes and scores; a recipe that does more after that begins with it.
scored() {
    local without=()
    [[ $page == true ]] || without=(--no-page true)
    staged score "$@" "${without[@]}" "${cluster[@]}"
}

# Writes and checks the submission for the first of the sets to enter with that was prepared: the first seed of each
# system, or as many as the year asks for, of four systems at most, as the challenge allows.
stage_submit() {
    local set path small=() submitted=("${first_runs[@]/#/$exp_dir/$recipe/}")
    [[ -z $submitted_seeds ]] || submitted_runs
    [[ -n $dataset_root ]] || small=(--miniature true)
    read -r set < <(sets_with clips.tsv "${entered[@]}") ||
        { say "none of the sets $(joined "${entered[@]}") is in $data; stage 1 makes them" && exit 1; }
    if [[ -z $submitted_seeds ]] && ((${#submitted[@]} > 4)); then
        say "a submission holds four systems at most: left out are $(joined "${submitted[@]:4}")"
        submitted=("${submitted[@]:0:4}")
    fi
    sedkit_paths pack --format "$format" --experiment "${submitted[@]}" --set "${set##*/}" \
        --files "$data/$set/clips.tsv" --authors "$authors" ${label:+--label "$label"} \
        ${development:+--development "$development"} ${report:+--report "$report"} "${small[@]}" \
        --out "$submission_dir/$recipe"
    for path in "${paths[@]}"; do
        sedkit check "$path" --format "$format" --files "$data/$set/clips.tsv" "${small[@]}"
    done
}

# submitted_runs: sets submitted to the first seeds, as many as the year asks for, of the first four systems.
submitted_runs() {
    local run system
    local -A seeds=()
    submitted=()
    for run in "${runs[@]}"; do
        system=${run%%/*}
        [[ -n ${seeds[$system]-} ]] || ((${#seeds[@]} < 4)) || continue
        ((${seeds[$system]:=0} < submitted_seeds)) || continue
        seeds[$system]=$((seeds[$system] + 1))
        submitted+=("$exp_dir/$recipe/$run")
    done
}

# The experiments that have figures; those trained on every labelled set have none.
stage_benchmark() {
    local run results reported=()
    [[ -z $compared ]] || launch_together compare_run "${runs[@]}"
    for run in "${runs[@]/#/$exp_dir/$recipe/}"; do
        results=("$run"/results/*.json)
        if [[ $dry_run == true || -f ${results[0]} ]]; then reported+=("$run"); else say "$run has no results"; fi
    done
    ((${#reported[@]})) || { say "no results to compare; stage 7 makes them" && exit 1; }
    sedkit benchmark "${reported[@]}" ${contrasts:+--contrast "$contrasts"} --rows "$exp_dir/$recipe/RESULTS.md" --command "$command"
}
compare_run() { staged compare "$@"; }
