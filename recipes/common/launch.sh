#!/usr/bin/env bash
# shellcheck shell=bash
# The only file that knows where jobs run. Sourced by lib.sh.
#
# launch FUNCTION ITEM... makes an independent job of each item, in a process of its own that re-enters the recipe:
# `bash recipes/NAME/run.sh --job FUNCTION:ITEM OPTIONS...` calls FUNCTION ITEM, here, under sbatch or on another machine.
# A job that fails does not stop the others; at the end the stage fails, naming the jobs that did. Called as a program,
# this file is one task of an array under Slurm.
# shellcheck disable=SC2154 # the options' variables come from options.sh

launch() {
    local function=$1 item
    shift
    if [[ -n ${listing_jobs-} ]]; then
        for item in "$@"; do printf '%s:%s\n' "$function" "$item" >&3; done
    elif [[ $dry_run == true ]]; then
        for item in "$@"; do ("$function" "$item"); done
    else
        launch_jobs "$function" "$@"
    fi
}

# launch_together FUNCTION ITEM...: as launch, for a function that takes several items: one at a time, they share a process.
launch_together() {
    if ((parallel == 1)) && [[ $launcher != slurm && -z ${listing_jobs-} ]]; then "$@"; else launch "$@"; fi
}

# check_launcher: ends with status 2 where options of one launcher are given to another.
check_launcher() {
    [[ $launcher != torchrun || -v given[processes] ]] || processes=0
    [[ $launcher != local || $processes == 1 ]] ||
        bad_use "--processes $processes goes with --launcher torchrun or slurm, got --launcher local"
    [[ -z $sbatch || $launcher == slurm ]] || bad_use "--sbatch goes with --launcher slurm, got --launcher $launcher"
    [[ $launcher != slurm || $dry_run == true || -n $job ]] || command -v sbatch >/dev/null ||
        bad_use "--launcher slurm: there is no sbatch on this machine"
    [[ $energy == false || ($launcher != slurm && $processes == 1) ]] ||
        bad_use "--energy true goes with one process on this machine, got --launcher $launcher"
}

# together VERB...: a call of sedkit in as many processes as --processes says, on each node that Slurm gave to the job.
together() {
    local each=$processes nodes=1 first
    ((each)) || each=gpu
    [[ $launcher != slurm ]] || nodes=${SLURM_JOB_NUM_NODES:-1}
    if ((nodes > 1)); then
        read -r first < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
        # They meet at a port of the job's own: its nodes may have other jobs.
        perform srun --ntasks="$nodes" --ntasks-per-node=1 --cpu-bind=none --kill-on-bad-exit=1 \
            torchrun --nnodes "$nodes" --nproc-per-node "$each" --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" \
            --rdzv-endpoint "$first:$((20000 + SLURM_JOB_ID % 10000))" -m sedkit "$@"
    elif [[ $each == 1 ]]; then
        sedkit "$@"
    else
        perform torchrun --standalone --nproc-per-node "$each" -m sedkit "$@"
    fi
}

# launch_jobs FUNCTION ITEM...: `parallel` at a time; one alone runs in the foreground, side by side each has its log.
launch_jobs() {
    local function=$1 item pid status log
    local -A item_of=() log_of=()
    shift
    failed=()
    if [[ $launcher == slurm ]]; then
        launch_array "$function" "$@"
    elif ((parallel == 1 || $# < 2)); then
        for item in "$@"; do
            status=0
            bash "recipes/$recipe/run.sh" --job "$function:$item" "${job_options[@]}" || status=$?
            # Stopped from the keyboard or by a signal: the other jobs are not wanted either.
            ((status < 128)) || exit "$status"
            ((status == 0)) || failed+=("$item")
        done
    else
        mkdir -p -- "$exp_dir/$recipe/logs"
        # With job control every job is a process group, so that a signal reaches all that it started.
        set -m
        trap 'stop_jobs "${!item_of[@]}"; exit 130' INT
        trap 'stop_jobs "${!item_of[@]}"; exit 143' TERM HUP
        for item in "$@"; do
            while ((${#item_of[@]} >= parallel)); do collect_jobs; done
            log=$exp_dir/$recipe/logs/${STAGES[current_stage]}-${item//\//-}.log
            bash "recipes/$recipe/run.sh" --job "$function:$item" "${job_options[@]}" >"$log" 2>&1 </dev/null &
            pid=$!
            item_of[$pid]=$item log_of[$pid]=$log
            say "$item: started, log in $log"
        done
        while ((${#item_of[@]})); do collect_jobs; done
        trap - INT TERM HUP
        set +m
    fi
    if ((${#failed[@]})); then
        say "${#failed[@]} of $# jobs failed: ${failed[*]}"
        exit 1
    fi
}

# Takes the jobs that have ended out of item_of; waits a moment where none has.
collect_jobs() {
    local before=${#item_of[@]}
    for pid in "${!item_of[@]}"; do
        kill -0 "$pid" 2>/dev/null && continue
        status=0
        wait "$pid" || status=$?
        if ((status)); then
            say "${item_of[$pid]}: FAILED (status $status); the end of ${log_of[$pid]}:"
            tail -n 5 -- "${log_of[$pid]}" | sed 's/^/    /' >&2
            failed+=("${item_of[$pid]}")
        else
            say "${item_of[$pid]}: done"
        fi
        unset "item_of[$pid]" "log_of[$pid]"
    done
    ((${#item_of[@]} < before)) || sleep 0.2
}

stop_jobs() {
    local pid
    for pid in "$@"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
}

# collect_job_options: what a job is given to be part of this call, as words that mean the same from the root's folder.
collect_job_options() {
    local row name default variable
    job_options=()
    for row in "${COMMON_OPTIONS[@]}" "${RECIPE_OPTIONS[@]}"; do
        IFS='|' read -r name _ default _ <<<"$row"
        variable=${name//-/_}
        [[ $name == job || ${!variable} == "$default" ]] || job_options+=("--$name=${!variable}")
    done
    ((${#overrides[@]} == 0)) || job_options+=(-- "${overrides[@]}")
}

# known_jobs: FUNCTION:ITEM of every job of every stage, asked of the stages themselves.
known_jobs() {
    local name listing_jobs=true dry_run=true
    for name in "${STAGES[@]}"; do
        ! declare -F "stage_$name" >/dev/null || ("stage_$name" >/dev/null 2>&1) || true
    done 3>&1
}

# open_job FUNCTION:ITEM: ends with status 2, naming what there is, where no stage has such a job.
open_job() {
    local function=${1%%:*} item=${1#*:} one
    local -a jobs_known=() functions=() items=()
    mapfile -t jobs_known < <(known_jobs)
    for one in "${jobs_known[@]}"; do
        [[ $one != "$1" ]] || return 0
        [[ " ${functions[*]-} " == *" ${one%%:*} "* ]] || functions+=("${one%%:*}")
        [[ ${one%%:*} != "$function" ]] || items+=("${one#*:}")
    done
    ((${#items[@]})) || bad_use "--job: $recipe has no job ${function@Q}$(suggest "$function" "${functions[@]}"); it has: $(joined "${functions[@]}")"
    bad_use "--job: $function has no item ${item@Q}$(suggest "$item" "${items[@]}"); with these options it has: $(joined "${items[@]}")"
}

# launch_array FUNCTION ITEM...: as an array of sbatch, a task each; waits for all of them. A task that Slurm puts back into
# the queue goes on where it stopped. Each leaves its status beside its log when it ends by itself.
launch_array() {
    local function=$1 array item words=() states=() logs held=''
    shift
    read -ra words <<<"$sbatch"
    logs=$exp_dir/$recipe/logs
    [[ $logs == /* ]] || logs=$SEDKIT_ROOT/$logs
    mkdir -p -- "$logs"
    for item in "$@"; do states+=("$logs/${STAGES[current_stage]}-${item//\//-}.status"); done
    rm -f -- "${states[@]}"
    array=$(sbatch --parsable --requeue --open-mode=append --chdir="$SEDKIT_ROOT" --output=/dev/null \
        --array="0-$(($# - 1))$( ((parallel == 1)) || printf '%%%s' "$parallel")" --job-name="$recipe-$function" "${words[@]}" \
        recipes/common/launch.sh "$recipe" "$function" "$#" "$@" "${states[@]}" "${job_options[@]}") ||
        { say "sbatch refused the jobs of $function" && exit 1; }
    array=${array%%;*}
    say "$# jobs of $function are array $array of Slurm, logs in $logs"
    trap 'scancel "$array"; exit 130' INT
    trap 'scancel "$array"; exit 143' TERM HUP
    while array_runs; do sleep "${SEDKIT_SLURM_POLL_S:-5}"; done
    trap - INT TERM HUP
    collect_states "$@"
}

# array_runs: whether a task of `array` has not ended yet; a controller that does not answer is asked again.
array_runs() {
    local left
    all_there "${states[@]}" && return 1
    left=$(squeue --noheader --jobs="$array" --format='%i %r' 2>&1) || [[ $left == *'Invalid job id'* ]] || return 0
    # Such as one that a node failed to launch.
    if [[ $left == *[Hh]eld* && -z $held ]]; then
        held=$(grep -im 1 held <<<"$left")
        say "task ${held%% *} is held (${held#* }): 'scontrol release $array' lets it go on, 'scancel $array' ends it"
    fi
    [[ -n $left && $left != *'Invalid job id'* ]]
}

all_there() {
    local path
    for path in "$@"; do [[ -f $path ]] || return 1; done
}

# collect_states ITEM...: puts those into `failed` that left another status than 0, or none.
collect_states() {
    local i=0 item status
    # A shared folder may show a file a moment after the task that wrote it has left the queue.
    all_there "${states[@]}" || sleep "${SEDKIT_SLURM_POLL_S:-5}"
    for item in "$@"; do
        status=$(cat -- "${states[i]}" 2>/dev/null) || status='none: stopped from outside'
        if [[ $status == 0 ]]; then
            say "$item: done"
        else
            say "$item: FAILED (status $status); the end of ${states[i]%.status}.log:"
            tail -n 5 -- "${states[i]%.status}.log" 2>/dev/null | sed 's/^/    /' >&2 || true
            failed+=("$item")
        fi
        i=$((i + 1))
    done
}

# array_task RECIPE FUNCTION N ITEM... STATUS-FILE... OPTION...: one task of an array, on whatever machine it is.
array_task() {
    local recipe=$1 function=$2 n=$3 at=$SLURM_ARRAY_TASK_ID status=0 item state
    shift 3
    item=${*:at+1:1} state=${*:n+at+1:1}
    shift $((2 * n))
    bash "recipes/$recipe/run.sh" --job "$function:$item" "$@" >>"${state%.status}.log" 2>&1 </dev/null || status=$?
    printf '%s\n' "$status" >"$state.part"
    mv -f -- "$state.part" "$state"
    return "$status"
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || array_task "$@"
