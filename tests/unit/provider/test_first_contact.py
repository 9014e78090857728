"""The first contact with a new machine: by the host key that its user data gave it, once, and by its own from then on."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from components.host_keys import own_key, throw_away_key
from provider.certificates import make_ssh_key
from provider.configuration import NodeConfiguration
from provider.handler import PartialFailure, ProviderError
from provider.values import Properties
from tests.unit.provider.conftest import Answer, Call, FakeNode, Servers
from tests.unit.provider.test_configuration import GOOD, applies, inputs  # noqa: F401

HANDLER = NodeConfiguration()
SEED = "the deployment's seed"
BOOT, OWN = throw_away_key(SEED, "all-1"), own_key(SEED, "machine-1")
TAKES = "webitel_host_ed25519_key"


@pytest.fixture
def wanted(inputs: dict[str, Any]) -> dict[str, Any]:  # noqa: F811
    """What a machine is given that boots with a throw-away key."""
    return inputs | {"boot_key": "all-1", "host_key_seed": SEED}


def restart(servers: Servers, node: FakeNode, key: str) -> None:
    """The machine has another host key now."""
    servers.stop_last()
    servers.start(node, key)
    node.commands.clear()
    node.inputs.clear()


def sent(node: FakeNode) -> bytes:
    """All that the machine was told, but for the questions."""
    return b"".join(node.inputs)


def test_the_machine_proves_itself_and_gets_its_own_key_before_any_secret(
    call: Call, servers: Servers, node: FakeNode, wanted: dict[str, Any]
) -> None:
    restart(servers, node, BOOT.private)
    outputs = HANDLER.create(call, wanted)[1]
    (position,) = [n for n, command in enumerate(node.commands) if TAKES in command]
    assert node.inputs[position] == OWN.private.encode(), "not as an argument, which others see"
    assert not any("tar -xf" in command for command in node.commands[:position])
    assert outputs["host_key"] == OWN.public and outputs["host_keys"] == {"machine-1": OWN.public}
    # From then on the throw-away key opens nothing.
    with pytest.raises(ProviderError, match="another host key than machine machine-1 had at the first contact"):
        HANDLER.update(call, "all-1", wanted, outputs, wanted | {"files": {}})
    restart(servers, node, OWN.private)
    HANDLER.update(call, "all-1", wanted, outputs, wanted | {"files": {}})
    assert not any(TAKES in command for command in node.commands)


@pytest.mark.parametrize("forged", [make_ssh_key(), throw_away_key(SEED, "all-2"), throw_away_key("another", "all-1")])
def test_another_sshd_at_the_address_gets_nothing(
    call: Call, servers: Servers, node: FakeNode, wanted: dict[str, Any], forged: tuple[str, str]
) -> None:
    """It takes any key, and says that it is machine-1."""
    restart(servers, node, forged[0])
    with pytest.raises(ProviderError, match=r"does not have the host key that its machine was given.*\./webitel replace all-1"):
        HANDLER.create(call, wanted | {"limits": {"ssh": 1}})
    assert node.commands == [] and node.logins == 0


def test_a_machine_that_gets_its_key_late_is_waited_for(
    call: Call, servers: Servers, node: FakeNode, wanted: dict[str, Any]
) -> None:
    """Google's image has a key of its own before cloud-init is there."""
    seen: list[str] = []

    def progress(text: str) -> None:
        seen.append(text)
        if "does not have the host key" in text and node.host_key != BOOT.public:
            restart(servers, node, BOOT.private)

    call.progress = progress  # type: ignore[method-assign]
    HANDLER.create(call, wanted | {"limits": {"ssh": 20, "boot": 5, "apply": 5}})
    assert any("does not have the host key" in text for text in seen)


@pytest.mark.parametrize("step", [TAKES, "tar -xf", " apply"])
def test_what_is_cut_off_goes_on_with_either_key(
    step: str, call: Call, servers: Servers, node: FakeNode, wanted: dict[str, Any]
) -> None:
    """The machine that ran `up` may be killed with nothing in the state: what it gave the node is known again."""
    restart(servers, node, BOOT.private)
    plain = applies(*GOOD)
    node.answer = lambda command: Answer(errors="cut off", status=1) if step in command else plain(command)
    with pytest.raises((ProviderError, PartialFailure)):
        HANDLER.create(call, wanted)
    node.answer = plain
    for key in (BOOT, OWN):
        restart(servers, node, key.private)
        outputs = HANDLER.create(call, wanted)[1]
        assert outputs["host_key"] == OWN.public
        assert any(TAKES in command for command in node.commands) == (key is BOOT)


def test_a_node_on_the_way_is_known_by_both_keys_and_its_throw_away_one_is_never_kept(
    call: Call, servers: Servers, new_node: Callable[[], FakeNode], node: FakeNode, wanted: dict[str, Any]
) -> None:
    restart(servers, node, BOOT.private)
    boot, own = throw_away_key(SEED, "edge-1"), own_key(SEED, "edge-machine")
    for key, kept in ((boot, {}), (own, {"edge-machine": own.public})):
        edge = servers.start(FakeNode(node.private_key, node.public_key), key.private)
        via = [{"address": edge.address, "machine_id": "edge-machine", "boot_key": "edge-1"}]
        outputs = HANDLER.create(call, wanted | {"via": via})[1]
        assert outputs["host_keys"] == {"machine-1": OWN.public, **kept}
        servers.stop_last()
    stranger = new_node()
    via = [{"address": stranger.address, "machine_id": "edge-machine", "boot_key": "edge-1"}]
    with pytest.raises(ProviderError, match="webitel replace edge-1"):
        HANDLER.create(call, wanted | {"via": via, "limits": {"ssh": 0.1}})
    assert stranger.logins == 0


def test_a_machine_of_an_earlier_version_is_met_as_before(call: Call, node: FakeNode, wanted: dict[str, Any]) -> None:
    """Its user data has no key of ours, and never will."""
    outputs = HANDLER.create(call, wanted | {"boot_key": ""})[1]
    assert outputs["host_key"] == node.host_key
    assert not any(TAKES in command for command in node.commands)


def test_another_machine_of_the_node_has_another_key(
    call: Call, servers: Servers, node: FakeNode, wanted: dict[str, Any]
) -> None:
    restart(servers, node, BOOT.private)
    outputs = HANDLER.create(call, wanted)[1]
    restart(servers, node, OWN.private)  # the old machine's, which somebody may have read
    new = wanted | {"machine_id": "machine-2", "instance_id": "", "limits": {"ssh": 0.1}}
    with pytest.raises(ProviderError, match="does not have the host key"):
        HANDLER.update(call, "all-1", wanted, outputs, new)
    restart(servers, node, BOOT.private)
    changed: Properties = HANDLER.update(call, "all-1", wanted, outputs, new)
    assert changed["host_keys"] == {"machine-2": own_key(SEED, "machine-2").public}


@pytest.mark.parametrize("key", [BOOT, OWN])
def test_the_keys_are_those_that_openssh_reads(key: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(key[0])
    file.chmod(0o600)
    shown = subprocess.run(["ssh-keygen", "-y", "-f", str(file)], capture_output=True, text=True, check=True).stdout
    assert shown.split() == key[1].split()
    assert asyncssh.import_private_key(key[0]).export_public_key().decode().split() == key[1].split()


def test_keys_differ_by_use_and_are_the_same_every_time() -> None:
    keys = [throw_away_key(SEED, "all-1"), throw_away_key(SEED, "all-2"), own_key(SEED, "all-1"), own_key("other", "all-1")]
    assert len({key.public for key in keys}) == len({key.private for key in keys}) == len(keys)
    assert throw_away_key(SEED, "all-1") == keys[0]
