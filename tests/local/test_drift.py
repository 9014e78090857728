"""What `drift` says of changes made by hand on a real node, and that `up --repair` brings all of it back."""

import re

import pytest

from tests.local.conftest import Figure
from tests.local.deployment import Deployment

pytestmark = pytest.mark.local


def find_drift(single: Deployment, status: int) -> tuple[set[str], str]:
    """The lines that `drift` found, and all it said."""
    done = single.webitel("drift", single.name, status=status)
    return {line.strip() for line in done.output.splitlines() if line.startswith("  ")}, done.said


def test_changes_by_hand_are_named_and_brought_back(healthy: Deployment, figure: Figure) -> None:
    assert find_drift(healthy, 0)[0] == set()
    resources = healthy.resources()
    file = next(path for path in healthy.find_resource("NodeConfiguration")["inputs"]["files"] if "/nginx/conf.d/" in path)
    healthy.on_node(
        f"echo '# by hand: a-password-of-somebody' >>{file}; "
        "systemctl disable -q --now chrony; apt-mark unhold nginx >/dev/null; "
        "DEBIAN_FRONTEND=noninteractive apt-get remove -qy --allow-change-held-packages fail2ban >/dev/null",
        seconds=120,
    )
    changed, said = find_drift(healthy, 2)
    assert {
        f"all-1 file {file}: content changed",
        "all-1 unit chrony: disabled and stopped",
        "all-1 unit fail2ban: is gone",
        "all-1 package fail2ban: removed",
        "all-1 package nginx: no longer held",
    } <= changed
    assert all(re.fullmatch(r"all-1 (file|unit|package) \S+: [a-z ]+", line) for line in changed), changed
    assert "a-password-of-somebody" not in said
    assert f"./webitel up {healthy.name} --repair" in said
    assert healthy.resources() == resources, "a look changes nothing"
    done = healthy.up("--repair")
    figure("up --repair", done.seconds)
    assert find_drift(healthy, 0)[0] == set()
    assert "by hand" not in healthy.on_node(f"cat {file}")
    assert healthy.on_node("systemctl is-enabled chrony fail2ban; systemctl is-active chrony fail2ban").split() == [
        "enabled",
        "enabled",
        "active",
        "active",
    ]
    held = healthy.on_node("apt-mark showhold").split()
    assert "nginx" in held and "fail2ban" not in held, "security updates renew who has no part in a call"
    assert "Nothing to change." in healthy.up().output


def test_a_node_that_cannot_be_asked_is_said(healthy: Deployment) -> None:
    # Masked: the node's watcher would start it again.
    healthy.on_node("systemctl mask --runtime -q ssh && systemctl stop ssh")
    try:
        _, said = find_drift(healthy, 1)
    finally:
        healthy.on_node("systemctl unmask --runtime -q ssh && systemctl start ssh")
    assert re.search(rf"Unknown: {healthy.name}-all-1 could not be asked, so its files", " ".join(said.split()))
    assert "No drift, as far as is known." in said
    assert find_drift(healthy, 0)[0] == set()
    assert "nodes were not asked" in healthy.webitel("drift", healthy.name, "--no-nodes").output
