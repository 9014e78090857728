"""A deployment destroyed with its disks, and a fresh one that gets its data from the bucket, quiet until it goes live: both under
real systemd, with a real object storage.

`WEBITEL_TEST_LONG=1` only: it takes ten minutes. `tests/sandbox` has the parts with the same programs in every run.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.local.conftest import Figure
from tests.local.deployment import Deployment, wait_until
from tests.local.names import serve_names
from tests.local.power import incus
from tests.local.rows import find_acknowledged, find_rows, sql, start_rows, stop_rows
from tests.long_form import only_long
from tests.sandbox.bucket import KEY, SECRET, ObjectStorage, run_bucket
from tests.sandbox.test_restore_elsewhere import sums

pytestmark = [pytest.mark.local, only_long("takes ten minutes")]

DOMAIN, EVERYWHERE = "company.test", "0.0.0.0"
RECORDINGS = "/var/lib/webitel/recordings/storage/recordings"
PASSPHRASE = {"WEBITEL_RECOVERY_PASSPHRASE": "a passphrase of the test"}
LOG_IN = {"WEBITEL_SOURCE_KEY": KEY, "WEBITEL_SOURCE_SECRET": SECRET}
OFF = ("opensips", "sip-websocket", "webitel-uac", "call_center", "flow_manager", "messages-srv", "messages-bot", "storage")


@dataclass
class Before:
    """What was left of the first deployment: its recovery file, what it had, and a second of its life."""

    recovery: Path
    name: str
    at: str
    second: float
    acknowledged: dict[int, float]
    recordings: str
    secrets: dict[str, str]
    bucket: dict[str, str]


def back_up_to(node: Deployment, storage: ObjectStorage, folder: str) -> None:
    """Give a deployment a folder of the bucket."""
    node.webitel("pulumi", "stack", "init", node.name)
    node.set_secret("backup_key", KEY)
    node.set_secret("backup_secret", SECRET)
    node.set(backup={"url": storage.url + folder, "authority": storage.authority.read_text()})


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage]:
    with run_bucket(tmp_path_factory.mktemp("objects") / "storage", f"objects.{DOMAIN}", EVERYWHERE) as made:
        yield made


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, storage: ObjectStorage) -> Before:
    """A deployment that took rows and recordings, and was destroyed with its disks."""
    folder = tmp_path_factory.mktemp("first")
    node = Deployment(folder, f"t{os.getpid()}-first", {"monitoring": False})
    node.make_checkout()
    try:
        back_up_to(node, storage, "")
        node.up()
        with serve_names(node, DOMAIN):
            start_rows(node)
            for number in range(3):
                node.on_node(f"mkdir -p {RECORDINGS} && head -c 300000 /dev/urandom >{RECORDINGS}/call-{number}.wav")
            node.on_node(f"touch -d '10 minutes ago' {RECORDINGS}/*; chown -R webitel: {RECORDINGS}")
            node.on_node("systemctl start webitel-backup-files", seconds=120)
            node.webitel("backup", node.name)
            at = node.on_node("sleep 1.1; date -u +'%Y-%m-%d %H:%M:%S+00'")
            second = float(node.on_node(f"date -d '{at}' +%s"))
            time.sleep(3)
            stop_rows(node)
            last = sql(node, "select pg_walfile_name(pg_switch_wal())")
            wait_until(lambda: "" if sql(node, "select last_archived_wal from pg_stat_archiver") >= last else "not archived", 60)
            recovery = folder / "recovery"
            node.webitel("export-secrets", str(recovery), node.name, environment=PASSPHRASE)
            found = Before(
                recovery,
                node.name,
                at,
                second,
                find_acknowledged(node),
                node.on_node(f"cd {RECORDINGS} && sha256sum *.wav"),
                node.read_secrets(),
                {},
            )
    finally:
        node.end()
    found.bucket = sums(storage.objects)
    return found


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, storage: ObjectStorage, before: Before) -> Iterator[Deployment]:
    """A fresh one with secrets and a folder of the bucket of its own."""
    made = Deployment(tmp_path_factory.mktemp("second"), f"t{os.getpid()}-second", {"monitoring": False})
    made.make_checkout()
    try:
        back_up_to(made, storage, "/second")
        made.up()
        with serve_names(made, DOMAIN):
            made.on_node("systemctl start webitel-backup", seconds=120)
            yield made
    finally:
        made.end()


def restore(node: Deployment, storage: ObjectStorage, before: Before, *words: str, status: int = 0) -> str:
    done = node.webitel(
        *("restore", node.name, "--from", storage.url, "--recovery", str(before.recovery), *words),
        status=status,
        environment=PASSPHRASE | LOG_IN,
    )
    assert before.secrets["backup_cipher"] not in done.said and SECRET not in done.said
    return done.said


def states(node: Deployment) -> dict[str, str]:
    """What systemd says of the units that are off while it is quiet."""
    return dict(zip(OFF, node.on_node(f"systemctl is-active {' '.join(OFF)}; true").split(), strict=True))


def assert_quiet(node: Deployment) -> None:
    """Healthy, with all of it off, and said by who is asked."""
    node.wait_healthy(300)
    assert set(states(node).values()) == {"inactive"}
    report = node.status()["nodes"]["all-1"]
    assert {row["name"] for row in report["services"] if row.get("quiet")} >= {"opensips", "call_center", "messages-bot"}
    (row,) = [row for row in report["machine"] if row["name"] == "quiet"]
    assert f"./webitel restore --go-live {node.name} ends it" in row["why"]


def test_it_is_refused_with_another_second_and_nothing_changes(node: Deployment, storage: ObjectStorage, before: Before) -> None:
    assert "nothing of that time; it can be from" in restore(
        node, storage, before, "--at", "2020-01-01 00:00:00+00", "--yes", status=1
    )
    assert "active" in states(node).values()
    assert node.on_node("ls /var/lib/webitel/source 2>/dev/null; true") == "", "and the log-in of the bucket is gone again"


def test_rows_and_recordings_of_that_second_are_there_and_it_is_quiet(
    node: Deployment, storage: ObjectStorage, before: Before, figure: Figure
) -> None:
    began = time.monotonic()
    said = restore(node, storage, before, "--at", before.at, "--yes")
    figure("restore into a fresh deployment", time.monotonic() - began)
    assert "It is quiet" in " ".join(said.split())
    assert_quiet(node)
    figure("... until all was healthy", time.monotonic() - began)
    wanted = {number for number, moment in before.acknowledged.items() if moment < before.second}
    assert wanted and wanted <= find_rows(node)
    assert node.on_node(f"cd {RECORDINGS} && sha256sum *.wav") == before.recordings
    now = node.read_secrets()
    assert {name for name in now if now[name] == before.secrets[name]} == {"storage_key", "cookie_keys", "grafana_password"}
    there = {name: digest for name, digest in sums(storage.objects).items() if not name.startswith("kept/second/")}
    assert there == before.bucket, "the first one's backups are as they were"


def test_it_stays_quiet_through_an_up_and_a_restart_of_the_machine(node: Deployment) -> None:
    assert "Nothing to change." in node.up().output
    assert_quiet(node)
    drift = node.webitel("drift", node.name).output
    assert "No drift" in drift and "quiet" in drift and "--go-live" in drift
    incus("restart", "--force", node.node)
    assert_quiet(node)


def test_its_own_backups_go_to_a_place_of_its_own(node: Deployment) -> None:
    wait_until(lambda: "" if json.loads(node.webitel("backups", node.name, "--json").output)["backups"] else "no backup yet", 360)
    number = sql(node, "select system_identifier from pg_control_system()")
    assert f"{node.name}-{number}-" in sql(node, "show archive_command")


def test_it_goes_live_when_told_and_again(node: Deployment) -> None:
    assert "confirm with --yes" in node.webitel("restore", node.name, "--go-live", status=1).said
    node.webitel("restore", node.name, "--go-live", "--yes")
    node.wait_healthy(300)
    assert set(states(node).values()) == {"active"}
    assert "is not quiet: nothing to do" in node.webitel("restore", node.name, "--go-live", "--yes").output
    assert not [row for row in node.status()["nodes"]["all-1"]["machine"] if row["name"] == "quiet"]
