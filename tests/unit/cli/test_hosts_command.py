"""`hosts check`, `doctor` and `up` show and refuse by the same findings."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.cloud.check import RefusedError
from cli.console import Failure
from cli.hosts import before, check
from cli.hosts.check import How
from cli.hosts.finding import Finding
from components.model.plan import Plan
from components.model.resource_types import GIVEN_HOST
from components.model.settings import Settings
from stacks.load import make_deployment
from tests.unit.cli.host_facts import HOST_KEY, SETTINGS

GOOD = Finding("data-1", "kernel", "pass", "6.1.0-50-amd64", "6.1 or newer")
ODD = Finding("data-1", "swap", "warn", "512 MiB in use", "nothing in it", "swapoff -a")
BAD = Finding("app-1", "memory", "fail", "4.0 GiB", "16 GiB", "give the machine more")
STACK = "onprem-basic"


class Asked:
    """Stands for the hosts: says what the test wants, and remembers how it was asked."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings, self.how = list(findings), list[How]()

    def __call__(self, plan: Plan, settings: Settings, how: How, tell: object) -> list[Finding]:
        self.how.append(how)
        return self.findings


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked([GOOD, ODD, BAD])
    monkeypatch.setattr(check, "check_hosts", asked)
    monkeypatch.setattr(before, "check_hosts", asked)
    return asked


def test_what_is_not_as_wished_is_shown_and_ends_with_one(hosts: Asked) -> None:
    done = CliRunner().invoke(app, ["hosts", "check", STACK])
    assert done.exit_code == 1
    assert "4.0 GiB" in done.output and "give the machine more" in done.output and "512 MiB" in done.output
    assert "6.1.0-50" not in done.output
    assert "data-1: 1 of 2 checks passed" in done.output and f"in the way of ./webitel up {STACK}" in done.output
    assert "6.1.0-50" in CliRunner().invoke(app, ["hosts", "check", STACK, "--all"]).output
    assert [(how.apply, how.network) for how in hosts.how] == [(False, False)] * 2


def test_what_is_only_worth_a_look_ends_with_none(hosts: Asked) -> None:
    hosts.findings = [GOOD, ODD]
    done = CliRunner().invoke(app, ["hosts", "check", STACK, "--apply", "--network"])
    assert done.exit_code == 0 and f"Next: ./webitel up {STACK}" in done.output
    assert [(how.apply, how.network) for how in hosts.how] == [(True, True)]


def test_the_document_says_the_same(hosts: Asked) -> None:
    done = CliRunner().invoke(app, ["hosts", "check", STACK, "--json"])
    told = json.loads(done.stdout)
    assert done.exit_code == 1 and told["ready"] is False
    assert told["findings"][2] == {
        "host": "app-1",
        "check": "memory",
        "state": "fail",
        "found": "4.0 GiB",
        "wish": "16 GiB",
        "remedy": "give the machine more",
        "mends": False,
        "accepted": False,
    }


def test_a_cloud_that_makes_its_machines_has_no_hosts() -> None:
    done = CliRunner().invoke(app, ["hosts", "check", "local-single"])
    assert isinstance(done.exception, Failure) and "makes its machines itself" in str(done.exception)


def test_up_refuses_what_fails_and_asks_only_hosts_that_are_new(hosts: Asked) -> None:
    deployment = make_deployment(Settings.model_validate(SETTINGS), "given-basic")
    plan, settings = deployment.plan, deployment.settings
    with pytest.raises(RefusedError) as told:
        before.refuse_unfit_hosts(plan, settings, ["data-1"])
    assert "app-1: memory: 4.0 GiB; give the machine more" in str(told.value) and "Nothing was changed" in str(told.value)
    assert hosts.how[0].only == ["app-1", "edge-1"]
    before.refuse_unfit_hosts(plan, settings, [node.key for node in plan.nodes])
    assert len(hosts.how) == 1
    hosts.findings = [GOOD, ODD]
    before.refuse_unfit_hosts(plan, settings, [])


def test_a_host_that_is_another_one_now_is_new() -> None:
    deployment = make_deployment(Settings.model_validate(SETTINGS), "given-basic")
    plan, settings = deployment.plan, deployment.settings
    resources = [
        {"urn": f"urn:pulumi:s::p::{GIVEN_HOST}::{key}", "type": GIVEN_HOST, "inputs": {"address": address, "host_key": host_key}}
        for key, address, host_key in (
            ("data-1", "10.20.0.99", f"{HOST_KEY} comment"),
            ("app-1", "10.20.0.11", HOST_KEY.replace("A", "B")),
        )
    ]
    assert before.find_met(resources, plan, settings) == ["data-1"]
    accepted = settings.model_copy(
        update={"hosts": tuple(host.model_copy(update={"host_key": "accept"}) for host in settings.hosts)}
    )
    assert before.find_met(resources, plan, accepted) == ["app-1"]


def test_doctor_names_each_host_and_what_is_wrong_with_it(hosts: Asked) -> None:
    deployment = make_deployment(Settings.model_validate(SETTINGS), "given-basic")
    told = list(before.check_given(deployment.plan, deployment.settings))
    assert [(one.name, one.state) for one in told] == [
        ("data-1", "ok"),
        ("data-1 swap", "note"),
        ("app-1", "ok"),
        ("app-1 memory", "MISSING"),
    ]
