"""Calls that a node's own rtpengine holds for a test, and what they hear."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.local.deployment import ROOT, Deployment, wait_until
from tests.tools.held_audio import STATE

CALLS = 20
PROGRAM, UNIT = "/run/webitel-held-audio.py", "webitel-held-audio"


def ask(node: Deployment) -> dict[str, Any]:
    """What the held calls hear."""
    heard: dict[str, Any] = json.loads(node.on_node(f"cat {STATE}"))
    return heard


def await_audio(node: Deployment, seconds: float = 30) -> float:
    """Wait until all calls hear both ends; the longest silence since they last did."""

    def look() -> str:
        heard = ask(node)
        return "" if heard["silent"] == 0 else f"{heard['silent']} of {heard['calls']} calls are silent"

    wait_until(look, seconds)
    gap = float(ask(node)["gap"])
    node.on_node(f"systemctl kill -s USR1 {UNIT}")
    return gap


@contextmanager
def held_calls(node: Deployment) -> Iterator[None]:
    """Calls through the node's rtpengine, which have to be there at the end."""
    node.on_node(f"cat >{PROGRAM}", text=(ROOT / "tests/tools/held_audio.py").read_text())
    node.on_node(f"systemd-run -q --unit {UNIT} -p SuccessExitStatus=0 python3 {PROGRAM} {node.address} {CALLS}")
    try:
        wait_until(lambda: node.on_node(f"test -s {STATE} || echo no call stands"), 20)
        await_audio(node)
        yield
        await_audio(node)
        node.on_node(f"systemctl stop {UNIT}")
        assert node.on_node(f"systemctl is-failed {UNIT} || true") != "failed", "rtpengine knew a call no longer"
    finally:
        node.on_node(f"systemctl stop {UNIT}; systemctl reset-failed {UNIT}; rm -f {PROGRAM} {STATE}", check=False)
