"""`schema`, `init` and `render`."""

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


def test_init_copies_and_says_what_to_edit(folder: Path) -> None:
    result = run("init", "acme-voice")
    assert result.exit_code == 0, result.output
    assert (folder / "Pulumi.acme-voice.yaml").read_text() == SALTED.replace("encryptionsalt: v1:abc\n", "")
    for part in ("webitel:domain", "webitel:operators", "webitel:repository_user", "./webitel plan acme-voice"):
        assert part in result.stdout


@pytest.mark.parametrize(
    ("lines", "left_out"),
    [
        ("webitel:repository_password: {secure: v1:a}", ["webitel:repository_password"]),
        ("webitel:repository_password:\n    secure: v1:a", ["webitel:repository_password"]),
        ("aws:secretKey: {secure: v1:a}\n  aws:region: eu-west-1", ["aws:secretKey"]),
        (
            "webitel:repository_user:\n    secure: v1:a\n  webitel:freeswitch_token:\n    secure: v1:b",
            ["webitel:repository_user", "webitel:freeswitch_token"],
        ),
        ("other:list:\n    - secure: v1:a\n    - plain", ["other:list"]),
        ("other:map: {deep: {deeper: {secure: v1:a}}}", ["other:map"]),
        ('"webitel:repository_password": {"secure": "v1:a"}', ["webitel:repository_password"]),
        ("webitel:repository_password: # the reader's\n    secure: v1:a # old", ["webitel:repository_password"]),
        ("webitel:disk_sizes:\n    data.recordings: 600", []),
        ("webitel:domain: secure.acme.io", []),
    ],
)
def test_init_leaves_out_what_only_the_other_can_decrypt(folder: Path, lines: str, left_out: list[str]) -> None:
    (folder / "Pulumi.aws-basic.yaml").write_text(SALTED + f"  {lines}\n  webitel:time_zone: Europe/Berlin # last\n")
    result = run("init", "acme-voice")
    assert result.exit_code == 0, result.output
    written = (folder / "Pulumi.acme-voice.yaml").read_text()
    assert "secure:" not in written and "v1:" not in written and written.endswith("Europe/Berlin # last\n")
    assert ("Left out" in result.stdout) is bool(left_out)
    for key in left_out:
        assert f"config set --secret {key} --stack acme-voice" in result.stdout and f"{key}:" not in written
    assert "It can be brought up" not in result.stdout


def refuse(*_: object, **__: object) -> None:
    """What a file system of others does."""
    raise PermissionError(13, "Permission denied", "/there")


def test_init_into_a_folder_of_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "write_text", refuse)
    result = run("init", "acme-voice")
    assert "stacks/Pulumi.acme-voice.yaml cannot be written: Permission denied" in str(result.exception)


def test_render_into_a_folder_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "mkdir", refuse)
    result = run("render", "local-single", str(tmp_path / "there"))
    assert "/there cannot be written: Permission denied; name a folder of your own: ./webitel render local-single DIR" in str(
        result.exception
    )


def test_init_never_overwrites(folder: Path) -> None:
    result = run("init", "aws-basic")
    assert result.exit_code == 1 and "exists already" in str(result.exception)
    assert (folder / "Pulumi.aws-basic.yaml").read_text() == SALTED


@pytest.mark.parametrize("name", ["Acme", "acme_voice", "../acme", "a" * 60])
def test_init_refuses_what_is_no_host_name(folder: Path, name: str) -> None:
    result = run("init", name)
    assert result.exit_code == 1 and "such as aws-basic" in str(result.exception)
    assert [path.name for path in folder.parent.rglob("Pulumi.*")] == ["Pulumi.aws-basic.yaml"]


def test_init_from_an_unknown_stack(folder: Path) -> None:
    result = run("init", "acme", "--from", "gone")
    assert result.exit_code == 1 and "no stack gone" in str(result.exception)
    assert not (folder / "Pulumi.acme.yaml").exists()


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
