"""When all backups are read, and what is said of that."""

import json
from pathlib import Path

import pytest

from cloud_init.node.backups import verified, verify
from cloud_init.node.manifest import BackupEntry

DAY = 86400.0
NOW = 100 * DAY
ENTRY: BackupEntry = {"stack": "s", "host": "h", "port": 443, "at": "02:30", "full_days": 7, "verify_days": 7}
NEVER: BackupEntry = ENTRY | {"verify_days": 0}
FROM_BEFORE: BackupEntry = {"stack": "s", "host": "h", "port": 443, "at": "02:30", "full_days": 7}


def found(days_ago: float, log: str = "", problem: str = "") -> verified.Verified:
    return {"ended": NOW - days_ago * DAY, "stanza": "s-1", "damaged": [], "log": log, "problem": problem}


@pytest.mark.parametrize(
    ("entry", "last", "due"),
    [
        (ENTRY, verified.NOTHING, True),
        (ENTRY, found(6.9), False),
        (ENTRY, found(7), True),
        (NEVER, verified.NOTHING, False),
        (FROM_BEFORE, verified.NOTHING, False),
    ],
)
def test_when_it_is_due(entry: BackupEntry, last: verified.Verified, due: bool) -> None:
    assert verified.is_due(entry, last, NOW) == due


@pytest.mark.parametrize(
    ("entry", "last", "oldest_days", "wrong", "words"),
    [
        (ENTRY, verified.NOTHING, 8.9, False, ""),
        (ENTRY, verified.NOTHING, 9.1, True, "; not read and compared ever"),
        (ENTRY, found(3), 14, False, "; read and compared 3 days ago"),
        (ENTRY, found(10, problem="verify: no answer"), 14, True, "; not read and compared since 10 days: verify: no answer"),
        (ENTRY, found(3, log="x"), 14, True, "; the log in the bucket is broken: x; a full backup is due"),
        (ENTRY, found(1, log="x"), 14, True, "; the log in the bucket is broken: x; from the newest full backup on it is whole"),
        (NEVER, found(30), 90, False, ""),
        # Read by hand.
        (NEVER, found(3, log="x"), 90, True, "; the log in the bucket is broken: x; a full backup is due"),
    ],
)
def test_what_is_said(entry: BackupEntry, last: verified.Verified, oldest_days: float, wrong: bool, words: str) -> None:
    newest = NOW - (5 if last["ended"] == NOW - 3 * DAY else 0.5) * DAY
    assert verified.describe(entry, last, NOW - oldest_days * DAY, newest, NOW) == (wrong, words)


def test_what_was_found_in_another_place_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified, "MEMORY", tmp_path / "verified.json")
    assert verified.read("s-1") == verified.NOTHING
    verified.MEMORY.write_text(json.dumps(found(1)))
    assert verified.read("s-1") == found(1) and verified.read("s-2") == verified.NOTHING
    verified.MEMORY.write_text("half")
    assert verified.read("s-1") == verified.NOTHING


def test_a_full_backup_begun_in_the_second_in_which_the_reading_ended_is_enough() -> None:
    """pgBackRest's times are whole seconds."""
    last = found(1, log="x") | {"ended": NOW + 0.7}
    assert not verified.wants_full(last, NOW) and verified.wants_full(last, NOW - 1)


@pytest.mark.parametrize(
    ("pieces", "gaps"),
    [
        ([], []),
        (["0000000100000000000000FE", "0000000100000000000000FF", "000000010000000100000000"], []),
        (["000000010000000000000001", "000000010000000000000003"], ["000000010000000000000001"]),
        # Another time line begins where it left the one before, which goes on where it was discarded.
        (["000000010000000000000001", "000000010000000000000002", "000000020000000000000002", "000000020000000000000003"], []),
    ],
)
def test_gaps_are_found_in_each_time_line(pieces: list[str], gaps: list[str]) -> None:
    names = [f"{piece}-0a1b.zst" for piece in reversed(pieces)]
    assert list(verify.find_gaps([*names, "00000002.history", "000000010000000000000009.partial-0a1b.zst", "."])) == gaps
