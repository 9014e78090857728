"""`doctor` on the simulated clouds, through the real engine; Azure's and Google's REST interfaces answer on the loopback."""

from __future__ import annotations

import json
import re
import socket
import time
from pathlib import Path

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
from stacks.problems import SECRET_SETTINGS
from tests.clouds.conftest import LONG, Attach
from tests.simulator.account import tell
from tests.simulator.case import load_case
from tests.simulator.simulators import PACKAGES, load_places

pytestmark = pytest.mark.clouds


@pytest.mark.parametrize("cloud", sorted(name for name in PACKAGES if CLOUDS[name].priced))
def test_what_is_not_to_be_had_is_named_with_what_fits(
    cloud: str,
    attach: Attach,
) -> None:
    stack = f"{cloud}-basic"
    plan = load_deployment(stack).plan
    wanted = plan.node("edge-1" if cloud != "hetzner" else "app-1").machine_type.name
    package = PACKAGES[cloud]
    code, told, remedy = load_case(cloud).quota or ("", "", "")
    simulators = attach(cloud)
    limit = 10 if cloud in ("aws", "azure") else 2
    tell(simulators.world, package, withdrawn={wanted: [load_places(cloud)[0]]}, limits={code: limit} if code else {})
    checks = list(check_cloud(plan, {"domain"}, rest=simulators.interface.url, seconds=LONG))
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
    attach: Attach,
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


def test_the_program_that_asks_knows_which_secrets_are_set(
    attach: Attach,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The cloud is asked, though the secrets' values are not at hand."""
    attach("hetzner")
    monkeypatch.setattr(stack_settings, "STACKS", tmp_path)
    settings = {
        "cloud": "hetzner",
        "tier": "basic",
        "counts": {"edge": 2},
        "package_source": "sandbox",
        "domain": "a.company.org",
        "certificate": "provided",
        "backup": {"url": "https://objects.company.org/bucket"},
        "alert_mail": ["phones@company.org"],
        "alert_mail_server": "mail.company.org:587",
        "alert_mail_from": "phones@company.org",
        "alert_mail_user": "phones",
        **{name: {"secure": "v1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAA"} for name in SECRET_SETTINGS},
    }
    document = {"config": {f"webitel:{name}": value for name, value in settings.items()}}
    (tmp_path / "Pulumi.mine.yaml").write_text(json.dumps(document))
    answers = ask_cloud(load_deployment("mine").plan, seconds=LONG)
    assert answers.errors == {}
    assert answers.account == load_case("hetzner").account


def test_refused_credentials_are_told_in_the_clouds_words(attach: Attach) -> None:
    tell(attach("aws").world, "aws", refused="InvalidClientTokenId: The security token included in the request is invalid")
    (credentials, *_) = check_cloud(load_deployment("aws-single").plan, {"domain"}, seconds=LONG)
    assert credentials.state == "MISSING" and "InvalidClientTokenId" in credentials.found
    assert "AWS_ACCESS_KEY_ID=" in credentials.mend


def test_a_cloud_that_never_answers_ends_in_time(attach: Attach, tmp_path: Path) -> None:
    attach("hetzner")
    (tmp_path / "world/faults.json").write_text(
        json.dumps([{"kind": "slow", "operation": "invoke", "type": "getServerTypes", "seconds": 300, "times": 0}])
    )
    started = time.monotonic()
    answers = ask_cloud(load_deployment("hetzner-single").plan, seconds=LONG, one=2)
    assert time.monotonic() - started < LONG / 2
    assert answers.account and "no answer within" in answers.errors["offers"] and not answers.offers
