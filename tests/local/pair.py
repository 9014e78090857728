"""A deployment with two nodes for SIP that take turns, called from this host, which is a trunk."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from tests.local.deployment import Deployment
from tests.local.outside import read_result, start_module
from tests.local.power import wait_all_healthy
from tests.local.telephony import ADMIN_SQL

CALLS = 20
PACKETS_A_SECOND = 50
PAUSE_SECONDS = 0.4
"""Between two calls' beginnings: OpenSIPS takes more for a scanner."""
EDGES = ("edge-1", "edge-2")


class Pair(Deployment):
    """The deployment, called from this host, which is a trunk."""

    @cached_property
    def server(self) -> str:
        """The address that both have in turn."""
        return str(self.plan()["sip_address"])

    def active(self) -> str:
        """The key of the node that has the address, and has it alone."""
        have = [key for key in EDGES if self.has_address(key)]
        assert len(have) <= 1, have
        return have[0] if have else ""

    def has_address(self, key: str) -> bool:
        """Whether a node that runs has it."""
        done = subprocess.run(
            ["incus", "exec", f"{self.name}-{key}", "--", "ip", "-o", "-4", "address"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        return f" {self.server}/32 " in done.stdout

    def start_call(self, *arguments: str) -> "subprocess.Popen[str]":
        """A call from this host."""
        return start_module("tests.tools.call", f"{self.server}:5060", "--local", self.gateway, *arguments)

    @contextmanager
    def held_calls(self, lost: list[float]) -> Iterator[None]:
        """Calls that stand all the time; none may end before its caller ends it. `lost` gets each one's silence."""
        calls = []
        try:
            for _ in range(CALLS):
                calls.append(self.start_call("--hold", "--number", "echo", "--changes", "3600"))
                time.sleep(PAUSE_SECONDS)
            for call in calls:
                assert call.stdout and call.stdout.readline() == "stands\n", call.communicate(timeout=30)
            time.sleep(1)
            yield
            time.sleep(2)
            for call in calls:
                result = read_result(call)
                # What is lost is measured; all else went as it should.
                assert result["problem"].endswith("packets lost" if result["lost"] else ""), result
                assert (result["status"], result["changed"], result["hung_up"]) == (200, 200, "caller"), result
                lost.append(result["lost"] / PACKETS_A_SECOND)
        finally:
            for call in calls:
                if call.poll() is None:
                    call.kill()
                    call.wait()

    def call(self, number: str = "echo") -> dict[str, Any]:
        """A new call as a whole."""
        return read_result(self.start_call("--number", number))

    def let_in(self) -> None:
        """Have OpenSIPS know this host for a trunk."""
        self.at("data-1").on_node(f"""cd / && {ADMIN_SQL} -c "insert into sip_address_allow (dc, name, host, ip) values (
            (select min(dc) from directory.wbt_domain), 'outside', '{self.server}:5060', '{self.gateway}')" """)
        self.at(self.active()).on_node("/usr/lib/webitel/setup/opensips.sh address_reload")


def other(key: str) -> str:
    return EDGES[1 - EDGES.index(key)]


def check_after(pair: Pair, key: str) -> None:
    """New calls go, by both ways of ending, and nobody fights."""
    for number, ends in (("echo", "caller"), ("hangup", "freeswitch")):
        result = pair.call(number)
        assert (result["problem"], result["status"], result["hung_up"]) == ("", 200, ends), result
    wait_all_healthy(pair, 240)
    assert pair.active() == key
