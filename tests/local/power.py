"""What is taken from nodes, given back, and until they are healthy again: power, the way to package repositories."""

import subprocess
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from cli.drills.faults import PACKAGES
from tests.local.deployment import Deployment, wait_until
from tests.local.ports import nodes_of

HEALTHY_SECONDS = 420
"""A bound for several nodes that all boot on a busy machine."""


def incus(*arguments: str) -> None:
    """What a fault or a power cut does."""
    done = subprocess.run(["incus", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def wait_sick(deployment: Deployment, keys: Collection[str], seconds: float) -> float:
    """Wait until `status` finds these nodes not healthy and no others; returns the seconds that it took."""

    def ask() -> str:
        nodes = deployment.status()["nodes"]
        assert nodes
        sick = {
            key: node["problem"] or [f"{row['name']}: {row['why']}" for row in node["services"] if not row["healthy"]]
            for key, node in nodes.items()
            if not node["healthy"]
        }
        return "" if set(sick) == set(keys) else str(sick)

    return wait_until(ask, seconds, pause=2)


def wait_all_healthy(deployment: Deployment, seconds: float) -> float:
    """Wait until `status` finds every node healthy; returns the seconds that it took."""
    return wait_sick(deployment, (), seconds)


def switch_off_and_on(deployment: Deployment) -> float:
    """Power away from all nodes at once and back in another order; returns the seconds until all are healthy."""
    names = [f"{deployment.name}-{key}" for key in nodes_of(deployment)]
    incus("stop", "--force", *names)
    started = time.monotonic()
    for name in reversed(names):
        incus("start", name)
    wait_all_healthy(deployment, HEALTHY_SECONDS)
    return time.monotonic() - started


@contextmanager
def no_packages(*nodes: Deployment) -> Iterator[None]:
    """No way to package repositories from these nodes, as long as a block runs."""
    for node in nodes:
        node.on_node(
            "nft add table inet offline && nft add chain inet offline out '{ type filter hook output priority -300; }' "
            f"&& nft add rule inet offline out tcp dport '{{ {', '.join(PACKAGES)} }}' oif != lo drop"
        )
    try:
        yield
    finally:
        for node in nodes:
            node.on_node("nft delete table inet offline")
