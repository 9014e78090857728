"""Which lowered counts are refused, and with what command."""

from __future__ import annotations

from typing import Any

import pytest

from components.model.plan import Plan
from components.model.planning.lowering import refuse_lowering
from components.model.problems import PlanError
from tests.plans import load_stack, make_plan


def plan(stack: str, **counts: int) -> Plan:
    return make_plan(load_stack(stack).settings.model_copy(update={"counts": counts}), stack)


def running(made: Plan, leaving: tuple[str, ...] = ()) -> dict[str, Any]:
    return {node.key: {"name": node.name, "leaving": node.key in leaving} for node in made.nodes}


def test_the_same_or_more_nodes_are_fine() -> None:
    refuse_lowering(plan("hetzner-basic"), {})
    refuse_lowering(plan("hetzner-basic"), running(plan("hetzner-basic")))
    refuse_lowering(plan("hetzner-basic", data=3, app=2), running(plan("hetzner-basic")))


def test_a_lowered_count_names_the_command() -> None:
    with pytest.raises(PlanError) as caught:
        refuse_lowering(plan("hetzner-basic"), running(plan("hetzner-basic", data=3, app=2)))
    text = str(caught.value)
    assert "webitel:counts.data = 1: data-2, data-3 are up" in text
    assert "set it back to 3, then ./webitel scale data 1 hetzner-basic" in text
    assert "./webitel scale app 1 hetzner-basic" in text


def test_who_has_left_may_go() -> None:
    refuse_lowering(plan("aws-basic"), running(plan("aws-basic", data=3), leaving=("data-2", "data-3")))
    with pytest.raises(PlanError, match="data-2 is up"):
        refuse_lowering(plan("aws-basic"), running(plan("aws-basic", data=3), leaving=("data-3",)))


def test_another_tier_is_another_deployment() -> None:
    with pytest.raises(PlanError, match=r"webitel:tier = basic: bus-1 is up.*back to extended, or ./webitel destroy"):
        refuse_lowering(plan("hetzner-basic"), running(plan("hetzner-extended")))
