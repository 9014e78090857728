"""Another deployment's backups restored into a fresh one: two real databases, Debian's pgBackRest and rclone, a real
S3-compatible server, which shows whether the other's bucket stays as it was."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cloud_init.elsewhere import OtherBucket, compose_other_bucket
from cloud_init.node import quiet
from cloud_init.node.backups import elsewhere, jobs, marks, recordings, recovery, repository, restore, status
from cloud_init.node.backups.repository import BackupError, Repository
from cloud_init.node.clusters import database_cluster, database_data
from cloud_init.node.manifest import Manifest, empty_manifest
from components.model.backup import read_url
from components.model.settings import Settings
from tests.plans import compose_configuration, make_plan
from tests.sandbox.bucket import KEY, SECRET, ObjectStorage, run_bucket, settings_with
from tests.sandbox.folders import let_others_in
from tests.sandbox.test_backup import Node
from tests.unit.node.entries import unit

pytestmark = pytest.mark.sandbox

FIRST, SECOND = "first", "local-single"
SQL = """
create table calls (n int primary key);
create role opensips login password 'of-the-first';
create role replicator login replication password 'of-the-first';
create role rewinder login password 'of-the-first';
alter role postgres password 'of-the-first'
"""


@dataclass
class World:
    """Two deployments with a bucket each, of which one may be the other's."""

    patch: pytest.MonkeyPatch
    nodes: dict[str, Node]
    settings: dict[str, Settings]
    files: dict[str, Path]
    parameters: dict[str, dict[str, object]] = field(default_factory=lambda: {FIRST: {}, SECOND: {}})
    put: dict[str, str] = field(default_factory=dict)

    def become(self, name: str) -> Node:
        """Run what follows as on the node of that deployment."""
        node, patch = self.nodes[name], self.patch
        patch.setattr(repository, "CONFIG", node.folder / "pgbackrest.conf")
        patch.setattr(jobs, "MEMORY", node.folder / "memory.json")
        patch.setattr(marks, "BUSY", node.folder / "busy")
        patch.setattr(recordings, "CONFIG", node.folder / "rclone.conf")
        patch.setattr(recordings, "CIPHER", node.folder / "cipher")
        patch.setattr(recordings, "AUTHORITY", node.storage.authority)
        patch.setattr(recordings, "MEMORY", node.folder / "files.json")
        patch.setattr(recordings, "BUSY", node.folder / "files.busy")
        patch.setattr(elsewhere, "FOLDER", node.folder / "source")
        patch.setattr(quiet, "MARK", node.folder / "quiet.json")
        patch.setattr(quiet, "UNIT_FILES", node.folder / "units")
        patch.setattr(database_data, "data_folder", lambda: node.data)
        patch.setattr(database_cluster, "list_members", node.list_members)
        patch.setenv("PGBACKREST_PG1_SOCKET_PATH", str(node.folder / "pg"))
        patch.setenv("PGHOST", str(node.folder / "pg"))
        for module in (restore, recovery, quiet):
            patch.setattr(module, "systemctl", node.systemctl)
        for module in (restore, recovery):
            patch.setattr(module, "LOCK", node.folder / "apply.lock")
        patch.setattr(restore, "is_running", lambda _: (node.data / "postmaster.pid").exists())
        patch.setattr(recordings, "is_running", lambda _: True)
        patch.setattr(database_cluster, "read_parameters", lambda _: self.parameters[name])

        def change(_: Manifest, wanted: dict[str, object]) -> str:
            self.parameters[name].update(wanted)
            node.sql(f"alter system set archive_command = '{wanted['archive_command']}'")
            node.sql("select pg_reload_conf()")
            return ""

        patch.setattr(database_cluster, "change_parameters", change)
        return node

    def tell_source(self, **changed: str) -> None:
        """Have the second node know where the first one's backups are, as the command line does."""
        settings, node = self.settings[FIRST], self.nodes[FIRST]
        bucket = read_url(settings.backup.url)
        assert bucket
        given = {"region": "us-east-1", "authority": node.storage.authority.read_text(), "key": KEY, "secret": SECRET}
        given |= {"stack": FIRST, "cipher": node.cipher} | changed
        text = compose_other_bucket(OtherBucket(url=node.storage.url, bucket=bucket, **given))
        # Its folder is the test's.
        text = text.replace("/var/lib/webitel/source", str(self.nodes[SECOND].folder / "source"))
        text = text.replace("/var/lib/postgresql/pgbackrest", str(self.nodes[SECOND].folder / "pg" / "lock"))
        self.step("source", text=text)

    def step(self, step: str, at: str = "", text: str = "") -> None:
        """One step on the second node, which has to succeed."""
        node = self.become(SECOND)
        self.patch.setattr("sys.stdin", io.StringIO(text))
        assert node.step(step, at), (step, node.said[-3:])

    def look(self) -> elsewhere.Looked:
        node = self.become(SECOND)
        return elsewhere.look(node.manifest)


def make_node(folder: Path, stack: str, storage: ObjectStorage, cipher: str) -> tuple[Node, Settings]:
    """A node of a deployment with a bucket, its database and its folder of recordings."""
    folder.mkdir()
    settings = settings_with(storage)
    plan = make_plan(settings, stack)
    configuration = compose_configuration(plan, plan.nodes[0], settings)
    (folder / "files").mkdir()
    parts: dict[str, Any] = {
        "key": "all-1",
        "stack": stack,
        "backup": configuration.manifest["backup"],
        "backup_files": {**configuration.manifest["backup_files"], "folder": str(folder / "files")},
        "units": [unit("patroni"), unit("call_center", waits=["postgresql"], speaks_outside=True)],
    }
    manifest: Manifest = empty_manifest() | parts  # type: ignore[assignment]
    node = Node(folder, storage, manifest, configuration.files["/etc/webitel/pgbackrest.conf"], cipher=cipher)
    node.make_database()
    node.write_config()
    text = configuration.files["/etc/webitel/rclone.conf"]
    for name, value in {"backup_key": KEY, "backup_secret": SECRET}.items():
        text = text.replace("{{secret:" + name + "}}", value)
    (folder / "rclone.conf").write_text(text)
    (folder / "cipher").write_text(f"{cipher}\n")
    return node, settings


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("elsewhere")
    let_others_in(folder)
    with (
        run_bucket(folder / "storage-1") as one,
        run_bucket(folder / "storage-2") as other,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.delenv("AWS_CA_BUNDLE", raising=False)
        patch.setenv("PGPORT", "5432")
        made = {
            FIRST: make_node(folder / FIRST, FIRST, one, "cipher-of-the-first"),
            SECOND: make_node(folder / SECOND, SECOND, other, "cipher-of-the-second"),
        }
        nodes = {name: node for name, (node, _) in made.items()}
        world = World(
            patch, nodes, {name: found for name, (_, found) in made.items()}, {n: nodes[n].folder / "files" for n in nodes}
        )

        def call(method: str, path: str, body: str | None = None, **_: object) -> None:
            if method == "PUT":
                world.put[path.rpartition("/")[2]] = str(body)

        patch.setattr(restore, "call", call)
        config = folder / "patroni.yml"
        roles = {"superuser": "postgres", "replication": "replicator", "rewind": "rewinder"}
        config.write_text(
            "".join(f'    {kind}: {{username: {role}, password: "new-{role}", x: y}}\n' for kind, role in roles.items())
        )
        patch.setattr(database_data, "CONFIG", config)
        # As a cluster has it, which waits for a member that is not there where it is restored; Patroni would tell each its own.
        nodes[FIRST].options, nodes[SECOND].options = "-c synchronous_commit=local", "-c synchronous_standby_names="
        try:
            for name in nodes:
                world.become(name).start()
            world.become(FIRST).sql("alter system set synchronous_standby_names = data_2")
            yield world
        finally:
            for name, node in nodes.items():
                if (node.data / "postmaster.pid").exists():
                    world.become(name).stop("immediate")


def sums(folder: Path) -> dict[str, str]:
    """What a folder holds, byte for byte."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def record(folder: Path, name: str) -> None:
    """A recording that was written some time ago."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(30000))
    os.utime(path, (time.time() - 600, time.time() - 600))


@pytest.fixture(scope="module")
def moments(world: World) -> list[str]:
    """The first deployment with rows, recordings and backups; three seconds of its life, after which it is gone."""
    node = world.become(FIRST)
    for statement in SQL.strip().split(";\n"):
        node.sql(statement)
    assert node.look(), node.said
    found = []
    for n in range(3):
        node.sql(f"insert into calls select generate_series({n * 100}, {n * 100 + 99})")
        time.sleep(1.1)
        found.append(node.now())
        time.sleep(1.1)
    for n in range(3):
        record(world.files[FIRST], f"recordings/2026/{n}.wav")
    assert recordings.copy(node.manifest, lambda _, text: node.said.append(text)), node.said
    node.sql("select pg_current_xact_id()")
    node.wait_for_archive()
    node.stop()
    return found


def test_it_is_seen_what_there_is_and_what_is_here(world: World, moments: list[str]) -> None:
    world.become(SECOND)
    assert world.nodes[SECOND].look(), world.nodes[SECOND].said
    record(world.files[SECOND], "recordings/here.wav")
    world.tell_source()
    found = world.look()
    assert not found["problem"], found
    assert found["stanza"].startswith(f"{FIRST}-") and found["version"] == found["own_version"] == "15"
    assert found["leads"] and found["size"] > 1 << 20 and found["free"] > 1 << 20
    assert found["earliest"] < recovery.parse_moment(recovery.parse_time(moments[0])) < found["latest"] + 2
    assert (found["files"], found["files_size"]) == (3, 90000) and found["own_files"] == 1 and found["own_calls"] == 0


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"cipher": "another"}, "the key in the recovery file (backup_cipher) does not open"),
        ({"secret": "wrong"}, "refuses the log-in: WEBITEL_SOURCE_KEY, WEBITEL_SOURCE_SECRET"),
        ({"stack": "nobody"}, "there are no backups of a deployment nobody in https://"),
        ({"authority": ""}, "is not believed"),
    ],
)
def test_what_cannot_be_is_named_before_anything_changes(
    world: World, moments: list[str], changed: dict[str, str], told: str
) -> None:
    before = sums(world.nodes[FIRST].storage.objects)
    elsewhere.forget()
    world.tell_source(**changed)
    assert told in world.look()["problem"]
    assert sums(world.nodes[FIRST].storage.objects) == before
    assert not quiet.MARK.exists() and not database_data.restore_mark(world.nodes[SECOND].data).exists()


def test_a_second_that_is_not_there_and_a_backup_that_was_cut_or_changed_are_refused(world: World, moments: list[str]) -> None:
    elsewhere.forget()
    world.tell_source()
    node, source = world.become(SECOND), elsewhere.read()
    objects = world.nodes[FIRST].storage.objects
    with pytest.raises(BackupError, match="no sound backup from before that time"):
        recovery.prepare(node.manifest, recovery.parse_time("2020-01-01 00:00:00+00"), lambda *_: None, source)
    with pytest.raises(BackupError, match=r"log ends before that time: the last transaction in it is of"):
        recovery.prepare(node.manifest, recovery.parse_time("2036-01-01 00:00:00+00"), lambda *_: None, source)
    largest = max(objects.rglob("bundle/*"), key=lambda path: path.stat().st_size)
    whole = largest.read_bytes()
    largest.write_bytes(whole[: len(whole) // 2] + bytes(64) + whole[len(whole) // 2 + 64 :])
    with pytest.raises(BackupError, match="damaged, and nothing was changed"):
        recovery.prepare(node.manifest, recovery.parse_time(moments[1]), lambda *_: None, source)
    largest.write_bytes(whole[:-16])
    assert "damaged or not in the bucket any more" in world.look()["problem"]
    largest.write_bytes(whole)
    assert node.sql("select 1") == "1" and not quiet.MARK.exists()


def test_nothing_but_questions_goes_to_the_other_bucket(world: World, moments: list[str]) -> None:
    elsewhere.forget()
    world.tell_source()
    for command in ("backup", "expire", "stanza-create", "stanza-delete", "archive-push", "stanza-upgrade"):
        with pytest.raises(ValueError, match="would change another deployment's backups"):
            elsewhere.Elsewhere("x").call(command)


def restore_to(world: World, at: str) -> None:
    """All steps, as the command line asks for them."""
    world.tell_source()
    world.step("prepare-source", at)
    world.step("quiet", at, text=elsewhere.read()["name"])
    for step in ("ready", "stop-database", "place"):
        world.step(step, at)
    world.step("start")
    world.step("recordings-source")
    world.step("settle")


def test_a_fresh_deployment_gets_rows_recordings_and_a_place_of_its_own_and_is_quiet(
    world: World, moments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    node, there = world.nodes[SECOND], world.nodes[FIRST].storage.objects
    before, own = sums(there), sums(node.storage.objects)
    at = recovery.parse_time(moments[1])
    restore_to(world, at)
    world.become(SECOND)
    assert node.sql("select count(*), max(n) from calls") == "200|199", "all of that second, and nothing after it"
    assert world.put["initialize"] in Repository(node.manifest["backup"]).stanza, "Patroni knows the new number"
    shown = json.loads(quiet.MARK.read_text())
    assert shown["stage"] == quiet.WHOLE and shown["source"].endswith(f" of {FIRST}") and quiet.list_units(node.manifest)
    assert sums(world.files[SECOND]).items() >= sums(world.files[FIRST]).items() and len(sums(world.files[SECOND])) == 4
    assert not elsewhere.FOLDER.exists(), "nothing that opens the other bucket stays"
    # Its roles have the passwords of this deployment.
    for role in ("postgres", "replicator", "rewinder"):
        verifier = node.sql(f"select rolpassword from pg_authid where rolname = '{role}'")
        assert verifier.startswith("SCRAM-SHA-256$") and check_scram(verifier, f"new-{role}"), role
    # Its log and backups go to a place of its own.
    assert node.look(), node.said
    node.wait_for_archive()
    kept = jobs.list_kept(node.manifest)
    assert kept["stanza"].startswith(f"{SECOND}-{world.put['initialize']}-")
    assert [row["kind"] for row in kept["backups"]] == ["full"]
    assert own.items() <= sums(node.storage.objects).items(), "what its former database left is left alone"
    assert sums(there) == before, "and the other's bucket is as it was, byte for byte"


def check_scram(verifier: str, password: str) -> bool:
    """Whether a password is the one that PostgreSQL keeps so: its salt and key by RFC 5803."""
    _, salted, keys = verifier.split("$")
    iterations, salt = salted.split(":")
    password_key = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(iterations))
    client_key = hmac.new(password_key, b"Client Key", "sha256").digest()
    return keys.split(":")[0] == base64.b64encode(hashlib.sha256(client_key).digest()).decode()


def test_once_more_to_the_end_while_it_has_data_and_its_places_do_not_meet(world: World, moments: list[str]) -> None:
    node = world.become(SECOND)
    former = Repository(node.manifest["backup"]).stanza
    before = sums(world.nodes[FIRST].storage.objects)
    time.sleep(1.1)
    restore_to(world, database_data.END)
    world.become(SECOND)
    assert node.sql("select count(*) from calls") == "300"
    assert node.look(), node.said
    node.sql("insert into calls values (-1)")
    node.wait_for_archive()
    assert Repository(node.manifest["backup"]).stanza != former
    assert sums(world.nodes[FIRST].storage.objects) == before
    # It can be brought back to a second itself, from its own.
    at = node.now()
    time.sleep(0.2)
    node.sql("delete from calls")
    for step in ("prepare", "stop-database", "place"):
        world.step(step, at)
    world.step("start")
    assert node.sql("select count(*) from calls") == "301"


def test_a_restore_that_was_cut_goes_on_where_it_was_and_says_by_which_command(
    world: World, moments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, at = world.become(SECOND), recovery.parse_time(moments[0])
    world.tell_source()
    world.step("prepare-source", at)
    world.step("quiet", at, text=elsewhere.read()["name"])
    world.step("ready", at)
    world.step("stop-database", at)
    rename = Path.rename

    def end(path: Path, target: Path) -> Path:
        if path.name.endswith(".restored"):
            raise SystemExit
        return rename(path, target)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(Path, "rename", end)
        node.step("place", at)
    world.become(SECOND)
    found = world.look()
    assert found["begun"] == {"at": at, "stage": marks.PLACING, "source": elsewhere.read()["name"]}
    (row,) = [row for row in status.report(node.manifest) if row["name"] == "restore"]
    assert f"./webitel restore --from {world.nodes[FIRST].storage.url} --at '{at}' goes on" in row["why"]
    restore_to(world, at)
    assert node.sql("select count(*) from calls") == "100"
    shutil.rmtree(marks.beside(node.data, "before"))
