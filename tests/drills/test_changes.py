"""Changes of a cluster of three under load: at most a short gap each, nothing acknowledged lost, no call dropped."""

import os
import signal

import pytest

from tests.drills.conftest import Load
from tests.local.processes import descendants
from tests.local.telephony import Telephony

pytestmark = [
    pytest.mark.drills,
    pytest.mark.skipif(not os.environ.get("WEBITEL_TEST_LONG"), reason="takes half an hour: WEBITEL_TEST_LONG=1"),
]


def show(cluster: Telephony, setting: str) -> set[str]:
    """What the members of the database's cluster have for a setting."""
    return {node.on_node(f"cd / && runuser -u postgres -- psql -XAtc 'show {setting}'")
            for node in cluster.with_service("postgresql")}


def test_a_setting_of_postgresql_that_needs_a_restart(cluster: Telephony, load: Load) -> None:
    cluster.set(max_connections=320)
    with load("max_connections raised"):
        cluster.up()
    assert show(cluster, "max_connections") == {"320"}


def test_a_timeout_of_haproxy(cluster: Telephony, load: Load) -> None:
    with cluster.edit("cloud_init/files/haproxy/haproxy.cfg", "maxconn 4000", "maxconn 4001"), load("HAProxy changed"):
        cluster.up()
        assert "maxconn 4001" in cluster.at("app-1").on_node("cat /etc/haproxy/haproxy.cfg")


def test_a_setting_of_the_broker_that_needs_a_restart(cluster: Telephony, load: Load) -> None:
    with cluster.edit("cloud_init/files/rabbitmq/rabbitmq.conf", "disk_free_limit.absolute = 1GB",
                      "disk_free_limit.absolute = 1100MB"), load("every broker restarted"):
        cluster.up()
        assert "1100MB" in cluster.at("data-1").on_node("cat /etc/rabbitmq/rabbitmq.conf")


def test_a_member_replaced(cluster: Telephony, load: Load) -> None:
    with load("data-2 replaced"):
        cluster.webitel("replace", "data-2", "--stack", cluster.name, "--yes")


def test_three_to_one(cluster: Telephony, load: Load) -> None:
    with load("three data nodes to one"):
        cluster.webitel("scale", "data", "1", cluster.name, "--yes")
    cluster.settings["counts"] = {"data": 1}
    assert len(cluster.with_service("postgresql")) == 1


def test_one_to_three_killed_on_the_way(cluster: Telephony, load: Load) -> None:
    with load("one data node to three, killed once and resumed"):
        running = cluster.start("scale", "data", "3", cluster.name, "--yes")
        running.wait_for("sending the configuration", 300)
        for pid in (running.process.pid, *descendants(running.process.pid)):
            os.kill(pid, signal.SIGKILL)
        running.process.wait()
        cluster.webitel("scale", "data", "3", cluster.name, "--yes")
    cluster.settings["counts"] = {"data": 3}
    assert len(cluster.with_service("postgresql")) == 3
    assert "Nothing to change." in cluster.up().output
