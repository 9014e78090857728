"""SSH from the operator's machine to the nodes of a deployment, with the deployment's key and pinned host keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from cli.console import Failure
from cli.engine.engine import STACK_TYPE, Engine, require_existing
from components import ssh
from components.model import resource_types
from components.model.naming import SIP
from components.model.redact import SecretFilter
from components.ssh import SshError, Target, explain, merge_pins
from components.ssh_session import Session

CONNECT_SECONDS = 6
"""For a connection through all its hops: `status` answers within 10 s even with a node down."""

BOOT_SECONDS = 180
"""For a machine that was started to answer."""


@dataclass(frozen=True)
class NodeAccess:
    """One node that `up` has met, and how it is reached."""

    key: str
    name: str
    target: Target

    @property
    def address(self) -> str:
        """Return where its SSH answers."""
        return self.target.address


@dataclass(frozen=True)
class Access:
    """A deployment as it can be reached. The private key never leaves this process but into a file of mode 0600."""

    nodes: Mapping[str, NodeAccess]
    url: str
    private_key: str = field(repr=False)
    pins: Mapping[str, str] = field(default_factory=dict)
    """The host keys of every machine met so far, by machine id."""
    hide: SecretFilter = field(default_factory=SecretFilter, repr=False)
    """Takes every secret of the deployment out of a text that a person will see."""
    records: tuple[str, ...] = ()
    """The DNS records of the domain, as lines of a zone file."""
    authority: str = ""
    """The certificate of the deployment's own authority."""
    sip_outside: str = ""
    """The public address that nodes for SIP have in turn, where the cloud chose it."""

    def node(self, name: str) -> NodeAccess:
        """Return the node of that short or full name; a Failure names the ones there are."""
        for node in self.nodes.values():
            if name in (node.key, node.name):
                return node
        raise Failure(f"no node {name}; the nodes are {', '.join(self.nodes)}")


@dataclass(frozen=True)
class Answer:
    """What a command on a node said. `problem` is why there is no answer."""

    status: int = -1
    output: str = ""
    errors: str = ""
    problem: str = ""


def read_access(engine: Engine) -> Access:
    """Return the way to the nodes that `up` has met, from the state: the stack's outputs come only with a whole `up`."""
    require_existing(engine)
    resources = engine.open_resources()
    if not (met := list_met(resources)):
        raise Failure(f"no node of {engine.stack} was ever reached. Next: ./webitel up {engine.stack}")
    nodes = [read_node(resource["inputs"], resource["outputs"]) for resource in met]
    pins = merge_pins((resource["outputs"]["machine_id"], resource["outputs"]["host_keys"]) for resource in met)
    outputs = next((resource.get("outputs") or {} for resource in resources if resource["type"] == STACK_TYPE), {})
    hide = SecretFilter()
    for resource in met:
        hide.add([resource["inputs"]["private_key"], resource["inputs"].get("secrets", {})])
    return Access(
        {node.key: node for node in nodes},
        outputs.get("url", ""),
        met[0]["inputs"]["private_key"],
        pins,
        hide,
        tuple(outputs.get("dns_records", ())),
        outputs.get("authority_certificate", ""),
        next((found for resource in met if (found := resource["inputs"].get("addresses", {}).get(f"{SIP}.public"))), ""),
    )


def list_met(resources: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the configurations of the nodes that `up` has met."""
    return [resource for resource in resources if resource["type"] == resource_types.CONFIGURATION and resource.get("outputs")]


def read_node(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> NodeAccess:
    """Read a node as its configuration's resource knows it (`provider/configuration.py`)."""
    way = {name: inputs[name] for name in ("address", "user", "via", "ssh_via") if name in inputs}
    return NodeAccess(inputs["key"], inputs["node"], Target.model_validate(way | {"machine_id": outputs["machine_id"]}))


async def ask_nodes(
    access: Access,
    nodes: Sequence[NodeAccess],
    command: str,
    seconds: float,
    text: str = "",
) -> dict[str, Answer]:
    """Run a command, which reads `text`, as root on the nodes at the same time; answers by key, none later than `seconds`."""

    async def ask(node: NodeAccess) -> Answer:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(seconds), await connect(access, node) as session:
                done = await session.run(command, seconds=seconds, input=text.encode())
                return Answer(done.status, access.hide(done.output), access.hide(done.errors))
        except TimeoutError:
            # A connection is given up earlier than a command.
            return Answer(problem=f"no answer within {min(seconds, time.monotonic() - begun):.0f} s")
        except Failure as error:
            return Answer(problem=str(error))
        except (OSError, asyncssh.Error) as error:
            return Answer(problem=f"SSH to {node.address} failed: {explain(error)}")

    answers = await asyncio.gather(*(ask(node) for node in nodes))
    return dict(zip((node.key for node in nodes), answers, strict=True))


async def wait_for_answers(access: Access, nodes: Sequence[NodeAccess], seconds: float = BOOT_SECONDS) -> None:
    """Wait until each of these nodes answers, at most so long: what is not there by then is told by whoever asks next."""
    until, silent = time.monotonic() + seconds, list(nodes)
    while silent and time.monotonic() < until:
        answers = await ask_nodes(access, silent, "true", CONNECT_SECONDS)
        if silent := [node for node in silent if answers[node.key].problem]:
            await asyncio.sleep(1)


async def connect(access: Access, node: NodeAccess) -> Session:
    """Open a connection to a node that only its pinned host key opens; through its jump hosts in turn where it has any."""
    try:
        return await ssh.connect(
            node.target, [ssh.read_key(access.private_key)], dict(access.pins), attempt_seconds=CONNECT_SECONDS
        )
    except SshError as error:
        raise Failure(str(error)) from error
