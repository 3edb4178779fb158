#!/usr/bin/env bash
# DCASE 2019 task 4: weakly labelled, synthetic and unlabelled clips to events in domestic recordings.
# A table of contents: each stage is a few `sedkit` calls. Options: ./runme.sh dcase2019_task4 --help
# shellcheck disable=SC2154,SC2034 # options become variables of the same name, in recipes/common/options.sh

# shellcheck source=recipes/common/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../common/lib.sh"

RECIPE_HELP="DCASE 2019 task 4: CNNs on weak and synthetic labels (DESED)"
DEFAULT_SYSTEM=cnn9_weak
declare -A EXPECTED_TIME=(
    [quick]="one to three minutes per system and seed on 2 cores, seconds on a GPU"
    [published]="5000 steps of 32: minutes per system and seed on a GPU, days on 2 cores"
)
RECIPE_OPTIONS=(
    "evaluation|existing||clips to enter the challenge with: a folder of audio or a list; none: what the data set holds"
    "authors|file|submissions/authors.example.yaml|authors of the submission"
    "report|file||technical report (PDF); without it no zip is written"
    "miniature-size|size|small|size of the generated data set: small, large or a number of clips"
)

stage_data() {
    if [[ -z $dataset_root ]]; then
        sedkit miniature desed "$(data_set desed)" --size "$miniature_size" --jobs "$jobs" "${forced[@]}"
    else
        sedkit prepare desed "$(data_set desed)" "$data" --coverage-only true ${evaluation:+--evaluation "$evaluation"}
    fi
}

stage_prepare() {
    sedkit prepare desed "$(data_set desed)" "$data" ${evaluation:+--evaluation "$evaluation"} --lenient "$lenient" --jobs "$jobs" "${forced[@]}"
}

stage_features() {
    local -a items=()
    for system in "${systems[@]}"; do
        for set in $(present_sets "$data" weak synthetic validation evaluation public); do items+=("$system/$set"); done
    done
    launch extract_set "${items[@]}"
}

stage_train() { launch train_run "${runs[@]}"; }
train_run() {
    open_run "$1"
    sedkit train --config "$config" --data "$data" --exp "$experiment" --budget "$budget" --train-on "$train_on" \
        --device "$device" "${split_run[@]}" "${measured[@]}" "${forced[@]}" "${overrides[@]}" "training.seed=$seed"
}

stage_predict() { launch predict_run "${runs[@]}"; }
predict_run() {
    open_run "$1"
    for set in $(tuning_sets "$data" weak synthetic); do
        sedkit predict "$experiment" "$data/$set" --fold tune --out "$experiment/scores/$set.tune.h5" --device "$device" "${forced[@]}"
    done
    for set in $(present_sets "$data" validation evaluation public); do
        sedkit predict "$experiment" "$data/$set" --out "$experiment/scores/$set.h5" \
            --device "$device" "${measured[@]}" "${forced[@]}"
    done
}

stage_tune() { launch tune_run "${runs[@]}"; }
tune_run() {
    open_run "$1"
    if [[ $train_on != split ]]; then
        perform cp -- "$split_experiment/postprocessing.yaml" "$experiment/postprocessing.yaml"
        return
    fi
    sedkit tune "$experiment/scores/weak.tune.h5" --reference "$data/weak/weak.tsv" --objective tagging \
        --out "$experiment/postprocessing.tagging.yaml" "${forced[@]}"
    sedkit tune "$experiment/scores/synthetic.tune.h5" --reference "$data/synthetic/strong.tsv" --objective event \
        --start "$experiment/postprocessing.tagging.yaml" --out "$experiment/postprocessing.yaml" "${forced[@]}"
}

stage_score() { launch score_run "${runs[@]}"; }
score_run() {
    open_run "$1"
    for set in $(present_sets "$data" validation evaluation public); do
        sedkit decode "$experiment/scores/$set.h5" --postprocessing "$experiment/postprocessing.yaml" \
            --out "$experiment/events/$set.tsv" "${forced[@]}"
    done
    # The published fixed rule is a row of its own.
    for set in $(reported_sets "$data" validation public evaluation); do
        sedkit decode "$experiment/scores/$set.h5" --postprocessing published \
            --out "$experiment/events/$set.published.tsv" "${forced[@]}"
        score_set "$set" "$set.published"
        score_set "$set" "$set"
        print_scores "$set" "$set"
    done
    for fold in $(reported_folds "$data" validation test_dcase2018 eval_dcase2018); do
        score_set validation validation "$fold" --clips "$data/validation/clips.tsv" --fold "$fold"
    done
}
# score_set SET EVENTS [RESULT [options]]
score_set() {
    print_scores "$1" "$2" --bootstrap 1000 --groups "$data/$1/clips.tsv" --json "$experiment/results/${3:-$2}.json" \
        "${forced[@]}" "${@:4}"
}
# print_scores SET EVENTS [options]
print_scores() {
    sedkit score --reference "$data/$1/strong.tsv" --estimate "$experiment/events/$2.tsv" \
        --scores "$experiment/scores/$1.h5" --durations "$data/$1/clips.tsv" --metrics event,segment,tagging \
        --baselines true "${@:3}"
}

stage_submit() { submit dcase2019 "$data" evaluation public validation; }

stage_benchmark() {
    choose_reported
    sedkit benchmark "${reported[@]}" --rows "$exp_dir/$recipe/RESULTS.md" --command "$command"
}

main "$@"
