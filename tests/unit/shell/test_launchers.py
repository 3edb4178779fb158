"""--launcher torchrun and slurm: what is called. tests/full has a real Slurm."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

TRAIN = ("--stage=4", "--stop-stage=4", "--seeds=0,1,2", "--launcher=slurm")

#: Stands in for Slurm: tasks run at once, one after another, as array 7.
SBATCH = """#!/bin/bash
printf '%s\\n' "$@" >>"$FAKE_LOG.sbatch"
[[ -z ${FAKE_REFUSAL-} ]] || { echo "sbatch: error: $FAKE_REFUSAL" >&2; exit 1; }
for word in "$@"; do
    shift
    case $word in
        --array=*) last=${word##*-} last=${last%%%*} ;;
        --chdir=*) cd -- "${word#*=}" ;;
        recipes/*) break ;;
    esac
done
for ((task = 0; task <= last; task++)); do
    [[ $task == "${FAKE_STOPPED-}" ]] || SLURM_ARRAY_TASK_ID=$task bash "$word" "$@"
done >/dev/null 2>&1
echo "7;cluster"
"""
SCONTROL = "#!/bin/bash\n[[ $* == 'show hostnames n[3-4]' ]] && printf 'n3\\nn4\\n'\n"
SRUN = """#!/bin/bash\nprintf '%s\\n' "$@" >>"$FAKE_LOG.srun"\n"""
SQUEUE = """#!/bin/bash
if [[ -n ${FAKE_HELD-} && ! -f $FAKE_LOG.asked ]]; then touch "$FAKE_LOG.asked"; echo "$FAKE_HELD"; exit; fi
echo 'slurm_load_jobs error: Invalid job id specified' >&2
exit 1
"""


@pytest.fixture
def slurm(tmp_path: Path, fake: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Environment variables with a stand-in for Slurm, too."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, script in (("sbatch", SBATCH), ("squeue", SQUEUE), ("scontrol", SCONTROL), ("srun", SRUN)):
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return fake | {"SEDKIT_SLURM_POLL_S": "0.1"}


def test_an_array_has_a_task_for_each_job(runme, slurm, asked, tree):
    done = runme(*TRAIN, "--sbatch=--partition=gpu --time=8:00", "--exp-dir=an exp", "--", "training.name=a b", **slurm)
    assert done.returncode == 0, done.stderr
    words = asked("sbatch")
    assert words[:4] == ["--parsable", "--requeue", "--open-mode=append", f"--chdir={tree}"]
    assert "--array=0-2" in words and "--job-name=dcase2019_task4-train_run" in words
    assert words.index("--time=8:00") == words.index("--partition=gpu") + 1
    # The first checked the overrides.
    calls = asked("sedkit")[1:]
    assert [line.split(" --budget")[0].split("/")[-1] for line in calls] == ["seed0", "seed1", "seed2"]
    assert all(line.startswith("train --config") and "training.name=a b" in line for line in calls)
    logs = tree.parent / "elsewhere/an exp/dcase2019_task4/logs"
    assert [(logs / f"train-cnn9_weak-seed{k}.status").read_text() for k in range(3)] == ["0\n"] * 3
    assert "3 jobs of train_run are array 7 of Slurm" in done.stderr


@pytest.mark.parametrize(("words", "each"), [((), "1"), (("--processes=0",), "gpu")])
def test_a_training_has_processes_on_each_node_of_its_task(runme, slurm, asked, words, each):
    job = {"SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": "n[3-4]", "SLURM_JOB_ID": "10207"}
    done = runme("--stage=4", "--stop-stage=4", "--launcher=slurm", "--sbatch=--nodes=2", *words, **slurm, **job)
    assert done.returncode == 0, done.stderr
    call = asked("srun")
    assert call[:4] == ["--ntasks=2", "--ntasks-per-node=1", "--cpu-bind=none", "--kill-on-bad-exit=1"]
    start, training = call[5 : call.index("sedkit") + 2], call[call.index("sedkit") + 1 :]
    assert start[:6] == ["-m", "sedkit.cli._torchrun", "--nnodes", "2", "--nproc-per-node", each]
    assert start[6:] == [
        *("--rdzv-backend", "c10d", "--rdzv-id", "10207"),
        *("--rdzv-endpoint", "n3:20207"),
        "-m",
        "sedkit",
        "train",
    ]
    assert training[-1] == "training.seed=0"
    # In an allocation of one's own nothing is spread.
    alone = runme("--stage=4", "--stop-stage=4", "--launcher=torchrun", "--dry-run", **job)
    assert alone.stdout.startswith("torchrun --standalone --nproc-per-node gpu -m sedkit train ")


def test_other_stages_are_arrays_too_with_a_limit_where_one_is_given(runme, slurm, asked):
    done = runme("--stage=5", "--stop-stage=6", "--seeds=0,1,2", "--launcher=slurm", "--parallel=2", **slurm)
    assert done.returncode == 0, done.stderr
    assert [word for word in asked("sbatch") if word.startswith("--array=")] == ["--array=0-2%2"] * 2
    assert [line.split()[1] for line in asked("sedkit")] == ["predict"] * 3 + ["tune"] * 3


def test_tasks_that_fail_or_are_stopped_are_named(runme, slurm, asked):
    done = runme(*TRAIN, **slurm, FAKE_FAILURE="seed1", FAKE_STOPPED="2")
    assert done.returncode == 1
    assert "cnn9_weak/seed0: done" in done.stderr
    assert "cnn9_weak/seed1: FAILED (status 1)" in done.stderr and "sedkit: error: as told" in done.stderr
    assert "cnn9_weak/seed2: FAILED (status none: stopped from outside)" in done.stderr
    assert "2 of 3 jobs failed: cnn9_weak/seed1 cnn9_weak/seed2" in done.stderr
    # Given again, the status of the call before counts for nothing.
    again = runme(*TRAIN, **slurm)
    assert again.returncode == 0, again.stderr


def test_a_task_that_is_held_is_told(runme, slurm):
    done = runme(*TRAIN, **slurm, FAKE_STOPPED="2", FAKE_HELD="7_2 launch failed requeued held")
    told = "task 7_2 is held (launch failed requeued held): 'scontrol release 7' lets it go on, 'scancel 7' ends it"
    assert done.stderr.count(told) == 1


def test_an_array_that_slurm_refuses_ends_the_stage(runme, slurm):
    done = runme(*TRAIN, **slurm, FAKE_REFUSAL="invalid partition")
    assert done.returncode == 1
    assert "sbatch: error: invalid partition" in done.stderr and "sbatch refused the jobs of train_run" in done.stderr


def test_without_slurm_it_is_bad_use(runme, fake, asked, tmp_path):
    # A machine with the tools that the shell needs, and no sbatch.
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "dirname", "sed", "grep", "sort", "paste", "tr", "cat", "basename", "env", "awk"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    done = runme(*TRAIN, **fake, PATH=str(folder))
    assert (done.returncode, asked("sedkit")) == (2, [])
    assert "--launcher slurm: there is no sbatch on this machine" in done.stderr


@pytest.mark.parametrize(
    ("words", "each"), [((), "gpu"), (("--processes=2",), "2"), (("--processes=0",), "gpu"), (("--processes=1",), None)]
)
def test_torchrun_starts_the_processes_of_a_training(runme, words, each):
    done = runme("--stage=4", "--stop-stage=5", "--launcher=torchrun", *words, "--dry-run")
    assert done.returncode == 0, done.stderr
    training, prediction = (shlex.split(line) for line in done.stdout.splitlines())
    start = [] if each is None else ["torchrun", "--standalone", "--nproc-per-node", each, "-m"]
    assert training[: len(start) + 2] == [*start, "sedkit", "train"]
    assert prediction[:2] == ["sedkit", "stage"]
