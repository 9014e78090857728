"""Our own command line on a deployment in a simulated cloud. No node is there: they are answered for, as healthy ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import pytest
from typer.testing import CliRunner, Result

from cli.__main__ import app
from cli.nodes.access import Access, Answer, NodeAccess
from cloud_init.node_command import node_command
from components.model.catalogue.repositories import missing_fingerprints
from components.model.catalogue.service import PackageSource
from tests.clouds.conformance.conftest import Live
from tests.clouds.conformance.engine import UNINTERRUPTED
from tests.clouds.conformance.program import ACCEPTED, Config

OWN: Config = {
    "domain": "voice.our-company.com",
    "operators": ["185.12.0.0/24"],
    "carriers": ["185.13.0.0/24"],
    **ACCEPTED,
    "repository_keys": dict.fromkeys(missing_fingerprints(PackageSource.VENDOR, {}), "0123456789ABCDEF" * 2 + "01234567"),
}
"""Settings in place of the committed ones that are documentation, with which our command line creates nothing."""


class Command(Protocol):
    """Runs the command line to its end; `typed` is what a person answers."""

    def __call__(self, *words: str, typed: str = "") -> Result: ...


@contextmanager
def command_line(live: Live, *, interrupted: bool = False) -> Iterator[Command]:
    """The command line, for which the deployment's settings are the only stack file there is; `interrupted` where its engine is
    killed."""
    deployment = live.deployment
    with pytest.MonkeyPatch.context() as patch:
        own = {} if interrupted else UNINTERRUPTED
        for name, value in {**deployment.environment, **live.simulators.environment, **own}.items():
            patch.setenv(name, value)
        patch.setattr("stacks.settings.STACKS", deployment.file.parent)
        for module in ("cli.nodes.access", "cli.nodes.reports", "cli.show.end"):
            patch.setattr(f"{module}.ask_nodes", answer)
        # No variable leads its provider, nor us, to another address of the interface.
        patch.setattr("components.clouds.azure.power.REST", live.simulators.interface.url)
        patch.setattr("cli.cloud.questions.REST", live.simulators.interface.url)

        def run(*words: str, typed: str = "") -> Result:
            for module in ("destroy", "scale"):
                patch.setattr(f"cli.commands.{module}.is_terminal", lambda: bool(typed))
            return CliRunner().invoke(app, words, input=typed)

        yield run


async def answer(access: Access, nodes: Sequence[NodeAccess], command: str, seconds: float, text: str = "") -> dict[str, Answer]:
    """What healthy nodes say, which are in earnest."""
    if command == node_command("restore", "tell-quiet"):
        return {node.key: Answer(0, "null") for node in nodes}
    service = {"name": "simulated", "healthy": True, "why": ""}
    report = {"healthy": True, "services": [service], "disks": [], "machine": []}
    return {node.key: Answer(0, json.dumps({"node": node.name, "key": node.key, **report})) for node in nodes}
