"""A public address on this host, without nft: what is written, kept apart and looked at."""

import subprocess
from typing import Any

import pytest

from provider.handler import ProviderError, Request
from provider.incus_address import LocalAddress
from provider.values import UNKNOWN

REQUEST = Request("urn:pulumi:test::webitel::webitel:index:LocalAddress::edge-1")
INPUTS: dict[str, Any] = {"bridge": "w-test-1a2b", "public": "198.18.7.30", "private": "10.77.7.30", "network": "198.18.7.0/24"}
TABLE = "webitel_w_test_1a2b_198_18_7_30"


class Nft:
    """Keeps tables as nft does, as far as the handler asks."""

    def __init__(self) -> None:
        self.tables: dict[str, str] = {}
        self.refuses = ""

    def run(self, command: list[str], input: str = "", **_: Any) -> subprocess.CompletedProcess[str]:
        status = 0
        if self.refuses:
            status = 1
        elif command[1] == "-f":
            self.tables[input.split()[2]] = input
        else:
            status = int(command[-1] not in self.tables)
            if command[1] == "delete":
                self.tables.pop(command[-1], None)
        return subprocess.CompletedProcess(command, status, "", self.refuses)


@pytest.fixture
def nft(monkeypatch: pytest.MonkeyPatch) -> Nft:
    made = Nft()
    monkeypatch.setattr("provider.incus_address.subprocess.run", made.run)
    return made


def test_one_table_an_address_from_creation_to_the_end(nft: Nft) -> None:
    handler = LocalAddress()
    nft.tables["somebody"] = "else"
    assert handler.create(REQUEST, INPUTS) == (TABLE, INPUTS)
    rules = nft.tables[TABLE]
    assert rules.index(f"delete table ip {TABLE}") < rules.index("dnat to 10.77.7.30")
    assert 'iifname "w-test-1a2b" ip daddr 198.18.7.30 counter drop' in rules
    assert "ip saddr 10.77.7.30 ip daddr 198.18.7.0/24 snat to 198.18.7.30" in rules
    assert handler.read(REQUEST, TABLE, INPUTS, INPUTS) == (INPUTS, INPUTS)
    moved = INPUTS | {"private": "10.77.7.31"}
    assert handler.diff(REQUEST, TABLE, INPUTS, INPUTS, moved) == (["private"], [], True)
    assert handler.update(REQUEST, TABLE, INPUTS, INPUTS, moved) == moved
    assert "10.77.7.30" not in nft.tables[TABLE]
    handler.delete(REQUEST, TABLE, INPUTS, INPUTS)
    handler.delete(REQUEST, TABLE, INPUTS, INPUTS)
    assert list(nft.tables) == ["somebody"]
    assert handler.read(REQUEST, TABLE, INPUTS, INPUTS) is None


def test_inputs_are_checked_as_far_as_known_and_a_refusal_is_told(nft: Nft) -> None:
    handler = LocalAddress()
    assert handler.check(REQUEST, None, INPUTS | {"private": UNKNOWN})[1] == []
    wrong = INPUTS | {"bridge": 'w"; drop', "public": "198.18.7"}
    assert {failure.property for failure in handler.check(REQUEST, None, wrong)[1]} == {"bridge", "public"}
    nft.refuses = "Operation not permitted"
    with pytest.raises(ProviderError, match=r"198\.18\.7\.30 could not be translated to 10\.77\.7\.30: Operation not permitted"):
        handler.create(REQUEST, INPUTS)
