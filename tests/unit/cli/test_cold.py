"""The measurement of a first `up`: its stages from what `up` prints, and a copy that is none of this checkout's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import yaml

from cli.console import Failure
from cli.develop import cold

SAID = """Preparing the Python environment in /x (once, about a minute) ...
starting Incus
https://get.pulumi.com cannot be reached
building Pulumi 3.259.0: 900 packages in 100 s
      3s  local image  creating local image
      4s  local image  making the base image with mmdebstrap
     10s  local image  starting a machine from webitel-base-1
     30s  x-all-1  creating local disk
     40s  x-all-1  sending the configuration
     50s  x-all-1  start chrony and 25 more
"""


def run(text: str, status: int = 0) -> tuple[dict[str, float], float]:
    """Watch a program that says this, a line each tenth of a second."""
    program = (
        f"import sys, time\nfor line in {text.splitlines()!r}:\n print(line, flush=True)\n time.sleep(0.1)\nsys.exit({status})"
    )
    return cold.watch([sys.executable, "-c", program], Path("/"), os.environ)


def test_stages_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cold, "SHORTEST_STAGE_SECONDS", 0.0)
    seconds, total = run(SAID)
    assert [name for name, _ in cold.STAGES] == list(seconds)
    assert sum(seconds.values()) == pytest.approx(total, abs=0.01)
    assert seconds["Pulumi engine"] >= 0.25, "three lines of it"


def test_a_stage_that_never_came_is_left_out() -> None:
    seconds, total = run("1s  x-all-1  start chrony\n" * 7)
    assert list(seconds) == ["services"]
    assert total >= seconds["services"] >= 0.5


def test_a_failed_up_shows_its_last_lines() -> None:
    with pytest.raises(Failure, match="no room for local machines"):
        run("starting Incus\nno room for local machines\n", 1)


def test_the_copy_is_like_a_clone(tmp_path: Path) -> None:
    copy = cold.copy_checkout(tmp_path / "copy")
    assert os.access(copy / "webitel", os.X_OK)
    assert not (copy / ".venv").exists()
    cold.write_stack(copy, "local-single", "cold1")
    config = yaml.safe_load((copy / "stacks/Pulumi.cold1.yaml").read_text())["config"]
    assert config["webitel:cloud"] == "local" and config["webitel:network"].endswith("/24")


def test_nothing_of_the_users_is_in_its_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cold, "PLACE", tmp_path)
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///somewhere")
    monkeypatch.setenv("INCUS_SOCKET", "/somewhere/unix.socket")
    with cold.fresh_folders() as (folder, environment):
        assert folder.parent == tmp_path
        assert not {"PULUMI_BACKEND_URL", "INCUS_SOCKET"} & environment.keys()
        own = [name for name, value in environment.items() if value.startswith(str(folder))]
        assert {"XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "PULUMI_HOME", "GOPATH", "INCUS_DIR"} <= set(own)
    assert list(tmp_path.iterdir()) == []
