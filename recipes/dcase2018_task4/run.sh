#!/usr/bin/env bash
# DCASE 2018 task 4: events in domestic recordings from clip labels alone, tagged first and detected then.
# What the sets are for: recipe.yaml. The stages: recipes/common/stages.sh. Options: ./runme.sh dcase2018_task4 --help
# shellcheck disable=SC2154,SC2034 # options become variables of the same name, in recipes/common/options.sh

# shellcheck source=recipes/common/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../common/lib.sh"

RECIPE_HELP="DCASE 2018 task 4: tagging and detection in two passes, MIL with a cosine penalty, the 2018 baseline"
DEFAULT_SYSTEM=fsl,att,mil,glu_mil,glu_mil_cosine,baseline2018
declare -A EXPECTED_TIME=(
    [quick]="half a minute per system and seed on 2 cores, and as much for each first pass"
    [published]="minutes per system and seed on a GPU, days on 2 cores"
)

main "$@"
