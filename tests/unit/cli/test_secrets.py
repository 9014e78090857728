"""Secrets for people: shown on request only, exported so that openssl opens them."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import cli.engine.engine
from cli.__main__ import app
from cli.engine.engine import Engine
from cli.recovery_file import DECRYPT
from tests.unit.cli.fakes import make_engine

VALUES = {"grafana_password": "a-generated-one", "storage_key": "-----BEGIN\nkey-----"}
STATE = {
    "deployment": {
        "resources": [
            {"type": "pulumi:pulumi:Stack", "urn": "u"},
            {
                "type": "webitel:index:Secrets",
                "urn": "u",
                "outputs": {
                    "values": {
                        "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
                        "plaintext": json.dumps(VALUES),
                    }
                },
            },
        ]
    }
}


@pytest.fixture(autouse=True)
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine whose state has two secrets."""
    made = make_engine(
        tmp_path,
        f"""
assert "init" not in sys.argv
print({json.dumps(STATE)!r} if "export" in sys.argv else '[{{"name": "local-single"}}]')
""",
        "local-single",
    )

    @contextmanager
    def opened(stack: str) -> Iterator[Engine]:
        yield made

    monkeypatch.setattr(cli.engine.engine, "open_engine", opened)


def run(*arguments: str, **variables: str) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, list(arguments), env=variables)


def test_names_alone_show_no_value() -> None:
    result = run("secrets")
    assert result.exit_code == 0, result.output
    assert "grafana_password" in result.stdout and "Grafana user admin" in result.stdout
    assert "a-generated-one" not in result.output


def test_a_value_is_shown_only_when_asked_for() -> None:
    refused = run("secrets", "grafana_password")
    assert refused.exit_code == 1 and "a-generated-one" not in refused.output
    assert run("secrets", "grafana_password", "--yes").stdout == "a-generated-one\n"
    unknown = run("secrets", "gone", "--yes")
    assert unknown.exit_code == 1 and "grafana_password, storage_key" in str(unknown.exception)


def test_the_recovery_file_opens_with_openssl(tmp_path: Path) -> None:
    file = tmp_path / "recovery"
    weak = run("export-secrets", str(file), WEBITEL_RECOVERY_PASSPHRASE="short")
    assert weak.exit_code == 1 and not file.exists()
    passphrase = "a long enough passphrase"
    result = run("export-secrets", str(file), WEBITEL_RECOVERY_PASSPHRASE=passphrase)
    assert result.exit_code == 0, result.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and "generated" not in file.read_text()
    again = run("export-secrets", str(file), WEBITEL_RECOVERY_PASSPHRASE=passphrase)
    assert again.exit_code == 1 and "already exists" in str(again.exception)
    opened = subprocess.run(
        [*DECRYPT.split(), str(file), "-pass", "stdin"], input=passphrase, text=True, capture_output=True, check=True
    )
    assert json.loads(opened.stdout) == {"stack": "local-single", "secrets": VALUES, "backup": {}}
