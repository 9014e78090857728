"""Where data disks are part of their machines, nothing begins that would delete one with data, unless that may go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.commands import scale
from components.model import resource_types
from stacks import settings as stack_settings

FILE = "config:\n  webitel:cloud: xen\n  webitel:tier: basic\n  webitel:counts: {data: 3}\n  webitel:image: debian-12\n"
PARENT = "urn:pulumi:s::webitel::webitel:index:Cloud$webitel:index:Node::"
VM = "xenorchestra:index/vm:Vm"


class Engine:
    """A backend with three nodes of data; `up` and whatever else is run is remembered."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, ...]] = []

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def exists(self) -> bool:
        return True

    def resources(self) -> list[dict[str, Any]]:
        keys = [f"data-{n}" for n in (1, 2, 3)]
        groups = [{"type": resource_types.NODE, "urn": f"{PARENT}{key}"} for key in keys]
        machines = [
            {"type": VM, "urn": f"urn:pulumi:s::webitel::{VM}::{key}", "parent": f"{PARENT}{key}", "protect": True}
            for key in keys
        ]
        return [*groups, *machines]

    def run(self, *arguments: str) -> str:
        self.ran.append(arguments)
        return ""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A stack file and an engine that only remembers."""
    fake = Engine()
    monkeypatch.setattr(stack_settings, "STACKS", tmp_path)
    (tmp_path / "Pulumi.s.yaml").write_text(FILE)
    monkeypatch.setattr("cli.engine.engine.open_engine", lambda stack: fake)
    monkeypatch.setattr(scale, "bring_up", lambda *words, again="", **more: fake.ran.append(("up", again)))
    return fake


def refuse(engine: Engine, tmp_path: Path, *words: str) -> str:
    """What a command says that must do nothing."""
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 1 and engine.ran == [] and (tmp_path / "Pulumi.s.yaml").read_text() == FILE
    return str(ran.exception)


def test_a_node_with_data_is_not_replaced(engine: Engine, tmp_path: Path) -> None:
    told = refuse(engine, tmp_path, "replace", "data-1", "--stack", "s", "--yes")
    assert "data-1: data is on disks of its own machine, and XCP-ng has no way to keep them without" in told
    assert "Nothing was changed" in told and "docs/operate/xen.md" in told


def test_nothing_is_destroyed_without_its_data(engine: Engine, tmp_path: Path) -> None:
    told = refuse(engine, tmp_path, "destroy", "s", "--yes")
    assert "destroy would delete it" in told and "./webitel destroy s --with-data" in told


def test_no_node_leaves_without_its_data(engine: Engine, tmp_path: Path) -> None:
    told = refuse(engine, tmp_path, "scale", "data", "1", "s", "--yes")
    assert "data-2, data-3: data is on disks of their own machines" in told
    assert "./webitel scale data 1 s --delete-data --yes" in told


def test_it_leaves_with_its_data_where_that_was_said(engine: Engine) -> None:
    ran = CliRunner().invoke(app, ["scale", "data", "1", "s", "--delete-data", "--yes"])
    assert ran.exit_code == 0, ran.exception
    opened = [f"urn:pulumi:s::webitel::{VM}::data-{n}" for n in (2, 3)]
    again = "./webitel scale data 1 s --delete-data"
    assert engine.ran == [("up", again), ("state", "unprotect", *opened, "--yes"), ("up", again)]
