"""A deployment that lived through much is deleted to nothing."""

import subprocess
from pathlib import Path

import pytest

from tests.local.deployment import Deployment
from tests.local.test_interruptions import find_machine, list_incus

pytestmark = pytest.mark.local


def test_destroy_leaves_nothing(settled: Deployment) -> None:
    refused = settled.webitel("destroy", settled.name, status=1)
    assert "--yes" in refused.said
    find_machine(settled)
    images = set(list_incus("image", "alias", "list"))
    settled.webitel("destroy", settled.name, "--yes", seconds=120)
    assert [name for name in list_incus("list") if name.startswith(settled.name)] == []
    assert [name for name in list_incus("storage", "volume", "list", "webitel") if name.startswith(settled.name)] == []
    networks = subprocess.run(
        ["incus", "network", "list", "--format", "json"], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    ).stdout
    assert str(settled.network[1]) not in networks
    # The images with the packages serve every deployment of this machine; nothing in them is this one's.
    assert all(settled.name not in alias for alias in images)
    state = Path(settled.environment["XDG_DATA_HOME"])
    assert [path for path in state.rglob("*") if settled.name in path.name and path.is_file()] == []
    assert "is not up" in settled.webitel("status", settled.name, status=1).said
    assert settled.find_changed_files() == []
