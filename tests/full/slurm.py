"""A Slurm of this machine alone, for a test: its configuration and its daemons."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

#: What is needed, with Debian's package.
PROGRAMS = {"slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge"}
CONFIGURATION = """\
ClusterName=sedkit
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={spool}/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SchedulerParameters=bf_interval=1,sched_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 State=UNKNOWN\n"


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
    """Two nodes with a core each, both of which are this machine under its names.

    Attributes
    ----------
    environment
        What tells Slurm's commands of it.
    """

    def __init__(self, folder: Path) -> None:
        host = socket.gethostname()
        self.nodes = (host, "localhost")
        (folder / "state").mkdir(parents=True)
        # Sockets lie there, whose paths must be short.
        self.spool = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        for node in self.nodes:
            (Path(self.spool.name) / node).mkdir()
        configuration = folder / "slurm.conf"
        nodes = (NODE.format(name=name, host=host, port=16818 + i) for i, name in enumerate(self.nodes))
        general = CONFIGURATION.format(host=host, folder=folder, spool=self.spool.name)
        configuration.write_text(general + "".join(nodes))
        self.folder, self.environment = folder, {**os.environ, "SLURM_CONF": str(configuration)}
        self.started: list[Path] = []

    def __enter__(self) -> Cluster:
        for path in ("/run/munge", "/var/log/munge", "/var/lib/munge"):
            Path(path).mkdir(exist_ok=True)
            shutil.chown(path, "munge", "munge")
        # One munged serves the machine; where it runs already, another ends at once.
        rights = ["setpriv", "--reuid=munge", "--regid=munge", "--init-groups"]
        subprocess.run([*rights, str(_place("munged"))], capture_output=True)
        daemons = {"slurmctld": ["slurmctld"], **{f"slurmd.{node}": ["slurmd", "-N", node] for node in self.nodes}}
        for name, (program, *words) in daemons.items():
            call = [str(_place(program)), *words, "-f", self.environment["SLURM_CONF"]]
            subprocess.run(call, env=self.environment, check=True)
            self.started.append(self.folder / f"{name}.pid")
        end = time.monotonic() + 30
        while self.ask("sinfo", "--noheader", "--Node", "--format=%t").split() != ["idle"] * len(self.nodes):
            assert time.monotonic() < end, "the node does not come up"
            time.sleep(0.2)
        return self

    def __exit__(self, *_: object) -> None:
        self.ask("scancel", "--user=root")
        for path in reversed(self.started):
            if path.is_file():
                subprocess.run(["kill", path.read_text().strip()])
        self.spool.cleanup()

    def ask(self, *words: str) -> str:
        """Return what a command of Slurm prints."""
        return subprocess.run(words, env=self.environment, capture_output=True, text=True).stdout
