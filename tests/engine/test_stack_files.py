"""What our reader of stack files takes is what the real engine hands on; what it refuses the engine reads otherwise."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stacks import document

pytestmark = pytest.mark.engine

ACCEPTED = """config:
  webitel:a: 500
  webitel:b: '0500'
  webitel:c: yes
  webitel:d: TRUE
  webitel:e: ~
  webitel:f: 1:30
  webitel:g: 07:00-20:00
  webitel:h: 11.6.1
  webitel:i: 2026-11-28-1
  webitel:j: [112, on, '0049', 0, -7, "2026-11-28"]
  webitel:k: &k {app: 2, web: false}
  webitel:l: *k
  webitel:m: !!str 010
  webitel:n: |
    two
    lines
"""
REFUSED = (
    "010",
    "-0",
    "08",
    "0x10",
    "0o17",
    "0b11",
    "1_000",
    "+5",
    "1e3",
    "1.",
    "25.10",
    "2026-11-28",
    "12345678901234567890123",
)


@pytest.fixture
def ask(engine: Path, tmp_path: Path) -> Any:
    """The engine's own answer to what a stack file says."""
    (tmp_path / "Pulumi.yaml").write_text("name: webitel\nruntime: python\n")
    (tmp_path / "state").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")} | {
        "PULUMI_BACKEND_URL": f"file://{tmp_path}/state",
        "PULUMI_CONFIG_PASSPHRASE": "x",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_HOME": str(tmp_path / "home"),
    }

    def run(*arguments: str) -> str:
        return subprocess.run(
            [engine, *arguments],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            check=True,
            timeout=120,
        ).stdout

    def read(text: str) -> dict[str, str]:
        (tmp_path / "Pulumi.t.yaml").write_text(text)
        return {name: one["value"] for name, one in json.loads(run("config", "--stack", "t", "--json")).items()}

    run("stack", "init", "t")
    return read


def plain(value: Any) -> Any:
    """A value with every scalar as text, as our reader has it."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_both_read_alike(ask: Any, tmp_path: Path) -> None:
    told = ask(ACCEPTED)
    values, problems = document.read_config(tmp_path / "Pulumi.t.yaml")
    assert problems == []
    structures = {name for name, value in values.items() if isinstance(value, (dict, list))}
    assert {name: plain(json.loads(text)) if name in structures else text for name, text in told.items()} == values


def test_the_engine_reads_otherwise_what_is_refused(ask: Any, tmp_path: Path) -> None:
    told = ask("config:\n" + "".join(f"  webitel:v{number}: [{text}]\n" for number, text in enumerate(REFUSED)))
    _, problems = document.read_config(tmp_path / "Pulumi.t.yaml")
    assert [problem.value for problem in problems] == list(REFUSED)
    assert [text for number, text in enumerate(REFUSED) if told[f"webitel:v{number}"] == f'["{text}"]'] == []
