"""A host that was given: when it is taken, when it is another one, and whose it is."""

from collections.abc import Mapping
from typing import Any

import pytest

from cloud_init.node.apply.host import Mark
from provider import given_host
from provider.given_host import GivenHost, HostInputs, explain_found
from provider.handler import Request

KEY = "ssh-ed25519 AAAAone"
INPUTS: Mapping[str, Any] = {
    "stack": "rack",
    "node": "rack-all-1",
    "address": "10.1.0.5",
    "user": "admin",
    "host_key": KEY,
    "addresses": ["10.1.0.5"],
    "user_data": "#cloud-config\n",
    "private_key": "key",
}
OUTPUTS: Mapping[str, Any] = {"machine_id": "0" * 32, "host_key": KEY, "host_name": "rack-1", "claim": "1", "taken": True}
FOUND: Mapping[str, str] = {
    "system": "debian",
    "release": "12",
    "title": "Debian GNU/Linux 12 (bookworm)",
    "architecture": "amd64",
    "machine_id": "0" * 32,
    "host_name": "rack-1",
    "python": "/usr/bin/python3",
    "first": "systemd",
    "addresses": "127.0.0.1/8 10.1.0.5/24 ",
    "mark": "",
}
MARK: Mark = {
    "stack": "rack",
    "node": "rack-all-1",
    "claim": "1",
    "done": True,
    "files": [],
    "user": "admin",
    "key": "",
    "firewall": False,
}


def request() -> Request:
    return Request("urn:pulumi:rack::webitel::webitel:index:GivenHost::all-1")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        (
            {"release": "13", "title": "Debian GNU/Linux 13 (trixie)"},
            "Debian 12 on amd64 is needed, and it has Debian GNU/Linux 13 (trixie)",
        ),
        ({"system": "ubuntu", "release": "22.04", "title": "Ubuntu 22.04.4 LTS"}, "it has Ubuntu 22.04.4 LTS on amd64"),
        ({"architecture": "arm64"}, "(bookworm) on arm64"),
        ({"first": "init"}, "systemd is needed"),
        ({"python": ""}, "apt-get install -y python3"),
        ({"machine_id": ""}, "systemd-machine-id-setup"),
        ({"addresses": "127.0.0.1/8 10.1.0.6/24"}, "it does not have the address 10.1.0.5, but 127.0.0.1, 10.1.0.6"),
    ],
)
def test_which_hosts_are_taken(changes: Mapping[str, str], words: str) -> None:
    why = explain_found({**FOUND, **changes}, HostInputs.model_validate(INPUTS), None)
    assert words in why and bool(words) == bool(why)


def test_a_host_of_another_deployment_is_left_alone() -> None:
    wanted = HostInputs.model_validate(INPUTS)
    assert explain_found(FOUND, wanted, MARK) == ""
    assert "it is rack-app-2 of rack already" in explain_found(FOUND, wanted, {**MARK, "node": "rack-app-2"})
    assert "it is rack-all-1 of other already" in explain_found(FOUND, wanted, {**MARK, "stack": "other"})


@pytest.mark.parametrize(
    ("changes", "replaces"),
    [
        ({"private_key": "other"}, []),
        # Its host key says that it is the same host, which has moved.
        ({"address": "10.1.0.6"}, []),
        ({"host_key": "ssh-ed25519 AAAAother"}, ["host_key"]),
        ({"host_key": f"{KEY} root@rack-1"}, []),
        ({"host_key": "accept"}, []),
        ({"host_key": "accept", "address": "10.1.0.6"}, ["address"]),
    ],
)
def test_which_change_is_another_host(changes: Mapping[str, str], replaces: list[str]) -> None:
    found = GivenHost().diff(request(), OUTPUTS["machine_id"], dict(INPUTS), dict(OUTPUTS), {**INPUTS, **changes})
    assert (list(found.changed), list(found.replaces)) == (sorted(changes), replaces)


def test_user_data_counts_once() -> None:
    found = GivenHost().diff(request(), OUTPUTS["machine_id"], dict(INPUTS), dict(OUTPUTS), {**INPUTS, "user_data": "other"})
    assert list(found.changed) == []


def test_a_new_key_of_the_deployment_asks_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given_host, "_open", None)
    handler, new = GivenHost(), {**INPUTS, "private_key": "other"}
    assert handler.update(request(), OUTPUTS["machine_id"], dict(INPUTS), dict(OUTPUTS), new) == OUTPUTS


def test_a_stated_host_key_is_the_only_one() -> None:
    stated = HostInputs.model_validate({**INPUTS, "host_key": f"{KEY} root@rack-1"})
    assert stated.target("1").expected == (KEY,)
    accepted = HostInputs.model_validate({**INPUTS, "host_key": "accept"})
    assert accepted.target("1").expected == ()
    assert accepted.target("1", KEY).expected == (KEY,)
