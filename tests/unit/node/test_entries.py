"""What the watcher puts back into Consul, and what it leaves alone."""

import json
import re
from typing import Any

import pytest

from cloud_init.bundles import bundle_folder
from cloud_init.node.ask.view import View
from cloud_init.node.health import entries
from cloud_init.node.health.watch import Watcher
from cloud_init.node.manifest import ProbeEntry
from cloud_init.node.report import ServiceRow
from components.model.catalogue.services import CATALOGUE
from tests.unit.node.entries import manifest, probe, service

ENTRY = probe("consul_entry", name="freeswitch", id="app-1", address="10.0.0.1", port=50051, ttl=60, deregister=120)
ONCE = {"freeswitch"}
"""Services whose program registers at its start only, and that nobody restarts for it."""


def look(monkeypatch: pytest.MonkeyPatch, there: dict[str, Any], failed: ProbeEntry | None, state: str = "active") -> list[Any]:
    """One look of the watcher at a FreeSWITCH; what Consul was told."""
    told: list[Any] = []

    def request(address: str, port: int, path: str, *, method: str = "GET", body: str = "", **_: Any) -> tuple[int, str]:
        told.append((method, path, json.loads(body)))
        return 200, ""

    row: ServiceRow = {"name": "freeswitch", "title": "", "units": {"freeswitch": state}, "healthy": False, "why": "", "log": []}
    if failed:
        row["probe"] = failed
    monkeypatch.setattr(entries, "request", request)
    monkeypatch.setattr(View, "consul_services", there, raising=False)  # its class alone has no answer
    Watcher().look(
        manifest(services=[service("freeswitch", ENTRY)]),
        {"node": "n", "key": "n-1", "healthy": False, "services": [row], "disks": [], "machine": [], "uptime": 1.0},
        1000.0,
    )
    return told


def test_a_lost_entry_is_made_as_the_program_makes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    check = {"TTL": "60s", "DeregisterCriticalServiceAfter": "120s", "Status": "passing"}
    body = {"Name": "freeswitch", "ID": "app-1", "Address": "10.0.0.1", "Port": 50051, "Check": check}
    assert look(monkeypatch, {}, ENTRY) == [("PUT", "/v1/agent/service/register", body)]


@pytest.mark.parametrize(
    ("there", "failed", "state"),
    [
        ({"app-1": {"States": ["critical"]}}, ENTRY, "active"),
        ({}, probe("freeswitch", says="paused"), "active"),
        ({}, ENTRY, "activating"),
        ({}, probe("consul_entry", name="engine", id="engine-1"), "active"),
        ({}, None, "active"),
    ],
    ids=["not renewed", "not ready", "not running", "makes it anew by itself", "healthy"],
)
def test_other_entries_are_left_alone(
    there: dict[str, Any], failed: ProbeEntry | None, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look(monkeypatch, there, failed, state) == []


def test_the_catalogue_says_the_seconds_of_the_programs_own_configuration() -> None:
    asked = {name: one.arguments for name, of in CATALOGUE.items() for one in of.probes if "ttl" in one.arguments}
    assert asked.keys() == ONCE
    text = (bundle_folder("freeswitch") / "configuration.xml").read_text()
    for word, key in (("consul_ttl_sec", "ttl"), ("consul_deregister_critical_ttl_sec", "deregister")):
        (seconds,) = re.findall(rf'name="{word}" value="(\d+)"', text)
        assert asked["freeswitch"][key] == int(seconds)
