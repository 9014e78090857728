"""Backups by the node program: Debian's pgBackRest with the rendered file, a real PostgreSQL, a real S3-compatible server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cloud_init.node.backups import jobs, marks, recovery, repository, restore, status, steps, verified, verify
from cloud_init.node.clusters import database_cluster, database_data
from cloud_init.node.manifest import Manifest, empty_manifest
from cloud_init.node.system import POSTGRESQL_BIN
from tests.long_form import LONG, only_long
from tests.plans import compose_configuration, make_plan
from tests.sandbox.bucket import KEY, SECRET, ObjectStorage, run_bucket, settings_with
from tests.sandbox.folders import let_others_in
from tests.unit.node.entries import unit
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

CIPHER = "cipher-of-the-deployment"
PORT = "5432"


@dataclass
class Node:
    """A node that leads the database: PostgreSQL as Patroni would run it, and the files of its configuration."""

    folder: Path
    storage: ObjectStorage
    manifest: Manifest
    config: str
    said: list[str] = field(default_factory=list)
    cipher: str = CIPHER
    role: str = database_cluster.LEADER
    forgotten: list[str] = field(default_factory=list)
    options: str = ""
    """More for the database's start."""

    @property
    def data(self) -> Path:
        return self.folder / "pg" / "15"

    def as_postgres(self, *command: str) -> str:
        done = subprocess.run(["runuser", "-u", "postgres", "--", *command], capture_output=True, text=True, check=False, cwd="/")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def make_database(self) -> None:
        (self.folder / "pg").mkdir()
        shutil.chown(self.folder / "pg", "postgres")
        options = ["-A", "peer", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--data-checksums"]
        self.as_postgres(str(POSTGRESQL_BIN / "initdb"), "-D", str(self.data), *options)

    def start(self) -> None:
        options = f"-k {self.folder}/pg -p {PORT} -c listen_addresses= -c archive_mode=on -c archive_timeout=60s {self.options}"
        command = ["-D", str(self.data), "-o", options, "-l", str(self.folder / "pg" / "log"), "-w", "start"]
        self.as_postgres(str(POSTGRESQL_BIN / "pg_ctl"), *command)

    def stop(self, mode: str = "fast") -> None:
        self.as_postgres(str(POSTGRESQL_BIN / "pg_ctl"), "-D", str(self.data), "-m", mode, "-w", "stop")

    def sql(self, text: str) -> str:
        return self.as_postgres("psql", "-XAtq", "-h", str(self.folder / "pg"), "-p", PORT, "-c", text, "postgres")

    def write_config(self) -> None:
        """The rendered file with the secrets of the deployment, and paths of this test."""
        secrets = {"backup_key": KEY, "backup_secret": SECRET, "backup_cipher": self.cipher}
        text = self.config
        for name, value in secrets.items():
            text = text.replace("{{secret:" + name + "}}", value)
        text = text.replace("/etc/webitel/backup-authority.pem", str(self.storage.authority))
        text = text.replace("/var/lib/postgresql/pgbackrest", str(self.folder / "pg" / "lock"))
        path = self.folder / "pgbackrest.conf"
        path.write_text(text)

    def systemctl(self, verb: str, *names: str, **_: object) -> subprocess.CompletedProcess[str]:
        """systemd with one unit: Patroni, which starts the database as the leader."""
        if "patroni" in names:
            running = (self.data / "postmaster.pid").exists()
            if running == (verb == "stop"):
                (self.stop if running else self.start)()
        return subprocess.CompletedProcess([], 0, "", "")

    def list_members(self, _: Manifest) -> list[database_cluster.Member]:
        """What Patroni answers while it runs."""
        if not (self.data / "postmaster.pid").exists():
            raise ConnectionRefusedError
        return [{"name": "all-1", "role": self.role}]

    def step(self, step: str, at: str = "") -> bool:
        """One step of a restore, as the command line asks for it."""
        return steps.run(step, at, self.manifest, lambda _, text: self.said.append(text)) == 0

    def now(self) -> str:
        return self.sql("select clock_timestamp() at time zone 'UTC' || '+00'")

    def look(self, kind: str = "") -> bool:
        return jobs.look(self.manifest, lambda _, text: self.said.append(text), kind)

    def verify(self, now: bool = True) -> bool:
        return verify.run(self.manifest, lambda _, text: self.said.append(text), now)

    def wait_for_archive(self) -> None:
        """Until all that was written is in the bucket."""
        last = self.sql("select pg_walfile_name(pg_switch_wal())")
        wait_until(lambda: self.sql("select last_archived_wal from pg_stat_archiver") >= last, 30, "the archive")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("backup")
    let_others_in(folder)
    with run_bucket(folder / "storage") as storage, pytest.MonkeyPatch.context() as patch:
        settings = settings_with(storage)
        plan = make_plan(settings, "local-single")
        configuration = compose_configuration(plan, plan.nodes[0], settings)
        parts: dict[str, Any] = {"key": "all-1", "backup": configuration.manifest["backup"], "units": [unit("patroni")]}
        manifest: Manifest = empty_manifest() | parts  # type: ignore[assignment]
        node = Node(folder, storage, manifest, configuration.files["/etc/webitel/pgbackrest.conf"])
        node.make_database()
        node.write_config()
        patch.setattr(repository, "CONFIG", folder / "pgbackrest.conf")
        patch.setattr(jobs, "MEMORY", folder / "memory.json")
        patch.setattr(verified, "MEMORY", folder / "verified.json")
        patch.setattr(marks, "BUSY", folder / "busy")
        patch.setattr(verify, "BUSY", folder / "verify.lock")
        patch.setattr(database_data, "data_folder", lambda: node.data)
        patch.setenv("PGBACKREST_PG1_SOCKET_PATH", str(folder / "pg"))
        patch.setattr(database_cluster, "list_members", node.list_members)
        parameters: dict[str, object] = {}

        def change(_: Manifest, wanted: dict[str, object]) -> str:
            parameters.update(wanted)
            node.sql(f"alter system set archive_command = '{wanted['archive_command']}'")
            node.sql("select pg_reload_conf()")
            return ""

        patch.setenv("PGHOST", str(folder / "pg"))
        patch.setenv("PGPORT", PORT)
        patch.setattr(restore, "systemctl", node.systemctl)
        patch.setattr(recovery, "systemctl", node.systemctl)
        patch.setattr(recovery, "LOCK", folder / "apply.lock")
        patch.setattr(restore, "is_running", lambda _: (node.data / "postmaster.pid").exists())
        patch.setattr(restore, "call", lambda _, path, **__: node.forgotten.append(path.rpartition("/")[2]))
        patch.setattr(database_cluster, "read_parameters", lambda _: parameters)
        patch.setattr(database_cluster, "change_parameters", change)
        node.start()
        try:
            yield node
        finally:
            if (node.data / "postmaster.pid").exists():
                node.stop("immediate")


def test_the_first_look_makes_a_place_in_the_bucket_archives_and_backs_up(world: Node) -> None:
    world.sql("create table calls (n int primary key, at timestamptz default clock_timestamp())")
    assert status.report(world.manifest) == []
    assert world.look(), world.said
    world.wait_for_archive()
    (row,) = jobs.remember()["backups"]
    assert row["kind"] == "full" and 0 < row["stored"] < row["size"]
    assert status.report(world.manifest)[0].get("warning") is None
    assert world.look(), "nothing is due"
    assert len(jobs.remember()["backups"]) == 1
    assert world.look("incr")
    kept = jobs.list_kept(world.manifest)
    assert [row["kind"] for row in kept["backups"]] == ["full", "incr"]
    assert kept["earliest"] == row["stop"] and kept["latest"] >= kept["backups"][-1]["stop"]


def test_nothing_in_the_bucket_can_be_read_without_the_deployments_key(world: Node) -> None:
    world.sql("create table spoken (words text); insert into spoken values ('nobody-should-read-this')")
    assert world.look("incr")
    for path in world.storage.objects.rglob("*"):
        assert not path.is_file() or b"nobody-should-read-this" not in path.read_bytes()


def test_another_nodes_database_is_not_backed_up_here(world: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "role", "replica")
    assert world.look("full")
    assert status.report(world.manifest) == []
    assert jobs.list_kept(world.manifest)["stanza"] == ""


def test_a_lost_key_is_said_at_once(world: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "cipher", "another")
    world.write_config()
    assert not world.look("incr")
    (row,) = status.report(world.manifest)
    assert row.get("warning") and "backup_cipher" in row["why"]
    monkeypatch.undo()
    world.write_config()
    assert world.look() and not jobs.remember()["problem"]


def test_a_refused_log_in_and_a_storage_that_is_away_are_told_apart_and_nothing_is_lost(world: Node) -> None:
    path = repository.CONFIG
    path.write_text(path.read_text().replace(SECRET, "wrong"))
    assert not world.look()
    assert "webitel:backup_key" in jobs.remember()["problem"]
    world.write_config()
    world.storage.stop()
    world.sql("insert into calls select generate_series(1, 100)")
    assert not world.look("incr")
    assert "does not answer" in jobs.remember()["problem"]
    assert world.sql("select count(*) from calls") == "100", "the database goes on"
    world.storage.start()
    world.wait_for_archive()
    assert world.look() and not jobs.remember()["problem"]


def test_what_is_late_or_waits_is_named(world: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.look()
    later = time.time() + 2 * 86400
    monkeypatch.setattr(time, "time", lambda: later)
    (row,) = status.report(world.manifest)
    assert row.get("warning") and row["why"].startswith("late: ")
    monkeypatch.undo()
    ready = world.data / "pg_wal" / "archive_status" / "000000010000000000000000.ready"
    ready.touch()
    os.utime(ready, (time.time() - 900, time.time() - 900))
    (row,) = status.report(world.manifest)
    ready.unlink()
    assert row.get("warning") and "waits on its disk since 15 minutes" in row["why"]


def test_a_second_before_a_delete_without_where_comes_back_with_all_that_was_acknowledged(world: Node) -> None:
    assert world.look("incr"), world.said
    for n in range(1000, 1005):
        world.sql(f"insert into calls values ({n})")
    before = int(world.sql("select count(*) from calls"))
    at = world.now()
    time.sleep(0.1)
    world.sql("delete from calls")
    world.sql("create table written_after (n int)")
    assert world.step("prepare", at), world.said
    assert world.sql("select count(*) from calls") == "0", "the running database goes on until the other one is proved"
    assert world.step("prepare", at), "a step may be repeated"
    assert world.step("stop-database", at)
    assert restore.check(world.manifest)["begun"].startswith(at[:22]), "cut off here, it is known where to go on"
    assert world.step("place", at), world.said
    assert int(world.sql("select count(*) from calls")) == before
    assert world.sql("select to_regclass('written_after')") == ""
    assert world.step("place", at) and world.step("start")
    assert {"leader", "sync", "status"} <= set(world.forgotten)
    assert (world.data.with_name("15.before") / "PG_VERSION").exists()
    # It goes on from there, archived on a time line of its own.
    world.wait_for_archive()
    assert world.sql("select timeline_id from pg_control_checkpoint()") != "1"


def test_the_first_backup_after_a_restore_is_made_by_the_next_look_and_status_says_what_protects_until_then(world: Node) -> None:
    before = jobs.remember()["backups"][-1]["label"]
    wanted = jobs.remember()["restored"]
    assert world.look(), world.said
    memory = jobs.remember()
    made = memory["backups"][-1]
    assert made["kind"] == "full" and made["label"] != before and made["timeline"] == memory["restored"] > wanted
    assert world.look() and jobs.remember()["backups"][-1] == made, "once"
    # As after the restore, before that look.
    jobs.MEMORY.write_text(json.dumps(memory | {"backups": memory["backups"][:-1]}))
    (row,) = status.report(world.manifest)
    assert not row.get("warning") and f"until then {before} and the log protect it" in row["why"], row
    jobs.MEMORY.write_text(json.dumps(memory))


def restored_to(world: Node, at: str) -> list[str]:
    """The numbers in the table after a restore to that time."""
    for step, when in (("prepare", at), ("stop-database", at), ("place", at), ("start", "")):
        assert world.step(step, when), world.said
    return world.sql("select n from steps order by n").split()


@only_long("takes a minute")
def test_what_an_earlier_restore_discarded_is_restored_too_and_what_came_after_it(world: Node) -> None:
    world.sql("create table steps (n int)")
    assert world.look("incr"), world.said
    moments = []
    for n in range(3):
        world.sql(f"insert into steps values ({n})")
        time.sleep(0.2)
        moments.append(world.now())
        time.sleep(0.2)
    assert world.look("incr"), "a backup of what will be discarded"
    assert restored_to(world, moments[0]) == ["0"]
    world.sql("insert into steps values (10)")
    time.sleep(1.2)
    after = world.now()
    time.sleep(0.2)
    world.sql("insert into steps values (11)")
    # Too early: what was discarded then had what is wanted.
    assert restored_to(world, moments[2]) == ["0", "1", "2"]
    # And before there is a backup of it, back to what was between the two.
    assert restored_to(world, after) == ["0", "10"]


@pytest.mark.parametrize("cut", ["before", "between", "after"] if LONG else ["between", "after"])
def test_a_restore_that_was_cut_while_the_databases_changed_places_goes_on(
    world: Node, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    world.sql("drop table if exists cuts; create table cuts (n int); insert into cuts values (1)")
    time.sleep(0.1)
    at = world.now()
    time.sleep(0.1)
    world.sql("insert into cuts values (2)")
    assert world.step("prepare", at) and world.step("stop-database", at), world.said
    renamed: list[Path] = []
    rename = Path.rename

    def end(path: Path, target: Path) -> Path:
        """The power fails at this one."""
        if len(renamed) == ["before", "between"].index(cut):
            raise SystemExit
        renamed.append(path)
        return rename(path, target)

    write_mark = marks.write_mark

    def write(data: Path, at: str, stage: str) -> None:
        """The power fails before this one is written."""
        if stage == marks.PLACED:
            raise SystemExit
        write_mark(data, at, stage)

    with monkeypatch.context() as patch:
        if cut == "after":
            patch.setattr(marks, "write_mark", write)
        else:
            patch.setattr(Path, "rename", end)
        with pytest.raises(SystemExit):
            world.step("place", at)
    assert restore.check(world.manifest)["begun"] == recovery.parse_time(at)
    assert status.report(world.manifest)[0].get("warning")
    assert world.step("prepare", at) and world.step("stop-database", at) and world.step("place", at), world.said
    assert world.sql("select n from cuts") == "1"
    assert (world.data.with_name("15.before") / "PG_VERSION").exists(), "what was discarded is still there"
    assert world.step("start")


def test_what_cannot_be_restored_is_refused_and_named_before_anything_stops(
    world: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not world.step("prepare", "2026-11-29 12:00")
    assert "says no offset" in capsys.readouterr().out
    assert not world.step("prepare", "2020-01-01 00:00:00+00")
    said = json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
    assert "2020-01-01" in said or "backup" in said, said
    assert world.sql("select 1") == "1"


def test_a_backup_that_was_changed_is_refused_and_named(world: Node, capsys: pytest.CaptureFixture[str]) -> None:
    assert world.look("full"), world.said
    label = jobs.remember()["backups"][-1]["label"]
    (largest,) = sorted(world.storage.objects.rglob(f"{label}/**/bundle/*"), key=lambda path: path.stat().st_size)[-1:]
    whole = largest.read_bytes()
    time.sleep(1.1)  # the backup that ended before that second is taken
    at = world.now()
    largest.write_bytes(whole[: len(whole) // 2] + bytes(64) + whole[len(whole) // 2 + 64 :])
    assert not world.step("prepare", at)
    said = json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
    assert said.startswith("what the bucket has is damaged, and nothing was changed"), said
    assert world.sql("select 1") == "1"
    largest.write_bytes(whole)


def test_a_backup_that_was_cut_or_deleted_is_named_by_the_next_look_and_another_takes_its_place(world: Node) -> None:
    assert world.look("full") and world.look("incr"), world.said
    full, built = (found["label"] for found in jobs.remember()["backups"][-2:])
    (folder,) = world.storage.objects.rglob(full)
    (cut, *_) = sorted(folder.rglob("bundle/*"), key=lambda path: path.stat().st_size)
    gone, whole = folder / "backup.manifest", {path: path.read_bytes() for path in (cut, folder / "backup.manifest")}
    for spoil in (lambda: cut.write_bytes(whole[cut][:-16]), cut.unlink, gone.unlink):
        spoil()
        assert world.look(), world.said
        row = status.report(world.manifest)[-1]
        assert row["warning"] and row["why"].startswith(f"{full}, {built}: damaged or not in the bucket any more; the newest is")
        assert not {full, built} & {found["label"] for found in jobs.remember()["backups"] if not found["damaged"]}
        for path, text in whole.items():
            path.write_bytes(text)
    assert world.look() and not status.report(world.manifest)[-1].get("warning"), world.said


def test_what_was_changed_and_has_its_old_length_is_found_by_reading_all_of_it(world: Node) -> None:
    assert world.look("full") and world.look("incr"), world.said
    full, built = (found["label"] for found in jobs.remember()["backups"][-2:])
    assert world.verify(now=False) and world.said[-1] == verify.WHOLE, world.said
    assert (
        world.verify(now=False)
        and jobs.list_kept(world.manifest)["verified"] == verified.read(jobs.remember()["stanza"])["ended"]
    )
    (largest,) = sorted(world.storage.objects.rglob(f"{full}/**/bundle/*"), key=lambda path: path.stat().st_size)[-1:]
    whole = largest.read_bytes()
    largest.write_bytes(whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 1]) + whole[len(whole) // 2 + 1 :])
    assert world.look() and not status.report(world.manifest)[-1].get("warning"), "it has its old length"
    assert not world.verify() and {f"{full}: damaged", f"{built}: damaged"} <= {*world.said[-1].split("; ")}
    assert world.look(), world.said
    row = status.report(world.manifest)[-1]
    assert row["warning"] and row["why"].startswith(f"{full}, {built}: damaged"), row
    assert {found["label"] for found in jobs.list_kept(world.manifest)["backups"] if found["damaged"]} == {full, built}
    largest.write_bytes(whole)
    assert world.verify() and world.look() and not status.report(world.manifest)[-1].get("warning"), world.said


def test_a_log_that_is_broken_is_named_and_a_full_backup_begins_another(world: Node) -> None:
    """What is gone from between two others pgBackRest itself does not miss."""
    before = jobs.remember()["backups"][-1]["label"]
    names = []
    for _ in range(3):
        world.sql("create table pieces (); drop table pieces")
        names.append(world.sql("select pg_walfile_name(pg_current_wal_lsn())"))
        world.wait_for_archive()
    assert world.verify(), world.said
    (gone,) = world.storage.objects.rglob(f"{names[1]}-*")
    kept = {path: path.read_bytes() for path in gone.rglob("*") if path.is_file()} if gone.is_dir() else {gone: gone.read_bytes()}
    for path in kept:
        path.unlink()
    assert not world.verify() and f"the log: missing after {names[0]}" in world.said[-1]
    assert status.report(world.manifest)[-1]["why"].endswith("a full backup is due")
    assert world.look(), world.said
    assert jobs.remember()["backups"][-1]["kind"] == "full" and jobs.remember()["backups"][-1]["label"] != before
    row = status.report(world.manifest)[-1]
    assert row["warning"] and row["why"].endswith(f"missing after {names[0]}; from the newest full backup on it is whole"), row
    for path, text in kept.items():
        path.write_bytes(text)


def test_a_bucket_that_does_not_answer_leaves_what_is_known(world: Node) -> None:
    known = verified.read(jobs.remember()["stanza"])
    world.storage.stop()
    assert not world.verify() and "does not answer" in world.said[-1]
    assert verified.read(jobs.remember()["stanza"]) == known
    world.storage.start()
