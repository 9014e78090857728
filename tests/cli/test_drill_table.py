"""Which node a drill is about."""

from cli.drills.table import list_drills
from components.model.planner import make_plan
from components.model.settings import Settings


def test_of_a_role_the_node_that_runs_what_moves_is_switched_off() -> None:
    plan = make_plan(Settings.model_validate({"cloud": "local", "tier": "basic", "counts": {"app": 2}}), "s")
    assert list_drills(plan, {}, None)["stop-app"].targets == ("app-1",)
    drills = list_drills(plan, {"postgresql": "data-1", "logger": "app-2", "grafana": "data-1"}, None)
    assert drills["stop-app"].targets == ("app-2",) and "app-2" in drills["stop-app"].says
    assert drills["stop-edge"].targets == ("edge-1",)
