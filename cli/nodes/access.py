"""SSH from the operator's machine to the nodes of a deployment, with the deployment's key and pinned host keys."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from cli.console import Failure
from cli.engine.engine import STACK_TYPE, Engine, require_existing
from components.model.redact import SecretFilter

NODE_PROGRAM = "/usr/bin/python3 /usr/lib/webitel/node"
CONFIGURATION = "webitel:index:NodeConfiguration"
CONNECT_SECONDS = 6
"""For a connection through all its hops: `status` answers within 10 s even with a node down."""


@dataclass(frozen=True)
class NodeAccess:
    """How one node is reached: directly, or through one of `via` (addresses of nodes, or the user's own user@host)."""

    key: str
    name: str
    address: str
    user: str
    host_key: str
    via: tuple[str, ...] = ()


@dataclass(frozen=True)
class Access:
    """A deployment as it can be reached. The private key never leaves this process but into a file of mode 0600."""

    nodes: Mapping[str, NodeAccess]
    url: str
    private_key: str = field(repr=False)
    hide: SecretFilter = field(default_factory=SecretFilter, repr=False)
    """Takes every secret of the deployment out of a text that a person will see."""
    records: tuple[str, ...] = ()
    """The DNS records of the domain, as lines of a zone file."""

    def node(self, name: str) -> NodeAccess:
        """The node of that short or full name; a Failure names the ones there are."""
        for node in self.nodes.values():
            if name in (node.key, node.name):
                return node
        raise Failure(f"no node {name}; there are {', '.join(self.nodes)}")

    def at(self, address: str) -> NodeAccess | None:
        """The node whose SSH answers at an address; None where it is the user's own host."""
        return next((node for node in self.nodes.values() if node.address == address), None)


@dataclass(frozen=True)
class Answer:
    """What a command on a node said. `problem` is why there is no answer."""

    status: int = -1
    output: str = ""
    errors: str = ""
    problem: str = ""


def read_access(engine: Engine) -> Access:
    """The way to the nodes that `up` has met, from the state: the stack's outputs come only with a whole `up`."""
    require_existing(engine)
    resources = engine.open_resources()
    met = [resource for resource in resources if resource["type"] == CONFIGURATION and resource.get("outputs")]
    if not met:
        raise Failure(f"no node of {engine.stack} has been reached yet. Next: ./webitel up {engine.stack}")
    nodes = [read_node(resource["inputs"], resource["outputs"]) for resource in met]
    outputs = next((resource.get("outputs") or {} for resource in resources if resource["type"] == STACK_TYPE), {})
    hide = SecretFilter()
    for resource in met:
        hide.add([resource["inputs"]["private_key"], resource["inputs"].get("secrets", {})])
    return Access({node.key: node for node in nodes}, outputs.get("url", ""), met[0]["inputs"]["private_key"], hide,
                  tuple(outputs.get("dns_records", ())))


def read_node(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> NodeAccess:
    """A node as its configuration's resource knows it (`provider/configuration.py`)."""
    via = (inputs["ssh_via"],) if inputs.get("ssh_via") else tuple(hop["address"] for hop in inputs.get("via", ()))
    return NodeAccess(inputs["key"], inputs["node"], inputs["address"], inputs["user"], outputs["host_key"], via)


def as_root(node: NodeAccess, command: str) -> str:
    """The command as root, whoever logs in."""
    return command if node.user == "root" else f"sudo -n -- {command}"


def node_command(*arguments: str) -> str:
    """A call of the node program, quoted for the node's shell."""
    return f"{NODE_PROGRAM} {shlex.join(arguments)}"


async def ask_nodes(
    access: Access, nodes: Sequence[NodeAccess], command: str, seconds: float,
) -> dict[str, Answer]:
    """Run a command as root on the nodes at the same time; answers by key, none later than `seconds`."""
    async def ask(node: NodeAccess) -> Answer:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(seconds), connect(access, node) as connection:
                done = await connection.run(as_root(node, command))
                return Answer(done.exit_status if done.exit_status is not None else -1,
                              access.hide(str(done.stdout or "")), access.hide(str(done.stderr or "")))
        except TimeoutError:
            # A connection is given up earlier than a command.
            return Answer(problem=f"no answer within {min(seconds, time.monotonic() - begun):.0f} s")
        except (OSError, asyncssh.Error, Failure) as error:
            return Answer(problem=f"SSH to {node.address} failed: {error}")

    answers = await asyncio.gather(*(ask(node) for node in nodes))
    return dict(zip((node.key for node in nodes), answers, strict=True))


@asynccontextmanager
async def connect(access: Access, node: NodeAccess) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """A connection to a node; through its jump hosts in turn where it has any."""
    async with AsyncExitStack() as stack:
        tunnel = await open_tunnel(access, node, stack) if node.via else None
        yield await stack.enter_async_context(open_connection(access, node, tunnel))


async def open_tunnel(access: Access, node: NodeAccess, stack: AsyncExitStack) -> asyncssh.SSHClientConnection:
    """A connection to the first jump host that answers."""
    failures = []
    for address in node.via:
        try:
            hop = access.at(address)
            if hop:
                return await stack.enter_async_context(open_connection(access, hop))
            user, host, port = split_bastion(address)
            # The user's own bastion: with the keys, known hosts and configuration of the user.
            return await stack.enter_async_context(
                asyncssh.connect(host, port, username=user, connect_timeout=CONNECT_SECONDS))
        except (OSError, asyncssh.Error) as error:
            failures.append(f"{address}: {error}")
    raise Failure(f"no way to {node.key}: {'; '.join(failures)}")


def split_bastion(address: str) -> tuple[str, str, int]:
    """User, host and port of `webitel:ssh_via`, which is user@host or user@host:port."""
    user, _, place = address.rpartition("@")
    host, _, port = place.partition(":")
    return user, host, int(port or 22)


def open_connection(
    access: Access, node: NodeAccess, tunnel: asyncssh.SSHClientConnection | None = None,
) -> Any:
    """A connection that accepts the node's pinned host key only and offers the deployment's key only."""
    host_key = asyncssh.import_public_key(node.host_key)
    return asyncssh.connect(
        node.address, username=node.user, tunnel=tunnel or (), client_keys=[asyncssh.import_private_key(access.private_key)],
        known_hosts=([host_key], [], []), server_host_key_algs=[host_key.get_algorithm()], agent_path=None, config=None,
        connect_timeout=CONNECT_SECONDS, keepalive_interval=5)
