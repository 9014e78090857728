"""What programs of a node cost at rest, by the kernel's own count: it is there also where systemd counts nothing."""

import json
from collections.abc import Mapping, Sequence

from tests.local.deployment import Deployment

PROGRAM = """
import json, os, pathlib, resource, subprocess, sys, time
seconds, kept, looked = json.load(sys.stdin)
tick = os.sysconf("SC_CLK_TCK")

def show(unit, what):
    return subprocess.run(["systemctl", "show", "-P", what, unit], capture_output=True, text=True, check=True).stdout.strip()

def used(unit):
    # With what its ended children used.
    fields = pathlib.Path("/proc", show(unit, "MainPID"), "stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / tick

def pss(unit):
    lines = pathlib.Path("/proc", show(unit, "MainPID"), "smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024

before, began = {unit: used(unit) for unit in kept}, time.monotonic()
time.sleep(seconds)
took = time.monotonic() - began
found = {unit: [(used(unit) - before[unit]) / took, pss(unit)] for unit in kept}
for unit, every in looked.items():
    words = show(unit, "ExecStart").partition("argv[]=")[2].partition(" ;")[0].split()
    one = (
        "import json, resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=2); "
        "u = resource.getrusage(resource.RUSAGE_CHILDREN); print(json.dumps([u.ru_utime + u.ru_stime, u.ru_maxrss / 1024]))"
    )
    done = subprocess.run([sys.executable, "-c", one, *words], capture_output=True, text=True, check=True)
    taken, peak = json.loads(done.stdout)
    found[unit] = [taken / every, peak]
print(json.dumps(found))
"""


def measure(node: Deployment, seconds: float, kept: Sequence[str], looked: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """By unit its part of a core and its MiB: of those that stay (`kept`) over so many seconds, and of those that look again and
    again (`looked`, with the seconds between two looks) by one look, whose memory is its peak."""
    text = json.dumps([seconds, kept, looked])
    found: dict[str, list[float]] = json.loads(node.python_on_node(PROGRAM, seconds=seconds + 120, text=text))
    return {unit: (part, memory) for unit, (part, memory) in found.items()}
