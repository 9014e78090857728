"""The alerts that fire: what a node tells of them, and what `status` shows of several nodes' answers."""

import http.server
import json
import threading
from typing import Any

import pytest

from cli.show.status import show_alerts
from cloud_init.node.health import alerts
from cloud_init.node.manifest import Manifest
from components.model.report import AlertRow, NodeReport, list_alerts
from tests.unit.node.entries import manifest, probe, service


def alert(
    name: str, state: str = "firing", severity: str = "critical", since: str = "2026-11-29T10:00:00.123Z"
) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, "severity": severity, "node": "app-1", "service": "engine"},
        "annotations": {"means": "No calls.", "look": "./webitel logs app-1 engine", "why": "deaf"},
        "state": state,
        "activeAt": since,
    }


class Prometheus(http.server.BaseHTTPRequestHandler):
    said: list[dict[str, Any]]

    def do_GET(self) -> None:
        assert self.path == "/api/v1/alerts"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"status": "success", "data": {"alerts": self.said}}).encode())

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def asking(port: int) -> Manifest:
    return manifest(services=[service("prometheus", probe("http", address="127.0.0.1", port=port, path="/-/ready"))])


def test_what_fires_is_told_the_worst_first() -> None:
    said = [
        alert("Heartbeat", severity="heartbeat"),
        alert("GrafanaDown", severity="warning", since="2026-11-29T09:00:00Z"),
        alert("EngineDown"),
        alert("NginxDown", state="pending"),
    ]
    handler = type("Handler", (Prometheus,), {"said": said})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.handle_request).start()
        found = alerts.list_firing(asking(server.server_port))
    assert found is not None and [row["name"] for row in found] == ["EngineDown", "GrafanaDown"]
    assert found[0] == {
        "name": "EngineDown",
        "severity": "critical",
        "node": "app-1",
        "service": "engine",
        "since": "2026-11-29T10:00:00Z",
        "means": "No calls. (deaf)",
        "look": "./webitel logs app-1 engine",
    }


def test_nothing_is_told_where_no_prometheus_answers() -> None:
    assert alerts.list_firing(asking(1)) is None and alerts.list_firing(manifest(services=[service("engine")])) is None


def test_an_alert_of_several_nodes_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    def report(key: str, *rows: AlertRow) -> NodeReport:
        return NodeReport(node=key, key=key, healthy=True, alerts=rows)

    late = AlertRow(
        name="EngineDown", severity="critical", node="app-1", since="2026-11-29T10:00:09Z", means="No calls.", look="x"
    )
    early = late.model_copy(update={"since": "2026-11-29T10:00:01Z"})
    mild = AlertRow(name="GrafanaDown", severity="warning", node="data-1", since="2026-11-29T08:00:00Z")
    reports = {"data-1": report("data-1", mild, late), "data-2": report("data-2", early)}
    assert list_alerts(reports) == [early, mild]
    show_alerts(reports)
    shown = capsys.readouterr().out
    assert shown.count("EngineDown") == 1 and "2026-11-29 10:00:01" in shown and "No calls." in shown
    show_alerts({"data-1": report("data-1")})
    assert capsys.readouterr().out == ""
