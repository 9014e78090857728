"""A changed firewall or sshd that locks the deployment out of its node goes back by itself; `up` says so.

`WEBITEL_TEST_LONG=1` only: each waits for the clock. That a change which lets us in is kept is seen in every `up` of the others:
a new node's first firewall has to prove itself too.
"""

import os
import signal

import pytest

from tests.local.conftest import Figure
from tests.local.deployment import Deployment, wait_until
from tests.local.processes import descendants
from tests.long_form import only_long

pytestmark = [
    pytest.mark.local,
    only_long("takes a minute each"),
]

FIREWALL = ("cloud_init/files/nftables/nftables.conf", "    iif lo accept\n", "    iif lo accept\n    tcp dport 22 drop\n")
SSHD = ("cloud_init/files/ssh/60-webitel.conf", "MaxAuthTries 3\n", "MaxAuthTries 3\nAllowUsers somebody-else\n")
PATHS = {FIREWALL: "/etc/nftables.conf", SSHD: "/etc/ssh/sshd_config.d/60-webitel.conf"}
GUARD_SECONDS = 60
ARMED = "/var/lib/webitel/guard/armed"


def digest(single: Deployment, path: str) -> str:
    """What the file holds and what the kernel has of it."""
    return single.on_node(f"sha256sum {path}; nft -s list chain inet webitel input | sed 's/counter packets.*bytes [0-9]*//'")


@pytest.mark.parametrize("planted", PATHS, ids=["firewall", "sshd"])
def test_a_change_that_locks_us_out_goes_back_and_up_says_so(
    healthy: Deployment, planted: tuple[str, str, str], figure: Figure
) -> None:
    path = PATHS[planted]
    before, units = digest(healthy, path), healthy.units()
    with healthy.edit(*planted):
        done = healthy.up(status=1)
    assert f"{path} came back as before" in done.said
    figure("up that locks us out", done.seconds)
    assert GUARD_SECONDS - 5 < done.seconds < 2 * GUARD_SECONDS
    assert digest(healthy, path) == before
    assert healthy.status()["healthy"], "SSH works again"
    # The right setting: the same node, nothing restarted.
    healthy.up()
    assert {name: unit["MainPID"] for name, unit in healthy.units().items()} == {
        name: unit["MainPID"] for name, unit in units.items()
    }
    healthy.webitel("drift", healthy.name)  # exit status 2 if anything were found


def test_it_goes_back_though_host_and_node_were_killed_in_between(healthy: Deployment) -> None:
    before = digest(healthy, "/etc/nftables.conf")
    with healthy.edit(*FIREWALL):
        running = healthy.start("up", healthy.name)
        wait_until(lambda: "" if "armed" in healthy.on_node(f"ls {ARMED}", check=False) else "not armed", 120, pause=0.1)
        wait_until(lambda: "" if "tcp dport 22 drop" in healthy.on_node("nft list ruleset") else "not loaded", 30, pause=0.1)
        # All of the host: the engine and the provider have groups of their own.
        for pid in (running.process.pid, *descendants(running.process.pid)):
            os.kill(pid, signal.SIGKILL)
        running.process.wait(30)
    healthy.on_node("systemctl reboot --force --force", check=False)
    wait_until(
        lambda: "" if "is gone" in healthy.on_node(f"test -e {ARMED} || echo is gone", check=False) else "still armed", 120
    )
    healthy.wait_healthy(240)
    assert digest(healthy, "/etc/nftables.conf") == before
    healthy.up()
