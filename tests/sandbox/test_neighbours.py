"""Who has an address on a host's network, asked of real kernels by ARP: a neighbour in a network name space of its own."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from cloud_init.host.neighbours import look_at_shared
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

NETWORK = f"10.9.{os.getpid() % 256}"
OWN, OTHER, ADDRESS = f"{NETWORK}.1", f"{NETWORK}.2", f"{NETWORK}.20"
WIRE, FAR_END = f"own{os.getpid()}", f"far{os.getpid()}"
"""This machine's network is everybody's: of each process its own."""


def run(command: str, inside: str = "") -> str:
    """Run a command here, or in the network of a process."""
    words = [*(["nsenter", "-n", "-t", inside] if inside else []), *command.split()]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def neighbour() -> Iterator[str]:
    """Another host on the same wire; its process."""
    with subprocess.Popen(["unshare", "-n", "sleep", "600"]) as process:
        pid = str(process.pid)
        try:
            wait_until(lambda: run("readlink /proc/self/ns/net") != run("readlink /proc/self/ns/net", pid), 10, "its network")
            run(f"ip link add {WIRE} type veth peer name {FAR_END}")
            run(f"ip link set {FAR_END} netns {pid}")
            run(f"ip address add {OWN}/24 dev {WIRE}")
            run(f"ip address add {OTHER}/24 dev {FAR_END}", pid)
            run(f"ip link set {WIRE} up")
            run(f"ip link set {FAR_END} up", pid)
            wait_until(lambda: "UP" in run(f"ip -br link show {WIRE}").split()[1], 10, "the wire")
            yield pid
        finally:
            # With the other end's name space it would go too, some time after it was left.
            subprocess.run(["ip", "link", "delete", WIRE], check=False, capture_output=True)
            process.kill()


def test_a_free_address_is_nobodys_and_a_neighbours_is_known(neighbour: str) -> None:
    free = look_at_shared(WIRE, OWN, ADDRESS, (OTHER,))
    assert (free.network, free.is_here, free.owner, free.node) == (f"{NETWORK}.0/24", False, "", "")
    run(f"ip address add {ADDRESS}/32 dev {FAR_END}", neighbour)
    ours = look_at_shared(WIRE, OWN, ADDRESS, (OTHER,))
    mac = run(f"ip -br link show {FAR_END}", neighbour).split()[2]
    assert (ours.owner, ours.node) == (mac, OTHER)
    assert look_at_shared(WIRE, OWN, ADDRESS, ()).node == "", "a stranger's"
    # Nobody who is asked learns a wrong place of an address.
    assert OWN not in run("ip neigh", neighbour) and ADDRESS not in run("ip neigh", neighbour)


def test_what_this_host_has_itself_is_told(neighbour: str) -> None:
    run(f"ip address add {ADDRESS}/32 dev {WIRE}")
    mine = look_at_shared(WIRE, OWN, ADDRESS, (OTHER,))
    assert mine.is_here and mine.owner == ""
