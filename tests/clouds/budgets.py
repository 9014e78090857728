"""What a budget asks of a cloud that has alarms: beside that cloud's other tests, as each of the SDKs takes seconds to load."""

from __future__ import annotations

from tests.clouds.conftest import Ask

MAIL = ["ops@your-company.com"]
FUNCTIONS = {
    "aws:ec2/getAmi:getAmi": {"id": "ami-newest"},
    "gcp:organizations/getProject:getProject": {"billingAccount": "012345-6789AB-CDEF01", "number": "1"},
}


def check_alarm(ask: Ask, cloud: str, amount: dict[str, object]) -> None:
    """The alarm is made where it is asked for, and only there."""
    asked = ask(f"{cloud}-single", FUNCTIONS, budget=2000, budget_mail=MAIL)
    inputs = asked.one("Budget", "budget")
    assert {name: inputs[name] for name in amount} == amount
    assert MAIL[0] in str([one.inputs for one in asked.registrations])
    providers = [one.name for one in asked.registrations if one.type == f"pulumi:providers:{cloud}"]
    assert not [name for name in providers if name.startswith("default")], "of the provider that the plan configures"
    assert not ask(f"{cloud}-single", FUNCTIONS).all("Budget")
