"""`upgrade`: what is refused before anything is touched, what is shown, and what is written into the stack file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from cli.__main__ import app
from cli.commands import upgrade
from cli.console import Failure
from cli.nodes.access import Access, Answer, NodeAccess
from components.model.report import NodeReport, ServiceRow
from stacks import settings as stack_settings
from stacks.load import load_deployment
from tests.unit.cli.fakes import make_node

FILE = "config:\n  webitel:cloud: local\n  webitel:tier: basic # ours\n"
VERSIONS = {
    "app-1": {"webitel-engine": {"now": "25.08.1-1", "newer": ["25.08.3-1"]}, "freeswitch": {"now": "1.10.1", "newer": []}},
    "edge-1": {"opensips": {"now": "3.4.1", "newer": ["3.4.2"]}, "haproxy": {"now": "2.6.12-1", "newer": ["2.6.12-1+deb12u1"]}},
    "data-1": {"grafana": {"now": "11.6.0", "newer": ["12.0.0"]}},
}


@dataclass
class Fake:
    """A deployment whose nodes say this, and what was done with it."""

    file: Path
    told: dict[str, Any]
    healthy: bool = True
    asked: list[str] = field(default_factory=list)
    ran: list[tuple[Any, ...]] = field(default_factory=list)

    def __enter__(self) -> Fake:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def settings(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load(self.file.read_text())["config"]
        return found


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """A stack file and nodes that answer."""
    monkeypatch.setattr(stack_settings, "STACKS", tmp_path)
    fake = Fake(tmp_path / "Pulumi.s.yaml", {key: json.dumps({"versions": found}) for key, found in VERSIONS.items()})
    fake.file.write_text(FILE)
    nodes = {key: make_node(key, "s") for key in VERSIONS}

    def ask_status(_: Access) -> dict[str, NodeReport]:
        return {
            node.key: NodeReport(
                node=node.name,
                key=node.key,
                healthy=fake.healthy,
                services=tuple(ServiceRow(name=name, healthy=fake.healthy or name != "engine") for name in node.services),
            )
            for node in load_deployment("s").plan.nodes
        }

    async def ask_nodes(access: Access, nodes: list[NodeAccess], command: str, seconds: float) -> dict[str, Answer]:
        fake.asked.append(command)
        return {
            node.key: fake.told[node.key] if isinstance(fake.told[node.key], Answer) else Answer(0, fake.told[node.key])
            for node in nodes
        }

    def bring_up(stack: str, yes: bool, disruptive: bool, again: str) -> None:
        fake.ran.append((disruptive, again, fake.settings().get("webitel:package_versions")))

    monkeypatch.setattr("cli.engine.engine.open_engine", lambda stack: fake)
    monkeypatch.setattr("cli.nodes.access.read_access", lambda engine: Access(nodes, "", ""))
    monkeypatch.setattr("cli.nodes.access.ask_nodes", ask_nodes)
    monkeypatch.setattr("cli.nodes.reports.ask_status", ask_status)
    monkeypatch.setattr(upgrade, "bring_up", bring_up)
    return fake


def run(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["upgrade", "s", *arguments])


def refused(deployment: Fake, *arguments: str) -> str:
    """What it says; nothing may have been touched."""
    said = run(*arguments).exception
    assert isinstance(said, Failure)
    assert deployment.file.read_text() == FILE
    assert deployment.ran == []
    return str(said)


def test_patches_are_shown_written_and_rolled_out(deployment: Fake) -> None:
    done = run("--yes")
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.output.splitlines() if line.startswith(" ") and line.strip()]
    assert ["app-1", "webitel-engine", "25.08.1-1", "25.08.3-1", "restart", "Engine"] in rows
    assert ["edge-1", "haproxy", "2.6.12-1", "2.6.12-1+deb12u1", "reload", "HAProxy"] in rows
    words = " ".join(done.output.split())
    assert "restart OpenSIPS, calls being set up fail; calls in progress continue: left out without --disruptive" in words
    assert "grafana" not in done.output, "12.0 is no patch of 11.6"
    assert deployment.ran == [(False, "./webitel up s", {"haproxy": "2.6.12-1+deb12u1", "webitel-engine": "25.08.3-1"})]
    assert deployment.file.read_text().startswith(FILE)


def test_what_drops_calls_comes_with_disruptive(deployment: Fake) -> None:
    run("--yes", "--disruptive")
    ((disruptive, again, versions),) = deployment.ran
    assert (disruptive, again, versions["opensips"]) == (True, "./webitel up s --disruptive", "3.4.2")


def test_what_another_node_has_first_needs_no_leave(deployment: Fake) -> None:
    deployment.file.write_text(f"{FILE}  webitel:counts: {{edge: 2}}\n  webitel:local_network: bridged\n")
    done = run("--yes", "--only", "opensips")
    assert deployment.ran == [(False, "./webitel up s", {"opensips": "3.4.2"})], done.output
    words = " ".join(done.output.split())
    assert "restart OpenSIPS; the other node has the calls first: about 3 s of silence; calls that ring are lost" in words


def test_one_service_beside_the_versions_there_are(deployment: Fake) -> None:
    deployment.file.write_text(f"{FILE}  webitel:package_versions: {{rabbitmq-server: 3.10.8-1.1}} # Debian's\n")
    run("--yes", "--only", "engine")
    assert deployment.ran[0][2] == {"rabbitmq-server": "3.10.8-1.1", "webitel-engine": "25.08.3-1"}
    assert "# Debian's" in deployment.file.read_text()


def test_only_what_drops_calls_is_left(deployment: Fake) -> None:
    done = run("--yes", "--only", "opensips")
    assert (done.exit_code, deployment.ran) == (0, [])
    assert "Nothing else has a newer patch version." in done.output
    deployment.told["edge-1"] = json.dumps({"versions": {}})
    assert "No newer patch version." in run("--yes", "--only", "opensips").output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--release", "26.4"], "Nothing was changed: release 26.4 is not known"),
        (["--release", "24.12"], "is older than 25.08"),
        (["--only", "engin"], "no service engin; did you mean engine?"),
    ],
)
def test_refused_before_a_node_is_asked(deployment: Fake, arguments: list[str], words: str) -> None:
    assert words in refused(deployment, "--yes", *arguments)
    assert deployment.asked == []


def test_without_a_person_who_agrees_nothing_is_done(deployment: Fake) -> None:
    assert "would change packages on app-1, edge-1; confirm with --yes" in refused(deployment)


def test_an_unhealthy_deployment_is_not_upgraded(deployment: Fake) -> None:
    deployment.healthy = False
    said = refused(deployment, "--yes")
    assert "app-1 is not healthy: engine" in said
    assert said.endswith("Next: ./webitel status s")
    assert deployment.asked == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(problem="no answer within 120 s"), "app-1: no answer within 120 s"),
        (Answer(1, json.dumps({"error": "apt-get update failed"})), "app-1: apt-get update failed"),
        (Answer(2, "", "invalid choice: 'versions'"), "app-1: its node program failed with exit status 2: invalid choice"),
    ],
)
def test_a_node_that_cannot_look_is_named(deployment: Fake, answer: Answer, words: str) -> None:
    deployment.told["app-1"] = answer
    said = refused(deployment, "--yes")
    assert "some nodes could not look up their packages" in said
    assert words in said


def test_security_updates_alone_are_rolled_out(deployment: Fake) -> None:
    offers = json.loads(json.dumps(VERSIONS))
    for entry in (entry for packages in offers.values() for entry in packages.values()):
        entry["security"] = [version for version in entry["newer"] if "deb12" in version]
    deployment.told = {key: json.dumps({"versions": found}) for key, found in offers.items()}
    assert run("--security", "--yes").exit_code == 0
    assert deployment.ran == [(False, "./webitel up s", {"haproxy": "2.6.12-1+deb12u1"})]
    offers["edge-1"]["haproxy"]["security"] = []
    deployment.told["edge-1"] = json.dumps({"versions": offers["edge-1"]})
    assert "No security update." in run("--security", "--yes").output


def test_nodes_that_cannot_tell_security_updates_yet_are_named(deployment: Fake) -> None:
    said = refused(deployment, "--security", "--yes")
    assert "app-1, edge-1, data-1 cannot tell security updates yet. Next: ./webitel up s" in said
