"""Who has an address on a host's network, asked of real kernels by ARP: a neighbour in a network name space of its own."""

import subprocess
from collections.abc import Iterator

import pytest

from cloud_init.host.neighbours import look_at_shared
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

OWN, OTHER, ADDRESS = "10.9.0.1", "10.9.0.2", "10.9.0.20"


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
            run("ip link add own0 type veth peer name other0")
            run(f"ip link set other0 netns {pid}")
            run(f"ip address add {OWN}/24 dev own0")
            run(f"ip address add {OTHER}/24 dev other0", pid)
            run("ip link set own0 up")
            run("ip link set other0 up", pid)
            wait_until(lambda: "UP" in run("ip -br link show own0").split()[1], 10, "the wire")
            yield pid
        finally:
            process.kill()


def test_a_free_address_is_nobodys_and_a_neighbours_is_known(neighbour: str) -> None:
    free = look_at_shared("own0", OWN, ADDRESS, (OTHER,))
    assert (free.network, free.is_here, free.owner, free.node) == ("10.9.0.0/24", False, "", "")
    run(f"ip address add {ADDRESS}/32 dev other0", neighbour)
    ours = look_at_shared("own0", OWN, ADDRESS, (OTHER,))
    mac = run("ip -br link show other0", neighbour).split()[2]
    assert (ours.owner, ours.node) == (mac, OTHER)
    assert look_at_shared("own0", OWN, ADDRESS, ()).node == "", "a stranger's"
    # Nobody who is asked learns a wrong place of an address.
    assert OWN not in run("ip neigh", neighbour) and ADDRESS not in run("ip neigh", neighbour)


def test_what_this_host_has_itself_is_told(neighbour: str) -> None:
    run(f"ip address add {ADDRESS}/32 dev own0")
    mine = look_at_shared("own0", OWN, ADDRESS, (OTHER,))
    assert mine.is_here and mine.owner == ""
