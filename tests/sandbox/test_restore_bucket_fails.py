"""A bucket that fails half-way through a restore from elsewhere: while the files of the database come, while its log
is read, while recordings come. The running database goes on, what failed is named, the same command goes on with what came."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from cloud_init.node import quiet, system
from cloud_init.node.backups import elsewhere, marks, recordings
from cloud_init.node.clusters import database_data
from tests.sandbox.test_backup import Node
from tests.sandbox.test_restore_elsewhere import FIRST, SECOND, World, record, sums, world

pytestmark = pytest.mark.sandbox

__all__ = ["world"]

PIECES, READ = 12, 3
"""Of the log: those with a row each that come after the backup, and after how many of them the bucket fails."""
ROWS = """
insert into big select n, string_agg(md5(random()::text), '') from generate_series(1, 20000) n, generate_series(1, 100) group by n
"""
CAME_BYTES = 10 << 20
FILES, FEW = 300, 5


@pytest.fixture(scope="module")
def first(world: World) -> World:
    """The first deployment with some 60 MiB of rows, pieces of the log after its backup, and recordings; it is gone."""
    node = world.become(FIRST)
    for role in ("opensips", "replicator", "rewinder"):
        node.sql(f"create role {role} login replication password 'of-the-first'")
    node.sql("create table big (n int, text text); create table calls (n int primary key)")
    node.sql(ROWS)
    assert node.look(), node.said
    for n in range(PIECES):
        node.sql(f"insert into calls values ({n})")
        node.wait_for_archive()
    for n in range(FILES):
        record(world.files[FIRST], f"recordings/2026/{n}.wav")
    assert recordings.copy(node.manifest, lambda _, text: node.said.append(text)), node.said
    node.sql("select pg_current_xact_id()")
    node.wait_for_archive()
    node.stop()
    return world


def tell(world: World) -> Node:
    """Tell the second node where the first one's backups are; pgBackRest is to give up soon: of 20 s it makes minutes."""
    world.tell_source()
    config = elsewhere.FOLDER / elsewhere.CONFIG
    text = config.read_text()
    assert "io-timeout=20" in text
    config.write_text(text.replace("io-timeout=20", "io-timeout=1"))
    return world.become(SECOND)


@contextmanager
def fails_when(world: World, half_way: Callable[[], bool]) -> Iterator[None]:
    """Have the first one's bucket end as soon as that is so, and be there again afterwards."""
    storage, over, ended = world.nodes[FIRST].storage, threading.Event(), threading.Event()

    def watch() -> None:
        while not over.is_set():
            if half_way():
                storage.stop()
                ended.set()
                return
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        if ended.is_set():
            storage.start()
    assert ended.is_set(), "it never came half-way"


def fail(world: World, step: str, at: str, capsys: pytest.CaptureFixture[str]) -> str:
    """One step on the second node, which must not succeed; what it says."""
    capsys.readouterr()
    assert not world.become(SECOND).step(step, at)
    said: str = json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
    return said


def is_as_before(world: World, there: dict[str, str]) -> None:
    """Nothing has changed, here or in the other bucket."""
    node = world.nodes[SECOND]
    assert node.sql("select 1") == "1" and not quiet.MARK.exists()
    assert sums(world.nodes[FIRST].storage.objects) == there
    assert world.look()["begun"]["stage"] == marks.COPIED


def test_it_fails_while_the_databases_files_come(first: World, capsys: pytest.CaptureFixture[str]) -> None:
    node = tell(first)
    there, new = sums(first.nodes[FIRST].storage.objects), marks.beside(node.data, "restored")
    began = time.monotonic()
    with fails_when(first, lambda: marks.measure(new) > CAME_BYTES):
        said = fail(first, "prepare-source", database_data.END, capsys)
    print(f"{time.monotonic() - began:.0f} s: {said}")
    assert "does not answer" in said and "the same command goes on with what came so far" in said, said
    assert marks.measure(new) > CAME_BYTES
    is_as_before(first, there)


def test_it_fails_while_the_log_is_read_and_nothing_that_the_bucket_has_is_left_out(
    first: World, capsys: pytest.CaptureFixture[str]
) -> None:
    node = tell(first)
    there, log = sums(first.nodes[FIRST].storage.objects), node.data.with_name("restore.log")
    log.unlink(missing_ok=True)
    began = time.monotonic()
    with fails_when(first, lambda: log.exists() and log.read_text(errors="replace").count("restored log file") > READ):
        said = fail(first, "prepare-source", database_data.END, capsys)
    print(f"{time.monotonic() - began:.0f} s: {said}")
    assert "does not answer" in said and "the same command goes on with what came so far" in said, said
    assert marks.measure(marks.beside(node.data, "restored")) > CAME_BYTES
    is_as_before(first, there)


def test_the_same_command_goes_on_and_brings_all_of_it(
    first: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, at = tell(first), database_data.END
    monkeypatch.setattr(system, "ASK_SECONDS", 1.0)
    first.step("prepare-source", at)
    first.step("quiet", at, text=elsewhere.read()["name"])
    for step in ("ready", "stop-database", "place"):
        first.step(step, at)
    first.step("start")
    assert node.sql("select count(*), max(n) from calls") == f"{PIECES}|{PIECES - 1}"
    assert node.sql("select count(*) from big where length(text) = 3200") == "20000"
    # Its recordings, of which a few come before the bucket fails.
    beside = recordings.find_beside(node.manifest["backup_files"])
    began = time.monotonic()
    with fails_when(first, lambda: sum(1 for _ in beside.rglob("*.wav")) > FEW):
        said = fail(first, "recordings-source", "", capsys)
    print(f"{time.monotonic() - began:.0f} s: {said}")
    assert "does not answer any more" in said and "the same command goes on with what came so far" in said, said
    assert not sums(first.files[SECOND]), "none has come to its place before all are there"
    first.step("recordings-source")
    assert sums(first.files[SECOND]) == sums(first.files[FIRST])
    first.step("settle")
