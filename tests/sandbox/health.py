"""The catalogue's own questions, asked of stand-ins on a platform as a node of local-single asks them."""

import json
from collections.abc import Iterable

import pytest

from cloud_init.node.ask import view as views
from cloud_init.node.health import probes, topology
from cloud_init.node.manifest import Manifest, ProbeEntry
from stacks.load import load_deployment
from tests.plans import compose_configuration, make_plan
from tests.sandbox.platform import Platform
from tests.sandbox.runner import ADDRESS
from tests.unit.node.entries import wrong

SECRETS = {"database_password": "database-password", "broker_password": "broker-password"}


def fill(probe: ProbeEntry) -> ProbeEntry:
    filled: ProbeEntry = json.loads(json.dumps(probe).replace("{{address:all-1}}", ADDRESS))
    return filled


class Health:
    """Asks the probes of services; the node's own ports lead to those of the platform."""

    def __init__(self, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = load_deployment("local-single").settings
        plan = make_plan(settings, "local-single")
        manifest = compose_configuration(plan, plan.nodes[0], settings).manifest
        self.services = {service["name"]: [fill(probe) for probe in service["probes"]] for service in manifest["services"]}
        ports = platform.ports
        manifest["ports"] |= {
            "consul_http": ports["consul"],
            "haproxy_sql": ports["postgresql"],
            "haproxy_management": ports["management"],
        }
        # Who connects to PostgreSQL or RabbitMQ over the loopback comes from there.
        self.manifest: Manifest = {**manifest, "address": "127.0.0.1"}

    def view(self) -> views.View:
        """A fresh look."""
        made = views.View(self.manifest)
        made.__dict__["secrets"] = SECRETS
        return made

    def faults(self, names: Iterable[str], without: tuple[str, ...] = ("disk_space", "schema")) -> dict[str, str]:
        """By service what its first failing probe says; healthy ones are not in it."""
        view, found = self.view(), dict[str, str]()
        for name in names:
            for probe in self.services[name]:
                if probe["kind"] not in without and name not in found and (said := wrong(probes.answer, probe, view)):
                    found[name] = f"{probe['says']} ({said})"
        return found

    def mend(self, names: Iterable[str]) -> dict[str, str]:
        """Put back the bindings of services; by service what the broker refused."""
        refused = dict[str, str]()
        for name in names:
            for probe in self.services[name]:
                view = self.view()
                if (
                    probe["kind"] == "binding"
                    and wrong(topology.binding, probe, view)
                    and (said := wrong(topology.bind, probe, view))
                ):
                    refused[name] = said
        return refused
