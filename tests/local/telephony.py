"""A deployment with public addresses other than its private ones, called from outside."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from sandbox.standin.freeswitch import sip
from tests.local.deployment import Deployment, wait_until
from tests.local.outside import Outside, find_public_network, read_result
from tests.tools.dialog import needed_addresses

ADMIN_SQL = "runuser -u postgres -- psql -XAtq -d webitel"
FREESWITCH_HEARD = re.compile(r"^freeswitch: recv \d+ bytes from [^\n]*\n(.*?)(?=^freeswitch: |\Z)", re.MULTILINE | re.DOTALL)


class Telephony(Deployment):
    """A deployment and the world outside it."""

    def __init__(self, folder: Path, name: str, settings: dict[str, Any]) -> None:
        public = find_public_network()
        self.outside = Outside(f"o{name[1:9].replace('-', '')}", public)
        super().__init__(
            folder,
            name,
            {
                "public_network": str(public),
                "carriers": [f"{self.outside.address}/32"],
                "phones": [f"{self.outside.stranger}/32"],
                "drain_timeout": 60,
                **settings,
            },
        )
        self._known: dict[str, Any] = {}

    def plan(self) -> dict[str, Any]:
        """Asked once as long as the settings are the same."""
        known: dict[str, Any] = self.remember("plan", super().plan)
        return known

    def remember(self, what: str, ask: Callable[[], Any]) -> Any:
        """An answer that is the same as long as the settings are."""
        key = f"{what} {json.dumps(self.settings, sort_keys=True)}"
        if key not in self._known:
            self._known[key] = ask()
        return self._known[key]

    def outputs(self) -> dict[str, Any]:
        """What the deployment says of each node, by key."""
        (stack,) = [resource for resource in self.resources() if resource["type"] == "pulumi:pulumi:Stack"]
        found: dict[str, Any] = stack["outputs"]["nodes"]
        return found

    def bring_up(self) -> float:
        """Up with a trunk at the outside address; returns the seconds that `up` took."""
        self.make_checkout()
        done = self.up()
        self.outside.attach()
        self.primary().on_node(f"""cd / && {ADMIN_SQL} -c "insert into sip_address_allow (dc, name, host, ip) values (
            (select min(dc) from directory.wbt_domain), 'outside', '{self.server}:5060', '{self.outside.address}')" """)
        # OpenSIPS reads the table at its start and when it is told to, as Webitel's own program does.
        (edge,) = self.with_service("opensips")
        edge.on_node("/usr/lib/webitel/setup/opensips.sh address_reload")
        return done.seconds

    def primary(self) -> Self:
        """The node whose database takes writes."""
        ask = f"cd / && {ADMIN_SQL} -c 'select pg_is_in_recovery()'"
        return next(node for node in self.with_service("postgresql") if node.on_node(ask) == "f")

    @property
    def server(self) -> str:
        """The public address of the node with OpenSIPS."""
        (edge,) = self.with_service("opensips")
        return str(self.remember("outputs", self.outputs)[edge.key]["address"])

    def private_address(self, key: str) -> str:
        """A node's private address."""
        return str(self.remember("outputs", self.outputs)[key]["private_address"])

    def end(self) -> None:
        self.outside.remove()
        super().end()


def fs_cli(node: Deployment, command: str) -> str:
    """One command on a node's FreeSWITCH."""
    return node.on_node(f"fs_cli -x {command!r}")


def count_calls(node: Deployment) -> int:
    """Calls on a node's FreeSWITCH."""
    return int(fs_cli(node, "show calls count").split()[0])


def addresses_for_freeswitch(node: Deployment, call: Callable[[], None]) -> set[str]:
    """What FreeSWITCH has to reach by the messages it is sent while `call` runs."""
    fs_cli(node, "sofia global siptrace on")
    try:
        node.on_node("journalctl --sync; journalctl --rotate -q; date +%s.%N >/run/trace-began")
        call()
        log = node.on_node("journalctl --sync; journalctl -u freeswitch -o cat --no-pager --since @$(cat /run/trace-began)")
    finally:
        fs_cli(node, "sofia global siptrace off")
    # The journal drops the empty line before a body.
    texts = [text.replace("\nv=0\n", "\n\nv=0\n").replace("\n", "\r\n") for text in FREESWITCH_HEARD.findall(log)]
    messages = [sip.parse(text.encode()) for text in texts]
    calls = [message for message in messages if message and message.one("cseq").split(" ")[1] != "OPTIONS"]
    assert calls, log
    return set().union(*map(needed_addresses, calls))


def check_calls(deployment: Telephony, held: int = 0) -> None:
    """Calls from outside and to the outside, changed by both sides and ended by both: nothing lost, every address reached. `held`
    are those that a test holds meanwhile."""
    outside, server = deployment.outside, deployment.server
    media = deployment.with_service("freeswitch")[0]
    (edge,) = deployment.with_service("opensips")

    def come_in() -> None:
        for number, ends in (("echo", "caller"), ("hangup", "freeswitch"), ("tone", "freeswitch")):
            result = outside.call(server, "--number", number)
            assert (result["problem"], result["status"], result["lost"], result["hung_up"]) == ("", 200, 0, ends), result
            # Its own address stands in the answers to what it says about itself.
            assert set(result["addresses"]) == {server}, result
            assert number != "echo" or result["received"] + result["swallowed"] == result["sent"] > 0

    def go_out() -> None:
        process = outside.start_call(server, "--receive", "5060", "--seconds", "4")
        path = f"sip:{deployment.private_address(edge.key)}:5062"
        said = fs_cli(media, f"originate sofia/sip/1000@{outside.address}:5060;fs_path={path} &echo()")
        assert said.startswith("+OK "), said
        assert fs_cli(media, f"uuid_media_reneg {said.split()[1]}") == "+OK Success"
        result = read_result(process)
        assert (result["problem"], result["lost"], result["hung_up"], result["asked"]) == ("", 0, "caller", 1), result
        assert result["received"] + result["swallowed"] == result["sent"] > 0
        assert set(result["addresses"]) == {server}, result

    inner = {deployment.private_address(edge.key)}
    assert addresses_for_freeswitch(media, come_in) == inner
    assert addresses_for_freeswitch(media, go_out) == inner
    wait_until(lambda: f"{left} calls left" if (left := count_calls(media)) != held else "", 10)
