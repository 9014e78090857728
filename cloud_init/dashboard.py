"""What a dashboard is made of, and how Grafana reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

SOURCE = {"type": "prometheus", "uid": "prometheus"}
DATABASE = {"type": "postgres", "uid": "webitel"}
SCHEMA = 36
"""Of the dashboards' JSON as Grafana 9 wrote it; later ones bring it up to their own."""
COLUMNS = 24
"""Of Grafana's grid."""
LINKS = {
    "type": "dashboards",
    "tags": ["webitel"],
    "title": "Webitel",
    "tooltip": "",
    "icon": "external link",
    "url": "",
    "asDropdown": False,
    "targetBlank": False,
    "includeVars": False,
    "keepTime": True,
}
"""From each dashboard to the others, over the same time."""

STAT, LINES, TABLE = "stat", "timeseries", "table"
OPTIONS: Mapping[str, Mapping[str, object]] = {
    STAT: {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    },
    LINES: {
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    TABLE: {"frameIndex": 0, "showHeader": True},
}
"""By kind, all that Grafana's schema asks for (`docs/facts/monitoring.md` 4)."""
RED, YELLOW, GREEN = "red", "yellow", "green"


@dataclass(frozen=True)
class Query:
    """One expression in PromQL, and what a line of it is called, with labels as `{{node}}`; or one statement in SQL."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One picture. `unit` in Grafana's words. `warns` and `alarms`: values from which it is yellow and red; where they fall,
    below which. `note` is what it means."""

    title: str
    queries: tuple[Query, ...]
    kind: str = LINES
    unit: str = "short"
    note: str = ""
    warns: float | None = None
    alarms: float | None = None
    columns: int = 8
    rows: int = 7
    source: Mapping[str, str] = field(default_factory=lambda: SOURCE)


@dataclass(frozen=True)
class Dashboard:
    """A page. `name` is its file and its address."""

    name: str
    title: str
    panels: tuple[Panel, ...]
    refresh: str = "30s"
    since: str = "now-6h"


def lines(title: str, *queries: tuple[str, str], unit: str = "short", note: str = "") -> Panel:
    """Return a picture of lines over time."""
    return Panel(title, tuple(Query(*one) for one in queries), LINES, unit, note)


def number(
    title: str, expression: str, *, unit: str = "short", note: str = "", warns: float | None = None, alarms: float | None = None
) -> Panel:
    """Return one large number."""
    return Panel(title, (Query(expression),), STAT, unit, note, warns, alarms, 4, 4)


def listing(title: str, expression: str, *, note: str = "", columns: int = 24) -> Panel:
    """Return a table of what an expression finds now."""
    return Panel(title, (Query(expression),), TABLE, "short", note, None, None, columns, 7)


def lines_sql(title: str, statement: str, *, unit: str = "short", note: str = "") -> Panel:
    """Return a picture of what a statement finds by time, a line for each further column."""
    return replace(lines(title, (statement, ""), unit=unit, note=note), source=DATABASE)


def number_sql(
    title: str, statement: str, *, unit: str = "short", note: str = "", warns: float | None = None, alarms: float | None = None
) -> Panel:
    """Return the one number that a statement finds."""
    return replace(number(title, statement, unit=unit, note=note, warns=warns, alarms=alarms), source=DATABASE)


def listing_sql(title: str, statement: str, *, note: str = "", columns: int = 24) -> Panel:
    """Return a table of what a statement finds."""
    return replace(listing(title, statement, note=note, columns=columns), source=DATABASE)


def describe(dashboard: Dashboard) -> dict[str, object]:
    """Return a dashboard as Grafana reads it."""
    return {
        "uid": f"webitel-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["webitel"],
        "editable": False,
        "schemaVersion": SCHEMA,
        "refresh": dashboard.refresh,
        "time": {"from": dashboard.since, "to": "now"},
        "timezone": "browser",
        # A moment that is pointed at in one picture is shown in all of them.
        "graphTooltip": 1,
        "templating": {"list": []},
        "annotations": {"list": []},
        "links": [LINKS],
        "panels": list(lay_out(dashboard.panels)),
    }


def lay_out(panels: Iterable[Panel]) -> Iterable[dict[str, object]]:
    """Return the panels in rows from left to right."""
    left = top = height = 0
    for number_of, panel in enumerate(panels, 1):
        if left + panel.columns > COLUMNS:
            left, top, height = 0, top + height, 0
        yield describe_panel(number_of, panel, {"x": left, "y": top, "w": panel.columns, "h": panel.rows})
        left, height = left + panel.columns, max(height, panel.rows)


def describe_panel(number_of: int, panel: Panel, place: dict[str, int]) -> dict[str, object]:
    """Return a panel as Grafana reads it."""
    hidden = {"Time": True, "Value": True, "__name__": True, "instance": True, "job": True, "alertstate": True}
    return {
        "id": number_of,
        "title": panel.title,
        "description": panel.note,
        "type": panel.kind,
        "datasource": panel.source,
        "gridPos": place,
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": panel.source, **describe_query(panel, query)}
            for index, query in enumerate(panel.queries)
        ],
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "color": {"mode": color_mode(panel)}, "thresholds": describe_thresholds(panel)},
            "overrides": [],
        },
        "options": OPTIONS[panel.kind],
        "transformations": [
            {"id": "organize", "options": {"excludeByName": hidden, "indexByName": {}, "renameByName": {}}},
        ]
        * (panel.kind == TABLE and panel.source is SOURCE),
    }


def describe_query(panel: Panel, query: Query) -> dict[str, object]:
    """Return a query as its source reads it."""
    if panel.source is DATABASE:
        shape = "time_series" if panel.kind == LINES else "table"
        return {"rawSql": query.expression, "rawQuery": True, "editorMode": "code", "format": shape}
    return {
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "instant": panel.kind != LINES,
        "range": panel.kind == LINES,
        "format": "table" if panel.kind == TABLE else "time_series",
    }


def color_mode(panel: Panel) -> str:
    """Return how a panel is coloured: numbers by their thresholds, lines each in its own colour."""
    return "thresholds" if panel.kind == STAT else "palette-classic"


def describe_thresholds(panel: Panel) -> dict[str, object]:
    """Return from which value a number has which colour: rising where more is worse, falling where less is."""
    steps: list[tuple[float | None, str]]
    if panel.alarms is None:
        steps = [(None, GREEN if panel.kind == STAT else "text")]
    elif panel.warns is not None and panel.warns > panel.alarms:
        steps = [(None, RED), (panel.alarms, YELLOW), (panel.warns, GREEN)]
    else:
        steps = [(None, GREEN), *([(panel.warns, YELLOW)] if panel.warns is not None else []), (panel.alarms, RED)]
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in steps]}
