"""Our own provider for machines that are real and have no packages: a node is met, waited for and given its own host key as ever,
and its configuration is looked at on it, not applied."""

from __future__ import annotations

import asyncio
import json
import shlex
from typing import Any
from unittest.mock import patch

from components.ssh import connect, read_key
from provider import configuration
from provider.configuration import NodeConfiguration
from provider.handler import ProviderError
from provider.node_inputs import NodeInputs
from provider.secrets import Secrets
from provider.server import Properties
from tests.clouds.conformance.engine import Deployment
from tests.simulator.attached import Attached
from tests.simulator.faults import Faults
from tests.simulator.webitel import SimulatedHealth
from tests.simulator.world import World

LIMITS = {"ssh": 1800.0, "boot": 1800.0}
"""Seconds: an emulated machine takes twenty times what a real one does, more where others compute too."""


async def look(request: Any, session: Any, wanted: NodeInputs, key: Any, pins: Any, *, update: bool) -> Properties:
    """In place of sending and applying: the disks have to be there where the configuration says."""
    for purpose, device in wanted.devices.items():
        shown = await session.run(f"blockdev --getsize64 {device}", seconds=60)
        if shown.status:
            raise ProviderError(f"{wanted.node}: no {purpose} disk at {device}: {shown.last_lines()}")
    return {"seconds": {}}


class LookedAt(NodeConfiguration):
    """The real first contact, with patience."""

    def create(self, request: Any, inputs: Properties) -> tuple[str, Properties]:
        with patch.object(configuration, "_send_and_apply", look):
            return super().create(request, patiently(inputs))

    def update(self, request: Any, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        with patch.object(configuration, "_send_and_apply", look):
            return super().update(request, id, old, outputs, patiently(new))


def patiently(inputs: Properties) -> Properties:
    """The inputs with longer limits."""
    return {**inputs, "limits": {**inputs.get("limits", {}), **LIMITS}}


def make_provider(world: World) -> Attached:
    """The provider; its healths are simulated, as no service is there."""
    return Attached("webitel", "0.1.0", [Secrets(), LookedAt(), SimulatedHealth(world, Faults(None))])


def run_on(deployment: Deployment, command: str, seconds: float = 600) -> str:
    """Run a command as root on the deployment's only node, by the key and the host key in its state; return what it prints."""
    found = next(one for one in deployment.decrypted_state() if one["type"] == NodeConfiguration.type)
    inputs, outputs = plain(found["inputs"]), plain(found["outputs"])
    wanted = NodeInputs.model_validate(inputs)

    async def run() -> str:
        keys = [read_key(wanted.private_key)]
        session = await connect(wanted.target(), keys, dict(outputs["host_keys"]), seconds=LIMITS["ssh"])
        async with session:
            done = await session.run(f"sh -c {shlex.quote(command)}", seconds=seconds)
        assert done.status == 0, f"{command}: {done.output}{done.errors}"
        return done.output

    return asyncio.run(run())


def plain(value: Any) -> Any:
    """A value of an exported state with its secrets in plain text, without their marks."""
    if isinstance(value, dict):
        if "plaintext" in value and "4dabf18193072939515e22adb298388d" in value:
            return plain(json.loads(value["plaintext"]))
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value
