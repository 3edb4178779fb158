#!/usr/bin/env bash
# ESC-50 to DESED: one-second chunks of isolated sounds to events in domestic recordings, with ResNet-18.
# A table of contents: each stage is a few `sedkit` calls. Options: ./runme.sh esc50_desed --help
# shellcheck disable=SC2154,SC2034 # options become variables of the same name, in recipes/common/options.sh

# shellcheck source=recipes/common/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../common/lib.sh"

RECIPE_HELP="ESC-50 chunks to events in DESED: transfer with ResNet-18"
DEFAULT_SYSTEM=fixed
declare -A EXPECTED_TIME=(
    [quick]="about 2 minutes per system and seed on 2 cores, seconds on a GPU"
    [published]="25625 steps of 16: minutes per system and seed on a GPU, an hour or more on 2 cores"
)
RECIPE_OPTIONS=(
    "authors|file|submissions/authors.example.yaml|authors of the submission (YAML)"
    "report|file||technical report (PDF) to put into the submission"
    "weights|file||weights to start from, such as torchvision's ImageNet weights of ResNet-18"
    "miniature-size|size|small|size of the generated data sets: small, large or a number of clips"
)
# The publication's threshold, the same for all classes.
PUBLISHED_THRESHOLD=0.6

stage_data() {
    if [[ -z $dataset_root ]]; then
        sedkit miniature esc50 "$(data_set esc50)" --size "$miniature_size" --jobs "$jobs" "${forced[@]}"
        sedkit miniature desed "$(data_set desed)" --size "$miniature_size" --jobs "$jobs" "${forced[@]}"
    else
        sedkit prepare esc50 "$(data_set esc50)" "$data/source" --coverage-only true
        sedkit prepare desed "$(data_set desed)" "$data/target" --coverage-only true
    fi
}

stage_prepare() {
    sedkit prepare desed "$(data_set desed)" "$data/target" --lenient "$lenient" --jobs "$jobs" "${forced[@]}"
    # Stops where a recording of ESC-50 is also heard in what will be reported on.
    sedkit prepare esc50 "$(data_set esc50)" "$data/source" --reported "$(data_set desed)" --lenient "$lenient" \
        --jobs "$jobs" "${forced[@]}"
}

stage_features() {
    local -a items=()
    for system in "${systems[@]}"; do
        if [[ $system == faithful ]]; then
            say "faithful: the features of each chunk on its own are computed in stages 4 and 5"
            continue
        fi
        for set in $(present_sets "$data" source/esc50 target/synthetic target/validation target/evaluation target/public); do
            items+=("$system/$set")
        done
    done
    launch extract_set "${items[@]}"
}

stage_train() { launch train_run "${runs[@]}"; }
train_run() {
    open_run "$1"
    sedkit train --config "$config" --data "$data" --exp "$experiment" --budget "$budget" --train-on "$train_on" \
        --device "$device" ${weights:+--weights "$weights"} "${split_run[@]}" "${measured[@]}" "${forced[@]}" \
        "${overrides[@]}" "training.seed=$seed"
}

stage_predict() { launch predict_run "${runs[@]}"; }
predict_run() {
    open_run "$1"
    for set in $(tuning_sets "$data" source/esc50); do
        sedkit predict "$experiment" "$data/$set" --fold 5 --chunks dense --out "$experiment/scores/esc50.tune.h5" \
            --reference-out "$experiment/scores/esc50.tune.tsv" --device "$device" "${forced[@]}"
    done
    for set in $(present_sets "$data/target" validation evaluation public); do
        sedkit predict "$experiment" "$data/target/$set" --out "$experiment/scores/$set.h5" \
            --device "$device" "${measured[@]}" "${forced[@]}"
    done
    for set in $(reported_sets "$data/target" validation public); do
        sedkit predict "$experiment" "$data/target/$set" --chunks published --out "$experiment/scores/$set.chunks.h5" \
            --reference-out "$data/target/$set/chunks.tsv" --device "$device" "${forced[@]}"
    done
}

stage_tune() { launch tune_run "${runs[@]}"; }
tune_run() {
    open_run "$1"
    if [[ $train_on != split ]]; then
        perform cp -- "$split_experiment/postprocessing.yaml" "$experiment/postprocessing.yaml"
        return
    fi
    sedkit tune "$experiment/scores/esc50.tune.h5" --reference "$experiment/scores/esc50.tune.tsv" --objective segment \
        --out "$experiment/postprocessing.yaml" "${forced[@]}"
}

stage_score() { launch score_run "${runs[@]}"; }
score_run() {
    open_run "$1"
    for set in $(present_sets "$data/target" validation evaluation public); do
        sedkit decode "$experiment/scores/$set.h5" --postprocessing "$experiment/postprocessing.yaml" \
            --out "$experiment/events/$set.tsv" "${forced[@]}"
    done
    for set in $(reported_sets "$data/target" validation public); do
        sedkit decode "$experiment/scores/$set.h5" --postprocessing "$PUBLISHED_THRESHOLD" \
            --out "$experiment/events/$set.published.tsv" "${forced[@]}"
        sedkit decode "$experiment/scores/$set.chunks.h5" --postprocessing "$PUBLISHED_THRESHOLD" \
            --out "$experiment/events/$set.chunks.tsv" "${forced[@]}"
        score_set "$set" "$set.published"
        score_set "$set" "$set"
        # What the publication reports in place of a macro F1, for the record: one column of five.
        perform python "recipes/$recipe/first_column.py" --reference "$data/target/$set/chunks.tsv" \
            --estimate "$experiment/events/$set.chunks.tsv" --json "$experiment/first_column/$set.json"
    done
}
# score_set SET EVENTS: a class that is never found counts as 0 (the official macro average leaves it out).
score_set() {
    sedkit score --reference "$data/target/$1/strong.tsv" --estimate "$experiment/events/$2.tsv" --metrics segment,event \
        --labels "recipes/$recipe/labels.txt" --undefined zero --baselines true \
        --durations "$data/target/$1/clips.tsv" --bootstrap 1000 --groups "$data/target/$1/clips.tsv" \
        --json "$experiment/results/$2.json" "${forced[@]}"
}

stage_submit() { submit dcase2019 "$data/target" evaluation public validation; }

stage_benchmark() {
    choose_reported
    launch compare_run "${runs[@]}"
    sedkit benchmark "${reported[@]}" --rows "$exp_dir/$recipe/RESULTS.md" --command "$command"
}

# Each system against `fixed` of the same seed, clip by clip, where that was run.
compare_run() {
    open_run "$1"
    local other=$exp_dir/$recipe/fixed/${1##*/}/events
    for set in $(reported_sets "$data/target" validation public); do
        for events in "$set" "$set.published"; do
            if [[ $system == fixed || ! -f $other/$events.tsv && $dry_run == false ]]; then continue; fi
            sedkit score --reference "$data/target/$set/strong.tsv" --estimate "$experiment/events/$events.tsv" \
                --against "$other/$events.tsv" --metrics segment,event --labels "recipes/$recipe/labels.txt" \
                --undefined zero --bootstrap 1000 --groups "$data/target/$set/clips.tsv" \
                --json "$experiment/comparison/$events.json" "${forced[@]}"
        done
    done
}

main "$@"
