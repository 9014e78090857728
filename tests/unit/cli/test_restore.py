"""`restore`: what it refuses, what it asks, and in which order it has the nodes do what."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.commands import restore
from cli.console import Failure
from cli.nodes import backups

NOW = time.time()
THERE = {"leads": True, "begun": "", "earliest": NOW - 86400, "latest": NOW, "size": 1 << 20, "free": 1 << 40}
FOLLOWS = THERE | {"leads": False, "earliest": 0.0, "size": 0}


class Nodes:
    """Two members of a database, and an edge."""

    nodes: ClassVar = {"data-1": "", "data-2": "", "edge-1": ""}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of which nodes; data-2 leads."""
    steps: list[str] = []
    known: dict[str, Any] = {"data-1": FOLLOWS, "data-2": THERE}

    def ask(_: object, keys: list[str], command: str, __: float) -> Mapping[str, str]:
        words = command.replace("'", "").split(" restore ")[1].split()
        if words[0] == "check":
            return {key: json.dumps(known[key]) for key in keys}
        if keys:
            steps.append(f"{words[0]}: {' '.join(keys)}")
        return dict.fromkeys(keys, "")

    monkeypatch.setattr(backups, "open_database", lambda _: (Nodes(), ["data-1", "data-2"]))
    monkeypatch.setattr(backups, "ask_each", ask)
    monkeypatch.setattr(restore, "KNOWN", known, raising=False)
    monkeypatch.setattr(time, "time", lambda: NOW)
    return steps


def at(seconds: float) -> str:
    return datetime.fromtimestamp(NOW + seconds, UTC).strftime("%Y-%m-%d %H:%M:%S+00")


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["restore", "local-single", *words])


def test_it_is_proved_first_and_followers_stop_before_the_leader(asked: list[str]) -> None:
    result = run("--at", at(-600), "--yes")
    assert result.exit_code == 0, result.output
    assert "10 minutes until now" in result.stdout
    assert asked == [
        "prepare: data-2",
        "stop: data-1 data-2 edge-1",
        "stop-database: data-1",
        "stop-database: data-2",
        "place: data-2",
        "follow: data-1",
        "start: data-1 data-2 edge-1",
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "to which second?"),
        (("--at", "yesterday"), "--at yesterday: not a time; use one such as"),
        (("--at", "2026-11-29 12:00"), "says no offset from UTC; use one such as '2026-11-29 12:00+00'"),
        (("--at", at(-90000), "--yes"), "there is nothing of that time; it can be from"),
        (("--at", at(600), "--yes"), "there is nothing of that time; it can be from"),
        (("--at", at(-600)), "confirm with --yes"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_done(asked: list[str], words: tuple[str, ...], told: str) -> None:
    result = run(*words)
    assert isinstance(result.exception, Failure) and told in str(result.exception)
    assert asked == []


def test_a_disk_without_room_is_named(asked: list[str]) -> None:
    restore.KNOWN["data-2"] = THERE | {"size": 8 << 30, "free": 2 << 30}  # type: ignore[attr-defined]
    result = run("--at", at(-600), "--yes")
    assert "takes 9.3 GiB; free are 2.0 GiB: raise webitel:disk_sizes" in str(result.exception) and asked == []


def test_what_was_cut_off_goes_on_to_the_same_second_only(asked: list[str]) -> None:
    begun = f"{at(-600).removesuffix('+00')}.000000+00"
    restore.KNOWN["data-2"] = THERE | {"begun": begun, "size": 0}  # type: ignore[attr-defined]
    result = run("--at", at(-500), "--yes")
    assert f"a restore to {begun} was begun and not finished" in str(result.exception) and asked == []
    assert run("--at", at(-600)).exit_code == 0, "what is lost was asked before"
    assert asked[-1] == "start: data-1 data-2 edge-1"


def test_recordings_come_back_by_themselves_and_nothing_stops(asked: list[str]) -> None:
    assert run("--recordings").exit_code == 0
    assert asked == ["recordings: data-1 data-2 edge-1"]
