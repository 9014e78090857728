"""Saving a state and putting it back, with an engine that is a script."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.commands.state import backup, restore
from cli.console import Failure
from cli.engine import engine as engines
from cli.engine.engine import Engine
from tests.unit.cli.fakes import make_engine

STACK = "hetzner-basic"
STATE = {
    "version": 3,
    "deployment": {
        "resources": [
            {"type": "pulumi:pulumi:Stack", "urn": f"urn:pulumi:{STACK}::webitel::pulumi:pulumi:Stack::webitel-{STACK}"},
            {
                "type": "hcloud:index/network:Network",
                "urn": f"urn:pulumi:{STACK}::webitel::hcloud:index/network:Network::network",
            },
        ]
    },
}


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the engine writes the state it is given."""
    file = tmp_path / "imported"
    made = make_engine(
        tmp_path,
        f"""
if sys.argv[1:3] == ["stack", "ls"]:
    print(json.dumps([dict(name={STACK!r})]))
elif sys.argv[1:3] == ["stack", "export"]:
    print({json.dumps(STATE)!r})
elif sys.argv[1:3] == ["stack", "import"]:
    open({str(file)!r}, "w").write(sys.stdin.read())
""",
        STACK,
    )

    @contextmanager
    def open_it(stack: str) -> Iterator[Engine]:
        yield made

    monkeypatch.setattr(engines, "open_engine", open_it)
    return file


def test_what_was_saved_is_put_back(tmp_path: Path, imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "saved.json"
    backup(STACK, file)
    assert json.loads(file.read_text()) == STATE
    assert file.stat().st_mode & 0o777 == 0o600
    assert "1 resource of hetzner-basic" in " ".join(capsys.readouterr().out.split())
    restore(STACK, file, yes=True)
    assert json.loads(imported.read_text()) == STATE


def test_nothing_is_overwritten_and_nothing_foreign_is_put_back(tmp_path: Path, imported: Path) -> None:
    file = tmp_path / "saved.json"
    backup(STACK, file)
    with pytest.raises(Failure, match="name a new file"):
        backup(STACK, file)
    with pytest.raises(Failure, match="is the state of hetzner-basic, not of aws-basic"):
        restore("aws-basic", file, yes=True)
    with pytest.raises(Failure, match="confirm with --yes"):
        restore(STACK, file, yes=False)
    (tmp_path / "other").write_text("[]")
    with pytest.raises(Failure, match="is not a saved state"):
        restore(STACK, tmp_path / "other", yes=True)
    with pytest.raises(Failure, match="cannot be read"):
        restore(STACK, tmp_path / "none", yes=True)
    assert not imported.exists()
