"""Counters of a network interface, asked of the kernel itself: those of a pair of virtual cables in a network of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.sandbox

ROOT = Path(__file__).parents[2]
ASK = """
import json
from cloud_init.node.ask.counters import read_counters
try:
    read_counters("nobody0")
except OSError as error:
    missing = error.errno
print(json.dumps([read_counters("cable0"), read_counters("lo"), missing]))
"""


def test_the_kernel_tells_them_by_name() -> None:
    script = 'ip link add name cable0 type veth peer name cable1 && ip -o link show cable1 | cut -d: -f1 && exec "$0" -P -c "$1"'
    done = subprocess.run(
        ["unshare", "--net", "--map-root-user", "sh", "-c", script, sys.executable, ASK],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    peer, told = done.stdout.splitlines()
    cable, loopback, missing = json.loads(told)
    assert cable["peer_ifindex"] == int(peer)
    assert all(isinstance(count, int) for count in cable.values()) and len(cable) > 1
    assert loopback == {} and missing == 19
