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
