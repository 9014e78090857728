"""The program that has Hetzner move the addresses of SIP, against a stand-in for its interface."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from cloud_init.node.clusters import address_move, hcloud, sip_address
from cloud_init.node.clusters.address_move import Mover
from cloud_init.node.clusters.hcloud import Hetzner
from components.clouds.hetzner.facts import FACTS
from tests.unit.node.entries import manifest
from tests.unit.node.hetzner_standin import ADDRESS, FLOATING, PUBLIC, TOKEN, Api, Cloud, serve

ASSIGN, ALIAS = f"/v1/floating_ips/{FLOATING}/actions/assign", "/v1/servers/{}/actions/change_alias_ips"
CLOCK, HOLDER = [1000.0], [0]


class Pair:
    """Both servers' programs, and what they say."""

    def __init__(self, cloud: Cloud, movers: dict[int, Mover], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cloud, self.movers, self.folder, self.monkeypatch = cloud, movers, folder, monkeypatch

    def look(self, seconds: float = 1.0) -> str:
        """One look of each, that much later; what the one with the address says."""
        CLOCK[0] += seconds
        holder = HOLDER[0]
        for number, mover in self.movers.items():
            self.monkeypatch.setattr(address_move, "is_here", lambda _, has=number == holder: has)
            self.monkeypatch.setattr(address_move, "HELD", SimpleNamespace(exists=lambda has=number == holder: has))
            self.monkeypatch.setattr(address_move, "TOLD", self.folder / f"told-{number}")
            mover.look()
        told = self.folder / f"told-{holder}"
        return str(json.loads(told.read_text())["wrong"]) if told.exists() else "-"

    @property
    def at(self) -> tuple[list[int], int | None]:
        return [id for id, found in self.cloud.aliases.items() if ADDRESS in found], self.cloud.leads_to


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Pair]:
    cloud, movers = Cloud(), {}
    HOLDER[0] = 0
    token = tmp_path / "address-token"
    token.write_text(TOKEN + "\n")
    monkeypatch.setattr(hcloud, "TOKEN", token)
    clock = SimpleNamespace(monotonic=lambda: CLOCK[0], sleep=lambda seconds: CLOCK.__setitem__(0, CLOCK[0] + seconds))
    monkeypatch.setattr(address_move, "time", clock)
    monkeypatch.setattr(hcloud, "time", clock)
    with serve(cloud) as port:
        for number in (1, 2):
            way = Hetzner(
                manifest(
                    node=f"s-edge-{number}",
                    key=f"edge-{number}",
                    stack="s",
                    address=f"10.0.0.{number}",
                    sip_address=ADDRESS,
                    address_move={"by": "hetzner", "public": PUBLIC, "handle": str(FLOATING), "beside": f"198.18.0.{number}"},
                )
            )
            way.api = Api(port)
            movers[number] = Mover(way, ADDRESS)
        yield Pair(cloud, movers, tmp_path, monkeypatch)


def test_the_way_of_the_cloud_is_one_that_nodes_know() -> None:
    assert FACTS.address_moves.value in address_move.WAYS


def test_both_go_where_the_keeper_has_them_and_other_aliases_stay(pair: Pair) -> None:
    pair.look()
    assert not pair.cloud.asked, "nobody has it, so nobody asks"
    HOLDER[0] = 2
    assert pair.look() == "" and pair.at == ([12], 12)
    HOLDER[0] = 1
    assert pair.look() == "" and pair.at == ([11], 11)
    assert pair.cloud.aliases == {11: [ADDRESS], 12: ["10.0.0.77"]}
    assert pair.cloud.calls == [
        f"{ASSIGN} 12",
        f"{ALIAS.format(12)} 10.0.0.77,{ADDRESS}",
        f"{ASSIGN} 11",
        f"{ALIAS.format(12)} 10.0.0.77",
        f"{ALIAS.format(11)} {ADDRESS}",
    ]


def test_what_comes_twice_harms_nothing(pair: Pair) -> None:
    HOLDER[0] = 1
    pair.look()
    before = list(pair.cloud.calls)
    pair.movers[1].had = False  # the program was started anew
    assert pair.look() == "" and pair.cloud.calls == before and pair.at == ([11], 11)


def test_it_looks_now_and_then_and_takes_back_what_somebody_moved(pair: Pair) -> None:
    HOLDER[0] = 1
    pair.look()
    asked = pair.cloud.asked
    for _ in range(int(hcloud.SEE_SECONDS) * 10):
        pair.look(1)
    assert pair.cloud.asked - asked <= 2 * 11, "a fifteenth of what a project may ask"
    pair.cloud.leads_to = 12
    pair.cloud.aliases = {11: [], 12: [ADDRESS]}
    pair.look(hcloud.SEE_SECONDS + 1)
    assert pair.at == ([11], 11)


def test_an_action_that_runs_is_awaited(pair: Pair) -> None:
    pair.cloud.running, HOLDER[0] = 3, 1
    assert pair.look() == "" and pair.at == ([11], 11)


@pytest.mark.parametrize("code", ["locked", "rate_limit_exceeded"])
@pytest.mark.parametrize("end", ["/assign", "/change_alias_ips", "/servers"])
def test_a_move_that_is_refused_is_told_and_tried_again(code: str, end: str, pair: Pair) -> None:
    pair.cloud.refuses[end], HOLDER[0] = code, 1
    assert f"{code}: what Hetzner says" in pair.look()
    asked = pair.cloud.asked
    assert code in pair.look()
    # Each second one request comes free, for all who ask: whoever goes on asking never has enough for a whole move.
    assert (pair.cloud.asked == asked) == (code == "rate_limit_exceeded")
    pair.cloud.refuses.clear()
    assert pair.look(hcloud.LIMITED_SECONDS + 1) == "" and pair.at == ([11], 11)


def test_a_move_that_fails_later_is_told_and_tried_again(pair: Pair) -> None:
    pair.cloud.fails["/assign"], HOLDER[0] = "server_error", 1
    assert pair.look() == "Hetzner: action 0: server_error: what Hetzner says"
    pair.cloud.fails.clear()
    assert pair.look() == "" and pair.at == ([11], 11)


@pytest.mark.parametrize("end", ["/servers", "/assign"])
def test_a_move_that_hangs_ends_in_time(end: str, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hcloud, "CALL_SECONDS", 0.2)
    pair.cloud.hangs.add(end)
    HOLDER[0] = 1
    assert "timed out" in pair.look()
    pair.cloud.hangs.clear()
    monkeypatch.setattr(hcloud, "CALL_SECONDS", 5.0)
    assert pair.look() == "" and pair.at == ([11], 11), "it is tried again"


def test_an_action_that_never_ends_is_given_up_for_now(pair: Pair) -> None:
    pair.cloud.running, HOLDER[0] = 10_000, 1
    assert "still runs after 10 s" in pair.look()


def test_no_smaller_right_moves_it(pair: Pair) -> None:
    pair.cloud.reads_only, HOLDER[0] = True, 1
    assert "token_readonly" in pair.look() and pair.at == ([], None)
    pair.cloud.reads_only, pair.cloud.token = False, "another"
    said = pair.look()
    assert "unauthorized" in said and TOKEN not in said
    hcloud.TOKEN.unlink()
    assert "./webitel up puts webitel:address_token there" in pair.look()


def test_a_server_that_lost_its_labels_says_so(pair: Pair) -> None:
    del pair.cloud.names[11]
    HOLDER[0] = 1
    assert "no server s-edge-1 has the labels" in pair.look()


def test_the_keeper_has_both_on_the_interfaces_of_its_own() -> None:
    way = {"by": "hetzner", "public": PUBLIC, "handle": "77", "beside": "198.18.0.1"}
    node = manifest(address="10.0.0.1", sip_address=ADDRESS, address_move=way)
    assert sip_address.list_addresses(node) == {ADDRESS: "10.0.0.1", PUBLIC: "198.18.0.1"}
    del node["address_move"]["beside"]
    assert sip_address.list_addresses(node) == {ADDRESS: "10.0.0.1"}
