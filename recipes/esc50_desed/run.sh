#!/usr/bin/env bash
# ESC-50 to DESED: one-second windows of isolated sounds to events in domestic recordings, with ResNet-18.
# What the sets are for: recipe.yaml. The stages: recipes/common/stages.sh. Options: ./runme.sh esc50_desed --help
# shellcheck disable=SC2154,SC2034 # options become variables of the same name, in recipes/common/options.sh

# shellcheck source=recipes/common/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../common/lib.sh"

RECIPE_HELP="ESC-50 to events in DESED: transfer with ResNet-18 on windows of one second"
DEFAULT_SYSTEM=fixed
declare -A EXPECTED_TIME=(
    [quick]="one to two minutes per system and seed on 2 cores, seconds on a GPU"
    [published]="25625 steps of 16: minutes per system and seed on a GPU, an hour or more on 2 cores"
)

# Stops where a recording of ESC-50 is also heard in what will be reported on, as given (stage 0 only counts files).
prepare_options() {
    [[ $1 != esc50 || ${current_stage-} == 0 ]] || prepare_words=(--reported "$(data_set desed)")
}

# After the data dirs, the windows that the publication tested on.
stage_prepare() {
    local set
    prepare_data_sets
    for set in $(sets_with strong.tsv target/validation target/public); do
        perform python "recipes/$recipe/first_column.py" windows "$data/$set/strong.tsv" \
            --out "$data/$set/windows.tsv" "${forced[@]}"
    done
}

# After the figures, what the publication reports in place of a macro F1, for the record: one column of five.
score_run() {
    local set run
    scored "$@"
    for set in validation public; do
        local estimates=() figures=()
        for run in "${@/#/$exp_dir/$recipe/}"; do
            [[ $dry_run == true || -f $run/events/$set.windows.published.tsv ]] || continue
            estimates+=("$run/events/$set.windows.published.tsv") figures+=("$run/first_column/$set.json")
        done
        ((${#estimates[@]} == 0)) || perform python "recipes/$recipe/first_column.py" figures \
            "$data/target/$set/strong.tsv" --estimate "${estimates[@]}" --json "${figures[@]}"
    done
}

main "$@"
