# shellcheck shell=bash
# The only file that knows where jobs run. Sourced by lib.sh.
#
# launch FUNCTION ITEM... calls FUNCTION ITEM once per item, each call an independent job in a process of its own.
# A job that fails does not stop the others; at the end the stage fails, naming the jobs that did.
#
# The options' variables come from options.sh:
# shellcheck disable=SC2154

launch() {
    local job=$1
    shift
    failed=()
    if ((parallel == 1 || $# < 2)) || [[ $dry_run == true ]]; then
        launch_in_turn "$job" "$@"
    else
        launch_side_by_side "$job" "$@"
    fi
    if ((${#failed[@]})); then
        say "${#failed[@]} of $# jobs failed: ${failed[*]}"
        exit 1
    fi
}

launch_in_turn() {
    local job=$1 item status
    shift
    for item in "$@"; do
        # Not `( … ) || …`: there bash would ignore `set -e` inside the job.
        set +e
        (
            set -e
            "$job" "$item"
        )
        status=$?
        set -e
        # Stopped from the keyboard or by a signal: the other jobs are not wanted either.
        ((status < 128)) || exit "$status"
        ((status == 0)) || failed+=("$item")
    done
}

launch_side_by_side() {
    local job=$1 item pid status log
    local -A item_of=() log_of=()
    shift
    mkdir -p -- "$exp_dir/$recipe/logs"
    # With job control every job is a process group, so that a signal reaches all that it started.
    set -m
    trap 'stop_jobs "${!item_of[@]}"; exit 130' INT
    trap 'stop_jobs "${!item_of[@]}"; exit 143' TERM HUP
    for item in "$@"; do
        while ((${#item_of[@]} >= parallel)); do collect_jobs; done
        log=$exp_dir/$recipe/logs/${STAGES[current_stage]}-${item//\//-}.log
        (
            set +m -e
            "$job" "$item"
        ) >"$log" 2>&1 </dev/null &
        pid=$!
        item_of[$pid]=$item log_of[$pid]=$log
        say "$item: started, log in $log"
    done
    while ((${#item_of[@]})); do collect_jobs; done
    trap - INT TERM HUP
    set +m
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
