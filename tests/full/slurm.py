"""A Slurm of this machine alone, for a test: its configuration and its daemons."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

#: What is needed, with Debian's package.
PROGRAMS = {"slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge"}
CONFIGURATION = """\
ClusterName=sedkit
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SchedulerParameters=bf_interval=1,sched_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def require() -> None:
    """Skip the test where a program is missing, or the rights to start it."""
    missing = sorted({package for program, package in PROGRAMS.items() if _place(program) is None})
    if missing:
        pytest.skip(f"needs Debian's {', '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("a Slurm of its own needs root")


def _place(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")


class Cluster:
    """One node with two cores.

    Attributes
    ----------
    environment
        What tells Slurm's commands of it.
    """

    def __init__(self, folder: Path) -> None:
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True)
        configuration = folder / "slurm.conf"
        configuration.write_text(CONFIGURATION.format(host=socket.gethostname(), folder=folder))
        self.folder, self.environment = folder, {**os.environ, "SLURM_CONF": str(configuration)}
        self.started: list[Path] = []

    def __enter__(self) -> Cluster:
        for path in ("/run/munge", "/var/log/munge", "/var/lib/munge"):
            Path(path).mkdir(exist_ok=True)
            shutil.chown(path, "munge", "munge")
        # One munged serves the machine; where it runs already, another ends at once.
        rights = ["setpriv", "--reuid=munge", "--regid=munge", "--init-groups"]
        subprocess.run([*rights, str(_place("munged"))], capture_output=True)
        for daemon in ("slurmctld", "slurmd"):
            subprocess.run(
                [str(_place(daemon)), "-f", self.environment["SLURM_CONF"]], env=self.environment, check=True
            )
            self.started.append(self.folder / f"{daemon}.pid")
        end = time.monotonic() + 30
        while "idle" not in self.ask("sinfo", "--noheader"):
            assert time.monotonic() < end, "the node does not come up"
            time.sleep(0.2)
        return self

    def __exit__(self, *_: object) -> None:
        self.ask("scancel", "--user=root")
        for path in reversed(self.started):
            if path.is_file():
                subprocess.run(["kill", path.read_text().strip()])

    def ask(self, *words: str) -> str:
        """Return what a command of Slurm prints."""
        return subprocess.run(words, env=self.environment, capture_output=True, text=True).stdout
