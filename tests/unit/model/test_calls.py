"""Limits against toll fraud: what applies where nothing is set, and which settings are refused in which words."""

from typing import Any

import pytest

from components.model.calls import CallLimit, Hours, resolve_call_limits, weekdays
from components.model.catalogue.tiers import TIERS
from components.model.planning.planner import PlanError
from components.model.settings import Settings
from tests.plans import make_plan


def limits(**values: Any) -> Any:
    settings = Settings.model_validate({"cloud": "aws", "tier": "basic", **values})
    return resolve_call_limits(make_plan(settings, "test"), settings)


@pytest.mark.parametrize("tier", TIERS)
def test_no_trunk_is_limited_below_the_load_that_the_tier_is_made_for(tier: str) -> None:
    found = limits(tier=tier)
    a_minute = TIERS[tier].calls_per_day / 24 / 60
    assert found.trunk.per_minute >= 3 * a_minute
    assert found.trunk.calls >= found.trunk.per_minute
    assert found.account == CallLimit(10, 60)
    assert found.hours == ()


def test_more_freeswitch_nodes_raise_a_trunks_limit() -> None:
    assert limits(counts={"app": 4}).trunk.per_minute == pytest.approx(4 * limits().trunk.per_minute, abs=4)


def test_what_is_set_is_taken() -> None:
    found = limits(account_limits={"calls": 2}, trunk_limits={"per_minute": 30}, outgoing_hours={"sat-mon": "09:00-24:00"})
    assert found.account == CallLimit(2, 60)
    assert (found.trunk.per_minute, found.trunk.calls) == (30, limits().trunk.calls)
    assert found.hours == (Hours("167", "09:00", "24:00"),)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("mon", "1"),
        ("mon-fri", "12345"),
        ("sat-sun", "67"),
        ("fri-mon", "1567"),
        ("mon-mon", "1"),
        ("monday", ""),
        ("mon-", "1"),
        ("-fri", ""),
        ("", ""),
    ],
)
def test_days_are_read(text: str, digits: str) -> None:
    assert weekdays(text) == digits


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"account_limits": {"calls": 0}}, "webitel:account_limits.calls = 0: no call would be allowed; use a number such as 30"),
        ({"trunk_limits": {"per_minute": -1}}, "webitel:trunk_limits.per_minute = -1: no call would be allowed"),
        ({"destinations": ["+49", "germany"]}, "webitel:destinations = germany: not a number as people dial it; use digits"),
        ({"emergency_numbers": ["1|2"]}, "webitel:emergency_numbers = 1|2: not a number as people dial it"),
        (
            {"outgoing_hours": {"workdays": "07:00-20:00"}},
            "webitel:outgoing_hours.workdays = 07:00-20:00: not days of the week; use",
        ),
        ({"outgoing_hours": {"mon": "7-20"}}, "webitel:outgoing_hours.mon = 7-20: not hours of a day; use a span such as 07:00-"),
        ({"outgoing_hours": {"mon": "20:00-07:00"}}, "webitel:outgoing_hours.mon = 20:00-07:00: not hours of a day"),
    ],
)
def test_what_no_call_could_meet_is_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(PlanError) as caught:
        limits(**values)
    assert says in str(caught.value)
