"""`doctor` on the simulated clouds, through the real engine; Azure's and Google's REST interfaces answer on the loopback."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.cloud import checks as cloud_checks
from cli.cloud.check import Check
from cli.cloud.checks import check_cloud
from cli.cloud.questions import ask_cloud
from components.clouds.registry import CLOUDS
from stacks import settings as stack_settings
from stacks.load import load_deployment
from tests.simulator.account import tell
from tests.simulator.case import load_case
from tests.simulator.simulators import PACKAGES, Simulators, load_places
from tools.engine.find import cache_folder

pytestmark = pytest.mark.clouds

LONG = 120.0
"""Seconds, for a machine with much else to do."""

Answer = Callable[[str], Any]


@pytest.fixture
def rest() -> Iterator[Callable[[Answer], str]]:
    """Serves JSON documents on the loopback: `answer(path)`, None = 404. Returns the address."""
    running: list[ThreadingHTTPServer] = []

    def serve(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                document = answer(urlsplit(self.path).path) if self.headers["Authorization"].endswith(".simulated") else None
                self.send_response(404 if document is None else 200)
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, *arguments: Any) -> None:
                """Nothing on the terminal."""

        running.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=running[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{running[-1].server_port}"

    yield serve
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def attach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Simulators]]:
    """Makes a simulated cloud and the environment of somebody who has its credentials."""
    running: list[Simulators] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_folder().parent))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)

    def start(cloud: str) -> Simulators:
        running.append(Simulators(tmp_path / "world", [cloud]))
        monkeypatch.setenv("PULUMI_DEBUG_PROVIDERS", running[-1].attached)
        for name, value in load_case(cloud).variables.items():
            monkeypatch.setenv(name, value)
        return running[-1]

    yield start
    for simulators in running:
        simulators.stop()


def answer_rest(limits: Mapping[str, float], barred: str = "") -> Answer:
    """The REST interfaces of Azure and Google, in the shapes that their references give. `barred` is a size that the
    subscription may not use in the first zone."""

    def sku(name: str) -> dict[str, Any]:
        zone = [
            {
                "type": "Zone",
                "values": ["westeurope"],
                "reasonCode": "NotAvailableForSubscription",
                "restrictionInfo": {"locations": ["westeurope"], "zones": ["1"]},
            }
        ]
        return {
            "resourceType": "virtualMachines",
            "name": name,
            "family": "standardTestFamily",
            "locations": ["westeurope"],
            "locationInfo": [{"location": "westeurope", "zones": ["1", "2", "3"], "zoneDetails": []}],
            "restrictions": zone if name == barred else [],
        }

    def answer(path: str) -> Any:
        if path.endswith("/regions/europe-west3"):
            return {
                "quotas": [
                    {"metric": "INSTANCES", "limit": limits.get("INSTANCES", 2000.0), "usage": 1.0},
                    {"metric": "NETWORKS", "limit": 0.0, "usage": 0.0},
                ]
            }
        if path.endswith("/skus"):
            return {
                "value": [
                    *map(sku, [machine.name for machine in CLOUDS["azure"].machine_types]),
                    {"resourceType": "disks", "name": "Premium_LRS"},
                ]
            }
        if path.endswith("/westeurope/usages"):
            return {
                "value": [
                    {
                        "limit": limits.get("cores", 100),
                        "unit": "Count",
                        "currentValue": 4,
                        "name": {"value": "cores", "localizedValue": "Total Regional vCPUs"},
                    }
                ]
            }
        found = re.fullmatch(r"/subscriptions/([0-9-]+)", path)
        return {"displayName": "Simulated", "subscriptionId": found[1], "state": "Enabled"} if found else None

    return answer


@pytest.mark.parametrize("cloud", sorted(PACKAGES))
def test_what_is_not_to_be_had_is_named_with_what_fits(
    cloud: str,
    attach: Callable[[str], Simulators],
    rest: Callable[[Answer], str],
) -> None:
    stack = f"{cloud}-basic"
    plan = load_deployment(stack).plan
    wanted = plan.node("edge-1" if cloud != "hetzner" else "app-1").machine_type.name
    package = PACKAGES[cloud]
    code, told, remedy = load_case(cloud).quota or ("", "", "")
    tell(attach(cloud).world, package, withdrawn={wanted: [load_places(cloud)[0]]}, limits={code: 10 if cloud == "aws" else 2})
    limits = {"cores": 10, "INSTANCES": 2}
    checks = list(check_cloud(plan, {"domain"}, rest=rest(answer_rest(limits, wanted)), seconds=LONG))
    (credentials,) = named(checks, "credentials")
    assert credentials.state == "ok" and load_case(cloud).account in credentials.found
    missing = [check for check in named(checks, "machine types") if wanted in check.found]
    assert missing and all(check.state == "MISSING" for check in missing)
    place = "zone" if CLOUDS[cloud].zones else "region"
    other = load_places(cloud)[1].removeprefix(plan.region).strip("-")
    assert f"webitel:{place}: {other}" in missing[0].mend or cloud in ("digitalocean", "hetzner")
    assert re.search(rf"webitel:{place}: \S+ has all of them", missing[0].mend)
    fit = re.search(r"webitel:machine_types: {\w+: (\S+)}, ", missing[0].mend)
    assert fit and fit[1] != wanted and CLOUDS[cloud].machine_type(fit[1])
    small = [check for check in named(checks, "quota") if check.state == "MISSING"]
    assert [bool(re.search(told, check.found)) and remedy in check.mend for check in small] == ([True] if told else [])


def named(checks: list[Check], name: str) -> list[Check]:
    """The checks of one thing."""
    return [check for check in checks if check.name == name]


def test_the_command_line_says_that_all_is_well(
    attach: Callable[[str], Simulators],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stack of one's own with everything set: exit status 0, the state on this machine is only noted."""
    attach("hetzner")
    (tmp_path / "stacks").mkdir()
    monkeypatch.setattr(stack_settings, "STACKS", tmp_path / "stacks")
    (tmp_path / "stacks/Pulumi.mine.yaml").write_text(
        "config: {webitel:cloud: hetzner, webitel:tier: single, webitel:domain: a.company.org, webitel:package_source: sandbox,\n"
        "  webitel:operators: [10.1.0.0/16], webitel:carriers: [10.2.0.0/16]}\n"
    )
    monkeypatch.setattr(socket, "getaddrinfo", lambda name, *_, **__: [(2, 1, 6, "", (f"address of {name}", 0))])
    monkeypatch.setattr(cloud_checks, "ANSWERS_SECONDS", LONG)
    done = CliRunner().invoke(app, ["doctor", "mine"])
    assert done.exit_code == 0, done.output
    assert "HCLOUD_TOKEN: the token opens a project" in done.output and "machine types" in done.output
    assert re.search(r"domain +a\.company\.org is address of a\.company\.org", done.output)
    assert "on this machine only" in done.output and "PULUMI_BACKEND_URL='s3://YOUR-BUCKET" in done.output
    assert "x" * 64 not in done.output and "Next: ./webitel up mine" in done.output


def test_refused_credentials_are_told_in_the_clouds_words(attach: Callable[[str], Simulators]) -> None:
    tell(attach("aws").world, "aws", refused="InvalidClientTokenId: The security token included in the request is invalid")
    (credentials, *_) = check_cloud(load_deployment("aws-single").plan, {"domain"}, seconds=LONG)
    assert credentials.state == "MISSING" and "InvalidClientTokenId" in credentials.found
    assert "AWS_ACCESS_KEY_ID=" in credentials.mend


def test_a_cloud_that_never_answers_ends_in_time(attach: Callable[[str], Simulators], tmp_path: Path) -> None:
    attach("hetzner")
    (tmp_path / "world/faults.json").write_text(
        json.dumps([{"kind": "slow", "operation": "invoke", "type": "getServerTypes", "seconds": 300, "times": 0}])
    )
    started = time.monotonic()
    answers = ask_cloud(load_deployment("hetzner-single").plan, seconds=LONG, one=2)
    assert time.monotonic() - started < LONG / 2
    assert answers.account and "no answer within" in answers.errors["offers"] and not answers.offers
