"""Calls that another node gets before something restarts here: when that is, when it is not, and what is left alone then."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloud_init import compose
from cloud_init.compose import Configuration
from cloud_init.node import commands
from cloud_init.node.apply import spare
from cloud_init.node.ask import redis
from cloud_init.node.clusters import locks, sip_address
from cloud_init.node.health import kept_calls
from cloud_init.node.manifest import Manifest
from cloud_init.node.system import ApplyError, Tell
from components.model.settings import Settings
from tests.plans import compose_configuration, make_plan
from tests.unit.node.fake_node import FakeNode

BROWSERS = "calls in progress would end: 2 of browsers"
ONLINE = "# Replication\r\nrole:master\r\nconnected_slaves:1\r\nslave0:ip=10.77.1.30,port=6379,state={},offset=7,lag=1\r\n"
RENDER: Callable[..., str] = compose.render_template


class Edge(FakeNode):
    """One of two nodes for SIP; the other one takes over what this one hands over, unless it `takes` nothing."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(root, monkeypatch)
        self.has, self.takes, self.copied = True, True, "online"
        monkeypatch.setattr(sip_address, "is_here", lambda address: self.has)
        monkeypatch.setattr(redis, "ask", lambda *_: ONLINE.format(self.copied))
        monkeypatch.setattr(locks, "hand_over", self.hand_over)

    def hand_over(self, own: Manifest, tell: Tell) -> None:
        self.asked.append("hand over")
        if not self.takes:
            raise ApplyError("no other node takes over sip-address", locks.UNIT)
        self.stand_by()

    def stand_by(self) -> None:
        """Another node has the calls."""
        self.has = False
        self.units |= dict.fromkeys(("opensips", "rtpengine-daemon", "webitel-uac", "sip-websocket"), False)


def has_calls(edge: Edge) -> bool:
    """Asked anew: what was known before may have changed."""
    return edge.has


def given(version: str = "") -> Configuration:
    more = {"package_versions": {"opensips": version}} if version else {}
    settings = Settings.model_validate({"cloud": "local", "tier": "basic", "counts": {"edge": 2}, **more})
    plan = make_plan(settings, "s")
    return compose_configuration(plan, plan.node("edge-1"), settings)


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edge:
    """The node that has the calls."""
    node = Edge(tmp_path, monkeypatch)
    node.apply(given())
    node.units |= dict.fromkeys(node.units, True)
    moving = [unit["name"] for unit in given().units if unit.get("moves")]
    node.units |= dict.fromkeys(moving, True)
    node.asked.clear()
    return node


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has the next configuration say something else in these templates."""

    def do(*templates: str) -> None:
        def render(name: str, *rest: Any, **more: Any) -> str:
            return RENDER(name, *rest, **more) + ("# another day\n" if name in templates else "")

        monkeypatch.setattr(compose, "render_template", render)

    return do


OPENSIPS, MEDIA, NGINX = "opensips/opensips.cfg", "rtpengine/rtpengine.conf", "haproxy/haproxy.cfg"


def test_the_calls_are_elsewhere_before_anything_is_written(edge: Edge, change: Callable[..., None]) -> None:
    change(OPENSIPS, MEDIA)
    done = edge.apply(given())
    assert edge.asked == ["hand over"], "what does not run here is not restarted"
    assert len(done["changed"]) == 2
    assert not (edge.root / "run/locks/yield").exists(), "it may have them again"
    assert edge.apply(given())["changed"] == [] and edge.asked == []


def test_a_new_version_comes_once_the_calls_are_elsewhere(edge: Edge) -> None:
    edge.apply(given("3.4.9"))
    assert edge.asked[0] == "hand over" and edge.asked[1].startswith("install ") and len(edge.asked) == 2


def test_who_stands_by_is_changed_at_once(edge: Edge, change: Callable[..., None]) -> None:
    edge.stand_by()
    change(OPENSIPS, MEDIA)
    edge.apply(given("3.4.9"))
    assert [line.split()[0] for line in edge.asked] == ["install"]


def test_what_loses_no_call_by_its_restart_hands_nothing_over(edge: Edge, change: Callable[..., None]) -> None:
    change(MEDIA, NGINX)
    edge.apply(given())
    assert sorted(edge.asked) == ["reload-or-restart haproxy", "restart rtpengine-daemon"]


def sick(edge: Edge) -> None:
    edge.takes = False


def browsers(edge: Edge) -> None:
    edge.obstacle = BROWSERS


def alone(edge: Edge) -> None:
    edge.copied = "wait_bgsave"


Fault = Callable[[Edge], None]
REFUSALS: dict[Fault, str] = {
    sick: "no other node takes over",
    browsers: BROWSERS,
    alone: "no other node has a copy of its calls",
}


@pytest.mark.parametrize("fault", REFUSALS)
@pytest.mark.parametrize("version", ["", "3.4.9"])
def test_where_calls_would_suffer_nothing_is_changed_and_what_helps_is_said(
    fault: Fault, version: str, edge: Edge, change: Callable[..., None]
) -> None:
    fault(edge)
    change(OPENSIPS)
    before = (edge.root / "etc/opensips/opensips.cfg").read_text()
    with pytest.raises(ApplyError, match=f"opensips was left as it is: .*{REFUSALS[fault]}.*run the same command again"):
        edge.apply(given(version))
    assert has_calls(edge) and set(edge.asked) <= {"hand over"}, "it has what it had"
    assert (edge.root / "etc/opensips/opensips.cfg").read_text() == before
    edge.takes, edge.obstacle, edge.copied = True, "", "online"
    edge.apply(given(version))
    assert edge.asked[0] == "hand over" and not has_calls(edge), "the same command goes on"
    assert (edge.root / "etc/opensips/opensips.cfg").read_text() != before


def test_with_leave_it_hands_over_whatever_call_there_is_and_else_restarts_in_place(
    edge: Edge, change: Callable[..., None]
) -> None:
    edge.obstacle, edge.takes = BROWSERS, False
    change(OPENSIPS)
    edge.apply(given(), disruptive=True)
    assert edge.asked == ["hand over", "restart opensips"]
    edge.takes = True
    change(OPENSIPS, MEDIA)
    edge.apply(given("3.4.9"), disruptive=True)
    assert edge.asked[0] == "hand over" and not [line for line in edge.asked if line.startswith("restart")]


def test_who_is_asked_to_hand_over_only_what_goes_on_says_what_would_not(
    edge: Edge, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = json.loads((edge.root / "etc/webitel/node.json").read_text())
    monkeypatch.setattr(commands, "load_manifest", lambda: own)
    edge.obstacle = BROWSERS
    assert commands.main(["hand-over", "--spare"]) == 1 and BROWSERS in capsys.readouterr().err
    assert has_calls(edge) and edge.asked == []
    assert commands.main(["hand-over"]) == 0 and not has_calls(edge), "a person said so"
    assert commands.main(["hand-over", "--spare"]) == 0, "who has no calls has none to lose"


def test_a_redis_that_does_not_say_who_copies_it_is_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(sip_address, "is_here", lambda address: True)
    monkeypatch.setattr(redis, "ask", refuse)
    monkeypatch.setattr(kept_calls, "describe_obstacle", lambda own: "")
    own = given().manifest
    assert "it is unknown who has a copy of its calls: Redis: " in spare.describe_obstacle(own)
