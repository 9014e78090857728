"""NodeConfiguration against SSH servers on the loopback."""

import io
import json
import re
import tarfile
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from components.model.catalogue.services import CATALOGUE
from provider.certificates import make_ssh_key
from provider.configuration import NodeConfiguration
from provider.handler import Cancelled, PartialFailure, ProviderError
from provider.values import UNKNOWN
from tests.unit.provider.conftest import Answer, Call, FakeNode, Servers

HANDLER = NodeConfiguration()
GOOD = [
    json.dumps({"step": "files", "text": "files 1 of 1 to write"}),
    json.dumps({"result": {"changed": ["/etc/one"], "actions": ["reload one"], "seconds": {"packages": 3.1}}}),
]


def applies(*lines: str, status: int = 0, errors: str = "", pause: float = 0) -> Callable[[str], Answer]:
    """A node that says this to `apply`, and what a healthy machine says to everything else."""

    def answer(command: str) -> Answer:
        if " apply" in command:
            return Answer(list(lines), errors, status, pause)
        return Answer(["machine-1"]) if "instance-id" in command else Answer()

    return answer


@pytest.fixture
def inputs(node: FakeNode) -> dict[str, Any]:
    node.answer = applies(*GOOD)
    return {
        "node": "test-all-1",
        "key": "all-1",
        "machine_id": "machine-1",
        "instance_id": "machine-1",
        "address": node.address,
        "user": "debian",
        "private_key": node.private_key,
        "files": {"/etc/one": "peer {{address:all-1}} password {{secret:database_password}}\n"},
        "attributes": {"/etc/one": {"mode": "0600", "owner": "root:root", "actions": ["reload one"]}},
        "manifest": {"key": "all-1"},
        "bundles": {"node": "0123456789abcdef"},
        "addresses": {"all-1": "10.77.0.10"},
        "secrets": {"database_password": "a-password-of-32-characters-xxxx"},
        "limits": {"ssh": 2, "boot": 5, "apply": 5},
    }


def create(call: Call, inputs: dict[str, Any]) -> dict[str, Any]:
    return HANDLER.create(call, inputs)[1]


def test_sends_everything_and_pins_the_host_key(call: Call, node: FakeNode, inputs: dict[str, Any]) -> None:
    id, outputs = HANDLER.create(call, inputs)
    assert id == "all-1"
    assert outputs["host_key"] == node.host_key
    assert outputs["host_keys"] == {"machine-1": node.host_key}
    assert outputs["seconds"]["packages"] == 3.1
    assert len(outputs["digest"]) == 32
    assert outputs["configured"]
    assert "files 1 of 1 to write" in call.shown
    folder = re.fullmatch(
        r"sudo -n -- /usr/bin/python3 -X utf8 (/run/webitel/incoming-\w{8})/node apply --incoming \1", node.commands[-1]
    )
    assert folder is not None
    assert f"tar -xf - -C {folder[1]}'" in node.commands[-2]
    archive = next(data for data, command in zip(node.inputs, node.commands, strict=True) if "tar -xf" in command)
    with tarfile.open(fileobj=io.BytesIO(archive)) as sent:
        names = set(sent.getnames())
        own = {"configuration.json", "addresses.json", "secrets.json", "node/__main__.py", "node/apply/configuration.py"}
        assert own <= names
        secrets = sent.extractfile("secrets.json")
        assert secrets is not None
        assert json.load(secrets) == inputs["secrets"]
        configuration = sent.extractfile("configuration.json")
        assert configuration is not None
        assert json.load(configuration)["files"] == inputs["files"]
    assert not any("a-password-of-32" in command for command in node.commands), "a secret in an argument"


def test_an_update_says_so_and_tells_what_was_reloaded(call: Call, node: FakeNode, inputs: dict[str, Any]) -> None:
    outputs = create(call, inputs)
    new = inputs | {"files": {"/etc/one": "other\n"}}
    changed = HANDLER.update(call, "all-1", inputs, outputs, new)
    assert node.commands[-1].endswith(" --update")
    assert changed["digest"] != outputs["digest"]
    assert call.kept == ["reload one"]


def test_only_what_the_node_is_given_is_a_change(call: Call, inputs: dict[str, Any]) -> None:
    outputs = create(call, inputs)
    way = {"address": "10.0.0.9", "via": [{"address": "192.0.2.1", "machine_id": "edge"}], "disruptive": True}
    assert HANDLER.diff(call, "all-1", inputs, outputs, inputs | way).changed == []
    given: list[dict[str, Any]] = [
        {"machine_id": "machine-2"},
        {"files": {}},
        {"addresses": {"all-1": UNKNOWN}},
        {"devices": {"a": "/dev/b"}},
    ]
    for more in given:
        changes = HANDLER.diff(call, "all-1", inputs, outputs, inputs | more)
        assert list(changes.changed) == list(more)
        assert not changes.replaces


def test_another_host_key_is_refused_before_anything_is_sent(
    call: Call, servers: Servers, node: FakeNode, inputs: dict[str, Any]
) -> None:
    outputs = create(call, inputs)
    servers.stop_last()
    servers.start(node)
    node.commands.clear()
    with pytest.raises(ProviderError, match="another host key than machine machine-1"):
        HANDLER.update(call, "all-1", inputs, outputs, inputs | {"files": {}})
    assert node.commands == []


def test_a_replaced_machine_is_configured_anew_and_pinned_anew(
    call: Call, servers: Servers, node: FakeNode, inputs: dict[str, Any]
) -> None:
    outputs = create(call, inputs)
    old_key = node.host_key
    servers.stop_last()
    servers.start(node)
    new = inputs | {"machine_id": "machine-2", "instance_id": ""}
    changed = HANDLER.update(call, "all-1", inputs, outputs, new)
    assert changed["host_keys"] == {"machine-2": node.host_key} != {"machine-2": old_key}
    assert "--update" not in node.commands[-1], "a new machine must not wait for its peers"


def test_another_machine_at_the_address_gets_nothing(call: Call, node: FakeNode, inputs: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match=r"machine machine-1 answers at [0-9.:]+, not machine-9"):
        create(call, inputs | {"instance_id": "machine-9"})
    assert not any("tar" in command for command in node.commands)


@pytest.mark.parametrize("answer", [Answer(), Answer([" "]), Answer(errors="cat: no such file", status=1)])
def test_a_machine_that_does_not_say_which_one_it_is_gets_nothing(
    call: Call, node: FakeNode, inputs: dict[str, Any], answer: Answer
) -> None:
    """Who stands in between takes any key and answers nothing; the question must not pass by that."""
    node.answer = lambda command: answer if "instance-id" in command else Answer(GOOD)
    with pytest.raises(ProviderError, match="did not show its instance id, so nothing was sent: expected machine-1"):
        create(call, inputs)
    assert not any("tar" in command for command in node.commands)


def test_the_node_is_told_whose_key_is_the_deployments(call: Call, node: FakeNode, inputs: dict[str, Any]) -> None:
    create(call, inputs)
    archive = next(data for data, command in zip(node.inputs, node.commands, strict=True) if "tar -xf" in command)
    with tarfile.open(fileobj=io.BytesIO(archive)) as sent:
        configuration = sent.extractfile("configuration.json")
        assert configuration is not None
        login = json.load(configuration)["login"]
    assert login["user"] == "debian"
    assert node.public_key.startswith(login["key"]) and len(login["key"].split()) == 2


def test_a_failure_keeps_the_pin_and_shows_the_last_lines(call: Call, node: FakeNode, inputs: dict[str, Any]) -> None:
    node.answer = applies(json.dumps({"error": "it does not start\nlast line", "unit": "consul"}), status=1)
    with pytest.raises(PartialFailure) as caught:
        create(call, inputs)
    assert str(caught.value) == "test-all-1: consul: it does not start\nlast line"
    assert caught.value.id == "all-1"
    assert caught.value.outputs["host_key"] == node.host_key
    assert caught.value.outputs["digest"] == ""
    node.answer = applies(*GOOD)
    resumed = HANDLER.update(call, "all-1", inputs, caught.value.outputs, inputs)
    assert resumed["digest"]
    assert "--update" not in node.commands[-1], "nothing of it runs yet: it must not wait for its peers"


def test_a_crash_of_the_node_program_is_shown(call: Call, node: FakeNode, inputs: dict[str, Any]) -> None:
    node.answer = applies(status=1, errors="Traceback:\nValueError: no such thing\n")
    with pytest.raises(PartialFailure, match="ValueError: no such thing"):
        create(call, inputs)


def test_a_node_that_says_nothing_more_ends_in_time(call: Call, node: FakeNode, inputs: dict[str, Any]) -> None:
    node.answer = applies(json.dumps({"step": "packages", "text": "packages 3/30"}), *GOOD, pause=0.4)
    with pytest.raises(PartialFailure, match=r"not configured within 0.6 s; last step: packages 3/30"):
        create(call, inputs | {"limits": {"ssh": 2, "boot": 5, "apply": 0.6}})


def test_ssh_that_never_answers_ends_in_time(call: Call, servers: Servers, node: FakeNode, inputs: dict[str, Any]) -> None:
    servers.stop_last()
    start = time.monotonic()
    with pytest.raises(ProviderError, match=rf"SSH to debian@{node.address} did not answer within 1 s: connection refused"):
        create(call, inputs | {"limits": {"ssh": 1}})
    assert time.monotonic() - start < 5
    assert call.shown[-1] == "waiting for SSH: connection refused"


def test_the_wrong_key_is_told(call: Call, inputs: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="does not accept the deployment's key"):
        create(call, inputs | {"private_key": make_ssh_key()[0], "limits": {"ssh": 0.1}})


def test_a_lost_connection_is_tried_again(call: Call, node: FakeNode, inputs: dict[str, Any]) -> None:
    node.drops = 1
    assert create(call, inputs)["digest"]
    assert sum(" apply" in command for command in node.commands) == 2
    node.drops = 2
    with pytest.raises(PartialFailure, match="test-all-1 at"):
        create(call, inputs)


def test_each_node_on_the_way_may_cut_the_connection_once(
    call: Call, new_node: Callable[[], FakeNode], node: FakeNode, inputs: dict[str, Any]
) -> None:
    via = [{"address": new_node().address, "machine_id": f"edge-{n}"} for n in (1, 2)]
    node.drops = 3
    assert create(call, inputs | {"via": via})["digest"]


def test_no_two_runs_share_a_folder(call: Call, node: FakeNode, inputs: dict[str, Any]) -> None:
    """What a killed run left at work on the node removes its own folder at its end."""
    create(call, inputs)
    create(call, inputs)
    commands = [command for command in node.commands if " apply" in command]
    assert len(set(commands)) == 2


def test_goes_through_the_first_node_in_between_that_answers(
    call: Call, new_node: Callable[[], FakeNode], node: FakeNode, inputs: dict[str, Any]
) -> None:
    jump = new_node()
    via = [{"address": "127.0.0.1:1", "machine_id": "edge-1"}, {"address": jump.address, "machine_id": "edge-2"}]
    outputs = create(call, inputs | {"via": via})
    assert jump.tunnels == [("127.0.0.1", node.port)]
    assert outputs["host_keys"] == {"machine-1": node.host_key, "edge-2": jump.host_key}
    forged = outputs | {"host_keys": outputs["host_keys"] | {"edge-2": node.host_key}}
    with pytest.raises(ProviderError, match="another host key than machine edge-2"):
        HANDLER.update(call, "all-1", inputs, forged, inputs | {"via": via})


def test_every_way_that_failed_is_told(call: Call, inputs: dict[str, Any]) -> None:
    via = [{"address": f"127.0.0.1:{port}", "machine_id": str(port)} for port in (1, 2)]
    with pytest.raises(ProviderError, match=r"through 127.0.0.1:1: connection refused; through 127.0.0.1:2: conn"):
        create(call, inputs | {"via": via, "limits": {"ssh": 0.1}})


def test_an_interruption_does_not_wait_for_the_node_and_resumes(call: Call, node: FakeNode, inputs: dict[str, Any]) -> None:
    works = applies(*GOOD, pause=60)
    begun = list[float]()

    def interrupt(command: str) -> Answer:
        if " apply" in command:
            begun.append(time.monotonic())
            threading.Timer(0.1, call.cancelled.set).start()
        return works(command)

    node.answer = interrupt
    with pytest.raises(PartialFailure, match=str(Cancelled())) as caught:
        create(call, inputs | {"limits": {"ssh": 30, "boot": 30, "apply": 90}})
    assert time.monotonic() - begun[0] < 30, "it is said within a second; the bound is for a busy machine"
    node.answer = applies(*GOOD)
    assert HANDLER.update(Call(), "all-1", inputs, caught.value.outputs, inputs)["digest"]


def test_a_rotated_ssh_key_goes_in_by_the_old_one(call: Call, node: FakeNode, inputs: dict[str, Any]) -> None:
    outputs = create(call, inputs)
    private, public = make_ssh_key()
    new = inputs | {"private_key": private}
    assert HANDLER.diff(call, "all-1", inputs, outputs, new).changed == ["private_key"]
    HANDLER.update(call, "all-1", inputs, outputs, new)
    exchange = next(command for command in node.commands if "authorized_keys" in command)
    assert re.search(r"&& sync (\S+).new && mv \1.new \1", exchange), "a power cut leaves the old keys or the new ones"
    assert public.split()[1] in exchange
    assert node.public_key.split()[1] in exchange


def test_a_placeholder_without_value_names_its_file(call: Call, inputs: dict[str, Any]) -> None:
    _, failures = HANDLER.check(call, None, inputs | {"addresses": {}, "secrets": UNKNOWN})
    assert [tuple(failure) for failure in failures] == [
        ("files", "/etc/one needs the address all-1, which is not among the node's inputs")
    ]
    assert HANDLER.check(call, None, inputs)[1] == []
    assert HANDLER.check(call, None, inputs | {"addresses": {"all-1": UNKNOWN}})[1] == []


def test_too_many_texts_are_refused(call: Call, inputs: dict[str, Any]) -> None:
    _, failures = HANDLER.check(call, None, inputs | {"files": {"/etc/large": "x" * 262145}})
    assert "262145 bytes" in failures[0].reason


def test_dropped_calls_are_announced_and_need_leave(call: Call, node: FakeNode, inputs: dict[str, Any]) -> None:
    path = "/etc/rtpengine/rtpengine.conf"
    actions = [f"restart {CATALOGUE['rtpengine'].units[0]}"]
    attributes = {path: {"actions": actions}}
    old = inputs | {"files": {path: "one\n"}, "attributes": attributes, "addresses": {}, "secrets": {}}
    outputs = create(call, old)
    new = old | {"files": {path: "two\n"}}
    known = HANDLER.preview_update(call, "all-1", old, outputs, new)
    assert known["host_key"] == node.host_key
    assert "digest" not in known
    assert any("audio of calls in progress stops" in text and "--disruptive" in text for text in call.kept)
    node.commands.clear()
    with pytest.raises(ProviderError, match="webitel up --disruptive"):
        HANDLER.update(call, "all-1", old, outputs, new)
    assert node.commands == []
    assert HANDLER.update(call, "all-1", old, outputs, new | {"disruptive": True})["digest"]
    assert HANDLER.update(call, "all-1", old, outputs | {"configured": False}, new)["digest"], "nothing of it runs yet"


def test_what_another_node_has_first_is_said_and_needs_no_leave(call: Call, inputs: dict[str, Any]) -> None:
    path = "/etc/opensips/opensips.cfg"
    attributes = {path: {"mode": "0644", "owner": "root:root", "actions": ["restart opensips"]}}
    pair = [{"key": key, "address": "10.0.0.1"} for key in ("edge-1", "edge-2")]
    services = [{"name": "opensips", "candidates": pair, "lock": "sip-address"}]
    given = inputs | {"attributes": attributes, "secrets": {}, "addresses": {}}
    given |= {"manifest": {"key": "edge-1", "services": services, "sip_address": "10.0.0.9"}}
    old, new = (given | {"files": {path: text}} for text in "ab")
    outputs = create(call, old)
    HANDLER.preview_update(call, "edge-1", old, outputs, new)
    (said,) = call.kept
    assert said.startswith(
        "calls in progress go on: OpenSIPS restarts once another node has them (about 3 s of silence; calls that"
    )
    assert HANDLER.update(call, "edge-1", old, outputs, new)["digest"]
    moved = new | {"manifest": given["manifest"] | {"sip_address": "10.0.0.8"}}
    with pytest.raises(ProviderError, match="webitel up --disruptive"):
        HANDLER.update(call, "edge-1", old, outputs, moved)


def test_what_waits_for_calls_is_said_and_done_with_leave(call: Call, node: FakeNode, inputs: dict[str, Any]) -> None:
    attributes = {"/etc/media": {"mode": "0644", "owner": "root:root", "actions": ["revive rtpengine-daemon"]}}
    given = inputs | {"attributes": attributes, "secrets": {}, "addresses": {}, "manifest": {"key": "all-1", "services": []}}
    old, new = (given | {"files": {"/etc/media": text}} for text in "ab")
    outputs = create(call, old)
    HANDLER.preview_update(call, "all-1", old, outputs, new)
    assert any("rtpengine goes on without Redis" in text and "--disruptive" in text for text in call.kept)
    call.kept.clear()
    known = old | {"manifest": {"key": "all-1", "services": [{"name": "redis"}]}}
    HANDLER.preview_update(call, "all-1", known, outputs, new)
    assert call.kept == [], "it has had Redis"
    result = {"changed": [], "actions": [], "put_off": ["rtpengine-daemon"], "seconds": {}}
    node.answer = applies(json.dumps({"result": result}))
    outputs = HANDLER.update(call, "all-1", old, outputs, new)
    assert HANDLER.diff(call, "all-1", new, outputs, new).changed == []
    leave = new | {"disruptive": True}
    assert HANDLER.diff(call, "all-1", new, outputs, leave).changed == ["disruptive"]
    node.answer = applies(*GOOD)
    outputs = HANDLER.update(call, "all-1", new, outputs, leave)
    assert HANDLER.diff(call, "all-1", leave, outputs, leave).changed == [], "done"


def test_another_address_in_a_file_drops_calls_like_a_changed_text(call: Call, inputs: dict[str, Any]) -> None:
    """A machine was replaced where the cloud chooses addresses: OpenSIPS' routes name each FreeSWITCH by its own."""
    path = "/etc/opensips/routes.cfg"
    attributes = {path: {"actions": [f"restart {CATALOGUE['opensips'].units[0]}"]}}
    texts = {"files": {path: "{{address:app-1}}\n"}, "attributes": attributes, "secrets": {}}
    old = inputs | texts | {"addresses": {"app-1": "10.0.0.2", "app-2": "10.0.0.3"}}
    outputs = create(call, old)
    moved = old | {"addresses": {"app-1": "10.0.0.9", "app-2": "10.0.0.3"}}
    with pytest.raises(ProviderError, match=r"OpenSIPS restarts.*\n.*--disruptive"):
        HANDLER.update(call, "all-1", old, outputs, moved)
    HANDLER.preview_update(call, "all-1", old, outputs, old | {"addresses": {"app-1": UNKNOWN, "app-2": "10.0.0.3"}})
    assert any("OpenSIPS restarts" in text for text in call.kept)
    elsewhere = old | {"addresses": {"app-1": "10.0.0.2", "app-2": "10.0.0.9"}}
    assert HANDLER.update(call, "all-1", old, outputs, elsewhere)["digest"], "no file names that one"


def test_another_secret_in_a_file_drops_calls_like_a_changed_text(call: Call, inputs: dict[str, Any]) -> None:
    """A password was rotated: OpenSIPS is restarted for it, and so is Flow Manager."""
    path, flow = "/etc/opensips/opensips.cfg", "/etc/webitel/flow_manager.env"
    units = {path: CATALOGUE["opensips"].units[0], flow: CATALOGUE["flow_manager"].units[0]}
    attributes = {name: {"actions": [f"restart {unit}"]} for name, unit in units.items()}
    texts = {"files": dict.fromkeys(units, "{{secret:database_password}}\n"), "attributes": attributes, "addresses": {}}
    old = inputs | texts | {"secrets": {"database_password": "one", "cookie_keys": "one"}}
    outputs = create(call, old)
    rotated = old | {"secrets": {"database_password": "two", "cookie_keys": "one"}}
    with pytest.raises(ProviderError, match=r"OpenSIPS restarts.*\n.*--disruptive"):
        HANDLER.update(call, "all-1", old, outputs, rotated)
    HANDLER.preview_update(call, "all-1", old, outputs, old | {"secrets": {"database_password": UNKNOWN, "cookie_keys": "one"}})
    assert any("OpenSIPS restarts" in text for text in call.kept)
    assert any("some calls in progress end: Flow Manager restarts: calls that wait in a flow" in text for text in call.kept)
    elsewhere = old | {"secrets": {"database_password": "one", "cookie_keys": "two"}}
    assert HANDLER.update(call, "all-1", old, outputs, elsewhere)["digest"], "no file has that one"


def test_another_version_drops_calls_like_a_changed_file(call: Call, inputs: dict[str, Any]) -> None:
    actions = [f"restart {CATALOGUE['opensips'].units[0]}"]

    def with_version(version: str) -> dict[str, Any]:
        versions = {"opensips": {"version": version, "actions": actions}, "grafana": {"version": version, "actions": []}}
        return inputs | {"files": {}, "attributes": {}, "manifest": {"key": "all-1", "versions": versions}}

    outputs = create(call, with_version("1"))
    with pytest.raises(ProviderError, match=r"OpenSIPS restarts.*\n.*--disruptive"):
        HANDLER.update(call, "all-1", with_version("1"), outputs, with_version("2"))
    before = with_version("1") | {"manifest": {"key": "all-1", "packages": ["opensips"]}}
    with pytest.raises(ProviderError, match="OpenSIPS restarts"):  # which version it had is not known here
        HANDLER.update(call, "all-1", before, outputs, with_version("2"))
    before["manifest"] = {"key": "all-1"}
    assert HANDLER.update(call, "all-1", before, outputs, with_version("2"))["digest"], "it had no such package before"


def test_another_bundle_drops_calls_like_a_changed_file(call: Call, inputs: dict[str, Any]) -> None:
    def with_bundle(digest: str, *actions: str) -> dict[str, Any]:
        manifest = {"key": "all-1", "bundle_actions": {"freeswitch": list(actions)}}
        return inputs | {"files": {}, "attributes": {}, "manifest": manifest, "bundles": {"node": "0", "freeswitch": digest}}

    outputs = create(call, old := with_bundle("1"))
    (unit,) = CATALOGUE["freeswitch"].units
    with pytest.raises(ProviderError, match=r"FreeSWITCH restarts.*\n.*--disruptive"):
        HANDLER.update(call, "all-1", old, outputs, with_bundle("2", f"restart {unit}"))
    assert HANDLER.update(call, "all-1", old, outputs, with_bundle("2", f"drain {unit}"))["digest"], "a drain waits for calls"
    assert HANDLER.update(call, "all-1", old, outputs, with_bundle("1", f"restart {unit}"))["digest"]


def test_deleting_touches_nothing(call: Call, node: FakeNode, inputs: dict[str, Any]) -> None:
    HANDLER.delete(call, "all-1", inputs, {})
    assert node.commands == []


def finds(*findings: dict[str, str]) -> Callable[[str], Answer]:
    """A node that says this to `drift`."""
    applied = applies(*GOOD)
    return lambda command: Answer([json.dumps({"drift": list(findings)})]) if command.endswith(" drift") else applied(command)


CHANGED = [{"kind": "file", "name": "/etc/one", "what": "content changed"}, {"kind": "unit", "name": "nginx", "what": "disabled"}]


def test_refresh_asks_the_node_only_when_told(
    call: Call,
    node: FakeNode,
    inputs: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outputs = create(call, inputs)
    node.answer, told = finds(*CHANGED), len(node.commands)
    assert HANDLER.read(call, "all-1", inputs, outputs) == (inputs, outputs)
    assert len(node.commands) == told
    monkeypatch.setenv("WEBITEL_ASK_NODES", "yes")
    found = HANDLER.read(call, "all-1", inputs, outputs)
    assert found is not None
    assert found[0]["files"] == {}
    assert found[0]["manifest"]["drift"] == ["file /etc/one: content changed", "unit nginx: disabled"]
    assert found[1] == outputs
    # So the next `up` sees a difference, in both, and applies the whole of it; a file that drops calls is one of them.
    assert HANDLER.diff(call, "all-1", found[0], outputs, inputs).changed == ["files", "manifest"]
    node.answer = applies(*GOOD)
    assert HANDLER.update(call, "all-1", found[0], outputs, inputs)["digest"] == outputs["digest"]


def test_refresh_of_an_unchanged_node_changes_nothing(
    call: Call,
    node: FakeNode,
    inputs: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outputs = create(call, inputs)
    node.answer = finds()
    monkeypatch.setenv("WEBITEL_ASK_NODES", "yes")
    assert HANDLER.read(call, "all-1", inputs, outputs) == (inputs, outputs)
    assert call.kept == []


def test_a_node_that_does_not_answer_is_said(
    call: Call,
    node: FakeNode,
    servers: Servers,
    inputs: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outputs = create(call, inputs)
    monkeypatch.setenv("WEBITEL_ASK_NODES", "yes")
    monkeypatch.setattr("provider.drift._CONNECT_SECONDS", 1)
    node.answer = lambda command: Answer([json.dumps({"error": "it is being configured right now"})], status=1)
    assert HANDLER.read(call, "all-1", inputs, outputs) == (inputs, outputs)
    servers.stop_last()
    assert HANDLER.read(call, "all-1", inputs, outputs) == (inputs, outputs)
    assert "test-all-1 could not be asked" in call.kept[0] and "being configured" in call.kept[0]
    assert "test-all-1 could not be asked" in call.kept[1] and "did not answer within 1 s" in call.kept[1]
