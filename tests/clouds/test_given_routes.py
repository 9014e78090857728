"""The ways out of a company's subnets, which nobody can see in the plan, are asked for before anything is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from cli.cloud import questions
from cli.cloud.checks import judge
from cli.cloud.questions import ask_cloud, read_stack_config
from components.clouds.registry import CLOUDS
from components.model.plan import Plan
from components.model.settings import Settings
from tests.clouds.conformance.given import prepare
from tests.clouds.conftest import LONG, Attach
from tests.plans import make_plan
from tests.simulator.aws.routes import ASSOCIATION, ROUTE, TABLE
from tests.simulator.simulators import Simulators
from tests.simulator.world import Thing

pytestmark = pytest.mark.clouds


class Company:
    """A network on simulated AWS, in zone a of which a `basic` deployment is planned."""

    def __init__(self, simulators: Simulators) -> None:
        self.simulators, self.world = simulators, simulators.world
        setting, _ = prepare("aws", self.world)
        self.wish: dict[str, Any] = {"region": "us-east-1", "zone": "a", "existing_network": setting}
        self.plan: Plan = make_plan(Settings.model_validate({"cloud": "aws", "tier": "basic", **self.wish}), "aws-basic")
        subnets = {subnet["public"]: id for id, subnet in setting["subnets"].items() if subnet["zone"] == "a"}
        self.public, self.private = subnets[True], subnets[False]
        (self.gateway,) = (one.id for one in self.world.all("aws:ec2/internetGateway:InternetGateway"))
        self.nat = next(
            one.id for one in self.world.all("aws:ec2/natGateway:NatGateway") if one.inputs["subnetId"] == self.public
        )

    def tie_of(self, subnet: str) -> Thing:
        return next(one for one in self.world.all(ASSOCIATION) if one.inputs["subnetId"] == subnet)

    def route_of(self, subnet: str) -> Thing:
        table = self.tie_of(subnet).inputs["routeTableId"]
        return next(one for one in self.world.all(ROUTE) if one.inputs["routeTableId"] == table)

    def lead(self, subnet: str, **target: Any) -> None:
        """Let the subnet's way out lead elsewhere."""
        route = self.route_of(subnet)
        self.world.edit(ROUTE, route.id, **{"gatewayId": None, "natGatewayId": None, **target})

    def ask(self) -> list[str]:
        return ask(self.simulators, self.plan)


def ask(simulators: Simulators, plan: Plan) -> list[str]:
    """What is not well with the network."""
    answers = ask_cloud(plan, rest=simulators.interface.url, seconds=LONG)
    assert "network" not in answers.errors, answers.errors
    checks = [check for check in judge(plan, answers) if check.name == "network"]
    assert checks
    return [f"{check.state}: {check.found}" for check in checks if check.state != "ok"]


def write_settings(monkeypatch: pytest.MonkeyPatch, wish: Mapping[str, Any]) -> None:
    """Let the stack file say so."""
    read, written = read_stack_config, {f"webitel:{name}": value for name, value in wish.items()}
    monkeypatch.setattr(questions, "read_stack_config", lambda name: {**read(name), **written})


@pytest.fixture
def company(attach: Attach, monkeypatch: pytest.MonkeyPatch) -> Company:
    company = Company(attach("aws"))
    write_settings(monkeypatch, company.wish)
    return company


def test_a_network_as_it_should_be(company: Company) -> None:
    assert company.ask() == []
    # A firewall that looks at everything stands between the subnet and the internet gateway.
    company.lead(company.public, vpcEndpointId="vpce-1")
    company.lead(company.private, transitGatewayId="tgw-1")
    assert company.ask() == []


def test_subnets_that_were_mixed_up(company: Company) -> None:
    company.lead(company.public, natGatewayId=company.nat)
    company.lead(company.private, gatewayId=company.gateway)
    setting = "webitel:existing_network.subnets"
    assert company.ask() == [
        f"MISSING: {setting}.{company.public}: 0.0.0.0/0 leads to {company.nat}, so nobody reaches its nodes; "
        "it needs a route to an internet gateway",
        f"MISSING: {setting}.{company.private}: 0.0.0.0/0 leads to {company.gateway}, through which nodes without a public "
        "address get no answer",
    ]


def test_subnets_of_the_main_table(company: Company) -> None:
    """No association of theirs tells it. A route that a VPN's gateway propagates is told to nobody, so that is no refusal."""
    for subnet in (company.public, company.private):
        company.world.erase(ASSOCIATION, company.tie_of(subnet).id)
    public, private = company.ask()
    assert public.startswith("MISSING: ") and f"{company.public}: it has no route for 0.0.0.0/0" in public
    assert private.startswith("note: ") and f"{company.private}: it has no route for 0.0.0.0/0 but one" in private


def test_routes_inside_a_table(company: Company) -> None:
    table = company.tie_of(company.public).inputs["routeTableId"]
    company.world.erase(ROUTE, company.route_of(company.public).id)
    company.world.edit(TABLE, table, routes=[{"cidrBlock": "0.0.0.0/1", "gatewayId": company.gateway}])
    assert company.ask() == []


def test_a_private_subnet_of_azure_without_a_way_out(attach: Attach, monkeypatch: pytest.MonkeyPatch) -> None:
    """A route may come from elsewhere, as in a virtual WAN, so that is no refusal."""
    simulators = attach("azure")
    setting, _ = prepare("azure", simulators.world)
    wish: dict[str, Any] = {"region": CLOUDS["azure"].default_region, "existing_network": setting}
    plan = make_plan(Settings.model_validate({"cloud": "azure", "tier": "basic", **wish}), "azure-basic")
    write_settings(monkeypatch, wish)
    assert ask(simulators, plan) == []
    (private,) = (id for id, subnet in setting["subnets"].items() if not subnet.get("public"))
    subnet = next(one for one in simulators.world.all("azure-native:network:Subnet") if one.get("natGateway"))
    simulators.world.edit(subnet.type, subnet.id, natGateway=None)
    assert ask(simulators, plan) == [
        f"note: webitel:existing_network.subnets.{private}: it has no NAT gateway and no route table, and its nodes fetch their "
        "packages from outside"
    ]
