"""What a message says between two nodes: real RabbitMQ and HAProxy with our files, and somebody who listens on the wire."""

import base64
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cloud_init.node.ask import amqp
from cloud_init.node.clusters import encryption
from tests.sandbox.encrypted_nodes import DATABASE, SECRET, Nodes, Wire, made_nodes
from tests.sandbox.platform import RABBITMQ, fetch
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

QUEUE = "calls"


class Broker:
    """RabbitMQ of the node with data, as it was before there was TLS."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes, self.folder, self.files = nodes, nodes.folder / "rabbit", nodes.files["data-1"]
        self.folder.mkdir()
        (self.folder / "plugins").write_text(self.files["/etc/rabbitmq/enabled_plugins"])
        (self.folder / "definitions.json").write_text(self.files["/etc/rabbitmq/definitions.json"])
        more = f"load_definitions = {self.folder}/definitions.json\nloopback_users = none\n"
        (self.folder / "rabbitmq.conf").write_text(self.files["/etc/rabbitmq/rabbitmq.conf"] + more)
        self.password = nodes.secrets["broker_password"]
        programs = self.folder / "bin"
        programs.mkdir()
        (programs / "systemctl").write_text("#!/bin/sh\nexit 0\n")
        (programs / "systemctl").chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{programs}:{RABBITMQ}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": "encrypted@localhost",
            "ERL_EPMD_PORT": "4999",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "LC_ALL": "C.UTF-8",
        }

    @contextmanager
    def running(self) -> Iterator[None]:
        with (self.folder / "log").open("w") as log:
            process = subprocess.Popen(
                [str(RABBITMQ / "rabbitmq-server")], stdout=log, stderr=log, cwd="/", env=self.environment, start_new_session=True
            )
        try:
            wait_until(lambda: self.overview(f"{DATABASE}:15672") == 200, 60, "RabbitMQ")
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            subprocess.run(["epmd", "-port", "4999", "-kill"], capture_output=True, check=False)

    def overview(self, place: str) -> int:
        return fetch(f"http://{place}/api/overview", f"webitel:{self.password}")[0]

    def offer(self) -> None:
        """What the node program runs on a broker that is there."""
        script = self.nodes.folder / "offer.sh"
        script.write_text(self.files["/usr/lib/webitel/offer/rabbitmq.sh"])
        done = subprocess.run(["sh", str(script)], env=self.environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    def connect(self, address: str) -> amqp.Connection:
        return amqp.Connection(address, 5672, "webitel", self.password, 5)

    def publish(self, connection: amqp.Connection) -> None:
        connection.open_queue(QUEUE)
        connection.confirm()
        connection.publish(QUEUE, SECRET.encode())

    @contextmanager
    def proxy(self, text: str) -> Iterator[None]:
        file = self.nodes.folder / "haproxy.cfg"
        file.write_text(text.replace("/run/haproxy/", f"{self.nodes.folder}/"))
        process = subprocess.Popen(["haproxy", "-db", "-q", "-f", str(file)])
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)

    def is_reached(self) -> bool:
        try:
            self.connect("127.0.0.1").__exit__(None, None, None)
        except (OSError, ValueError):
            return False
        return True


@pytest.fixture
def broker() -> Iterator[Broker]:
    with made_nodes() as nodes:
        made = Broker(nodes)
        with made.running():
            yield made


def test_nothing_of_a_message_or_a_log_in_can_be_read_between_nodes(broker: Broker) -> None:
    strict = broker.nodes.files["app-1"]["/etc/haproxy/haproxy.cfg"]
    pairs = [(tls.replace("/etc/webitel/", f"{broker.nodes.folder}/"), plain) for tls, plain in encryption.BROKER]
    relaxed = encryption.replace(strict, tuple(pairs))
    assert relaxed != strict and encryption.replace(relaxed, tuple(pairs), back=True) == strict
    login = base64.b64encode(f"webitel:{broker.password}".encode())
    with broker.proxy(relaxed):
        wait_until(broker.is_reached, 20, "the broker behind HAProxy")
        wire = Wire()
        with broker.connect("127.0.0.1") as connection:
            broker.publish(connection)
        wait_until(lambda: broker.overview("127.0.0.1:15672") == 200, 20, "the broker's interface")
        heard = wire.end()
        assert SECRET.encode() in heard and login in heard, "who listens here hears nothing at all"
    with broker.connect(DATABASE) as held:
        broker.publish(held)
        broker.offer()
        broker.offer()
        held.publish(QUEUE, SECRET.encode())
        with broker.proxy(strict):
            wait_until(broker.is_reached, 20, "the broker behind HAProxy, by TLS")
            wait_until(lambda: broker.overview("127.0.0.1:15672") == 200, 20, "the broker's interface, by TLS")
            wire = Wire()
            with broker.connect("127.0.0.1") as connection:
                broker.publish(connection)
            assert broker.overview("127.0.0.1:15672") == 200
            heard = wire.end()
        assert len(heard) > 1000, "the wire was not listened to"
        assert SECRET.encode() not in heard and login not in heard and broker.password.encode() not in heard
        # The certificate of the node that the internet reaches, in the broker's place.
        own = broker.nodes.folder / "broker.pem"
        own.write_text(broker.nodes.secrets["web_certificate"])
        broker.offer()
        with broker.proxy(strict):
            for _ in range(20):
                assert not broker.is_reached()
        own.write_text(broker.nodes.secrets["broker_certificate"])
        broker.offer()
        with broker.proxy(strict):
            wait_until(broker.is_reached, 20, "the broker with its certificate again")
