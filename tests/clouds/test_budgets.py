"""What a budget asks of each cloud that has alarms."""

from __future__ import annotations

import pytest

from tests.clouds.conftest import Ask

MAIL = ["ops@your-company.com"]
FUNCTIONS = {
    "aws:ec2/getAmi:getAmi": {"id": "ami-newest"},
    "gcp:organizations/getProject:getProject": {"billingAccount": "012345-6789AB-CDEF01", "number": "1"},
}


@pytest.mark.parametrize(
    ("cloud", "type", "amount"),
    [
        ("aws", "Budget", {"limitAmount": "2000", "limitUnit": "USD"}),
        ("azure", "Budget", {"amount": 2000}),
        ("gcp", "Budget", {"amount": {"specifiedAmount": {"units": "2000"}}}),
    ],
)
def test_the_alarm_is_made_where_it_is_asked_for(ask: Ask, cloud: str, type: str, amount: dict[str, object]) -> None:
    asked = ask(f"{cloud}-single", FUNCTIONS, budget=2000, budget_mail=MAIL)
    inputs = asked.one(type, "budget")
    assert {name: inputs[name] for name in amount} == amount
    assert MAIL[0] in str([one.inputs for one in asked.registrations])
    providers = [one.name for one in asked.registrations if one.type == f"pulumi:providers:{cloud}"]
    assert not [name for name in providers if name.startswith("default")], "of the provider that the plan configures"
    assert not ask(f"{cloud}-single", FUNCTIONS).all(type)


def test_google_bills_a_persons_question_to_the_project(ask: Ask) -> None:
    """A person's credentials, which we advise, get 403 of the Billing Budgets API otherwise."""
    asked = ask("gcp-single", FUNCTIONS, budget=2000, budget_mail=MAIL)
    (own,) = (one for one in asked.registrations if one.type == "pulumi:providers:gcp" and one.name == "budget")
    assert own.given["billingProject"] == own.given["project"]
    assert own.given["userProjectOverride"] in (True, "true")
    assert asked.all("Budget")["budget"].provider.startswith(own.urn)
