"""A candidate for a lock as a process of its own: the node's program, with one process in the place of the unit.

The environment has FOLDER (of this candidate) and SHARED (a file that only one unit at a time can lock).
Times are a third of the real ones.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from cloud_init.node import manifest
from cloud_init.node.apply import units
from cloud_init.node.ask import consul
from cloud_init.node.clusters import keeper, locks, peers

FOLDER = Path(os.environ.get("FOLDER", "."))
UNIT = """
import fcntl, os, sys, time
shared = open(sys.argv[1], "a")
try:
    fcntl.flock(shared, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    open(sys.argv[1] + ".clash", "a").write(sys.argv[2] + "\\n")
time.sleep(3600)
"""


def is_alive(pid: int) -> bool:
    """Whether a process runs and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def systemctl(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """The verbs that the program uses; the unit's process is known by the file `pid`."""
    file = FOLDER / "pid"
    pid = int(file.read_text()) if file.exists() else 0
    alive = bool(pid) and is_alive(pid)
    if arguments[0] == "start" and not alive and not (FOLDER / "stopping").exists():
        # It ends with this program, as a unit that is bound to it.
        unit = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", sys.executable, "-c", UNIT, os.environ["SHARED"], str(FOLDER)])
        file.write_text(str(unit.pid))
    if arguments[0] == "stop" and alive:
        os.kill(pid, signal.SIGKILL)
    states = ("running", "dead") if arguments[0] == "show" else ("active", "inactive")
    return subprocess.CompletedProcess(arguments, 0, states[not alive], "")


if __name__ == "__main__":
    changes: dict[ModuleType, dict[str, object]] = {
        consul: {"TTL_SECONDS": 5.0},
        locks: {
            "TTL_SECONDS": 5.0,
            "LEASE_SECONDS": 2.7,
            "HEAD_START_SECONDS": 3.0,
            "ANSWER_SECONDS": 0.7,
            "HELD": FOLDER / "held",
        },
        keeper: {
            "ROUND_SECONDS": 0.7,
            "TICK_SECONDS": 0.2,
            "LOOK_AGAIN_SECONDS": 1.5,
            "MANIFEST": FOLDER / "node.json",
            "PROGRAM": Path(__file__),
            "systemctl": systemctl,
        },
        peers: {"ANSWER_SECONDS": 0.3},
        manifest: {"MANIFEST": FOLDER / "node.json"},
        units: {"systemctl": systemctl},
    }
    for module, values in changes.items():
        for name, value in values.items():
            assert hasattr(module, name), f"{module.__name__} has no {name}"
            setattr(module, name, value)
    sys.exit(keeper.run())
