"""Every part of a dashboard has the fields that Grafana's own schema asks for, and no other (`docs/facts/monitoring.md` 4)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cloud_init.dashboard import describe
from cloud_init.dashboards import DASHBOARDS


@dataclass(frozen=True)
class Part:
    """What Grafana asks of a part, what else it knows, and the values that a field may have."""

    asked: str
    known: str = ""
    values: tuple[tuple[str, tuple[object, ...]], ...] = ()


LINK = Part(
    "asDropdown icon includeVars keepTime tags targetBlank title tooltip type",
    "url",
    (("type", ("link", "dashboards")),),
)
PANEL = Part(
    "type options fieldConfig transformations",
    "id title description datasource gridPos targets links maxDataPoints interval timeFrom transparent repeat repeatDirection",
    (("type", ("stat", "timeseries", "table")),),
)
OPTIONS = {
    "stat": Part(
        "colorMode graphMode justifyMode orientation percentChangeColorMode reduceOptions showPercentChange textMode wideLayout",
        "text",
        (
            ("colorMode", ("value", "background", "background_solid", "none")),
            ("graphMode", ("none", "area", "line")),
            ("justifyMode", ("auto", "center")),
            ("orientation", ("auto", "horizontal", "vertical")),
            ("percentChangeColorMode", ("inverted", "same_as_value", "standard")),
            ("textMode", ("auto", "name", "none", "value", "value_and_name")),
        ),
    ),
    "timeseries": Part("legend tooltip", "timezone"),
    "table": Part("frameIndex showHeader", "cellHeight showTypeIcons sortBy"),
}
LEGEND = Part(
    "calcs displayMode placement showLegend",
    "sortBy sortDesc width",
    (("displayMode", ("hidden", "list", "table")), ("placement", ("bottom", "right"))),
)
TOOLTIP = Part("mode sort", "maxHeight maxWidth", (("mode", ("multi", "none", "single")), ("sort", ("asc", "desc", "none"))))
STATEMENT = Part("refId rawSql rawQuery format", "datasource editorMode", (("format", ("time_series", "table")),))
TARGET = Part("refId expr", "datasource legendFormat instant range format editorMode", (("format", ("time_series", "table")),))
BOARD = Part(
    "schemaVersion editable graphTooltip",
    "uid title description tags timezone time timepicker refresh links panels templating annotations version",
    (("graphTooltip", (0, 1, 2)),),
)
DEFAULTS = Part("unit color thresholds", "min max decimals mappings noValue custom displayName")
THRESHOLDS = Part("mode steps", "", (("mode", ("absolute", "percentage")),))


def list_parts() -> Iterator[tuple[str, Part, dict[str, Any]]]:
    """Every part of every dashboard with what it has to be."""
    for board in DASHBOARDS:
        found: dict[str, Any] = describe(board)
        yield board.name, BOARD, found
        yield from ((f"{board.name}: link", LINK, link) for link in found["links"])
        for panel in found["panels"]:
            where = f"{board.name}: {panel['title']}"
            yield where, PANEL, panel
            yield f"{where}: options", OPTIONS[panel["type"]], panel.get("options", {})
            if panel["type"] == "timeseries":
                yield f"{where}: legend", LEGEND, panel.get("options", {}).get("legend", {})
                yield f"{where}: tooltip", TOOLTIP, panel.get("options", {}).get("tooltip", {})
            if panel["type"] == "stat":
                yield f"{where}: reduceOptions", Part("calcs", "fields limit values"), panel["options"]["reduceOptions"]
            yield from ((f"{where}: target", STATEMENT if "rawSql" in target else TARGET, target) for target in panel["targets"])
            yield f"{where}: fieldConfig", Part("defaults overrides"), panel["fieldConfig"]
            yield f"{where}: defaults", DEFAULTS, panel["fieldConfig"]["defaults"]
            yield f"{where}: thresholds", THRESHOLDS, panel["fieldConfig"]["defaults"]["thresholds"]
            yield from (
                (f"{where}: transformation", Part("id options", "disabled filter topic"), one)
                for one in panel.get("transformations", ())
            )


def test_it_is_what_grafana_reads() -> None:
    wrong = []
    for where, part, found in list_parts():
        asked, known = set(part.asked.split()), set(part.known.split())
        wrong += [f"{where}: {field} is missing" for field in asked - set(found)]
        wrong += [f"{where}: {field} is unknown to Grafana" for field in set(found) - asked - known]
        wrong += [f"{where}: {field}" for field, values in part.values if found.get(field, values[0]) not in values]
    assert wrong == []


def test_thresholds_rise_from_minus_infinity_and_panels_have_numbers_of_their_own() -> None:
    for board in DASHBOARDS:
        panels: Any = describe(board)["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        for panel in panels:
            first, *others = [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
            assert first is None and others == sorted(others), panel["title"]
