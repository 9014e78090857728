"""Debian's Prometheus and node exporter on the files that a node gets."""

import json
import os
import re
import shlex
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud_init.alerts import FOLDER
from cloud_init.node.health import figures
from tests.sandbox.platform import free_port
from tests.sandbox.runner import ADDRESS, node_files
from tests.unit.node.entries import manifest, service

pytestmark = pytest.mark.sandbox

WAIT_SECONDS = 30.0
BUNDLED = "/usr/share/webitel/bundles/alerts"


def arguments(text: str) -> list[str]:
    """The words of `ARGS` as systemd makes them of the file."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return shlex.split(shlex.split(lines.replace("\\\n", ""))[0].partition("=")[2])


class Place:
    """Prometheus on free ports of this machine, with one sample a second."""

    def __init__(self, folder: Path) -> None:
        self.port, self.folder = free_port(), folder
        self.files = {path: self.fill(text) for path, text in node_files().items()}
        self.running: list[subprocess.Popen[bytes]] = []

    def fill(self, text: str) -> str:
        text = re.sub(r"\{\{address:[^}]*\}\}", ADDRESS, text).replace("127.0.0.1:9090", f"127.0.0.1:{self.port}")
        text = text.replace("15s", "1s").replace("scrape_timeout: 10s", "scrape_timeout: 1s")
        for there, here in (
            ("/var/lib/prometheus", self.folder / "data"),
            ("/run/webitel-metrics", self.folder),
            (BUNDLED, FOLDER),
        ):
            text = text.replace(there, str(here))
        return text

    def start(self, program: str, *more: str) -> None:
        with (self.folder / f"{program}.log").open("w") as log:
            words = arguments(self.files[f"/etc/default/{program}"])
            self.running.append(
                subprocess.Popen([program, *words, *more], stdout=log, stderr=log, env={"PATH": os.environ["PATH"]})
            )

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=5) as answer:
            return json.load(answer)["data"]

    def wait_for(self, query: str) -> list[Any]:
        """The rows of a query, once there are any."""
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            try:
                if rows := self.ask(f"query?query={urllib.parse.quote(query)}")["result"]:
                    return list(rows)
            except OSError:
                pass
            time.sleep(0.3)
        raise AssertionError(f"{query}: nothing\n" + (self.folder / "prometheus.log").read_text()[-2000:])


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    for process in made.running:
        process.kill()
        process.wait()


def test_a_probe_that_fails_is_an_alert_and_nothing_of_ours_is_refused(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "FILE", tmp_path / "webitel.prom")
    known = manifest(services=[service("engine")])
    row: Any = {"name": "engine", "title": "", "units": {"engine": "active"}, "healthy": False, "why": 'says "no"\n', "log": []}
    report: Any = {"node": "n", "key": "all-1", "services": [row], "disks": [], "machine": [], "healthy": False, "uptime": 1.0}
    figures.write_public(figures.format_samples(list(figures.list_samples(known, report, []))))
    (tmp_path / "prometheus.yml").write_text(place.files["/etc/prometheus/prometheus.yml"])
    place.start("prometheus-node-exporter")
    (tmp_path / "alertmanager.yml").write_text(place.files["/etc/prometheus/alertmanager.yml"])
    place.start("prometheus-alertmanager", f"--config.file={tmp_path / 'alertmanager.yml'}")
    place.start("prometheus", f"--config.file={tmp_path / 'prometheus.yml'}")
    (found,) = place.wait_for('webitel_service_healthy{service="engine"}')
    assert found["value"][1] == "0" and found["metric"]["node"] == "all-1" and found["metric"]["role"] == "all"
    (pending,) = place.wait_for('ALERTS{alertname="EngineDown"}')
    assert pending["metric"]["alertstate"] == "pending" and pending["metric"]["severity"] == "critical"
    (beat,) = place.wait_for('ALERTS{alertname="Heartbeat",alertstate="firing"}')
    assert beat["metric"]["severity"] == "heartbeat"
    jobs = {target["labels"]["job"] for target in place.ask("targets")["activeTargets"]}
    assert jobs == {"blackbox-exporter", "alertmanager", "haproxy", "postgresql", "rabbitmq", "node-exporter", "prometheus"}
    assert place.wait_for('up{job="prometheus"} == 1') and place.wait_for('up{job="haproxy"} == 0')
    failing = place.ask(f"query?query={urllib.parse.quote('node_scrape_collector_success == 0')}")["result"]
    assert [one["metric"]["collector"] for one in failing] == []
    assert len(place.ask("rules")["groups"]) > 20
    # Every figure that rules ask these programs for is one that they give.
    assert place.wait_for('up{job="alertmanager"} == 1')
    blind = {row["metric"]["alertname"] for row in place.wait_for("ALERTS")}
    assert not blind & {f"{name}AnswersUnknown" for name in ("NodeExporter", "Prometheus", "Alertmanager")}
    assert "RulesRefused" not in blind and "ReportMissing" not in blind


def test_a_node_program_that_tells_nothing_is_an_alert(place: Place, tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(place.files["/etc/prometheus/prometheus.yml"])
    place.start("prometheus-node-exporter")
    place.start("prometheus", f"--config.file={tmp_path / 'prometheus.yml'}")
    (found,) = place.wait_for('ALERTS{alertname="ReportMissing"}')
    assert found["metric"]["node"] == "all-1" and found["metric"]["service"] == "node-exporter"
