"""The bill in a pull request's comment: before and after, line by line."""

from __future__ import annotations

from typing import Any

from cli.comment.markdown import bill_table, price_cells
from cli.engine.changes import Changes
from components.model.plan import Plan
from components.model.planning.outline import outline
from components.model.settings import Settings
from tests.plans import make_plan


def plan(**settings: Any) -> Plan:
    return make_plan(Settings.model_validate({"cloud": "hetzner", "tier": "basic", **settings}), "s")


def test_a_line_shows_before_and_after() -> None:
    [text] = bill_table(plan(counts={"app": 2}), Changes(before=outline(plan()), is_new=False))
    assert "| EUR a month | before | after | for | prices of |" in text
    assert "| machines | 363 | 501 | 3 ccx33, ccx23 | 2026-08-17 |" in text
    assert "| disks | 40 | 40 |" in text


def test_nothing_is_said_of_a_bill_that_stays() -> None:
    assert bill_table(plan(), Changes(before=outline(plan()), is_new=False)) == []


def test_nothing_is_compared_with_a_version_that_counted_no_traffic() -> None:
    old = {key: value for key, value in outline(plan()).items() if key != "bill"}
    assert price_cells(plan(), Changes(before=old, is_new=False))[::2] == ["EUR unknown", "unknown"]
    [text] = bill_table(plan(), Changes(before=old, is_new=False))
    assert "| machines | unknown | 363 |" in text


def test_a_cloud_without_prices_has_none() -> None:
    local = make_plan(Settings.model_validate({"cloud": "local", "tier": "basic"}), "s")
    assert bill_table(local, Changes(before=outline(local), is_new=False)) == []
