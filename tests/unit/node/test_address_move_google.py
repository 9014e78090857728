"""The program that has Google lead the addresses of SIP here, against a stand-in for the metadata and compute v1."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from cloud_init.node.clusters import address_move, google
from cloud_init.node.clusters.address_move import Gcp, Mover
from components.clouds.gcp.accounts import name_account
from components.clouds.gcp.facts import FACTS
from components.clouds.gcp.mover import INSIDE, LEAD, MOVE, OUTSIDE, name_rule
from components.model.naming import SIP
from tests.unit.node import google_standin
from tests.unit.node.entries import manifest
from tests.unit.node.google_standin import MACHINES, RULES, Cloud, aim, serve

ADDRESS = "10.20.0.39"
MANIFEST = manifest(
    address="127.0.0.1",
    sip_address=ADDRESS,
    address_move={"by": "gcp", "public": "198.19.0.9", "handle": " ".join(RULES)},
)
CLOCK, HOLDER, NOW = [1000.0], [-1], [0]


class Pair:
    """Both machines' programs, and which of them has the address by the keeper's word."""

    def __init__(self, cloud: Cloud, movers: list[Mover], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cloud, self.movers, self.folder, self.monkeypatch = cloud, movers, folder, monkeypatch

    def look(self, holder: int, seconds: float = 1.0) -> str:
        """One look of each, that much later; what the node with the address says."""
        CLOCK[0] += seconds
        HOLDER[0] = holder
        for number, mover in enumerate(self.movers):
            NOW[0] = number
            self.monkeypatch.setattr(address_move, "TOLD", self.folder / f"told-{number}")
            mover.look()
        return str(json.loads((self.folder / f"told-{holder}").read_text())["wrong"])


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Pair]:
    cloud, movers = Cloud(), []
    HOLDER[0] = -1
    monkeypatch.setattr(address_move, "is_here", lambda _: HOLDER[0] == NOW[0])
    monkeypatch.setattr(address_move, "HELD", SimpleNamespace(exists=lambda: HOLDER[0] == NOW[0]))
    monkeypatch.setattr(address_move, "time", SimpleNamespace(monotonic=lambda: CLOCK[0]))
    with ExitStack() as stack:
        for machine in MACHINES:
            way = Gcp(MANIFEST)
            way.metadata = google.Metadata("127.0.0.1", stack.enter_context(serve(cloud, machine)))
            way.rules = google_standin.Rules(way.metadata, "127.0.0.1")
            movers.append(Mover(way, ADDRESS))
        yield Pair(cloud, movers, tmp_path, monkeypatch)


def test_the_way_and_the_names_are_those_of_the_adapter() -> None:
    assert FACTS.address_moves.value in address_move.WAYS
    assert [rule.rpartition("/")[2] for rule in RULES] == [name_rule("s", side) for side in (OUTSIDE, *INSIDE)]
    assert {*MOVE, *LEAD} == Cloud().rights
    names = [name_account(stack, SIP) for stack in ("s", "gcp-basic", "a-stack-with-a-name-of-some-length", "x" * 40)]
    assert names[1] == "gcp-basic-sip" and all(6 <= len(name) <= 30 for name in names) and len(set(names)) == 4


def test_all_rules_go_where_the_keeper_has_the_address_and_only_once(pair: Pair) -> None:
    assert pair.look(0) == "" and not pair.cloud.calls, "they lead there already"
    assert pair.look(1) == ""
    assert pair.cloud.calls == [f"{side} s-edge-2-{side}" for side in (OUTSIDE, *INSIDE)]
    assert pair.cloud.where() == {"s-edge-2"}
    for _ in range(5):
        pair.look(1, address_move.SEE_SECONDS)
    assert len(pair.cloud.calls) == 3
    pair.look(0)
    assert pair.cloud.where() == {"s-edge-1"}


def test_a_change_that_takes_a_while_is_waited_for_and_one_that_is_lost_is_made_again(pair: Pair) -> None:
    pair.cloud.late = {}
    assert "does not say yet" in pair.look(1)
    pair.look(1)
    assert len(pair.cloud.calls) == 3
    pair.look(1, address_move.LATE_SECONDS + 1)
    assert len(pair.cloud.calls) == 6
    pair.cloud.settle()
    assert pair.look(1) == "" and pair.cloud.where() == {"s-edge-2"}


@pytest.mark.parametrize("side", ["outside", "udp"])
def test_half_a_move_is_told_and_made_whole(side: str, pair: Pair) -> None:
    pair.cloud.refuses[side] = 429, "Rate Limit Exceeded"
    for _ in range(3):
        assert pair.look(1) == f"Google: europe-west3/forwardingRules/s-sip-{side}/setTarget: HTTP 429: Rate Limit Exceeded"
    assert len(pair.cloud.calls) == 2 and len(pair.cloud.where()) == 2, "the others have come"
    pair.cloud.refuses.clear()
    assert pair.look(1) == "" and pair.cloud.where() == {"s-edge-2"}


def test_an_operation_that_has_failed_is_told(pair: Pair) -> None:
    pair.cloud.fails.add("tcp")
    assert pair.look(1).endswith("HTTP 200: it failed later")
    pair.cloud.fails.clear()
    assert pair.look(1) == ""


def test_what_somebody_else_leads_away_is_led_back(pair: Pair) -> None:
    pair.look(1)
    pair.cloud.targets[RULES[0]] = aim(MACHINES[0], RULES[0])
    pair.look(1, address_move.LATE_SECONDS + 1)
    assert pair.look(1) == "" and pair.cloud.where() == {"s-edge-2"}


@pytest.mark.parametrize("what", ["metadata", "tcp"])
def test_a_move_that_hangs_ends_in_time(what: str, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google, "CALL_SECONDS", 0.2)
    monkeypatch.setattr(google, "METADATA_SECONDS", 0.2)
    pair.cloud.hangs.add(what)
    assert pair.look(1).startswith("metadata: " if what == "metadata" else "Google: europe-west3/forwardingRules/s-sip-tcp")
    pair.cloud.hangs.clear()
    monkeypatch.setattr(google, "CALL_SECONDS", 5.0)
    monkeypatch.setattr(google, "METADATA_SECONDS", 5.0)
    assert pair.look(1) == "" and pair.cloud.where() == {"s-edge-2"}


def test_no_right_is_given_that_is_not_needed(pair: Pair) -> None:
    rights = set(pair.cloud.rights)
    for right in sorted(rights):
        pair.cloud.rights = rights - {right}
        assert f"HTTP 403: Required '{right}'" in pair.look(1)
    pair.cloud.rights = rights
    assert pair.look(1) == ""


def test_a_machine_without_an_account_and_a_token_that_is_none_say_so(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.cloud.has_account = False
    assert pair.look(1) == "metadata: the machine has no service account; ./webitel up gives it one"
    pair.cloud.has_account = True
    monkeypatch.setattr(google.Metadata, "find_token", lambda _: "another")
    assert "HTTP 401: Invalid Credentials" in pair.look(1)
