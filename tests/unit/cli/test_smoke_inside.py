"""What the smoke test makes of the nodes' own reports."""

from dataclasses import replace
from typing import Any

from cli.smoke import checks, inside
from components.model.report import NodeReport
from tests.unit.cli.worlds import make_world


def report(**service: Any) -> NodeReport:
    rows = [
        {"name": "consul", "healthy": True},
        {"name": "postgresql", "healthy": True},
        {"name": "rabbitmq", "healthy": True},
        {"name": "engine", "healthy": True, **service},
    ]
    machine = [{"name": "clock", "healthy": False, "why": "2000.0 ms fast"}]
    return NodeReport.model_validate({"node": "n", "key": "a", "healthy": False, "services": rows, "machine": machine})


def judge(group: str, one: NodeReport) -> list[tuple[str, bool | None]]:
    return [(finding.target, finding.right) for finding in inside.judge(group, "a", one)]


def test_lines_of_a_report_are_sorted_by_what_they_are_about() -> None:
    well = report()
    assert judge("database", well) == [("a", True)]
    assert judge("broker", well) == [("a", True)]
    assert judge("services", well) == [("a", True)]
    assert judge("clocks", well) == [("a clock", False)]
    lost = report(healthy=False, why="no entry", probe={"kind": "consul_entry"})
    assert ("a engine", False) in judge("discovery", lost)
    assert judge("services", lost) == []


def test_a_late_backup_and_a_critical_alert_fail() -> None:
    rows = {"node": "n", "key": "a", "healthy": True, "services": [{"name": "consul", "healthy": True}]}
    late = NodeReport.model_validate(rows | {"machine": [{"name": "backup", "healthy": True, "warning": True, "why": "late"}]})
    fresh = NodeReport.model_validate(rows | {"machine": [{"name": "backup", "healthy": True, "why": "1 hour old"}]})
    assert judge("backup", late) == [("a backup", False)]
    assert judge("backup", fresh) == [("a", True)]
    assert judge("backup", NodeReport.model_validate(rows)) == []

    def alerts(*severities: str) -> list[bool | None]:
        asked = inside.Inside()
        firing = [{"name": f"x{at}", "severity": one, "means": "calls fail"} for at, one in enumerate(severities)]
        asked._reports = {"a": NodeReport.model_validate(rows | {"alerts": firing})}
        return [one.right for one in asked.check_alerts(make_world())]

    assert alerts() == alerts("warning") == [True]
    assert alerts("critical", "warning") == [False]


def test_that_no_alert_fires_is_told_only_where_somebody_looks() -> None:
    def ask(monitoring: bool, problem: str) -> list[bool | None]:
        asked, world = inside.Inside(), make_world()
        asked._reports = {"a": NodeReport(node="n", key="a", healthy=not problem, problem=problem)}
        settings = world.settings.model_copy(update={"monitoring": monitoring})
        return [one.right for one in asked.check_alerts(replace(world, settings=settings))]

    assert ask(True, "") == [True]
    assert ask(False, "") == [None]
    assert ask(True, "no answer within 6 s") == [None]


def test_a_node_that_says_nothing_is_one_failure() -> None:
    silent = NodeReport(node="n", key="a", healthy=False, problem="no answer within 6 s")
    assert [judge(group, silent) for group in inside.GROUPS].count([("a", False)]) == 1


def test_every_group_has_a_check() -> None:
    named = {check.name for check in checks.make_checks()}
    assert set(inside.GROUPS) <= named
    assert len(named) == len(checks.make_checks())
