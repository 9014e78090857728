"""The engine with a language host that is there at once, for tests that run it hundreds of times.

A program of ours takes one to two seconds of a processor to import Pulumi's SDK, a cloud's and our own modules, whatever it does
then. Here one process has imported them, and each language host that the engine asks for is a fork of it: the same
`language_host.py`, program, engine and interface, without the imports. How a host really starts is what `tests/engine` and
`tests/simulator` see; so does everybody where another engine than the one that we build is on the path.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[3]
HOST = "pulumi-language-python"
LENGTH = struct.Struct("!I")
"""Bytes of what follows."""
LOOK_SECONDS = 0.5
"""How often who waits looks whether its parent is still there."""
START_SECONDS = 120.0

# Stands for the host towards the engine: hands over what it was started with and ends with the fork, or the fork with it. A
# checkout of another commit has modules of its own and gets a host of its own.
STAND_IN = f"""\
import array, json, os, select, signal, socket, sys
real, address, root = sys.argv[1:4]
other = os.path.realpath(os.environ.get("PYTHONPATH") or root)
if other != root and os.path.isdir(os.path.join(other, "components")):
    os.execv(real, [real, *sys.argv[4:]])
parent = os.getppid()
# The engine interrupts its hosts, and waits five seconds for those that do not end; who runs the tests may have that ignored.
signal.signal(signal.SIGINT, signal.SIG_DFL)
host = socket.socket(socket.AF_UNIX)
host.connect(address)
started = json.dumps({{"folder": os.getcwd(), "environment": dict(os.environ)}}).encode()
host.sendmsg([len(started).to_bytes({LENGTH.size}, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
host.sendall(started)
for number in (0, 1, 2):
    os.close(number)
while os.getppid() == parent and not select.select([host], [], [], {LOOK_SECONDS})[0]:
    pass
"""


@contextmanager
def quick_engine(engine: Path, folder: Path) -> Iterator[Path]:
    """Return `engine` with such hosts, in `folder`; itself where its language host is not ours."""
    if not (engine.parent / "language_host.py").exists():
        yield engine
        return
    folder.mkdir()
    quick, address = folder / engine.name, folder / "hosts"
    # Not as a link by name: the engine looks for its hosts beside the file that it is.
    try:
        os.link(engine, quick)
    except OSError:
        shutil.copy2(engine, quick)
    (folder / "stand_in.py").write_text(STAND_IN)
    words: list[str | Path] = [sys.executable, "-IS", folder / "stand_in.py", engine.parent / HOST, address, ROOT]
    (folder / HOST).write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in words) + ' "$@"\n')
    (folder / HOST).chmod(stat.S_IRWXU)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GRPC_ENABLE_FORK_SUPPORT": "0", "GRPC_VERBOSITY": "NONE"}
    command: list[str | Path] = [sys.executable, "-P", __file__, address, engine.parent / "language_host.py"]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as hosts:
        assert hosts.stdin and hosts.stdout
        try:
            assert select.select([hosts.stdout], [], [], START_SECONDS)[0], f"no language host within {START_SECONDS:.0f} s"
            assert hosts.stdout.readline() == b"ready\n"
            yield quick
        finally:
            hosts.stdin.close()


def serve(address: str, program: str) -> None:
    """Load what every program of ours does, then fork a host for each that connects, until the standard input ends."""
    from cloud_init.context import FILES
    from cloud_init.templates import load_template, template_environment
    from components.clouds.registry import CLOUDS

    clouds = [f"components.clouds.{name}.adapter" for name, cloud in CLOUDS.items() if cloud.real]
    for name in ("stacks.deployment", "pulumi.automation._server", "pulumi.runtime.proto.language_pb2_grpc", *clouds):
        importlib.import_module(name)
    for module in [module for name, module in sys.modules.items() if name.startswith("components.clouds.")]:
        for value in vars(module).values():
            if isinstance(value, ModuleType):
                getattr(value, "anything", None)  # the SDKs' modules load when they are first used
    for name in template_environment().list_templates(filter_func=lambda name: (FILES / name).is_file() or name.endswith(".j2")):
        load_template(name)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                os._exit(0)  # at once: to give up all that was loaded takes seconds
            host, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                become(host, program)
            host.close()


def become(host: socket.socket, program: str) -> None:
    """Be the language host that the other end was started as; ends this process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(host, LENGTH.size, 3)
    (left,) = LENGTH.unpack(size)
    started = b""
    while len(started) < left:
        got = host.recv(left - len(started))
        if not got:  # it was killed meanwhile
            os._exit(0)
        started += got
    asked = json.loads(started)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    threading.Thread(target=end_with, args=(host,), daemon=True).start()
    sys.argv = [program]
    try:
        runpy.run_path(program, run_name="__main__")
    finally:
        sys.stdout.flush()
        os._exit(0)


def end_with(host: socket.socket) -> None:
    """End this process as soon as the one that it stands for has ended."""
    host.recv(1)
    # First of all what the engine waits for: to give up the memory of a fork takes longer.
    for stream in (0, 1, 2):
        os.close(stream)
    os._exit(0)


if __name__ == "__main__":
    serve(*sys.argv[1:])
