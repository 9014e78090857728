"""`schema` and `render`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.__main__ import app
from stacks import settings as stack_settings
from stacks.schema import schema

SALTED = """# yaml-language-server: $schema=schema.json
encryptionsalt: v1:abc
config:
  webitel:cloud: aws
  webitel:tier: basic # three nodes
  webitel:operators: [203.0.113.0/24]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one stack file."""
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    monkeypatch.setattr(stack_settings, "STACKS", stacks)
    (stacks / "Pulumi.aws-basic.yaml").write_text(SALTED)
    return stacks


def run(*arguments: str) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, list(arguments))


def test_schema() -> None:
    assert json.loads(run("schema").stdout) == schema()


def refuse(*_: object, **__: object) -> None:
    """What a file system of others does."""
    raise PermissionError(13, "Permission denied", "/there")


def test_render_into_a_folder_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "mkdir", refuse)
    result = run("render", "local-single", str(tmp_path / "there"))
    assert "/there cannot be written: Permission denied; name a folder of your own: ./webitel render local-single DIR" in str(
        result.exception
    )


def test_render_writes_every_node_twice_the_same(tmp_path: Path) -> None:
    for name in ("one", "two"):
        result = run("render", "aws-basic", str(tmp_path / name))
        assert result.exit_code == 0, result.output
    nodes = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert nodes == ["aws-basic-app-1", "aws-basic-data-1", "aws-basic-edge-1"]
    for node in nodes:
        sent = (tmp_path / "one" / node / "user-data").read_bytes()
        assert len(sent) <= 16384 and sent.isascii()
        assert (tmp_path / "one" / node / "user-data.decoded").read_text().startswith("#cloud-config\n")
        assert json.loads((tmp_path / "one" / node / "units.json").read_text())
        assert list((tmp_path / "one" / node / "files").rglob("*.conf"))
    one, two = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in ("one", "two")
    )
    assert one == two
