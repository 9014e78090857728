"""Debian's Alertmanager on the file that a node gets: what servers of mail and of the web really receive."""

import json
import os
import re
import socketserver
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cloud_init.alerts import describe_rule
from components.model.catalogue.alerts import ALERTS
from tests.sandbox.platform import free_port
from tests.sandbox.runner import node_files
from tests.sandbox.test_prometheus import arguments

pytestmark = pytest.mark.sandbox

WAIT_SECONDS = 20.0
TOKEN, KEY = 'to"ken\\: #1', "pager-key"


@dataclass
class Received:
    """What came in: mails, and requests by path with their token and body; and where `alertmanager` takes alerts."""

    alertmanager: str = ""
    mails: list[str] = field(default_factory=list)
    greetings: set[str] = field(default_factory=set)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)

    def bodies(self, path: str) -> list[Any]:
        return [body for where, _, body in self.requests if where == path]


class Mail(socketserver.StreamRequestHandler):
    """A mail server (RFC 5321) that takes whatever it is sent."""

    received: Received

    def handle(self) -> None:
        self.say("220 test")
        while line := self.rfile.readline().decode().strip():
            match line.split(" ")[0].upper():
                case "EHLO" | "HELO":
                    self.received.greetings.add(line.split(" ")[1])
                    self.say("250 test")
                case "DATA":
                    self.say("354 go on")
                    lines = iter(self.rfile.readline, b".\r\n")
                    self.received.mails.append(b"".join(lines).decode())
                    self.say("250 taken")
                case "QUIT":
                    self.say("221 bye")
                    return
                case _:
                    self.say("250 test")

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class Web(BaseHTTPRequestHandler):
    """Webhooks of all kinds."""

    received: Received

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.received.requests.append((self.path, self.headers.get("Authorization", ""), body))
        self.send_response(202 if self.path == "/pager" else 200)
        self.end_headers()
        self.wfile.write(b'{"status":"success"}' if self.path == "/pager" else b"ok")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def received(tmp_path: Path) -> Iterator[Received]:
    """What an Alertmanager with every kind of target sends; it waits seconds where ours waits minutes."""
    found = Received()
    mail = socketserver.ThreadingTCPServer(("127.0.0.1", 0), type("Mail", (Mail,), {"received": found}))
    web = ThreadingHTTPServer(("127.0.0.1", 0), type("Web", (Web,), {"received": found}))
    for server in (mail, web):
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{web.server_port}"
    files = node_files(
        alert_mail=["night@your-company.com"],
        alert_mail_server=f"127.0.0.1:{mail.server_address[1]}",
        alert_mail_from="phones@your-company.com",
        alert_mail_tls=False,
        alert_webhook=f"{url}/hook",
        alert_webhook_token="SET",
        alert_slack="SET",
        alert_pagerduty="SET",
        alert_pagerduty_server=f"{url}/pager",
        alert_heartbeat="SET",
    )
    secrets = {
        "alert_webhook_token": TOKEN,
        "alert_slack": f"{url}/slack",
        "alert_pagerduty": KEY,
        "alert_heartbeat": f"{url}/heartbeat",
    }
    text = re.sub(r"\{\{secret:(\w+)\}\}", lambda name: secrets[name[1]], files["/etc/prometheus/alertmanager.yml"])
    text = re.sub(r"(wait|group_interval): \w+", r"\1: 1s", text)
    (tmp_path / "alertmanager.yml").write_text(text.replace("repeat_interval: 30s", "repeat_interval: 500ms"))
    port = free_port()
    words = arguments(files["/etc/default/prometheus-alertmanager"].replace("{{address:all-1}}:9093", f"127.0.0.1:{port}"))
    words = [word.replace("/var/lib/prometheus", str(tmp_path)) for word in words]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            ["prometheus-alertmanager", f"--config.file={tmp_path / 'alertmanager.yml'}", *words],
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"]},
        )
    found.alertmanager = f"http://127.0.0.1:{port}/api/v2/alerts"
    try:
        yield found
    finally:
        process.kill()
        process.wait()
        mail.shutdown()
        web.shutdown()


def tell(received: Received, service: str, name: str, *, over: bool = False, **labels: str) -> None:
    """Tell Alertmanager of an alert as Prometheus does, with the rule's own texts."""
    rule: Any = describe_rule(service, next(alert for alert in ALERTS[service] if alert.name == name))
    now = datetime.now(UTC)
    alert = {
        "labels": {"alertname": name, **rule["labels"], **labels},
        "annotations": {**rule["annotations"], "why": "queue x has no consumer"},
        "startsAt": (now - timedelta(minutes=5)).isoformat(),
        "endsAt": (now - timedelta(seconds=1) if over else now + timedelta(minutes=5)).isoformat(),
    }
    request = urllib.request.Request(
        received.alertmanager, json.dumps([alert]).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    wait(lambda: can_send(request), "Alertmanager takes no alert")


def can_send(request: urllib.request.Request) -> bool:
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status) == 200
    except OSError:
        return False


def wait(is_so: Callable[[], object], otherwise: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)


def test_a_critical_alert_reaches_every_target_and_so_does_its_end(received: Received) -> None:
    tell(received, "engine", "EngineDown", node="app-1")
    wait(lambda: received.mails and received.bodies("/hook") and received.bodies("/slack"), str(received))
    wait(lambda: received.bodies("/pager"), str(received))
    (mail,) = received.mails
    assert received.greetings == {"example.com"}, "servers refuse who greets them as localhost"
    assert "Subject: FIRING critical EngineDown (local-single)" in mail and "To: night@your-company.com" in mail
    assert ALERTS["engine"][0].means in mail.replace("=\r\n", "") and "queue x has no consumer" in mail and "on app-1" in mail
    ((_, token, hook),) = [one for one in received.requests if one[0] == "/hook"]
    assert token == f"Bearer {TOKEN}" and hook["status"] == "firing"
    assert hook["alerts"][0]["labels"]["node"] == "app-1" and hook["alerts"][0]["annotations"]["means"]
    (pager,) = received.bodies("/pager")
    assert pager["routing_key"] == KEY and pager["event_action"] == "trigger" and pager["payload"]["severity"] == "critical"
    check_pager(pager)
    (slack,) = received.bodies("/slack")
    check_slack(slack)
    assert "EngineDown" in slack["attachments"][0]["title"] and "app-1" in slack["attachments"][0]["text"]
    tell(received, "engine", "EngineDown", over=True, node="app-1")
    wait(
        lambda: len(received.mails) > 1 and len(received.bodies("/hook")) > 1 and len(received.bodies("/pager")) > 1,
        str(received),
    )
    assert "Subject: RESOLVED critical EngineDown" in received.mails[1]
    assert received.bodies("/hook")[1]["status"] == "resolved" and received.bodies("/pager")[1]["event_action"] == "resolve"
    # Else it would stay open there.
    assert received.bodies("/pager")[1]["dedup_key"] == pager["dedup_key"]
    wait(lambda: len(received.bodies("/slack")) > 1, str(received))
    check_slack(received.bodies("/slack")[1])


def check_pager(event: dict[str, Any]) -> None:
    """What PagerDuty's Events API v2 asks of an event (`facts/monitoring.md`, targets)."""
    assert event["event_action"] in ("trigger", "acknowledge", "resolve")
    assert 0 < len(event["dedup_key"]) <= 255
    payload = event["payload"]
    assert 0 < len(payload["summary"]) <= 1024 and payload["source"]
    assert payload["severity"] in ("critical", "error", "warning", "info")


def check_slack(message: dict[str, Any]) -> None:
    """What Slack asks of a message by an incoming webhook: attachments, each with a plain text for who sees no other."""
    assert message["attachments"]
    for one in message["attachments"]:
        assert one["fallback"] and one["title"] and one["text"]


def test_a_warning_wakes_nobody_and_the_heartbeat_goes_on_beating(received: Received) -> None:
    tell(received, "prometheus", "Heartbeat")
    tell(received, "grafana", "GrafanaDown", node="data-1")
    wait(lambda: len(received.bodies("/heartbeat")) >= 3, str(received))
    wait(lambda: received.bodies("/hook"), str(received))
    assert {alert["labels"]["alertname"] for hook in received.bodies("/hook") for alert in hook["alerts"]} == {"GrafanaDown"}
    assert received.bodies("/pager") == []


def test_a_silent_node_is_one_alert(received: Received) -> None:
    tell(received, "node-exporter", "NodeSilent", node="app-1")
    # Alerts as old as these are told of at once, also where the inhibitor has not read yet what came a moment before.
    wait(lambda: received.bodies("/hook"), str(received))
    tell(received, "engine", "EngineDown", node="app-1")
    tell(received, "engine", "EngineDown", node="app-2")
    wait(lambda: len(received.bodies("/hook")) >= 2, str(received))
    told = {(one["labels"]["alertname"], one["labels"]["node"]) for hook in received.bodies("/hook") for one in hook["alerts"]}
    assert told == {("NodeSilent", "app-1"), ("EngineDown", "app-2")}
