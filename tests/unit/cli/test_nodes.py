"""SSH to nodes, against a server in this process: pinned host keys, jump hosts, answers and their absence."""

from __future__ import annotations

import asyncio
import json
import shlex
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest

from cli.console import Failure
from cli.engine.engine import SECRET_MARK
from cli.nodes.access import Access, Answer, NodeAccess, ask_nodes, read_access
from cli.nodes.reports import read_answer
from cli.nodes.shell import write_config
from cli.show.status import count_services
from cloud_init.node_command import node_command
from components.model.report import is_healthy
from components.model.resource_types import CONFIGURATION
from components.ssh import Hop, Target
from tests.unit.cli.fakes import make_engine, make_node

CLIENT = asyncssh.generate_private_key("ssh-ed25519")
HOST = asyncssh.generate_private_key("ssh-ed25519")
OTHER = asyncssh.generate_private_key("ssh-ed25519")


def public(key: asyncssh.SSHKey) -> str:
    """A public key as the stack's outputs have it."""
    return key.export_public_key().decode().strip()


def answer(process: asyncssh.SSHServerProcess[str]) -> None:
    """Say the command back; `hang` says nothing."""
    if process.command != "hang":
        process.stdout.write(f"{process.get_extra_info('username')}: {process.command}\n")
        process.exit(3)


class JumpHost(asyncssh.SSHServer):
    """A server that forwards, as jump hosts do."""

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        """Anywhere."""
        return True


@asynccontextmanager
async def server() -> AsyncIterator[int]:
    """An SSH server on the loopback that lets the client's key in; yields its port."""
    allowed = asyncssh.import_authorized_keys(public(CLIENT))
    async with await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[HOST],
        authorized_client_keys=allowed,
        process_factory=answer,
        server_factory=JumpHost,
    ) as listening:
        yield listening.get_port()


PINS = {"all-1": public(HOST), "app-1": public(HOST), "edge-1": public(HOST), "edge-2": public(HOST), "data-1": public(HOST)}
KEY = CLIENT.export_private_key().decode()


def access(*nodes: NodeAccess, **pins: asyncssh.SSHKey) -> Access:
    """A deployment of those nodes; `pins` are host keys that are not the server's."""
    others = {name.replace("_", "-"): public(key) for name, key in pins.items()}
    return Access({node.key: node for node in nodes}, "", KEY, PINS | others)


@pytest.fixture
def to_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The port 22 of the loopback is the server's; at 127.0.0.2 nothing listens."""
    connect = asyncssh.connect
    monkeypatch.setattr(
        asyncssh, "connect", lambda host, port, **more: connect(host, PORTS[-1] if host == "127.0.0.1" else 1, **more)
    )


PORTS: list[int] = []


def ask(deployment: Access, command: str, seconds: float = 10) -> dict[str, Answer]:
    """Ask every node of a deployment while the server runs."""

    async def run() -> dict[str, Answer]:
        async with server() as port:
            PORTS.append(port)
            return await ask_nodes(deployment, list(deployment.nodes.values()), command, seconds)

    return asyncio.run(run())


@pytest.mark.usefixtures("to_server")
def test_answers_come_with_status_and_user() -> None:
    answers = ask(access(make_node("all-1"), make_node("app-1", user="admin")), node_command("logs", "it's"))
    assert answers["all-1"] == Answer(3, "root: /usr/bin/python3 -X utf8 /usr/lib/webitel/node logs 'it'\"'\"'s'\n")
    assert answers["app-1"].output.startswith("admin: sudo -n -- /usr/bin/python3 ")


@pytest.mark.usefixtures("to_server")
def test_another_host_key_is_never_spoken_to() -> None:
    answers = ask(access(make_node("all-1"), make_node("app-1"), app_1=OTHER), "true")
    assert answers["all-1"].status == 3
    assert "127.0.0.1 answers with another host key" in answers["app-1"].problem and not answers["app-1"].output
    for part in ("cloud-init clean", "metadata were out of reach", "you reinstalled it", "./webitel replace NODE"):
        assert part in answers["app-1"].problem


@pytest.mark.usefixtures("to_server")
def test_a_host_key_that_is_not_known_is_not_accepted() -> None:
    deployment = Access({"all-1": make_node("all-1")}, "", KEY, {})
    assert "is not known yet, so nothing was sent" in ask(deployment, "true")["all-1"].problem
    assert deployment.pins == {}


@pytest.mark.usefixtures("to_server")
def test_the_first_jump_host_that_answers_is_taken() -> None:
    bad, good = Hop(address="127.0.0.2", machine_id="edge-1"), Hop(address="127.0.0.1", machine_id="edge-2")
    assert ask(access(make_node("data-1", via=(bad, good))), "true")["data-1"].output == "root: true\n"
    answers = ask(access(make_node("data-1", via=(bad,))), "x")
    assert "SSH to root@127.0.0.1: through 127.0.0.2: connection refused" in answers["data-1"].problem


@pytest.mark.usefixtures("to_server")
def test_silence_is_bounded_and_told() -> None:
    answers = ask(access(make_node("all-1")), "hang", seconds=1)
    assert answers["all-1"].problem == "no answer within 1 s"


def test_nodes_by_both_names() -> None:
    deployment = access(make_node("edge-1", "s"))
    assert deployment.node("edge-1") == deployment.node("s-edge-1")
    with pytest.raises(Failure, match="the nodes are edge-1"):
        deployment.node("edge-2")


def test_nodes_are_read_from_the_state_even_of_a_failed_run(tmp_path: Path) -> None:
    hidden = {SECRET_MARK: "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps("the key")}
    common = {"private_key": hidden, "user": "admin", "files": {}}
    state = {
        "deployment": {
            "resources": [
                {"type": "pulumi:providers:pulumi", "urn": "p"},  # what reads the stack's outputs may come before the stack
                {"type": "pulumi:pulumi:Stack", "urn": "u", "outputs": {"url": "https://203.0.113.5/"}},
                {
                    "type": CONFIGURATION,
                    "inputs": common
                    | {
                        "key": "edge-1",
                        "node": "s-edge-1",
                        "address": "203.0.113.5",
                    },
                    "outputs": {"machine_id": "m", "host_keys": {"m": "k1"}},
                },
                {
                    "type": CONFIGURATION,
                    "inputs": common
                    | {
                        "key": "data-1",
                        "node": "s-data-1",
                        "address": "10.0.0.2",
                        "via": [{"address": "203.0.113.5", "machine_id": "m"}],
                    },
                    "outputs": {"machine_id": "n", "host_keys": {"m": "old", "n": "k2"}},
                },
                {
                    "type": CONFIGURATION,
                    "inputs": common
                    | {
                        "key": "app-1",
                        "node": "s-app-1",
                        "address": "10.0.0.3",
                        "ssh_via": "me@bastion:2222",
                    },
                    "outputs": {"machine_id": "o", "host_keys": {"o": "k3"}},
                },
            ]
        }
    }
    engine = make_engine(
        tmp_path,
        f"""
print({json.dumps(state)!r} if "export" in sys.argv else '[{{"name": "local-basic"}}]')
""",
    )
    read = read_access(engine)
    assert read.private_key == "the key" and read.url == "https://203.0.113.5/"
    assert read.pins == {"m": "k1", "n": "k2", "o": "k3"}
    hop = Hop(address="203.0.113.5", machine_id="m")
    assert read.nodes["data-1"] == NodeAccess(
        "data-1", "s-data-1", Target(address="10.0.0.2", machine_id="n", user="admin", via=(hop,))
    )
    assert read.nodes["app-1"].target.ssh_via == "me@bastion:2222"


def test_the_private_key_is_in_no_text() -> None:
    assert "PRIVATE KEY" not in repr(access(make_node("all-1")))


def test_the_configuration_of_the_system_s_ssh(tmp_path: Path) -> None:
    hops = (Hop(address="127.0.0.1", machine_id="edge-1"), Hop(address="198.18.0.9", machine_id="edge-9"))
    data = make_node("data-1", address="10.0.0.2", user="admin", via=hops)
    text = write_config(access(data, make_node("edge-1")), data, tmp_path).read_text()
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert asyncssh.read_private_key(tmp_path / "key") == CLIENT
    assert "StrictHostKeyChecking yes" in text and "PRIVATE KEY" not in text
    config = tmp_path / "config"
    assert read_way(text) == f"ssh -F {config} -W %h:%p edge-1 || ssh -F {config} -W %h:%p edge-9"
    assert "Host edge-9\n  HostName 198.18.0.9\n" in text
    # edge-9 was never met, so nothing is known of its key and ssh refuses it.
    assert (tmp_path / "known_hosts").read_text().splitlines() == [f"{name} {public(HOST)}" for name in ("data-1", "edge-1")]


@pytest.mark.parametrize(
    ("ssh_via", "way"),
    [
        ("me@bastion:2222", "ssh -W %h:%p -p 2222 me@bastion"),
        ("me@bastion", "ssh -W %h:%p me@bastion"),  # the port is the one of the user's own configuration
    ],
)
def test_the_user_s_own_way_with_the_system_s_ssh(tmp_path: Path, ssh_via: str, way: str) -> None:
    data = make_node("data-1", ssh_via=ssh_via)
    assert read_way(write_config(access(data), data, tmp_path).read_text()) == way


def read_way(text: str) -> str:
    """The command that connects through jump hosts, of a configuration of ssh."""
    return shlex.split(text.partition("ProxyCommand sh -c ")[2].splitlines()[0])[0]


def test_the_system_s_ssh_takes_the_configuration(tmp_path: Path) -> None:
    config = write_config(access(make_node("all-1")), make_node("all-1"), tmp_path)

    async def run() -> tuple[int | None, str]:
        async with server() as port:
            text = config.read_text().replace("Host *", f"Host *\n  Port {port}")
            config.write_text(text)
            process = await asyncio.create_subprocess_exec(
                "ssh", "-F", str(config), "all-1", "echo 'a  b'", stdout=asyncio.subprocess.PIPE
            )
            output, _ = await process.communicate()
            return process.returncode, output.decode()

    assert asyncio.run(run()) == (3, "root: echo 'a  b'\n")


def test_reports() -> None:
    good = {
        "node": "s-all-1",
        "key": "all-1",
        "healthy": True,
        "disks": [],
        "services": [{"name": "nginx", "healthy": True, "why": "", "log": []}],
    }
    report = read_answer("s-all-1", "all-1", Answer(0, json.dumps(good)))
    assert is_healthy({"all-1": report}) and count_services({"all-1": report}) == "1 of 1 service healthy"
    silent = read_answer("s-all-1", "all-1", Answer(problem="no answer"))
    broken = read_answer("s-all-1", "all-1", Answer(127, "", "python3: not found\n"))
    assert not is_healthy({"all-1": silent}) and not is_healthy({})
    assert "no answer from all-1" in count_services({"all-1": silent})
    assert "python3: not found" in broken.problem
