#!/usr/bin/env bash
# DCASE 2024 task 4: DESED and MAESTRO Real, each annotated for classes of its own, to the events of 27 classes.
# What the sets are for: recipe.yaml. The stages: recipes/common/stages.sh. Options: ./runme.sh dcase2024_task4 --help
# shellcheck disable=SC2154,SC2034 # options become variables of the same name, in recipes/common/options.sh

# shellcheck source=recipes/common/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../common/lib.sh"

RECIPE_HELP="DCASE 2024 task 4: DESED and MAESTRO Real together, with the embeddings of BEATs"
DEFAULT_SYSTEM=crnn_2024
declare -A EXPECTED_TIME=(
    [quick]="three minutes per system and seed on 2 cores"
    [published]="35400 steps of 60: hours per system and seed on a GPU"
)

# In small, with the sets of 2024.
prepare_options() {
    [[ $1 != desed ]] || miniature_words=(--layout 2024)
}

main "$@"
