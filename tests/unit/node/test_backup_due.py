"""When a backup is due, and what pgBackRest's complaints mean."""

from datetime import datetime

import pytest

from cloud_init.node.backups import jobs, repository
from cloud_init.node.manifest import BackupEntry

ENTRY: BackupEntry = {"stack": "s", "host": "h", "port": 443, "at": "02:30", "full_days": 7}


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def row(kind: str, start: str, damaged: bool = False) -> repository.BackupRow:
    moment = at(start)
    return {"label": start, "kind": kind, "start": moment, "stop": moment, "size": 1, "stored": 1, "damaged": damaged}


@pytest.mark.parametrize(
    ("rows", "now", "due"),
    [
        ([], "2026-11-29 12:00", "full"),
        ([row("full", "2026-11-29 02:31")], "2026-11-29 12:00", ""),
        ([row("full", "2026-11-28 02:31")], "2026-11-29 02:29", ""),
        ([row("full", "2026-11-28 02:31")], "2026-11-29 02:30", "incr"),
        ([row("full", "2026-11-22 02:50"), row("incr", "2026-11-28 02:30")], "2026-11-29 02:30", "full"),
        ([row("full", "2026-11-28 02:31", damaged=True)], "2026-11-28 12:00", "full"),
        ([row("full", "2026-11-23 02:31"), row("incr", "2026-11-29 02:30", damaged=True)], "2026-11-29 02:35", "incr"),
    ],
)
def test_what_is_due(rows: list[repository.BackupRow], now: str, due: str) -> None:
    assert jobs.find_due(ENTRY, rows, at(now)) == due


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("P00  ERROR: [039]: HTTP request failed with 403 (Forbidden):\n  *** Path", "webitel:backup_key"),
        ("P00  ERROR: [095]: unable to load info file '/a'\n   CryptoError: unable to flush", "backup_cipher"),
        ("P00   WARN: x\nP00  ERROR: [082]: WAL segment was not archived", "backup: WAL segment was not archived"),
        ("", "no answer"),
    ],
)
def test_complaints_say_what_they_mean(said: str, words: str) -> None:
    assert words in repository.explain("backup", said)
