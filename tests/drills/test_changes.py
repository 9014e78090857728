"""Changes of a cluster of three under load: at most a short gap each, nothing acknowledged lost, no call dropped."""

import json
import os
import signal
import time

import pytest

from tests.drills.conftest import DRILL_SECONDS, Load
from tests.local.deployment import Running
from tests.local.power import incus, no_packages, wait_all_healthy
from tests.local.processes import descendants
from tests.local.telephony import Telephony
from tests.long_form import only_long

pytestmark = [
    pytest.mark.drills,
    only_long("takes half an hour"),
]

PATCHED = """
set -e
mkdir -p /opt/patched
cd /opt/patched
apt-get -qq download rabbitmq-server
dpkg-deb -R rabbitmq-server_*.deb new
sed -i "s/^Version: .*/&+patched1/" new/DEBIAN/control
dpkg-deb -b new patched.deb
rm -r new rabbitmq-server_*.deb
(
  dpkg-deb -f patched.deb
  echo "Filename: ./patched.deb"
  echo "Size: $(stat -c %s patched.deb)"
  echo "SHA256: $(sha256sum patched.deb | cut -d' ' -f1)"
) > Packages
echo 'deb [trusted=yes] file:/opt/patched ./' > /etc/apt/sources.list.d/patched.list
"""
"""Debian's own package once more under a higher version, from a repository on the node."""


def show(cluster: Telephony, setting: str) -> set[str]:
    """What the members of the database's cluster have for a setting."""
    return {
        node.on_node(f"cd / && runuser -u postgres -- psql -XAtc 'show {setting}'") for node in cluster.with_service("postgresql")
    }


def test_a_setting_of_postgresql_that_needs_a_restart(cluster: Telephony, load: Load) -> None:
    cluster.set(max_connections=320)
    with load("max_connections raised"):
        cluster.up()
    assert show(cluster, "max_connections") == {"320"}


def kill(running: Running) -> None:
    """End a run of `./webitel` and all that it started at once, as a machine does that loses its power."""
    for pid in (running.process.pid, *descendants(running.process.pid)):
        os.kill(pid, signal.SIGKILL)
    running.process.wait()


def test_an_up_killed_between_two_nodes_without_packages(cluster: Telephony, load: Load) -> None:
    cluster.set(max_connections=340)
    first, *_, last = cluster.with_service("postgresql")
    with no_packages(*cluster.nodes()), load("max_connections raised without packages, killed on the way and resumed"):
        running = cluster.start("up", cluster.name)
        running.wait_for(f"{last.node}  ", 300)
        kill(running)
        assert first.node in running.said()
        cluster.up()
    assert show(cluster, "max_connections") == {"340"}
    assert "Nothing to change." in cluster.up().output


def test_a_timeout_of_haproxy(cluster: Telephony, load: Load) -> None:
    with cluster.edit("cloud_init/files/haproxy/haproxy.cfg", "maxconn 4000", "maxconn 4001"), load("HAProxy changed"):
        cluster.up()
        assert "maxconn 4001" in cluster.at("app-1").on_node("cat /etc/haproxy/haproxy.cfg")


def test_a_setting_of_the_broker_that_needs_a_restart(cluster: Telephony, load: Load) -> None:
    with (
        cluster.edit(
            "cloud_init/files/rabbitmq/rabbitmq.conf", "disk_free_limit.absolute = 1GB", "disk_free_limit.absolute = 1100MB"
        ),
        load("every broker restarted"),
    ):
        cluster.up()
        assert "1100MB" in cluster.at("data-1").on_node("cat /etc/rabbitmq/rabbitmq.conf")


def test_a_patch_version_of_the_broker(cluster: Telephony, load: Load) -> None:
    brokers = cluster.with_service("rabbitmq")
    before = brokers[0].versions("rabbitmq-server")["rabbitmq-server"][0]
    for node in brokers:
        node.on_node(PATCHED, seconds=120)
    cluster.set(package_versions={"rabbitmq-server": f"{before}+patched1"})
    with load("a patch version of every broker"):
        cluster.up()
    assert [node.versions("rabbitmq-server") for node in brokers] == [{"rabbitmq-server": (f"{before}+patched1", True)}] * 3
    # A new machine has no such repository.
    cluster.set(package_versions=None)


def test_a_member_replaced(cluster: Telephony, load: Load) -> None:
    with load("data-2 replaced"):
        cluster.webitel("replace", "data-2", "--stack", cluster.name, "--yes")


SQL = 'cd / && runuser -u postgres -- psql -XAtqc "{}" webitel'
ROLES = "patronictl -c /etc/patroni/config.yml list -f json"
KEEP = "patronictl -c /etc/patroni/config.yml edit-config -q --force -p wal_keep_size={}"
AWAY = 30
"""Seconds after which Patroni has given up the slot of a member that is gone."""
MOVE_ON = "cd / && for n in 1 2 3 4; do runuser -u postgres -- psql -XAtqc 'select pg_switch_wal()' -c checkpoint; done"
"""The log's files until now are of no use to the leader any more."""


def test_a_member_away_for_longer_than_the_log_is_kept(cluster: Telephony, load: Load) -> None:
    """Its slot goes with it, so what it lacks is thrown away: it is copied anew by itself."""
    members = {row["Role"]: row["Member"] for row in json.loads(cluster.at("data-1").on_node(ROLES))}
    leader, away = members["Leader"], members["Replica"]
    (kept,) = show(cluster, "wal_keep_size")
    with load(f"{away} away for longer than the log is kept"):
        incus("stop", "--force", f"{cluster.name}-{away}")
        cluster.at(leader).on_node(KEEP.format("32MB"))
        try:
            time.sleep(AWAY)
            for _ in range(3):
                cluster.at(leader).on_node(MOVE_ON)
                time.sleep(5)
        finally:
            cluster.at(leader).on_node(KEEP.format(kept))
            incus("start", f"{cluster.name}-{away}")
    assert "copying it again" in cluster.at(away).on_node("journalctl -u webitel-watch -o cat --no-pager")


MARK = "/var/lib/webitel/database/of-the-test"


def test_three_to_one(cluster: Telephony, load: Load) -> None:
    cluster.at("data-2").on_node(f"touch {MARK}")
    with load("three data nodes to one"):
        cluster.webitel("scale", "data", "1", cluster.name, "--yes")
    cluster.settings["counts"] = {"data": 1}
    assert len(cluster.with_service("postgresql")) == 1


def test_one_to_three_killed_on_the_way(cluster: Telephony, load: Load) -> None:
    with load("one data node to three, killed once and resumed"):
        running = cluster.start("scale", "data", "3", cluster.name, "--yes")
        running.wait_for("sending the configuration", 300)
        kill(running)
        cluster.webitel("scale", "data", "3", cluster.name, "--yes")
    cluster.settings["counts"] = {"data": 3}
    assert len(cluster.with_service("postgresql")) == 3
    # The disk is the one that was kept, and what the member had of before it left is not what it begins with.
    cluster.at("data-2").on_node(f"rm {MARK}")
    assert "its copy replaces" in cluster.at("data-2").on_node("journalctl -u patroni -o cat --no-pager")
    assert "Nothing to change." in cluster.up().output


def test_where_consul_has_forgotten_all_the_newest_data_begin(cluster: Telephony) -> None:
    """As after a `destroy` that kept the disks: who lacks what was acknowledged last may not begin, however early it is up."""
    members = {row["Role"]: row["Member"] for row in json.loads(cluster.at("data-1").on_node(ROLES))}
    nodes, behind = cluster.with_service("postgresql"), cluster.at(members["Replica"])
    for node in nodes:
        node.on_node("systemctl stop webitel-watch")  # it starts what is stopped
    behind.on_node("systemctl stop patroni")
    time.sleep(AWAY)
    cluster.at(members["Leader"]).on_node(SQL.format("create table public.newest (n int); insert into public.newest values (42)"))
    for node in nodes:
        node.on_node("systemctl stop patroni consul", seconds=120)
    for node in nodes:
        node.on_node("rm -r /var/lib/consul/* && systemctl start --no-block consul")
    behind.on_node("systemctl start --no-block patroni")
    time.sleep(AWAY)
    assert "is newer than this member's" in behind.on_node("journalctl -u patroni -o cat --no-pager -n 20")
    for node in nodes:
        node.on_node("systemctl start --no-block patroni webitel-watch")
    wait_all_healthy(cluster, DRILL_SECONDS)
    assert cluster.primary().on_node(SQL.format("select n from public.newest")) == "42"
    assert len(json.loads(cluster.at("data-1").on_node(ROLES))) == len(nodes) == 3
