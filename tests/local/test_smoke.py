"""The smoke test on a real node: all of it right, and each of its checks made to fail by what it is about.

`WEBITEL_TEST_LONG=1` only: a run of `smoke` takes twenty seconds. `tests/sandbox/test_smoke*.py` has them with real nginx and
rtpengine in every run.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.local.conftest import Figure
from tests.local.deployment import Deployment
from tests.long_form import only_long

pytestmark = [
    pytest.mark.local,
    only_long("takes minutes"),
]

LIMIT_SECONDS = 60


def smoke(deployment: Deployment, status: int) -> dict[str, Any]:
    """What it found."""
    found: dict[str, Any] = json.loads(deployment.webitel("smoke", deployment.name, "--json", status=status).output)
    assert found["seconds"] < LIMIT_SECONDS
    return found


def failed(found: dict[str, Any]) -> set[str]:
    return {row["check"] for row in found["checks"] if row["state"] == "fail"}


@contextmanager
def stopped(deployment: Deployment, unit: str) -> Iterator[None]:
    """A unit that does not run, whatever watches over it."""
    deployment.on_node(f"systemctl stop webitel-watch {unit}")
    try:
        yield
    finally:
        deployment.on_node(f"systemctl start --no-block {unit} webitel-watch")


def test_all_is_right_and_nothing_is_left(healthy: Deployment, figure: Figure) -> None:
    before = healthy.on_node("ls /run /tmp /var/tmp; nft list ruleset | grep -c dport")
    found = smoke(healthy, 0)
    assert found["passed"]
    assert found["seen_as"] == healthy.gateway
    assert failed(found) == set()
    (one, other) = [row["figures"] for row in found["checks"] if row["check"] == "audio"]
    assert one["lost"] == other["lost"] == 0
    figure("smoke of one node", found["seconds"])
    assert healthy.on_node("ls /run /tmp /var/tmp; nft list ruleset | grep -c dport") == before


@pytest.mark.parametrize(
    ("unit", "checks"),
    [
        ("nginx", {"certificate", "web", "api", "web sockets", "sip"}),
        ("sip-websocket", {"web sockets", "sip"}),
        ("opensips", {"sip"}),
        ("rtpengine-daemon", {"audio"}),
        ("webitel-api", {"web", "api"}),
        ("engine", {"web sockets"}),
        ("rabbitmq-server", {"broker"}),
        ("patroni", {"database"}),
        ("consul", {"discovery"}),
    ],
)
def test_what_does_not_run_is_named(unit: str, checks: set[str], healthy: Deployment) -> None:
    with stopped(healthy, unit):
        found = smoke(healthy, 1)
    assert checks <= failed(found), found
    assert all(row["remedy"] for row in found["checks"] if row["state"] == "fail")


def test_a_port_that_somebody_opened_is_named(healthy: Deployment) -> None:
    healthy.on_node("nft insert rule inet webitel input tcp dport 5080 accept")
    try:
        found = smoke(healthy, 1)
    finally:
        healthy.on_node("systemctl reload nftables")
    assert "closed ports" in failed(found)


def test_a_clock_that_is_off_is_named(healthy: Deployment) -> None:
    healthy.on_node(
        "printf '#!/bin/sh\\necho \"System time : 9.0 seconds fast of NTP time\"\\n' >/usr/local/sbin/chronyc; "
        "chmod +x /usr/local/sbin/chronyc"
    )
    try:
        found = smoke(healthy, 1)
    finally:
        healthy.on_node("rm /usr/local/sbin/chronyc")
    assert "clocks" in failed(found)
