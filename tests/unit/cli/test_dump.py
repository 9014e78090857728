"""`dump`: one archive, silent nodes said, no secret in any of its forms."""

from __future__ import annotations

import json
import stat
import tarfile
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.nodes.access import Access, Answer
from tests.unit.cli.fakes import make_node

SECRETS = {"database_password": "pa55-word_of-the-database", "storage_key": "-----BEGIN X-----\n" + "A1b2" * 12 + "\nzz==\n"}


class State:
    """A state that knows the secrets."""

    def open_resources(self) -> list[dict[str, Any]]:
        return [{"type": "webitel:index:Secrets", "outputs": {"values": SECRETS}}]


def gather(monkeypatch: pytest.MonkeyPatch, target: Path, answers: Mapping[str, Answer]) -> tuple[dict[str, str], str]:
    """The archive's texts by name, and what the command said."""
    nodes = {key: make_node(key) for key in answers}
    access = Access(nodes, "", "")

    async def ask(*_: object) -> Mapping[str, Answer]:
        return answers

    monkeypatch.setattr("cli.engine.engine.open_engine", lambda stack: nullcontext(State()))
    monkeypatch.setattr("cli.nodes.access.read_access", lambda engine: access)
    monkeypatch.setattr("cli.nodes.access.ask_nodes", ask)
    result = CliRunner().invoke(app, ["dump", "local-basic", str(target)])
    assert result.exit_code == 0, result.exception
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with tarfile.open(target) as archive:
        texts = {entry.name: (archive.extractfile(entry) or pytest.fail(entry.name)).read().decode() for entry in archive}
    return texts, " ".join(result.stdout.split())


def test_every_secret_is_masked_and_silent_nodes_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = {
        "logs/a.log": f"login with {SECRETS['database_password']} failed",
        "files/etc/key.pem": SECRETS["storage_key"],
        "files/etc/a.json": json.dumps(SECRETS),
        "units.txt": "a.service active",
    }
    texts, output = gather(
        monkeypatch,
        tmp_path / "d.tar.gz",
        {
            "app-1": Answer(0, json.dumps(said)),
            "data-1": Answer(problem="no answer within 120 s"),
            "edge-1": Answer(1, "", "Traceback: no such command"),
        },
    )
    whole = "".join(texts.values())
    assert SECRETS["database_password"] not in whole and "A1b2" * 12 not in whole
    assert texts["local-basic/local-basic-app-1/logs/a.log"] == "login with [secret] failed"
    assert texts["local-basic/local-basic-app-1/units.txt"] == "a.service active"
    assert texts["local-basic/local-basic-data-1/no-answer.txt"] == "no answer within 120 s"
    assert "no such command" in texts["local-basic/local-basic-edge-1/no-answer.txt"]
    assert "nothing from data-1, edge-1" in output
    assert "local-basic/plan.json" in texts


def test_an_archive_is_not_overwritten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gather(monkeypatch, tmp_path / "d.tar.gz", {"app-1": Answer(0, "{}")})
    result = CliRunner().invoke(app, ["dump", "local-basic", str(tmp_path / "d.tar.gz")])
    assert result.exit_code == 1 and "already exists" in str(result.exception)
