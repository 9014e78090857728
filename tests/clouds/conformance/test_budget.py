"""A budget on a running deployment, on the real engine: its alarm is made, changed and taken back, and nothing else changes."""

from __future__ import annotations

import pytest

from tests.clouds.conformance.conftest import Live, Standing, Start
from tests.clouds.conformance.engine import Step
from tests.clouds.conformance.sample import deal, do_on

pytestmark = pytest.mark.clouds

BUDGETS = {
    "aws": ("aws:budgets/budget:Budget",),
    "azure": ("azure-native:consumption:Budget",),
    "gcp": ("gcp:billing/budget:Budget", "gcp:monitoring/notificationChannel:NotificationChannel", "pulumi:providers:gcp"),
}
OWN_PROVIDER = "pulumi:providers:webitel"
"""It has another folder in each run."""
MAIL = ["ops@your-company.com", "boss@your-company.com"]


@pytest.fixture(scope="module", params=BUDGETS)
def live(request: pytest.FixtureRequest, start: Start, standing: Standing) -> Live:
    do_on(deal("budget", {"engine": 1}, tuple(BUDGETS))["engine"], request.param, "takes half a minute")
    stack = f"{request.param}-basic"
    return start(stack, standing(stack))


def told(live: Live, steps: list[Step]) -> list[tuple[str, str]]:
    steps = [step for step in steps if step.type != OWN_PROVIDER]
    assert {step.type for step in steps} <= {*BUDGETS[live.deployment.stack.partition("-")[0]]}, "nothing else is touched"
    return sorted((step.op, step.name) for step in steps)


def test_it_is_made_beside_what_runs(live: Live) -> None:
    live.deployment.configure({"budget": 2000, "budget_mail": MAIL})
    # Google's has a provider of its own.
    others = [("create", name) for name in ("budget", "budget-1", "budget-2")] if live.deployment.stack == "gcp-basic" else []
    assert told(live, live.deployment.up()) == [("create", "budget"), *others]
    assert live.deployment.preview("--expect-no-changes") == []
    assert live.deployment.refresh() == []


def test_another_amount_is_a_change_in_place(live: Live) -> None:
    live.deployment.configure({"budget": 3000, "budget_mail": MAIL})
    assert told(live, live.deployment.up()) == [("update", "budget")]


def test_without_it_the_alarm_goes(live: Live) -> None:
    live.deployment.configure({})
    assert {op for op, _ in told(live, live.deployment.up())} == {"delete"}
