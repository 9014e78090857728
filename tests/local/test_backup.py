"""Backups and monitoring, turned on for a running node by `up`: under real systemd, with a real object storage at the gateway.

`WEBITEL_TEST_LONG=1` only: it takes a quarter of an hour. `tests/sandbox` has the parts with the same programs in every run.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cloud_init.node.backups.verify import WHOLE
from tests.local.conftest import Figure
from tests.local.cost import measure
from tests.local.deployment import Deployment, wait_until
from tests.local.hooks import Told, take_alerts
from tests.local.names import serve_names
from tests.local.power import incus
from tests.local.rows import find_acknowledged, find_gap, find_rows, sql, start_rows, stop_rows
from tests.long_form import only_long
from tests.sandbox.bucket import KEY, SECRET, ObjectStorage, run_bucket

pytestmark = [pytest.mark.local, only_long("takes a quarter of an hour")]

DOMAIN, TOKEN = "company.test", "token-of-the-hook"
RECORDINGS = "/var/lib/webitel/recordings/storage/recordings"
LOOK_SECONDS = 360
"""A look at the bucket comes every 5 minutes."""
COST_SECONDS = 120
LOOKS = {"webitel-backup": 300, "webitel-backup-files": 300, "webitel-backup-verify": 3600}
"""Seconds between two looks of the units that back up (`cloud_init/files/backup`)."""
WATCHER = "webitel-watch"
"""Asks the health of every service, with monitoring or without, and writes down its figures."""
WATCHES = ("prometheus", "prometheus-node-exporter", "prometheus-alertmanager", "prometheus-blackbox-exporter")
KEPT_AWAY = "/run/systemd/system/engine.service.d"
MOST_CPU, MOST_MIB = 0.05, 400.0
"""Of a core, and of memory, for backups and monitoring at rest (architecture, section 10)."""


@dataclass(frozen=True)
class World:
    """A node, and what stands around it."""

    node: Deployment
    storage: ObjectStorage
    told: Told


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A node that runs without both, and takes rows."""
    folder = tmp_path_factory.mktemp("backup")
    node = Deployment(folder, f"t{os.getpid()}-backup", {"monitoring": False})
    node.make_checkout()
    try:
        node.up()
        with (
            serve_names(node, DOMAIN),
            run_bucket(folder / "storage", f"objects.{DOMAIN}", node.gateway) as storage,
            take_alerts(node.gateway) as told,
        ):
            start_rows(node)
            yield World(node, storage, told)
    finally:
        node.end()


def ask_status(node: Deployment) -> dict[str, Any]:
    """What `status` says of the node."""
    found: dict[str, Any] = node.status()["nodes"]["all-1"]
    return found


def find_row(node: Deployment, name: str) -> dict[str, Any]:
    """What it says of one thing."""
    return next((row for row in ask_status(node)["machine"] if row["name"] == name), {})


def list_alerts(node: Deployment) -> list[str]:
    """The alerts that it names."""
    return [alert["name"] for alert in ask_status(node)["alerts"]]


def is_settled(node: Deployment) -> None:
    """Whether all is as the plan says."""
    assert "Nothing to change." in node.up().output
    node.webitel("drift", node.name)


def list_backups(node: Deployment) -> list[dict[str, Any]]:
    found: dict[str, Any] = json.loads(node.webitel("backups", node.name, "--json").output)
    rows: list[dict[str, Any]] = found["backups"]
    return rows


def test_backups_are_turned_on_without_a_restart_of_the_database(world: World, figure: Figure) -> None:
    node, storage = world.node, world.storage
    before = node.on_node("head -1 /var/lib/webitel/database/postgresql/15/postmaster.pid")
    node.set(backup={"url": storage.url, "authority": storage.authority.read_text()})
    node.set_secret("backup_key", KEY)
    node.set_secret("backup_secret", SECRET)
    node.up()
    wait_until(lambda: "" if "the newest is" in (said := find_row(node, "backup").get("why", "")) else said or "no row", 120)
    assert node.on_node("head -1 /var/lib/webitel/database/postgresql/15/postmaster.pid") == before
    acknowledged = find_acknowledged(node)
    assert acknowledged.keys() <= find_rows(node)
    figure("backups turned on by up: longest time without a row", find_gap(acknowledged))
    is_settled(node)


def test_one_more_is_made_and_recordings_come_to_the_bucket(world: World) -> None:
    node = world.node
    for number in range(3):
        node.on_node(f"head -c 300000 /dev/urandom >{RECORDINGS}/call-{number}.wav")
    node.on_node(f"touch -d '10 minutes ago' {RECORDINGS}/*; chown webitel: {RECORDINGS}/*; systemctl start webitel-backup-files")
    node.webitel("backup", node.name)
    assert [row["kind"] for row in list_backups(node)] == ["full", "incr"]
    assert WHOLE in node.webitel("backup", "--verify", node.name).said
    unit = "webitel-backup-verify"
    assert node.on_node(f"systemctl is-active {unit}.timer; systemctl start {unit}").strip() == "active"
    assert "read and compared 0 days ago" in " ".join(node.webitel("status", node.name).said.split())
    sums = node.on_node(f"cd {RECORDINGS} && sha256sum *.wav")
    node.on_node(f"rm {RECORDINGS}/call-1.wav")
    node.webitel("restore", node.name, "--recordings")
    assert node.on_node(f"cd {RECORDINGS} && sha256sum *.wav") == sums


def test_deleted_rows_are_back_with_all_that_was_acknowledged_before(world: World, figure: Figure) -> None:
    node = world.node
    at = node.on_node("sleep 1.1; date -u +'%Y-%m-%d %H:%M:%S+00'")
    second = float(node.on_node(f"date -d '{at}' +%s"))
    node.on_node("sleep 1.1")
    sql(node, "delete from kept_rows")
    done = node.webitel("restore", node.name, "--at", at, "--yes")
    figure("restore to a second before a DELETE without WHERE", done.seconds)
    figure("... until all was healthy", node.wait_healthy(300))
    before = {number for number, moment in find_acknowledged(node).items() if moment < second}
    assert before and before <= find_rows(node)
    wait_until(
        lambda: "" if "restored" not in find_row(node, "backup").get("why", "restored") else "no backup since", LOOK_SECONDS
    )
    is_settled(node)


def test_a_node_that_restarts_goes_on(world: World) -> None:
    node = world.node
    stop_rows(node)
    before = len(list_backups(node))
    incus("restart", "--force", node.node)
    node.wait_healthy(300)
    assert "newest is" in find_row(node, "backup")["why"]
    node.webitel("backup", node.name)
    assert len(list_backups(node)) == before + 1


def test_a_backup_that_was_cut_in_the_bucket_is_named(world: World) -> None:
    newest = list_backups(world.node)[-1]["label"]
    (cut, *_) = world.storage.objects.rglob(f"{newest}/bundle/*")
    whole = cut.read_bytes()
    cut.write_bytes(whole[:-16])
    world.node.on_node("systemctl start webitel-backup")
    row = find_row(world.node, "backup")
    assert row["warning"] and f"{newest}: damaged" in row["why"], row
    cut.write_bytes(whole)
    world.node.on_node("systemctl start webitel-backup")
    assert not find_row(world.node, "backup").get("warning")


def ask_prometheus(node: Deployment, path: str) -> Any:
    return json.loads(node.on_node(f"curl -sSg 'http://127.0.0.1:9090/api/v1/{path}'"))["data"]


def find_down(node: Deployment) -> str:
    """The targets that Prometheus does not reach."""
    found = ask_prometheus(node, "targets")["activeTargets"]
    return str([(one["scrapePool"], one["lastError"]) for one in found if one["health"] != "up"] or "")


def test_monitoring_is_turned_on_and_a_healthy_node_rings_nothing(world: World, figure: Figure) -> None:
    node = world.node
    node.set(monitoring=None, alert_webhook=world.told.url)
    node.set_secret("alert_webhook_token", TOKEN)
    node.up()
    wait_until(lambda: find_down(node), 60)
    rules = [rule for group in ask_prometheus(node, "rules")["groups"] for rule in group["rules"]]
    assert rules and not [rule["name"] for rule in rules if rule["health"] == "err"]
    found = measure(node, COST_SECONDS, (*WATCHES, WATCHER), LOOKS)
    for unit, (part, memory) in found.items():
        figure(f"{unit} at rest, of a core", part * 100, "%")
        figure(f"{unit} at rest, memory", memory, "MiB")
    found.pop(WATCHER)
    part = sum(part for part, _ in found.values())
    # Looks are not all at the same time, and are over in a second.
    memory = sum(found[unit][1] for unit in WATCHES) + max(found[unit][1] for unit in LOOKS)
    figure("backups and monitoring at rest, of a core", part * 100, "%")
    figure("backups and monitoring at rest, memory", memory, "MiB")
    assert part < MOST_CPU and memory < MOST_MIB
    assert list_alerts(node) == [] and world.told.alerts == []
    is_settled(node)


def test_an_alert_rings_and_is_over_by_its_cause(world: World, figure: Figure) -> None:
    node, told, began = world.node, world.told, time.monotonic()

    def wait_for(status: str) -> None:
        wanted = (status, "EngineDown", "all-1")
        wait_until(lambda: "" if wanted in told.alerts else f"told so far: {told.alerts}", 600)
        figure(f"an engine that was stopped or started: told '{status}' after", time.monotonic() - began)

    # The watcher starts what is dead, and tells of it: it goes on, and cannot start this one.
    node.on_node(f"mkdir {KEPT_AWAY} && cat >{KEPT_AWAY}/test.conf", text="[Unit]\nConditionPathExists=!/\n")
    node.on_node("systemctl daemon-reload && systemctl stop engine")
    try:
        wait_for("firing")
        assert told.tokens == {f"Bearer {TOKEN}"}
        assert list_alerts(node) == ["EngineDown"]
    finally:
        began = time.monotonic()
        node.on_node(f"rm -r {KEPT_AWAY} && systemctl daemon-reload && systemctl start --no-block engine")
    wait_for("resolved")
    assert list_alerts(node) == []
