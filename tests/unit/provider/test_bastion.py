"""The way to a node through the user's own bastion (`webitel:ssh_via`): the user's SSH configuration, key, known hosts."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from components.ssh import SshError, Target, connect, read_key
from provider.certificates import make_ssh_key
from tests.unit.provider.conftest import FakeNode, Servers


@pytest.fixture
def bastion(servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    """A bastion that takes the user's key and is in the user's known_hosts; the user's home is a folder of the test."""
    monkeypatch.setenv("HOME", str(tmp_path))
    private, public = make_ssh_key()
    started = servers.start(FakeNode(private, public))
    folder = tmp_path / ".ssh"
    folder.mkdir(mode=0o700)
    (folder / "id_ed25519").touch(0o600)
    (folder / "id_ed25519").write_text(private)
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{started.port} {started.host_key}\n")
    return started


def reach(node: FakeNode, ssh_via: str) -> dict[str, str]:
    """Connect to a node by the user's own way; the host keys pinned on it."""
    pins: dict[str, str] = {}

    async def run() -> None:
        target = Target(address=node.address, machine_id="m-1", user="root", ssh_via=ssh_via)
        session = await connect(target, [read_key(node.private_key)], pins, pin_new=True)
        session.close()

    asyncio.run(run())
    return pins


def test_a_bastion_at_a_port_of_its_own(node: FakeNode, bastion: FakeNode) -> None:
    assert reach(node, f"admin@127.0.0.1:{bastion.port}") == {"m-1": node.host_key}
    assert bastion.tunnels == [("127.0.0.1", node.port)]


def test_the_port_of_a_bastion_is_by_default_the_one_of_the_user_s_configuration(
    node: FakeNode,
    bastion: FakeNode,
    tmp_path: Path,
) -> None:
    (tmp_path / ".ssh" / "config").write_text(f"Host 127.0.0.1\n  Port {bastion.port}\n")
    assert reach(node, "admin@127.0.0.1") == {"m-1": node.host_key}


def test_a_bastion_that_is_not_known_gets_nothing(
    new_node: Callable[[], FakeNode],
    bastion: FakeNode,
    tmp_path: Path,
) -> None:
    (tmp_path / ".ssh" / "known_hosts").write_text("")
    with pytest.raises(SshError, match=rf"the host key of admin@127.0.0.1:{bastion.port} is not in your known_hosts"):
        reach(new_node(), f"admin@127.0.0.1:{bastion.port}")
    assert not bastion.tunnels
