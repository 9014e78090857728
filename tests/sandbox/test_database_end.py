"""Where the log of a database that does not run ends, read from real PostgreSQL's files."""

import os
import signal
from collections.abc import Iterator

import pytest

from cloud_init.node.clusters import database_data
from tests.sandbox.platform import Platform, running_platform

pytestmark = pytest.mark.sandbox


@pytest.fixture
def database() -> Iterator[Platform]:
    with running_platform(Platform.set_up_database) as made:
        yield made


def write(database: Platform) -> str:
    """A row; returns where the log is afterwards, written as `find_end` does."""
    high, low = database.sql(
        "create table if not exists t (n int); insert into t values (1); select pg_current_wal_insert_lsn()"
    ).split("/")
    return f"{int(high, 16):08X}{int(low, 16):08X}"


def kill(database: Platform) -> None:
    process = database.running.pop("postgresql")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def find_end(database: Platform) -> tuple[str, str]:
    """Time line and place."""
    line, _, place = database_data.find_end.__wrapped__(database.folder / "pg" / "data").partition("/")
    return line, place


def test_the_end_is_behind_what_was_acknowledged_and_a_later_time_line_ends_later(database: Platform) -> None:
    before = write(database)
    after = write(database)
    kill(database)
    killed = find_end(database)
    # The last record begins before the place where the next one would.
    assert killed[0] == "00000001" and before <= killed[1] < after

    database.start("postgresql")
    for _ in range(3):
        database.sql("select pg_switch_wal(); checkpoint")
        later = write(database)
    database.stop("postgresql")
    stopped = find_end(database)
    assert stopped[0] == "00000001" and stopped[1] >= later > after

    (database.folder / "pg" / "data" / "standby.signal").touch()
    database.start("postgresql")
    database.sql("select pg_promote()")
    before = write(database)
    after = write(database)
    kill(database)
    promoted = find_end(database)
    assert promoted[0] == "00000002" and before <= promoted[1] < after
    assert promoted > stopped > killed
