"""A Python whose `-m sedkit` is a fork of a process that has imported everything: a call begins in a tenth of a second.

A training of a recipe's test takes two seconds, and what it imports five. `python()` is a program for SEDKIT_PYTHON: it
hands words, folder, environment and files of a call over to that process and ends as its fork does. What is asked of it
besides `-m sedkit` it leaves to Python itself.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

#: What libraries read when they are imported, which is before a call.
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
_ROOT = Path(__file__).resolve().parents[2]
_CLIENT = """#!{python} -IS
import os, sys
if sys.argv[1:3] != ["-m", "sedkit"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
import json, socket
call = json.dumps([sys.argv[3:], os.getcwd(), dict(os.environ)]).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"%20d" % len(call)], [0, 1, 2])
    server.sendall(call)
    status = int(server.recv(20) or b"-9")
if status < 0:
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


@cache
def python() -> Path:
    """Return the program; the process behind it is started, with one thread, and ends with this one."""
    folder = Path(tempfile.mkdtemp(prefix="sedkit-forks-"))
    client, address = folder / "python", folder / "calls"
    client.write_text(_CLIENT.format(python=sys.executable, address=str(address)), encoding="utf-8")
    client.chmod(0o755)
    words = [sys.executable, "-m", "tests.recipes._forks", str(address)]
    env = os.environ | ONE_THREAD
    server = subprocess.Popen(words, cwd=_ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin is not None and server.stdout is not None
    # Which is held until then, too.
    atexit.register(_stop, server)
    with server.stdout as said:
        assert said.readline() == b"ready\n"
    return client


def _stop(server: subprocess.Popen[bytes]) -> None:
    assert server.stdin is not None
    server.stdin.close()
    server.wait()


def serve(address: str) -> None:
    """Take calls until stdin ends; return in the fork that is to do one, with everything as the call has it.

    The folder of the address goes with that end, however the process that started this one ended.
    """
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        print("ready", flush=True)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while server in select.select([server, sys.stdin], [], [])[0]:
            caller = server.accept()[0]
            if os.fork() == 0:
                server.close()
                _attend(caller)
                return
            caller.close()
    shutil.rmtree(Path(address).parent)
    sys.exit()


def _attend(caller: socket.socket) -> None:
    """Fork, and tell the caller how that ended; return in the fork."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, files, _, _ = socket.recv_fds(caller, 20, 3)
    call = b""
    while len(call) < int(size):
        call += caller.recv(int(size) - len(call))
    pid = os.fork()
    if pid == 0:
        caller.close()
        words, folder, environment = json.loads(call)
        for target, file in enumerate(files):
            os.dup2(file, target)
            os.close(file)
        os.setsid()
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = [str(_ROOT / "sedkit" / "__main__.py"), *words]
        return
    ended = os.pidfd_open(pid)
    if ended not in select.select([caller, ended], [], [])[0]:
        # The caller is gone.
        os.killpg(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os._exit(caller.send(b"%20d" % status) != 20)


if __name__ == "__main__":
    from tests.full.victims import import_everything

    import_everything()
    gc.collect()
    gc.freeze()
    serve(sys.argv[1])
    runpy.run_module("sedkit", run_name="__main__", alter_sys=True)
