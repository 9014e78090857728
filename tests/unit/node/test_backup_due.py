"""When a backup is due, and what pgBackRest's complaints mean."""

from datetime import datetime

import pytest

from cloud_init.node.backups import jobs, lines, repository
from cloud_init.node.manifest import BackupEntry

ENTRY: BackupEntry = {"stack": "s", "host": "h", "port": 443, "at": "02:30", "full_days": 7}


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def row(kind: str, start: str, damaged: bool = False, timeline: int = 1, end: int = 0) -> repository.BackupRow:
    moment = at(start)
    made: repository.BackupRow = {
        "label": start, "kind": kind, "start": moment, "stop": moment, "size": 1, "stored": 1, "damaged": damaged,
        "timeline": timeline, "end": end, "needs": [],
    }  # fmt: skip
    return made


@pytest.mark.parametrize(
    ("rows", "now", "due"),
    [
        ([], "2026-11-29 12:00", "full"),
        ([row("full", "2026-11-29 02:31")], "2026-11-29 12:00", ""),
        ([row("full", "2026-11-28 02:31")], "2026-11-29 02:29", ""),
        ([row("full", "2026-11-28 02:31")], "2026-11-29 02:30", "incr"),
        ([row("full", "2026-11-22 02:50"), row("incr", "2026-11-28 02:30")], "2026-11-29 02:30", "full"),
        ([row("full", "2026-11-28 02:31", damaged=True)], "2026-11-28 12:00", "full"),
        ([row("full", "2026-11-23 02:31"), row("incr", "2026-11-29 02:30", damaged=True)], "2026-11-29 02:35", "full"),
        # A full one made for a damaged one, and damaged: not at once again.
        ([row("full", "2026-11-28 02:31", damaged=True), row("full", "2026-11-28 11:50", damaged=True)], "2026-11-28 12:00", ""),
        (
            [row("full", "2026-11-28 02:31", damaged=True), row("full", "2026-11-28 11:50", damaged=True)],
            "2026-11-28 15:00",
            "full",
        ),
        (
            [row("full", "2026-11-28 02:31", damaged=True), row("incr", "2026-11-28 11:50", damaged=True)],
            "2026-11-28 12:00",
            "full",
        ),
    ],
)
def test_what_is_due(rows: list[repository.BackupRow], now: str, due: str) -> None:
    assert jobs.find_due(ENTRY, rows, at(now)) == due


@pytest.mark.parametrize(
    ("newest", "now", "missed"),
    [
        ("2026-11-29 02:40", "2026-11-29 12:00", ""),
        ("2026-11-28 02:40", "2026-11-29 02:35", ""),
        ("2026-11-28 02:40", "2026-11-29 05:29", ""),
        ("2026-11-28 02:40", "2026-11-29 05:31", "2026-11-29 02:30"),
        # While today's may still be under way, yesterday's is missed all the same.
        ("2026-11-27 02:40", "2026-11-29 02:35", "2026-11-28 02:30"),
        ("2026-11-27 02:40", "2026-11-29 05:31", "2026-11-29 02:30"),
    ],
)
def test_a_missed_one_is_told_at_any_hour(newest: str, now: str, missed: str) -> None:
    assert jobs.find_missed(ENTRY, at(newest), at(now)) == (at(missed) if missed else 0.0)


def test_a_full_one_is_due_as_soon_as_the_database_was_restored() -> None:
    rows = [row("full", "2026-11-29 02:31")]
    assert jobs.find_due(ENTRY, rows, at("2026-11-29 12:00"), restored=2) == "full"
    rows.append(row("full", "2026-11-29 12:01", timeline=3))
    assert jobs.find_due(ENTRY, rows, at("2026-11-29 12:05"), restored=2) == ""


HISTORY = {
    2: "1\t0/5000000\tno recovery target specified\n",
    3: "1\t0/5000000\tno recovery target specified\n\n2\t0/7000000\tbefore 2026-11-29 10:00:00.5+00\n",
    4: "1\t0/5000000\tno recovery target specified\n\n2\t0/9000000\tbefore 2026-11-29 11:00:00.5+00\n",
}
"""A new leader at 9:00; at 12:00 a restore to 10:00; at 13:00 one to 11:00, which the former had discarded."""
BORN = {2: "2026-11-29 09:00", 3: "2026-11-29 12:00", 4: "2026-11-29 13:00"}
KNOWN = {number: lines.read_history(text, number, at(BORN[number]))[number] for number, text in HISTORY.items()}


@pytest.mark.parametrize(
    ("moment", "line"),
    [("08:00", 2), ("08:59", 2), ("10:30", 2), ("11:59", 2), ("12:30", 3), ("13:30", 4)],
)
def test_a_time_is_looked_for_on_the_line_that_was_in_use_then(moment: str, line: int) -> None:
    assert lines.find_line(KNOWN, at(f"2026-11-29 {moment}")) == line


def test_a_backup_is_of_use_where_that_line_has_passed_its_end() -> None:
    early, late, discarded = (row("full", f"2026-11-29 {hour}", timeline=line, end=end) for hour, line, end in (
        ("07:00", 1, 0x4000000), ("10:30", 2, 0x8000000), ("12:10", 3, 0xA000000)))  # fmt: skip
    rows = [early, late, discarded]
    assert lines.choose(KNOWN, rows, at("2026-11-29 11:30")) == (late["label"], 2)
    assert lines.choose(KNOWN, rows, at("2026-11-29 12:05")) == (early["label"], 3), "the later one is of what was discarded"
    assert lines.choose(KNOWN, rows, at("2026-11-29 12:30")) == (discarded["label"], 3)
    assert lines.choose(KNOWN, rows, at("2026-11-29 13:30")) == (late["label"], 4)
    with pytest.raises(repository.BackupError, match="no sound backup from before that time"):
        lines.choose(KNOWN, rows, at("2026-11-29 06:00"))
    assert lines.find_restored(KNOWN, 4) == 4 and lines.find_restored(KNOWN, 2) == 0 and lines.find_restored({}, 1) == 0


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


@pytest.mark.parametrize(
    ("sizes", "damaged"),
    [
        ({"f": (True, 9), "i": (True, 4)}, set()),
        ({"f": (True, 8), "i": (True, 3)}, set()),
        ({"f": (True, 7), "i": (True, 3)}, {"f", "i"}),
        ({"f": (False, 8), "i": (True, 3)}, {"f", "i"}),
        ({"i": (True, 3)}, {"f", "i"}),
        ({"f": (True, 8)}, {"i"}),
    ],
)
def test_what_the_bucket_has_lost_is_damaged_and_what_is_built_on_it(sizes: repository.Sizes, damaged: set[str]) -> None:
    rows = [row("full", "2026-11-29 02:30"), row("incr", "2026-11-30 02:30")]
    rows[0] |= {"label": "f", "stored": 8}
    rows[1] |= {"label": "i", "stored": 3, "needs": ["f"]}
    assert repository.find_damaged(rows, sizes) == damaged


def test_without_the_sizes_of_files_the_record_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No backup, and no restore, is to wait for a bucket that lists its files too slowly."""

    def refuse(_: repository.Repository) -> repository.Sizes:
        raise repository.BackupError("repo-ls: not done within 180 s")

    made = object.__new__(repository.Repository)
    made.stanza = "s-1"
    monkeypatch.setattr(repository.Repository, "_list_made", lambda _: [row("full", "2026-11-29 02:30")])
    monkeypatch.setattr(repository.Repository, "_list_sizes", refuse)
    assert [found["damaged"] for found in made.list_backups()] == [False]
    assert made.unknown == "repo-ls: not done within 180 s"
