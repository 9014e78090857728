"""Backups by the node program: Debian's pgBackRest with the rendered file, a real PostgreSQL, a real S3-compatible server."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloud_init.node.backups import jobs, repository
from cloud_init.node.clusters import database_cluster, database_data
from cloud_init.node.manifest import Manifest, empty_manifest
from components.model.settings import Settings
from stacks.load import load_deployment
from tests.plans import compose_configuration, make_plan
from tests.sandbox.bucket import KEY, SECRET, ObjectStorage, run_bucket
from tests.sandbox.platform import POSTGRES, wait_until

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
        self.as_postgres(str(POSTGRES / "initdb"), "-D", str(self.data), *options)

    def start(self) -> None:
        options = f"-k {self.folder}/pg -p {PORT} -c listen_addresses= -c archive_mode=on -c archive_timeout=60s"
        command = ["-D", str(self.data), "-o", options, "-l", str(self.folder / "pg" / "log"), "-w", "start"]
        self.as_postgres(str(POSTGRES / "pg_ctl"), *command)

    def stop(self, mode: str = "fast") -> None:
        self.as_postgres(str(POSTGRES / "pg_ctl"), "-D", str(self.data), "-m", mode, "-w", "stop")

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

    def look(self, kind: str = "") -> bool:
        return jobs.look(self.manifest, lambda _, text: self.said.append(text), kind)

    def wait_for_archive(self) -> None:
        """Until all that was written is in the bucket."""
        last = self.sql("select pg_walfile_name(pg_switch_wal())")
        wait_until(lambda: self.sql("select last_archived_wal from pg_stat_archiver") >= last, 30, "the archive")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("backup")
    for above in (folder, *folder.parents[:3]):
        with contextlib.suppress(PermissionError):
            above.chmod(0o755)
    with run_bucket(folder / "storage") as storage, pytest.MonkeyPatch.context() as patch:
        settings = Settings.model_validate(
            load_deployment("local-single").settings.model_dump(exclude_unset=True)
            | {
                "backup": {"url": storage.url, "authority": storage.authority.read_text()},
                "backup_key": "[secret]",
                "backup_secret": "[secret]",
            }
        )
        plan = make_plan(settings, "local-single")
        configuration = compose_configuration(plan, plan.nodes[0], settings)
        manifest: Manifest = empty_manifest() | {"key": "all-1", "backup": configuration.manifest["backup"]}
        node = Node(folder, storage, manifest, configuration.files["/etc/webitel/pgbackrest.conf"])
        node.make_database()
        node.write_config()
        patch.setattr(repository, "CONFIG", folder / "pgbackrest.conf")
        patch.setattr(jobs, "MEMORY", folder / "memory.json")
        patch.setattr(jobs, "BUSY", folder / "busy")
        patch.setattr(database_data, "data_folder", lambda: node.data)
        patch.setenv("PGBACKREST_PG1_SOCKET_PATH", str(folder / "pg"))
        patch.setattr(database_cluster, "list_members", lambda _: [{"name": "all-1", "role": node.role}])
        parameters: dict[str, object] = {}

        def change(_: Manifest, wanted: dict[str, object]) -> str:
            parameters.update(wanted)
            node.sql(f"alter system set archive_command = '{wanted['archive_command']}'")
            node.sql("select pg_reload_conf()")
            return ""

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
    assert jobs.report(world.manifest) == []
    assert world.look(), world.said
    world.wait_for_archive()
    (row,) = jobs.remember()["backups"]
    assert row["kind"] == "full" and 0 < row["stored"] < row["size"]
    assert jobs.report(world.manifest)[0].get("warning") is None
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
    assert jobs.report(world.manifest) == []
    assert jobs.list_kept(world.manifest)["stanza"] == ""


def test_a_lost_key_is_said_at_once(world: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "cipher", "another")
    world.write_config()
    assert not world.look("incr")
    (row,) = jobs.report(world.manifest)
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
    (row,) = jobs.report(world.manifest)
    assert row.get("warning") and row["why"].startswith("late: ")
    monkeypatch.undo()
    ready = world.data / "pg_wal" / "archive_status" / "000000010000000000000000.ready"
    ready.touch()
    os.utime(ready, (time.time() - 900, time.time() - 900))
    (row,) = jobs.report(world.manifest)
    ready.unlink()
    assert row.get("warning") and "waits on its disk since 15 minutes" in row["why"]
