#!/usr/bin/env bash
# Events mixed into scenes, learnt from clip labels: time-frequency segmentation, separation, two-step attention.
# What the sets are for: recipe.yaml. The stages: recipes/common/stages.sh. Options: ./runme.sh mixtures --help
# shellcheck disable=SC2154,SC2034 # options become variables of the same name, in recipes/common/options.sh

# shellcheck source=recipes/common/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../common/lib.sh"

RECIPE_HELP="Events in scenes from clip labels: segmentation in time and frequency, separation, two-step attention"
DEFAULT_SYSTEM=gmp,gap,gwrp,two_step_ae
declare -A EXPECTED_TIME=(
    [quick]="one to two minutes per system, level, fold and seed on 2 cores"
    [published]="10000 steps of 24 at full resolution: minutes per run on a GPU, weeks on 2 cores"
)
RECIPE_OPTIONS=(
    "snr|numbers:-100:100|0|levels of the events over their scenes in dB, a run each"
    "folds|numbers:1:4|1|folds of the cross-validation that are held out, a run each"
    "scenes|choice:tut2018,tau2019|tut2018|data set of the scenes: DCASE 2018 or 2019 task 1"
)

choose_data_sets() {
    data_sets+=("$scenes:scenes")
    [[ $scenes == tut2018 || -n $dataset_root ]] || bad_use "--scenes $scenes needs --dataset-root: it has no miniature"
}

# One plan for all levels, so that the same clips lie over the same scenes.
stage_mix() {
    local level
    sedkit mix plan --config "recipes/$recipe/conf/base.yaml" --budget "$budget" --data "$data" --out "$data/plan.yaml" \
        "${forced[@]}" "${overrides[@]}"
    for level in ${snr//,/ }; do
        sedkit mix render "$data/plan.yaml" --out "$data/snr$level" --snr "$level" --jobs "$jobs" "${forced[@]}"
    done
}

# No challenge asks for mixtures.
unset -f stage_submit

main "$@"
