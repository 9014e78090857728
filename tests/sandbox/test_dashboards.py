"""Grafana's dashboards: what they ask is PromQL that Prometheus takes, of figures that somebody gives."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cloud_init.dashboard import COLUMNS, DATABASE, SOURCE
from cloud_init.dashboards import DASHBOARDS, FOLDER, render_dashboards
from cloud_init.node.health import figures

pytestmark = pytest.mark.sandbox

EXPRESSIONS = {
    f"webitel:{board.name}:{number}_{index}": query.expression
    for board in DASHBOARDS
    for number, panel in enumerate(board.panels)
    for index, query in enumerate(panel.queries)
    if panel.source is SOURCE
}


def test_the_files_are_current() -> None:
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == render_dashboards(), (
        "run: PYTHONPATH=. .venv/bin/python -m tools.pages"
    )


def test_prometheus_takes_every_expression(tmp_path: Path) -> None:
    rules = [{"record": name.replace("-", "_"), "expr": expression} for name, expression in EXPRESSIONS.items()]
    (tmp_path / "rules.json").write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", tmp_path / "rules.json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and f"{len(EXPRESSIONS)} rules found" in done.stdout, done.stdout + done.stderr


def test_every_figure_of_ours_is_one_that_the_node_program_gives() -> None:
    asked = {name for expression in EXPRESSIONS.values() for name in re.findall(r"\bwebitel_\w+", expression)}
    assert asked and asked - set(figures.HELP) == set()


def test_no_panel_covers_another_and_each_asks_our_prometheus() -> None:
    for text in render_dashboards().values():
        taken: set[tuple[int, int]] = set()
        board: Any = json.loads(text)
        for panel in board["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken and max(x for x, _ in cells) < COLUMNS, panel["title"]
            taken |= cells
            assert panel["targets"] and panel["datasource"] in (SOURCE, DATABASE)
            assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
