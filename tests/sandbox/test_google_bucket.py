"""Backups in a bucket of Google's own language: Debian's pgBackRest and rclone with the rendered files, a real PostgreSQL, and a
stand-in for Google's storage (`google_bucket.py`)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from cloud_init import context
from cloud_init import manifest as manifests
from cloud_init.elsewhere import OtherBucket, compose_other_bucket
from cloud_init.node.backups import elsewhere, jobs, marks, recordings, recovery, repository, restore, status, steps, verified
from cloud_init.node.clusters import database_cluster, database_data
from cloud_init.node.manifest import Manifest, empty_manifest
from components.model.backup import Bucket, read_bucket
from components.model.clouds.facts import CloudFacts
from components.model.settings import Settings
from tests.plans import compose_configuration, make_plan
from tests.sandbox.folders import let_others_in
from tests.sandbox.google_bucket import HOST, GoogleStorage, make_key, run_google_bucket, settings_with
from tests.sandbox.test_backup import CIPHER, PORT, Node
from tests.unit.node.entries import unit

pytestmark = pytest.mark.sandbox

ROLES = {"superuser": "postgres", "replication": "replicator", "rewind": "rewinder"}
"""Of Patroni, which get this deployment's passwords in the other one's database."""


@dataclass
class GoogleNode(Node):
    """A node with a log-in as Google hands it out."""

    google: GoogleStorage = field(kw_only=True)
    files: dict[str, str] = field(kw_only=True)
    bucket: Bucket = field(kw_only=True)

    @property
    def recordings(self) -> Path:
        return self.folder / "files"

    def write_config(self) -> None:
        self.write_login(self.google.key)
        for name in ("pgbackrest.conf", "rclone.conf"):
            text = self.files[f"/etc/webitel/{name}"].replace("{{secret:backup_cipher}}", self.cipher)
            assert "{{secret:" not in text, "the log-in is in a file of its own"
            (self.folder / name).write_text(self.move(text))
        (self.folder / "cipher").write_text(f"{self.cipher}\n")

    def write_login(self, key: str) -> None:
        for name in ("database", "recordings"):
            assert self.files[f"/etc/webitel/backup-{name}.json"] == "{{secret:backup_secret}}\n"
            (self.folder / f"{name}.json").write_text(f"{key}\n")

    def move(self, text: str) -> str:
        """The paths of this test in place of a node's."""
        moved = {"backup-authority.pem": self.google.authority}
        moved |= {f"backup-{name}.json": self.folder / f"{name}.json" for name in ("database", "recordings")}
        for name, path in moved.items():
            text = text.replace(f"/etc/webitel/{name}", str(path))
        text = text.replace("/var/lib/webitel/source", str(self.folder / "source"))
        return text.replace("/var/lib/postgresql/pgbackrest", str(self.folder / "pg" / "lock"))

    def copy(self) -> bool:
        return recordings.copy(self.manifest, lambda _, text: self.said.append(text))

    def record(self, name: str) -> None:
        path = self.recordings / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(30000))
        os.utime(path, (time.time() - 600, time.time() - 600))

    def sums(self) -> dict[str, str]:
        found = (path for path in self.recordings.rglob("*") if path.is_file())
        return {str(path.relative_to(self.recordings)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleNode]:
    folder = tmp_path_factory.mktemp("google")
    let_others_in(folder)
    with run_google_bucket(folder / "storage") as storage, pytest.MonkeyPatch.context() as patch:

        def read(settings: Settings, facts: CloudFacts) -> Bucket | None:
            """Google's host is the stand-in's; all else is as it is there."""
            found = read_bucket(settings, facts)
            return found and replace(found, host=HOST, port=storage.port)

        for module in (context, manifests):
            patch.setattr(module, "read_bucket", read)
        settings = settings_with(storage)
        plan = make_plan(settings, "local-single")
        configuration = compose_configuration(plan, plan.nodes[0], settings)
        bucket = read(settings, plan.facts)
        assert bucket
        (folder / "files").mkdir()
        parts: dict[str, Any] = {
            "key": "all-1",
            "backup": configuration.manifest["backup"],
            "backup_files": {**configuration.manifest["backup_files"], "folder": str(folder / "files")},
            "units": [unit("patroni")],
        }
        manifest: Manifest = empty_manifest() | parts  # type: ignore[assignment]
        node = GoogleNode(folder, storage, manifest, "", google=storage, files=configuration.files, bucket=bucket)  # type: ignore[arg-type]
        node.make_database()
        node.write_config()
        for module, name, value in (
            (repository, "CONFIG", "pgbackrest.conf"),
            (jobs, "MEMORY", "memory.json"),
            (verified, "MEMORY", "verified.json"),
            (marks, "BUSY", "busy"),
            (recordings, "CONFIG", "rclone.conf"),
            (recordings, "CIPHER", "cipher"),
            (recordings, "MEMORY", "files.json"),
            (recordings, "BUSY", "files.busy"),
            (elsewhere, "FOLDER", "source"),
            (recovery, "LOCK", "apply.lock"),
        ):
            patch.setattr(module, name, folder / value)
        patch.setattr(recordings, "AUTHORITY", storage.authority)
        patch.setattr(database_data, "data_folder", lambda: node.data)
        patch.setattr(database_cluster, "list_members", node.list_members)
        for module in (recordings, status):
            patch.setattr(module, "is_running", lambda _: True)
        patch.setenv("PGBACKREST_PG1_SOCKET_PATH", str(folder / "pg"))
        patch.setenv("PGHOST", str(folder / "pg"))
        patch.setenv("PGPORT", PORT)
        parameters: dict[str, object] = {}

        def change(_: Manifest, wanted: dict[str, object]) -> str:
            parameters.update(wanted)
            node.sql(f"alter system set archive_command = '{wanted['archive_command']}'")
            node.sql("select pg_reload_conf()")
            return ""

        for module in (restore, recovery):
            patch.setattr(module, "systemctl", node.systemctl)
        patch.setattr(restore, "is_running", lambda _: (node.data / "postmaster.pid").exists())
        patch.setattr(restore, "call", lambda _, path, **__: node.forgotten.append(path))
        patch.setattr(database_cluster, "read_parameters", lambda _: parameters)
        patch.setattr(database_cluster, "change_parameters", change)
        node.start()
        try:
            yield node
        finally:
            if (node.data / "postmaster.pid").exists():
                node.stop("immediate")


def test_backups_are_made_and_expire(world: GoogleNode, monkeypatch: pytest.MonkeyPatch) -> None:
    world.sql("create table calls (n int primary key); insert into calls select generate_series(1, 100)")
    assert world.look(), world.said
    world.wait_for_archive()
    (first,) = jobs.remember()["backups"]
    assert first["kind"] == "full" and 0 < first["stored"] < first["size"] and not first["damaged"]
    names = world.google.list_names()
    assert names and all(name.startswith("kept/local-single/postgresql/") for name in names)
    assert world.look("incr") and world.look("full"), world.said
    # As `keep_days` has it, by hand: this clock cannot be turned.
    world.files["/etc/webitel/pgbackrest.conf"] = world.files["/etc/webitel/pgbackrest.conf"].replace(
        "repo1-retention-full-type=time\nrepo1-retention-full=14", "repo1-retention-full-type=count\nrepo1-retention-full=1"
    )
    world.write_config()
    assert world.look("full"), world.said
    (last,) = jobs.remember()["backups"]
    assert last["label"] != first["label"]
    assert not [name for name in world.google.list_names() if f"/{first['label']}/" in name], "each of its objects is deleted"
    assert [method for method, _ in world.google.asked if method == "DELETE"]


def test_what_is_read_later_is_what_was_written(world: GoogleNode) -> None:
    from cloud_init.node.backups import verify

    assert verify.run(world.manifest, lambda _, text: world.said.append(text), True), world.said


def test_a_second_before_a_delete_comes_back(world: GoogleNode) -> None:
    at = world.now()
    time.sleep(0.1)
    world.sql("delete from calls")
    for step in ("prepare", "stop-database", "place", "start"):
        assert world.step(step, at if step != "start" else ""), (step, world.said)
    assert world.sql("select count(*) from calls") == "100"
    world.wait_for_archive()
    assert world.look(), world.said


def test_recordings_come_back_as_they_were(world: GoogleNode) -> None:
    world.record("recordings/a.wav")
    assert world.copy(), world.said
    world.record("recordings/ä b.wav")
    assert world.copy(), world.said
    before = world.sums()
    assert len(before) == 2 and not [name for name in world.google.list_names() if "wav" in name]
    shutil.rmtree(world.recordings)
    world.recordings.mkdir()
    recordings.bring_back(world.manifest, lambda _, text: world.said.append(text))
    assert world.sums() == before


def test_another_key_of_the_files_is_said_at_once(world: GoogleNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "cipher", "another")
    world.write_config()
    assert not world.look("incr") and "backup_cipher" in jobs.remember()["problem"]
    monkeypatch.undo()
    world.write_config()
    assert world.look(), world.said


@pytest.mark.parametrize("how", ["another key", "no rights"])
def test_a_refused_log_in_is_told_as_one(world: GoogleNode, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "another key":
        world.write_login(make_key(json.loads(world.google.key)["token_uri"])[0])
    else:
        monkeypatch.setattr(world.google, "may", "")
    assert not world.look("incr")
    assert "the bucket refuses the log-in" in jobs.remember()["problem"], jobs.remember()["problem"]
    world.record(f"recordings/{how}.wav")
    assert not world.copy()
    assert "the bucket refuses the log-in" in recordings.remember()["problem"], recordings.remember()
    world.write_config()
    monkeypatch.undo()
    assert world.look() and world.copy(), world.said


def test_another_deployment_reads_it_with_a_key_that_only_may_that(world: GoogleNode, monkeypatch: pytest.MonkeyPatch) -> None:
    world.sql("; ".join(f"create role {role} login" for role in ROLES.values() if role != "postgres"))
    config = world.folder / "patroni.yml"
    config.write_text("".join(f'    {kind}: {{username: {role}, password: "new", x: y}}\n' for kind, role in ROLES.items()))
    monkeypatch.setattr(database_data, "CONFIG", config)
    assert world.look("incr") and world.copy(), world.said
    world.wait_for_archive()
    before = world.google.list_names()
    monkeypatch.setattr(world.google, "may", "read")
    other = OtherBucket(
        world.bucket.url, "local-single", world.bucket, "", world.google.authority.read_text(), "", world.google.key, CIPHER
    )
    monkeypatch.setattr("sys.stdin", io.StringIO(world.move(compose_other_bucket(other))))
    assert steps.run("source", "", world.manifest, lambda _, text: world.said.append(text)) == 0, world.said
    found = elsewhere.look(world.manifest)
    assert not found["problem"] and found["size"] > 0 and found["files"] == len(world.sums()), found
    assert steps.run("prepare-source", database_data.END, world.manifest, lambda _, text: world.said.append(text)) == 0, (
        world.said
    )
    assert world.google.list_names() == before
    elsewhere.forget()
