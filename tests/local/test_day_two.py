"""A node in its life: restarts, crashes, a lost disk, a changed setting, another machine."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.local.conftest import Figure
from tests.local.deployment import Deployment, wait_until
from tests.local.power import no_packages
from tests.long_form import only_long

pytestmark = pytest.mark.local

ROW = "kept"
REBOOT_SECONDS = 240
CRASH_SECONDS = 180
ADMIN_SQL = "runuser -u postgres -- psql -XAtq webitel -c"
KILL_ALL = """
import json, os, signal, subprocess, sys
for name in json.load(sys.stdin):
    pid = int(subprocess.run(["systemctl", "show", "-p", "MainPID", "--value", name + ".service"],
                             capture_output=True, text=True, check=True).stdout)
    if pid:
        os.kill(pid, signal.SIGKILL)
"""


def read_row(single: Deployment) -> str:
    """What the database keeps for these tests."""
    return single.on_node(f"{ADMIN_SQL} 'select value from kept'")


@pytest.fixture
def row(healthy: Deployment) -> Iterator[str]:
    """A value that the database must keep."""
    healthy.on_node(f"{ADMIN_SQL} \"drop table if exists kept; create table kept as select '{ROW}'::text as value; checkpoint\"")
    yield ROW
    healthy.on_node(f"{ADMIN_SQL} 'drop table if exists kept'", check=False)


def test_changed_setting_touches_one_file_and_one_service(healthy: Deployment, figure: Figure) -> None:
    before = healthy.units()
    workers = healthy.on_node("pgrep -P $(systemctl show -p MainPID --value nginx)")
    healthy.set(upload_limit_mib=65)
    shown = healthy.webitel("preview", healthy.name, "--diff").output
    lines = [line.strip() for line in shown.splitlines()]
    assert "- client_max_body_size 64m;" in [re.sub(r"^-\s+", "- ", line) for line in lines]
    assert "+ client_max_body_size 65m;" in [re.sub(r"^\+\s+", "+ ", line) for line in lines]
    assert "~ webitel:index:NodeConfiguration" in shown
    # Nothing but that node's configuration, and the look at the services' health after it.
    assert set(re.findall(r"[~+-] (webitel:index:\w+)", shown)) == {"webitel:index:NodeConfiguration", "webitel:index:Health"}
    # A change does not hang on package sources that cannot be reached.
    with no_packages(healthy):
        done = healthy.up()
    figure("up with one changed file", done.seconds)
    assert done.seconds < 60
    assert healthy.units() == before
    assert healthy.on_node("pgrep -P $(systemctl show -p MainPID --value nginx)") != workers
    assert "client_max_body_size 65m;" in healthy.on_node("nginx -T 2>/dev/null")
    assert "Nothing to change." in healthy.up().output


def test_a_changed_bundle_reaches_freeswitch_and_nothing_else(healthy: Deployment, figure: Figure) -> None:
    before = healthy.units()
    with healthy.edit("cloud_init/bundles/freeswitch/dialplan.xml", "503 Service Unavailable", "503 Elsewhere"):
        done = healthy.up()
        figure("up with a changed bundle", done.seconds)
        assert [name for name, unit in healthy.units().items() if unit != before[name]] == ["freeswitch"]
        assert "503 Elsewhere" in healthy.on_node("cat /usr/share/webitel/bundles/freeswitch/dialplan.xml")
        assert healthy.on_node("fs_cli -x 'fsctl pause_check inbound'") == "false"
    healthy.up()


@only_long("two more times `up`, and only those who change a stand-in are concerned")
def test_changed_stand_in_reaches_the_node(healthy: Deployment) -> None:
    before = healthy.units()
    page = f"curl -ksSf https://{healthy.address}/app/auth/"
    assert "second edition" not in healthy.on_node(page)
    with (
        healthy.edit("sandbox/webitel/packages.py", "Stand-in of the sandbox for", "Stand-in, second edition, for"),
        healthy.edit("sandbox/webitel/grafana/grafana-server.service", "[Unit]\n", "[Unit]\nDocumentation=man:second(1)\n"),
    ):
        healthy.up()
        assert "second edition" in healthy.on_node(page)
        after = healthy.units()
        assert {name for name in before if after[name] != before[name]} == {"grafana-server"}
        assert "man:second(1)" in healthy.on_node("systemctl show -p Documentation --value grafana-server")
    healthy.up()
    assert "second edition" not in healthy.on_node(page)


@pytest.fixture(scope="module")
def versions(single: Deployment) -> Iterator[Deployment]:
    """The deployment, whose packages have the versions they began with again after the last test: the machine that is replaced
    in between comes up with what was chosen here."""
    yield single
    if "package_versions" in single.settings:
        single.set(package_versions=None)
        single.up()


@contextmanager
def wanted(versions: Deployment, package: str, version: str) -> Iterator[str]:
    """A version that the node refuses: what a failed `up` says, after which the settings are the ones of before."""
    before, units = versions.settings.get("package_versions"), versions.units()
    versions.set(package_versions={**(before or {}), package: version})
    try:
        yield versions.up(status=1).said
        assert versions.units() == units
    finally:
        versions.set(package_versions=before)


@only_long("five commands; `upgrade` below brings the same versions by the same way")
def test_a_patch_version_restarts_its_service_only(versions: Deployment, figure: Figure) -> None:
    versions.wait_healthy(180)
    before, was = versions.units(), versions.versions("webitel-engine", "webitel-logger", "grafana", "webitel-crm")
    version = was["webitel-engine"][0]
    shown = versions.webitel("upgrade", versions.name, "--only", "engine", status=1)
    assert re.search(r" all-1 +webitel-engine +(\S+) +\1\+1 +restart Engine", shown.output), shown.output
    assert "confirm with --yes" in shown.said
    assert "package_versions" not in versions.stack_file.read_text()
    with wanted(versions, "webitel-engine", "25.08.99-1") as said:
        assert f"webitel:package_versions.webitel-engine = 25.08.99-1: {versions.node}: its repositories have " in said
        assert f"{version}+1" in said
    assert versions.versions(*was) == was
    versions.set(package_versions={"webitel-engine": f"{version}+1"})
    shown = versions.webitel("preview", versions.name, "--diff")
    assert f'version: "{version}" => "{version}+1"' in shown.output, shown.output
    assert shown.output.index("NodeConfiguration::all-1") < shown.output.index("webitel-engine: {")
    done = versions.up()
    figure("up with a patch version of one service", done.seconds)
    after = versions.units()
    assert {name for name in before if after[name] != before[name]} == {"engine"}
    assert versions.versions(*was) == was | {"webitel-engine": (f"{version}+1", True)}
    with wanted(versions, "webitel-engine", version) as said:
        assert f"webitel-engine = {version}: {versions.node}: {version}+1 has run already" in said


def test_upgrade_brings_what_drops_no_call_and_a_version_that_runs_changes_nothing(versions: Deployment, figure: Figure) -> None:
    versions.wait_healthy(180)
    packages = ("webitel-logger", "webitel-auth-app", "grafana", "rabbitmq-server", "opensips")
    before, was = versions.units(), versions.versions(*packages)
    versions.set(package_versions=versions.settings.get("package_versions", {}) | {"rabbitmq-server": was["rabbitmq-server"][0]})
    done = versions.upgrade("--only", "logger", "--only", "webitel-web", "--only", "grafana", "--only", "opensips")
    figure("upgrade of three services", done.seconds)
    assert "left out without --disruptive" in " ".join(done.output.split())
    new = {name: (f"{was[name][0]}+1", True) for name in ("webitel-logger", "webitel-auth-app", "grafana")}
    assert versions.versions(*packages) == was | new
    after = versions.units()
    assert {name for name in before if after[name] != before[name]} == {"webitel-logger", "grafana-server"}
    assert versions.settings["package_versions"]["rabbitmq-server"] == was["rabbitmq-server"][0]
    # The vendor's own unit is a conffile of the name of ours.
    assert "EnvironmentFile=/etc/webitel/logger.env" in versions.on_node("cat /etc/systemd/system/webitel-logger.service")
    assert "# patch 1" in versions.on_node("cat /etc/systemd/system/webitel-logger.service.dpkg-dist")
    assert "Nothing to change." in versions.up().output


def test_reboot(healthy: Deployment, row: str, figure: Figure) -> None:
    boot = "cat /proc/1/stat | cut -d ' ' -f 22"
    before = healthy.on_node(boot)
    # No call is there, so that nothing holds it up.
    done = healthy.webitel("reboot", healthy.name, "--all", "--yes", seconds=REBOOT_SECONDS)
    figure("restart of the node until healthy", done.seconds)
    assert healthy.on_node(boot) != before and "Everything is healthy." in done.output
    assert read_row(healthy) == row
    assert "Nothing to change." in healthy.up().output


def test_every_process_killed_at_once(healthy: Deployment, row: str, figure: Figure) -> None:
    before = {name: unit["MainPID"] for name, unit in healthy.units().items() if unit["MainPID"] != "0"}
    assert len(before) > 5
    healthy.python_on_node(KILL_ALL, text=json.dumps(list(before)))

    def ask() -> str:
        after = healthy.units()
        left = [name for name, pid in before.items() if after[name]["MainPID"] in (pid, "0")]
        return f"not started again: {', '.join(left)}" if left else ""

    seconds = wait_until(ask, CRASH_SECONDS)
    figure("SIGKILL of every unit's process until healthy", seconds + healthy.wait_healthy(CRASH_SECONDS))
    assert read_row(healthy) == row


@only_long("two minutes, and the test before it kills all of them at once")
def test_every_process_killed_in_turn(healthy: Deployment, row: str, figure: Figure) -> None:
    # In start order: what goes deaf by the death of one is killed itself later, so nothing waits for the watcher.
    started = time.monotonic()
    for name in [name for name, unit in healthy.units().items() if unit["MainPID"] != "0"]:
        find_pid = f"systemctl show -p MainPID --value {name}.service"
        before = wait_for_pid(healthy, find_pid, "0")
        healthy.on_node(f"kill -9 {before}")
        wait_for_pid(healthy, find_pid, before)
    healthy.wait_healthy(CRASH_SECONDS)
    figure("SIGKILL of one unit's process after the other until healthy", time.monotonic() - started)
    assert read_row(healthy) == row


def wait_for_pid(single: Deployment, command: str, before: str) -> str:
    """Wait for a process that is not the one before; returns its number."""
    found = ""

    def ask() -> str:
        nonlocal found
        found = single.on_node(command, check=False)
        return "" if found.isdecimal() and found not in ("0", before) else f"{command}: no new process, {found!r}"

    wait_until(ask, 60, pause=0.2)
    return found


def test_database_server_killed(healthy: Deployment, row: str) -> None:
    postmaster = "head -1 /var/lib/webitel/database/postgresql/15/postmaster.pid"
    before = healthy.on_node(postmaster)
    healthy.on_node(f"kill -9 {before}")
    wait_for_pid(healthy, postmaster, before)
    healthy.wait_healthy(CRASH_SECONDS)
    assert read_row(healthy) == row


def test_missing_disk_keeps_the_database_down(healthy: Deployment, row: str) -> None:
    volume = f"{healthy.node}-database"
    mount = "/var/lib/webitel/database"
    run_incus("config", "device", "remove", healthy.node, "database")
    try:
        run_incus("restart", "--force", healthy.node)
        wait_until(lambda: "" if "disk database" in healthy.find_faults() else "status says nothing of the disk", 60)
        # All that can be up without the database is, so what is not had its chance.
        wait_until(lambda: f"consul: {why}" if (why := healthy.find_faults().get("consul")) else "", 60)
        report = healthy.status()["nodes"]["all-1"]
        (disk,) = [disk for disk in report["disks"] if disk["purpose"] == "database"]
        assert disk["why"] == f"disk database is not attached at {mount}"
        (database,) = [service for service in report["services"] if service["name"] == "postgresql"]
        assert not database["healthy"]
        assert mount in database["why"]
        assert healthy.on_node("pgrep -x postgres || true") == ""
        assert healthy.on_node(f"ls -A {mount} 2>/dev/null || true") == ""
        failed = healthy.up(status=1)
        assert f"disk database is not attached at {mount}" in failed.said
    finally:
        disk_options = ("disk", "pool=webitel", f"source={volume}", f"path={mount}")
        run_incus("config", "device", "add", healthy.node, "database", *disk_options)
    healthy.wait_healthy(CRASH_SECONDS)
    assert read_row(healthy) == row
    assert "Nothing to change." in healthy.up().output


def test_replaced_machine_is_configured_anew_and_keeps_its_data(healthy: Deployment, row: str, figure: Figure) -> None:
    before = healthy.find_resource("NodeConfiguration")["outputs"]
    urn = healthy.find_resource("LocalMachine")["urn"]
    done = healthy.webitel(
        "pulumi", "up", "--stack", healthy.name, "--replace", urn, "--yes", "--skip-preview", "--non-interactive"
    )
    figure("machine replaced until healthy", done.seconds)
    healthy.set()  # Pulumi wrote the passphrase's salt into the stack file
    after = healthy.find_resource("NodeConfiguration")["outputs"]
    assert after["machine_id"] != before["machine_id"]
    assert after["host_key"] != before["host_key"]
    assert after["host_keys"] == {after["machine_id"]: after["host_key"]}
    shown = healthy.on_node("cat /var/lib/cloud/data/instance-id; ssh-keygen -y -f /etc/ssh/webitel_host_ed25519_key").split()
    assert shown[0] == after["machine_id"]
    assert shown[1:3] == after["host_key"].split()[:2]
    # `status` accepts the pinned key only.
    assert healthy.status()["healthy"]
    assert read_row(healthy) == row
    assert "client_max_body_size 65m;" in healthy.on_node("nginx -T 2>/dev/null")
    assert "Nothing to change." in healthy.up().output


def run_incus(*arguments: str) -> None:
    """Run `incus`, past our own provider: what an operator's mistake or a fault does."""
    done = subprocess.run(["incus", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
