"""A host's firewall that keeps local machines in. The forms are those of nft 1.0.6 and iptables 1.8.9."""

import json
import subprocess
from typing import Any

import pytest

from tools.incus import forwarding

BRIDGE = "w-acme-1a2b"
Part = dict[str, Any]


def iif(name: Any, op: str = "==", key: str = "iifname") -> Part:
    """A condition on the interface that a packet comes from."""
    return {"match": {"op": op, "left": {"meta": {"key": key}}, "right": name}}


INVALID: Part = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "invalid"}}
WEB: Part = {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 25}}
COUNTER: Part = {"counter": {"packets": 0, "bytes": 0}}
JUMP: Part = {"jump": {"target": "DOCKER-USER"}}
DROP, ACCEPT, REJECT = {"drop": None}, {"accept": None}, {"reject": {"type": "icmpx", "expr": "admin-prohibited"}}


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What programs list; those of no entry are not installed."""
    says: dict[str, str] = {}

    def run(command: list[str], **_: Any) -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess(command, 0, stdout=says[command[0]])

    monkeypatch.setattr("shutil.which", lambda name: f"/usr/sbin/{name}" if name in says else None)
    monkeypatch.setattr(subprocess, "run", run)
    return says


def list_ruleset(*rules: list[Part], policy: str = "accept", family: str = "inet", table: str = "x", **more: Any) -> str:
    """A ruleset with one chain, as `nft -j list ruleset` prints it."""
    place = {"family": family, "table": table}
    chain = {**place, "name": "f", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": policy, **more}
    listed = [{"rule": {**place, "chain": "f", "handle": n, "expr": rule}} for n, rule in enumerate(rules, 2)]
    return json.dumps({"nftables": [{"metainfo": {"json_schema_version": 1}}, {"table": place}, {"chain": chain}, *listed]})


@pytest.mark.parametrize(
    ("rules", "blocked"),
    [
        ("-P FORWARD ACCEPT\n", False),
        ("-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n", True),
        (f"-P FORWARD DROP\n-A FORWARD -i {BRIDGE} -j ACCEPT\n", False),
        ("", False),
    ],
)
def test_iptables(programs: dict[str, str], rules: str, blocked: bool) -> None:
    programs["iptables"] = rules
    problem = forwarding.find_forwarding_problem(BRIDGE)
    assert (problem is not None) is blocked
    assert problem is None or f"iptables -I FORWARD -i {BRIDGE} -j ACCEPT" in problem


@pytest.mark.parametrize(
    ("ruleset", "blocked"),
    [
        (list_ruleset([iif(BRIDGE), DROP]), True),
        (list_ruleset([iif(BRIDGE), COUNTER, REJECT]), True),
        (list_ruleset([iif({"set": ["eth0", BRIDGE]}), DROP]), True),
        (list_ruleset([iif("w-*"), DROP]), True),
        (list_ruleset([iif("eth0", "!="), DROP]), True),
        (list_ruleset(policy="drop"), True),
        (list_ruleset([JUMP], [INVALID, DROP], policy="drop"), True),
        (list_ruleset([INVALID, DROP], [WEB, ACCEPT], [REJECT]), True),
        (list_ruleset([iif("docker0"), ACCEPT], [COUNTER, DROP], family="ip"), True),
        (list_ruleset([iif(BRIDGE), ACCEPT], [iif(BRIDGE), DROP], policy="drop"), False),
        (list_ruleset([iif(BRIDGE), WEB, DROP]), False),
        (list_ruleset([iif("docker0"), DROP], [INVALID, DROP]), False),
        (list_ruleset([iif(BRIDGE, "!="), DROP]), False),
        (list_ruleset(policy="drop", hook="input"), False),
        (list_ruleset(policy="drop", family="ip6"), False),
        (list_ruleset(policy="drop", table="incus"), False),
        (list_ruleset([iif(BRIDGE), DROP], table="webitel_a"), False),
        (list_ruleset([JUMP]), False),
        ("", False),
        ("Operation not permitted", False),
    ],
)
def test_nftables(programs: dict[str, str], ruleset: str, blocked: bool) -> None:
    programs["nft"] = ruleset
    problem = forwarding.find_forwarding_problem(BRIDGE)
    assert (problem is not None) is blocked, problem
    assert problem is None or f" x f iifname {BRIDGE} accept && nft insert rule " in problem


def test_without_a_firewall_nothing_is_asked() -> None:
    assert forwarding.find_forwarding_problem(BRIDGE) is None
