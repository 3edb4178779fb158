#!/usr/bin/env bash
# DCASE 2019 task 4: weakly labelled, synthetic and unlabelled clips to events in domestic recordings.
# What the sets are for: recipe.yaml. The stages: recipes/common/stages.sh. Options: ./runme.sh dcase2019_task4 --help
# shellcheck disable=SC2154,SC2034 # options become variables of the same name, in recipes/common/options.sh

# shellcheck source=recipes/common/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../common/lib.sh"

RECIPE_HELP="DCASE 2019 task 4: CNNs on weak and synthetic labels (DESED)"
DEFAULT_SYSTEM=cnn9_weak
declare -A EXPECTED_TIME=(
    [quick]="one to ten minutes per system and seed on 2 cores, seconds on a GPU"
    [published]="5000 steps of 32: minutes per system and seed on a GPU, days on 2 cores"
)
RECIPE_OPTIONS=("evaluation|existing||clips to enter the challenge with: a folder of audio or a list; none: what the data set holds")

prepare_options() { [[ -z $evaluation ]] || prepare_words=(--evaluation "$evaluation"); }

main "$@"
