"""Draining a FreeSWITCH: running calls keep everything they need, what begins meanwhile is sent elsewhere, nothing stays shut."""

import json
import uuid
from pathlib import Path

import pytest

from cloud_init.node.apply import configuration as apply
from cloud_init.node.apply import drain
from cloud_init.node.ask import consul, sip
from cloud_init.node.ask import view as view_module
from cloud_init.node.ask.view import View
from cloud_init.node.health import probes
from cloud_init.node.manifest import ProbeEntry
from cloud_init.node.system import ApplyError
from tests.unit.node.entries import manifest, probe, service, wrong

SWITCH = probe("freeswitch", address="127.0.0.1", port=1)
MANIFEST = manifest(
    drain_timeout=0.3,
    services=[
        service("consul", probe("consul")),
        service("freeswitch", SWITCH, probe("consul_entry", name="freeswitch", id="stack-app-1")),
    ],
)
OUT = "/v1/agent/service/maintenance/stack-app-1?enable=true&reason=draining"
BACK = "/v1/agent/service/maintenance/stack-app-1?enable=false"


class FakeSwitch:
    """A FreeSWITCH and Consul beside it. `rounds`: the legs at each question, by any name, the last ones for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *rounds: str) -> None:
        self.rounds, self.asked, self.told, self.paused = list(rounds), list[str](), list[str](), set[str]()
        self.consul_is_there = True
        monkeypatch.setattr(sip, "ask_freeswitch", lambda arguments, view, command: self.ask(command))
        monkeypatch.setattr(consul, "call", self.tell)
        monkeypatch.setattr(drain, "PAUSE_SECONDS", 0.01)

    def ask(self, command: str) -> str:
        """The event socket."""
        self.asked.append(command)
        words = command.split()
        directions = set(words[2:]) or {"inbound", "outbound"}
        if words[:2] == ["fsctl", "pause"]:
            self.paused |= directions
        elif words[:2] == ["fsctl", "resume"]:
            self.paused -= directions
        elif command == "show channels":
            legs = self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]
            rows = [f"{uuid.uuid5(uuid.NAMESPACE_OID, leg)},inbound,x\n" for leg in legs]
            return "uuid,direction,created\n" * bool(rows) + "".join(rows) + f"\n{len(rows)} total.\n"
        elif command == "show calls count":
            return f"\n{len(self.rounds[0])} total.\n"
        return "+OK\n"

    def tell(self, method: str, path: str, body: str | None = None, timeout: float = 1) -> None:
        """Consul's agent."""
        if not self.consul_is_there:
            raise consul.ConsulError("refused")
        self.told.append(path)


def test_it_waits_until_no_call_runs_and_shuts_both_doors(monkeypatch: pytest.MonkeyPatch) -> None:
    switch, said = FakeSwitch(monkeypatch, "ab", "a", ""), list[str]()
    drain.drain(MANIFEST, lambda step, text: said.append(text))
    assert switch.asked[0] == "fsctl pause inbound" and switch.paused == {"inbound", "outbound"}
    assert said[0] == "draining: 1 calls still in progress" and switch.told == [], "running calls keep Consul's entry"


def test_running_calls_can_still_get_an_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    switch = FakeSwitch(monkeypatch, "a", "ab", "ab", "")
    drain.drain(MANIFEST, lambda step, text: None)
    assert switch.asked.index("fsctl pause") > len([command for command in switch.asked if command == "show channels"])
    assert switch.told == [], "b is the agent of a"


def test_what_webitel_begins_is_sent_elsewhere_once_the_calls_of_before_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    switch, said = FakeSwitch(monkeypatch, "a", "ac", "cd", "d", "d", ""), list[str]()
    drain.drain(MANIFEST, lambda step, text: said.append(text))
    assert switch.told == [OUT] and "fsctl pause outbound" not in switch.asked
    assert said[-1].endswith("; this node gets no new ones") and not said[0].endswith("new ones")


def test_a_call_between_the_last_look_and_the_shut_door_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    switch = FakeSwitch(monkeypatch, "", "e", "e", "", "")
    drain.drain(MANIFEST, lambda step, text: None)
    assert switch.asked.count("fsctl pause") == 2 and "fsctl resume outbound" in switch.asked
    assert switch.paused == {"inbound", "outbound"}


def test_it_gives_up_in_time_and_lets_calls_in_again(monkeypatch: pytest.MonkeyPatch) -> None:
    switch = FakeSwitch(monkeypatch, "a", "xyz")
    with pytest.raises(ApplyError, match=r"3 calls are still in progress after 0\.3 s"):
        drain.drain(MANIFEST, lambda step, text: None)
    assert switch.paused == set() and switch.told[0] == OUT and switch.told[-1] == BACK


def test_whatever_ends_a_drain_lets_calls_in_again(monkeypatch: pytest.MonkeyPatch) -> None:
    switch = FakeSwitch(monkeypatch, "a")

    def interrupt(step: str, text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drain.drain(MANIFEST, interrupt)
    assert switch.paused == set()


def test_an_answer_it_does_not_understand_is_no_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()

    def ask(arguments: object, view: object, command: str) -> str:
        asked.append(command)
        return "-ERR no such command"

    FakeSwitch(monkeypatch, "")
    monkeypatch.setattr(sip, "ask_freeswitch", ask)
    with pytest.raises(ApplyError, match="an unknown number of calls"):
        drain.drain(MANIFEST, lambda step, text: None)
    assert asked[-1] == "fsctl resume"


def test_an_agent_that_is_away_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    switch = FakeSwitch(monkeypatch, "a", "b", "b", "b", "")
    switch.consul_is_there = False

    def come_back(step: str, text: str) -> None:
        switch.consul_is_there = len(switch.rounds) < 3

    drain.drain(MANIFEST, come_back)
    assert switch.told == [OUT]


def test_calls_are_let_in_again_even_where_freeswitch_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    switch = FakeSwitch(monkeypatch, "")

    def refuse(*_: object) -> str:
        raise ConnectionRefusedError

    monkeypatch.setattr(sip, "ask_freeswitch", refuse)
    drain.admit(MANIFEST)
    assert switch.told == [BACK]


@pytest.mark.parametrize(
    ("paused", "said"),
    [
        (set(), ""),
        ({"inbound"}, "paused, new inbound calls are refused"),
        ({"inbound", "outbound"}, "paused, new inbound and outbound calls are refused"),
    ],
)
def test_health_says_that_freeswitch_is_paused(paused: set[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(arguments: object, view: object, command: str) -> str:
        if command == "status":
            return "FreeSWITCH is not ready\n" if len(paused) == 2 else "FreeSWITCH is ready\n"
        return "true" if command.rsplit(maxsplit=1)[-1] in paused else "false"

    monkeypatch.setattr(sip, "ask_freeswitch", ask)
    answer = wrong(sip.freeswitch, SWITCH, View(MANIFEST))
    assert answer.startswith(said) and bool(answer) == bool(said)


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (["passing"], ""),
        (["passing", "critical"], "10.0.0.1:50051 passing/critical"),
        (["critical"], "10.0.0.1:50051 critical"),
        ([], "10.0.0.1:50051 no check"),
    ],
)
def test_health_says_that_consul_hides_freeswitch(states: list[str], said: str) -> None:
    asked = View(manifest(address="10.0.0.1"))
    asked.__dict__["consul_services"] = {"n": {"Service": "freeswitch", "Address": "10.0.0.1", "Port": 50051, "States": states}}
    wanted = probe("consul_entry", name="freeswitch", id="n", address="10.0.0.1", port=50051)
    answer = wrong(probes.consul_entry, wanted, asked)
    assert answer.startswith(said) and bool(answer) == bool(said)


def test_a_changed_password_of_the_event_socket_is_no_way_to_stay_undrained(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(apply, "PROBE_SECRETS", tmp_path / "probe.json")
    monkeypatch.setattr(view_module, "PROBE_SECRETS", tmp_path / "probe.json")
    tried = list[str]()

    def ask_with(password: str, arguments: object, command: str) -> str:
        tried.append(password)
        if password != "first":
            raise PermissionError
        return "+OK"

    monkeypatch.setattr(sip, "ask_with", ask_with)
    apply.keep_probe_secrets({"esl_password": "first"})
    assert sip.ask_freeswitch(SWITCH, View(MANIFEST), "status") == "+OK"
    for _ in range(2):
        apply.keep_probe_secrets({"esl_password": "second"})
    assert sip.ask_freeswitch(SWITCH, View(MANIFEST), "status") == "+OK"
    assert tried == ["first", "second", "first"]


def test_freeswitch_is_asked_with_the_password_of_its_last_start_however_often_it_was_rotated_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drain that calls outlast leaves it with the first one, and could not even be tried again."""
    monkeypatch.setattr(apply, "PROBE_SECRETS", tmp_path / "probe.json")
    for password in ("one", "two", "two", "three"):
        apply.keep_probe_secrets({"esl_password": password})
    kept = json.loads((tmp_path / "probe.json").read_text())
    assert kept == {"esl_password": "three", "esl_password_before": "two one"}
    tried: list[str] = []

    def ask_with(password: str, own: ProbeEntry, command: str) -> str:
        tried.append(password)
        if password != "one":
            raise PermissionError("the event socket rejects the password")
        return "ready"

    monkeypatch.setattr(sip, "ask_with", ask_with)
    view = View(manifest())
    view.secrets = kept
    assert sip.ask_freeswitch(probe("freeswitch"), view, "status") == "ready" and tried == ["three", "two", "one"]
