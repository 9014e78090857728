"""Alarms that ring and end by their cause on a real node, told by its Alertmanager to real servers at the gateway; and the dead
man's switch, which tells when monitoring itself is gone.

`WEBITEL_TEST_LONG=1` only: an alert rings minutes after its cause. `tests/sandbox` has every rule's firing and clearing series.
"""

import time
from collections.abc import Iterator

import pytest

from tests.local.conftest import Figure
from tests.local.deployment import Deployment, wait_until
from tests.local.hooks import Told, take_alerts
from tests.long_form import only_long

pytestmark = [pytest.mark.local, only_long("alerts ring minutes after their cause")]

NIGHT, SENDER = "night@your-company.com", "phones@your-company.com"
BEAT_SECONDS = 60.0
RING_SECONDS, END_SECONDS = 600, 300
KEPT_AWAY = "/run/systemd/system/{unit}.service.d"
CHRONYC = "/usr/local/sbin/chronyc"
"""A faked answer: it goes before the real one's, and the node's clock is this machine's."""


def keep_away(unit: str) -> str:
    """A unit that nothing can start: the watcher starts what is only dead."""
    folder = KEPT_AWAY.format(unit=unit)
    return (
        f"mkdir -p {folder} && printf '[Unit]\\nConditionPathExists=!/\\n' >{folder}/test.conf && "
        f"systemctl daemon-reload && systemctl stop {unit}"
    )


def let_back(unit: str) -> str:
    return f"rm -r {KEPT_AWAY.format(unit=unit)} && systemctl daemon-reload && systemctl start --no-block {unit}"


CAUSES = {
    "EngineDown": (keep_away("engine"), let_back("engine")),
    "GrafanaDown": (keep_away("grafana-server"), let_back("grafana-server")),
    "BrokerBlocked": ("rabbitmqctl -q set_disk_free_limit 100000GB", "rabbitmqctl -q set_disk_free_limit 50MB"),
    "ClockOff": (
        f"printf '#!/bin/sh\\necho \"System time : 9.0 seconds fast of NTP time\"\\n' >{CHRONYC}; chmod +x {CHRONYC}",
        f"rm {CHRONYC}",
    ),
}
"""By alert what is done to the node, and what ends it."""


@pytest.fixture(scope="module")
def told(single: Deployment) -> Iterator[Told]:
    """What is told while the deployment names servers of ours."""
    with take_alerts(single.gateway) as made:
        single.set(
            alert_webhook=made.url,
            alert_mail=[NIGHT],
            alert_mail_server=made.mail_server,
            alert_mail_from=SENDER,
            alert_mail_tls=False,
        )
        single.set_secret("alert_heartbeat", made.heartbeat_url)
        single.up()
        try:
            yield made
        finally:
            single.set(
                alert_webhook=None,
                alert_mail=None,
                alert_mail_server=None,
                alert_mail_from=None,
                alert_mail_tls=None,
                alert_heartbeat=None,
            )
            single.up()


def test_causes_ring_by_mail_and_hook_and_are_over(healthy: Deployment, told: Told, figure: Figure) -> None:
    node = healthy.key

    def wait_for(status: str, seconds: float) -> None:
        began = time.monotonic()
        waiting = set(CAUSES)
        while waiting:
            for name in sorted(waiting):
                mailed = any(f"Subject: {status.upper()}" in mail and f" {name} (" in mail for mail in told.mails)
                if (status, name, node) in told.alerts and mailed:
                    waiting.remove(name)
                    figure(f"{name}: told '{status}' after", time.monotonic() - began)
            assert time.monotonic() - began < seconds, (waiting, told)
            time.sleep(1)

    try:
        for cause, _ in CAUSES.values():
            healthy.on_node(cause)
        wait_for("firing", RING_SECONDS)
        named = {alert["name"] for alert in healthy.status()["nodes"][node]["alerts"]}
        assert named >= CAUSES.keys(), named
        assert all(NIGHT in mail and SENDER in mail for mail in told.mails)
    finally:
        for _, end in CAUSES.values():
            healthy.on_node(end, check=False)
    wait_for("resolved", END_SECONDS)
    healthy.wait_healthy(120)


def test_the_dead_mans_switch_stops_with_prometheus_and_begins_again(healthy: Deployment, told: Told, figure: Figure) -> None:
    def is_beating(since: float) -> str:
        return "" if any(moment > since for moment in told.beats) else f"{len(told.beats)} beats, none of late"

    wait_until(lambda: is_beating(time.monotonic() - BEAT_SECONDS), 180)
    began = time.monotonic()
    healthy.on_node(keep_away("prometheus"))
    try:
        wait_until(lambda: "" if is_beating(time.monotonic() - 3 * BEAT_SECONDS) else "it beats", RING_SECONDS)
        figure("heartbeat: the last one after Prometheus had stopped", max(told.beats) - began)
    finally:
        began = time.monotonic()
        healthy.on_node(let_back("prometheus"))
    figure("heartbeat: again after", wait_until(lambda: is_beating(began), 300))
