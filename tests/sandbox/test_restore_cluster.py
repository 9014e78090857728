"""A restore of a cluster of two members under real Patroni and Consul, in the steps that the command line asks for."""

from __future__ import annotations

import io
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloud_init.elsewhere import OtherBucket, compose_other_bucket
from cloud_init.node import quiet
from cloud_init.node.ask import consul, tokens
from cloud_init.node.ask.view import View
from cloud_init.node.backups import elsewhere, jobs, marks, recovery, repository, restore, steps
from cloud_init.node.clusters import database_cluster, database_data
from cloud_init.node.clusters.encryption import ROOT as NODES_ROOT
from cloud_init.node.manifest import Manifest, empty_manifest
from components.model.backup import read_url
from components.model.settings import Settings
from provider import certificates
from stacks.load import load_deployment
from tests.long_form import only_long
from tests.plans import compose_configuration, make_plan
from tests.sandbox.bucket import KEY, SECRET, ObjectStorage, run_bucket
from tests.sandbox.consul_agent import running_agent
from tests.sandbox.folders import let_others_in
from tests.sandbox.test_restore_elsewhere import FIRST, SQL, make_node
from tests.unit.node.entries import probe, unit
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.sandbox,
    only_long("takes a minute"),
]

ADDRESSES = {"data-1": "127.0.61.1", "data-2": "127.0.61.2"}
"""The rendered files have one port for all members, and so each has an address of its own."""


@dataclass
class Member:
    """A node with a member of the cluster."""

    key: str
    folder: Path
    manifest: Manifest
    storage: ObjectStorage
    running: subprocess.Popen[bytes] | None = None
    said: list[str] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "postgresql" / "15"

    def systemctl(self, verb: str, *names: str, **_: object) -> subprocess.CompletedProcess[str]:
        """systemd with one unit."""
        if "patroni" in names and verb == "start" and self.running is None:
            with (self.folder / "patroni.log").open("ab") as log:
                # Not by runuser, which kills it before it has stopped its database.
                who = pwd.getpwnam("postgres")
                options = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": [], "env": os.environ | {"HOME": who.pw_dir}}
                command = ["/usr/bin/patroni", str(self.folder / "config.yml")]
                self.running = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **options)  # type: ignore[call-overload]
        elif "patroni" in names and verb == "stop" and self.running:
            self.running.terminate()
            self.running.wait(60)
            self.running = None
        return subprocess.CompletedProcess([], 0, "", "")

    def kill(self) -> None:
        """End as with the machine's power."""
        assert self.running
        database = int((self.data / "postmaster.pid").read_text().split()[0])
        for pid in (self.running.pid, database):
            os.kill(pid, signal.SIGKILL)
        self.running.wait(10)
        self.running = None

    def sql(self, text: str) -> str:
        command = ["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-h", str(self.folder / "socket"), "-c", text, "postgres"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
        return done.stdout.strip() if done.returncode == 0 else f"no: {done.stderr}"

    def step(self, patch: pytest.MonkeyPatch, step: str, at: str = "") -> bool:
        """One step, run as on this node."""
        self.become(patch)
        return steps.run(step, at, self.manifest, lambda _, text: self.said.append(text)) == 0

    def become(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(database_data, "data_folder", lambda: self.data)
        patch.setattr(database_cluster, "LOGIN", self.folder / "patroni.curl")
        patch.setattr(restore, "systemctl", self.systemctl)
        patch.setattr(restore, "is_running", lambda _: self.running is not None)
        patch.setattr(jobs, "MEMORY", self.folder / "memory.json")
        patch.setattr(marks, "BUSY", self.folder / "busy")
        patch.setattr(recovery, "systemctl", self.systemctl)
        patch.setattr(recovery, "LOCK", self.folder / "apply.lock")
        patch.setattr(repository, "CONFIG", self.folder / "pgbackrest.conf")
        patch.setattr(database_data, "CONFIG", self.folder / "config.yml")
        patch.setattr(elsewhere, "FOLDER", self.folder / "source")
        patch.setattr(quiet, "MARK", self.folder / "quiet.json")
        patch.setattr(quiet, "UNIT_FILES", self.folder / "units")
        patch.setattr(quiet, "systemctl", self.systemctl)
        patch.setenv("PGHOST", str(self.folder / "socket"))
        patch.setenv("PGBACKREST_PG1_SOCKET_PATH", str(self.folder / "socket"))


def make_member(key: str, folder: Path, storage: ObjectStorage, agent: str, authority: str) -> Member:
    """A member with its rendered files."""
    settings = Settings.model_validate(
        load_deployment("local-basic").settings.model_dump(exclude_unset=True)
        | {
            "counts": {"data": 3},
            "backup": {"url": storage.url, "authority": storage.authority.read_text()},
            "backup_key": "[secret]",
            "backup_secret": "[secret]",
        }
    )
    plan = make_plan(settings, "local-basic")
    node = next(node for node in plan.nodes if node.key == key)
    configuration = compose_configuration(plan, node, settings)
    for name in ("postgresql", "socket"):
        (folder / name).mkdir(parents=True)
        shutil.chown(folder / name, "postgres")
    root, own = folder.parent / "nodes.pem", folder / "database.pem"
    own.write_text(certificates.sign_node(authority, "database", loopback=True))
    own.chmod(0o600)
    shutil.chown(own, "postgres")
    secrets = {"backup_key": KEY, "backup_secret": SECRET}

    def fill(text: str) -> str:
        text = re.sub(r"\{\{address:[^}]*\}\}/32", "127.0.0.0/8", text)
        text = re.sub(r"\{\{address:([^}]*)\}\}", lambda found: ADDRESSES.get(found[1], "127.0.61.9"), text)
        text = re.sub(r"\{\{secret:([^}]*)\}\}", lambda found: secrets.get(found[1], f"the-{found[1]}"), text)
        text = text.replace('token: "the-consul_database_token"', 'token: ""').replace(":8500", ":" + agent.rpartition(":")[2])
        text = text.replace("/etc/webitel/backup-authority.pem", str(storage.authority))
        text = text.replace("/var/lib/postgresql/pgbackrest", str(folder / "postgresql" / "lock"))
        text = text.replace("/var/lib/postgresql/.patroni.pgpass", str(folder / "postgresql" / "pgpass"))
        text = text.replace("/var/run/postgresql", str(folder / "socket")).replace("shared_buffers: ", "shared_buffers: 32MB #")
        text = text.replace("/etc/webitel/database.pem", str(own)).replace(str(NODES_ROOT), str(root))
        return text.replace("/var/lib/webitel/database/postgresql/15", str(folder / "postgresql" / "15"))

    wanted = {"config.yml": "/etc/patroni/config.yml", "pgbackrest.conf": "/etc/webitel/pgbackrest.conf"}
    for name, path in {**wanted, "patroni.curl": "/etc/webitel/patroni.curl"}.items():
        (folder / name).write_text(fill(configuration.files[path]))
        shutil.chown(folder / name, "postgres")
    manifest: Manifest = empty_manifest() | {
        "key": key,
        "address": ADDRESSES[key],
        "ports": configuration.manifest["ports"],
        "backup": configuration.manifest["backup"],
        "units": [unit("patroni")],
        "clusters": {"postgresql": [{"key": one, "name": one, "address": address} for one, address in ADDRESSES.items()]},
    }
    return Member(key, folder, manifest, storage)


@pytest.fixture
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Member, Member]]:
    folder = tmp_path_factory.mktemp("cluster")
    let_others_in(folder)
    with run_bucket(folder / "storage") as storage, running_agent(folder) as agent, pytest.MonkeyPatch.context() as patch:
        authority, root = certificates.make_authority()
        (folder / "nodes.pem").write_text(root)
        made = tuple(make_member(key, folder / key, storage, agent, authority) for key in ADDRESSES)
        try:
            patch.setattr(consul, "find_agent", lambda: agent)
            patch.setattr(tokens, "list_in_use", dict)
            made[0].systemctl("start", "patroni")
            wait_until(lambda: made[0].sql("select pg_is_in_recovery()") == "f", 60, "the leader")
            made[1].systemctl("start", "patroni")
            wait_until(lambda: made[0].sql("select sync_state from pg_stat_replication") == "sync", 60, "the standby")
            yield made  # type: ignore[misc]
        finally:
            for member in reversed(made):
                member.systemctl("stop", "patroni")


def test_the_leader_has_the_database_of_that_second_and_the_other_member_follows_it(
    members: tuple[Member, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    leader, other = members
    leader.become(monkeypatch)
    assert jobs.look(leader.manifest, lambda _, text: leader.said.append(text)), leader.said
    other.become(monkeypatch)
    assert jobs.look(other.manifest, lambda _, text: other.said.append(text)), other.said
    assert "another node leads" in other.said[-1]
    leader.sql("create table calls as select generate_series(1, 1000) n")
    at = leader.sql("select clock_timestamp() at time zone 'UTC' || '+00'")
    time.sleep(1)
    leader.sql("delete from calls")
    # More than Patroni lets a candidate lag behind what it knows.
    leader.sql("create table later as select repeat('x', 1000) x from generate_series(1, 20000)")

    assert leader.step(monkeypatch, "prepare", at), leader.said
    assert leader.sql("select count(*) from calls") == "0"
    assert other.step(monkeypatch, "stop-database", at) and leader.step(monkeypatch, "stop-database", at)
    assert leader.step(monkeypatch, "place", at), leader.said
    assert leader.sql("select count(*) from calls") == "1000"
    assert leader.sql("select to_regclass('later')") == ""
    assert other.step(monkeypatch, "follow", at), other.said
    # The copy ends where the log goes on: something has to be written for it to begin there.
    leader.sql("insert into calls values (0)")
    wait_until(lambda: leader.sql("select sync_state from pg_stat_replication") == "sync", 60, "the standby")
    wait_until(lambda: other.sql("select count(*) from calls") == "1001", 10, "what the leader has")
    last = leader.sql("select pg_walfile_name(pg_switch_wal())")
    wait_until(lambda: leader.sql("select last_archived_wal from pg_stat_archiver")[8:] >= last[8:], 60, "the archive")
    leader.become(monkeypatch)
    assert jobs.look(leader.manifest, lambda _, text: leader.said.append(text), "incr"), leader.said


def test_a_member_that_was_left_out_comes_back_as_a_copy_and_never_with_what_it_had(
    members: tuple[Member, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    leader, other = members
    leader.become(monkeypatch)
    assert jobs.look(leader.manifest, lambda _, text: leader.said.append(text)), leader.said
    leader.sql("create table calls as select generate_series(1, 1000) n")
    at = leader.sql("select clock_timestamp() at time zone 'UTC' || '+00'")
    time.sleep(1)
    leader.sql("delete from calls")
    leader.sql("create table later as select repeat('x', 1000) x from generate_series(1, 20000)")
    wait_until(lambda: other.sql("select count(*) from later") == "20000", 30, "a standby that went further than that second")
    other.kill()
    assert leader.step(monkeypatch, "prepare", at), leader.said

    def leave_out() -> bool:
        monkeypatch.setattr("sys.stdin", io.StringIO(other.key))
        return leader.step(monkeypatch, "leave-out", at)

    assert not leave_out(), "Consul has its member yet"
    wait_until(leave_out, 90, "its end")
    assert leader.step(monkeypatch, "stop-database", at) and leader.step(monkeypatch, "place", at), leader.said
    assert leader.sql("select count(*) from calls") == "1000"
    before = (other.data / "global" / "pg_control").stat().st_ino
    other.become(monkeypatch)
    database_data.may_start(probe(), View(other.manifest))
    other.systemctl("start", "patroni")
    leader.sql("insert into calls values (0)")
    wait_until(lambda: leader.sql("select sync_state from pg_stat_replication") == "sync", 60, "the standby")
    wait_until(lambda: other.sql("select count(*) from calls") == "1001", 10, "what the leader has")
    assert other.sql("select to_regclass('later')") == ""
    assert (other.data / "global" / "pg_control").stat().st_ino != before
    line = "select timeline_id from pg_control_checkpoint()"
    leader.sql("checkpoint")
    assert int(leader.sql(line)) > 1
    # Once it has been here, it starts with what it has.
    other.systemctl("stop", "patroni")
    kept = (other.data / "global" / "pg_control").stat().st_ino
    database_data.may_start(probe(), View(other.manifest))
    assert (other.data / "global" / "pg_control").stat().st_ino == kept


def back_up_another(folder: Path, storage: ObjectStorage) -> str:
    """Another deployment's database with rows, backed up and gone; return what nodes read of its bucket."""
    node, settings = make_node(folder, FIRST, storage, "cipher-of-the-first")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repository, "CONFIG", node.folder / "pgbackrest.conf")
        patch.setattr(jobs, "MEMORY", node.folder / "memory.json")
        patch.setattr(marks, "BUSY", node.folder / "busy")
        patch.setattr(database_data, "data_folder", lambda: node.data)
        patch.setattr(database_cluster, "list_members", node.list_members)
        patch.setattr(database_cluster, "read_parameters", lambda _: {})
        patch.setattr(database_cluster, "change_parameters", lambda _, wanted: archive(wanted["archive_command"]))
        for name in ("PGHOST", "PGBACKREST_PG1_SOCKET_PATH"):
            patch.setenv(name, str(node.folder / "pg"))
        patch.setenv("PGPORT", "5432")

        def archive(command: str) -> str:
            node.sql(f"alter system set archive_command = '{command}'")
            node.sql("select pg_reload_conf()")
            return ""

        node.start()
        try:
            for statement in SQL.strip().split(";\n"):
                node.sql(statement)
            assert node.look(), node.said
            node.sql("insert into calls select generate_series(1, 500)")
            node.sql("select pg_current_xact_id()")
            node.wait_for_archive()
        finally:
            node.stop()
    bucket = read_url(settings.backup.url)
    assert bucket
    other = OtherBucket(storage.url, FIRST, bucket, "us-east-1", storage.authority.read_text(), KEY, SECRET, node.cipher)
    return compose_other_bucket(other)


def test_another_deployments_database_leads_the_cluster_with_its_number_and_this_ones_passwords(
    members: tuple[Member, Member], monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    leader, other = members
    folder = leader.folder.parent / FIRST
    text = back_up_another(folder, leader.storage)
    text = text.replace("/var/lib/webitel/source", str(leader.folder / "source"))
    text = text.replace("/var/lib/postgresql/pgbackrest", str(leader.folder / "postgresql" / "lock"))
    leader.sql("create table of_the_fresh_one (n int)")
    before = leader.sql("select system_identifier from pg_control_system()")
    for step, typed in (("source", text), ("prepare-source", ""), ("quiet", "the other")):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        assert leader.step(monkeypatch, step, database_data.END), leader.said
    assert other.step(monkeypatch, "stop-database", database_data.END)
    assert leader.step(monkeypatch, "stop-database", database_data.END)
    assert leader.step(monkeypatch, "place", database_data.END), leader.said
    assert leader.sql("select count(*) from calls") == "500"
    assert leader.sql("select to_regclass('of_the_fresh_one')") == ""
    assert (number := leader.sql("select system_identifier from pg_control_system()")) != before
    assert consul.find_key(f"{database_data.SCOPE}initialize")["holder"] == number
    assert other.step(monkeypatch, "follow", database_data.END), other.said
    leader.sql("insert into calls values (0)")
    wait_until(lambda: leader.sql("select sync_state from pg_stat_replication") == "sync", 60, "the standby")
    wait_until(lambda: other.sql("select count(*) from calls") == "501", 10, "what the leader has")
    assert leader.step(monkeypatch, "start")
    shown = quiet.read()
    assert shown and shown["stage"] == quiet.PLACED
