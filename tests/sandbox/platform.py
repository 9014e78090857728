"""PostgreSQL, RabbitMQ and Consul of Debian as ordinary processes on free ports of the loopback, for the stand-ins."""

import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from cloud_init.node.clusters.encryption import ROOT as NODES_ROOT
from cloud_init.node.system import POSTGRESQL_BIN
from provider import certificates
from stacks.load import load_deployment
from tests.plans import compose_configuration
from tests.sandbox.consul_program import find_consul
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
RABBITMQ = Path("/usr/lib/rabbitmq/bin")
PYTHON = "/usr/bin/python3"
SCHEMA = ROOT / "sandbox" / "webitel" / "schema"


def missing_programs() -> list[str]:
    """What this machine lacks for these tests."""
    found = {
        "postgresql-15": (POSTGRESQL_BIN / "initdb").exists(),
        "rabbitmq-server": (RABBITMQ / "rabbitmq-server").exists(),
        "consul": find_consul() is not None,
        "python3-psycopg2 python3-pika": subprocess.run(
            [PYTHON, "-c", "import psycopg2, pika"], capture_output=True, check=False
        ).returncode
        == 0,
    }
    return [name for name, there in found.items() if not there]


def rendered_definitions() -> str:
    """What a node's broker reads at its start: user, virtual host and exchanges come from there, and from nowhere else."""
    deployment = load_deployment("local-single")
    files = compose_configuration(deployment.plan, deployment.plan.node("all-1"), deployment.settings).files
    return files["/etc/rabbitmq/definitions.json"].replace("{{secret:broker_password}}", "broker-password")


def free_port() -> int:
    """A port of the loopback that nobody uses now.

    Below the kernel's own range: who connects again and again to a closed port from that range meets itself one day, and
    holds the port.
    """
    while True:
        port = random.randrange(20000, 30000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def fetch(url: str, user: str = "", method: str = "GET", body: object = None) -> tuple[int, str]:
    """Status and text of an HTTP request; status 0 when nobody answers."""
    request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body is not None else None)
    if user:
        request.add_header("Authorization", "Basic " + b64encode(user.encode()).decode())
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


class Platform:
    """The three programs; each can be stopped and started, Consul also with its data lost."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in ("postgresql", "rabbitmq", "epmd", "distribution", "management", "consul")}
        self.consul_ports = {name: free_port() for name in ("serf_lan", "serf_wan", "server", "dns")}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.account = pwd.getpwnam("postgres")
        folder.chmod(0o755)
        for name in ("pg", "rabbit", "consul"):
            (folder / name).mkdir()
        os.chown(folder / "pg", self.account.pw_uid, self.account.pw_gid)
        self.as_root = os.geteuid() == 0
        authority, root = certificates.make_authority()
        self.root, self.certificate = folder / "nodes.pem", folder / "pg" / "database.pem"
        self.root.write_text(root)
        self.certificate.write_text(certificates.sign_node(authority, "database", loopback=True))
        self.certificate.chmod(0o600)
        os.chown(self.certificate, self.account.pw_uid, self.account.pw_gid)

    def lead_to_database(self, text: str) -> str:
        """A file's text with this database's port, and the certificate that clients hold it against."""
        return text.replace("127.0.0.1:5432", f"127.0.0.1:{self.ports['postgresql']}").replace(str(NODES_ROOT), str(self.root))

    def as_postgres(self) -> dict[str, Any]:
        """PostgreSQL refuses to run as root."""
        return {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []} if self.as_root else {}

    def _run(self, name: str, command: list[str], more: dict[str, str] | None = None) -> None:
        options = self.as_postgres() if name == "postgresql" else {}
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **(more or {})}, cwd="/", start_new_session=True, **options
            )

    def start(self, name: str) -> None:
        """Starts one of `postgresql`, `rabbitmq` and `consul`, and waits until it answers."""
        if name == "postgresql":
            self._run(
                name,
                [
                    str(POSTGRESQL_BIN / "postgres"),
                    "-D",
                    str(self.folder / "pg" / "data"),
                    "-k",
                    "",
                    "-h",
                    "127.0.0.1",
                    "-p",
                    str(self.ports[name]),
                    "-c",
                    "ssl=on",
                    "-c",
                    f"ssl_cert_file={self.certificate}",
                    "-c",
                    f"ssl_key_file={self.certificate}",
                    "-c",
                    "fsync=off",
                    "-c",
                    "shared_buffers=32MB",
                ],
            )
            wait_until(lambda: self.sql("select 1", "postgres", quiet=True) == "1", 30, "PostgreSQL")
        elif name == "rabbitmq":
            self._begin(name)
            self.wait_for_broker()
        else:
            self._run(
                name,
                [
                    str(find_consul()),
                    "agent",
                    "-server",
                    "-bootstrap-expect=1",
                    "-bind=127.0.0.1",
                    "-data-dir",
                    str(self.folder / "consul"),
                    "-config-file",
                    str(self.folder / "consul.json"),
                ],
            )
            wait_until(lambda: len(self.consul("/v1/status/leader")) > 4, 30, "Consul")

    def stop(self, name: str) -> None:
        """Ends a program and waits for its end."""
        process = self.running.pop(name, None)
        if process is None:
            return
        process.send_signal(signal.SIGINT if name != "rabbitmq" else signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def lose_consul_data(self) -> None:
        """Empties the data directory of the stopped Consul."""
        shutil.rmtree(self.folder / "consul")
        (self.folder / "consul").mkdir()

    def rabbit_environment(self) -> dict[str, str]:
        """Where the broker of this test keeps everything."""
        base = self.folder / "rabbit"
        return {
            "HOME": str(base),
            "RABBITMQ_NODENAME": f"sandbox{self.ports['rabbitmq']}@localhost",
            "ERL_EPMD_PORT": str(self.ports["epmd"]),
            "RABBITMQ_MNESIA_BASE": str(base / "mnesia"),
            "RABBITMQ_LOG_BASE": str(base),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(base / "plugins"),
            "RABBITMQ_DIST_PORT": str(self.ports["distribution"]),
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def set_up(self) -> None:
        """Everything running, the schema loaded, the broker with its user and exchanges."""
        self.write_broker_files()
        (self.folder / "consul.json").write_text(
            json.dumps(
                {
                    "ports": {"http": self.ports["consul"], "https": -1, "grpc": -1, **self.consul_ports},
                    "performance": {"raft_multiplier": 1},
                }
            )
        )
        self._begin("rabbitmq")
        self.set_up_database()
        self.start("consul")
        self.wait_for_broker()

    def write_broker_files(self) -> None:
        """What RabbitMQ reads at its start."""
        (self.folder / "rabbit" / "plugins").write_text("[rabbitmq_management].\n")
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.ports['rabbitmq']}\nmanagement.tcp.ip = 127.0.0.1\n"
            f"management.tcp.port = {self.ports['management']}\nload_definitions = {self.folder}/definitions.json\n"
            "log.console = true\nlog.file = false\n"
        )
        (self.folder / "definitions.json").write_text(rendered_definitions())

    def wait_for_broker(self) -> None:
        """Waits for the last that our definitions make: before, the user may be there and have no rights yet."""
        wanted = {(one["vhost"], one["name"]) for one in json.loads(rendered_definitions())["exchanges"]}

        def ready() -> bool:
            status, text = self.rabbit("/exchanges")
            return status == 200 and wanted <= {(one["vhost"], one["name"]) for one in json.loads(text)}

        wait_until(ready, 60, "RabbitMQ")

    def set_up_broker(self) -> None:
        """RabbitMQ running, with what our definitions make in it."""
        self.write_broker_files()
        self.start("rabbitmq")

    def set_up_database(self) -> None:
        """PostgreSQL running, with the schema in the database `webitel`."""
        password = self.folder / "pg" / "password"
        password.write_text("super")
        password.chmod(0o644)
        subprocess.run(
            [
                str(POSTGRESQL_BIN / "initdb"),
                "-D",
                str(self.folder / "pg" / "data"),
                "-A",
                "scram-sha-256",
                "-U",
                "postgres",
                f"--pwfile={password}",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            cwd="/",
            **self.as_postgres(),
        )
        self.start("postgresql")
        self.sql("create role opensips login password 'database-password'", "postgres")
        self.sql("create database webitel owner opensips", "postgres")
        self.load_schema()

    def _begin(self, name: str) -> None:
        self._run(name, [str(RABBITMQ / "rabbitmq-server")], self.rabbit_environment())

    def load_schema(self) -> None:
        """The sandbox's schema and data, as the postgres superuser."""
        for name in ("webitel-db-schema.sql", "webitel-db-data.sql"):
            self.sql((SCHEMA / name).read_text())
        self.sql('alter role opensips in database webitel set search_path = "$user", public, call_center, directory, storage')

    def declare(self, exchange: str) -> None:
        """A durable topic exchange that services expect."""
        self.make(f"/exchanges/%2f/{exchange}", "PUT", {"type": "topic", "durable": True})

    def make(self, path: str, method: str, body: object) -> None:
        """Makes something of the broker's."""
        status, text = self.rabbit(path, method, body)
        assert status in (201, 204), f"{method} {path}: {status} {text}"

    def sql(self, text: str, database: str = "webitel", quiet: bool = False) -> str:
        """What psql prints for a text of SQL."""
        done = subprocess.run(
            [
                "psql",
                "-X",
                "-q",
                "-At",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                "127.0.0.1",
                "-p",
                str(self.ports["postgresql"]),
                "-U",
                "postgres",
                "-d",
                database,
            ],
            input=text,
            text=True,
            capture_output=True,
            check=False,
            env={**os.environ, "PGPASSWORD": "super"},
        )
        assert quiet or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def rabbit(self, path: str, method: str = "GET", body: object = None) -> tuple[int, str]:
        """The management interface under `/api`."""
        return fetch(f"http://127.0.0.1:{self.ports['management']}/api{path}", "webitel:broker-password", method, body)

    def consul(self, path: str) -> str:
        """The text of a GET of Consul's interface."""
        return fetch(f"http://127.0.0.1:{self.ports['consul']}{path}")[1]

    def checks(self) -> dict[str, str]:
        """Identifier of each service in Consul -> status of its check."""
        return {check["ServiceID"]: check["Status"] for check in json.loads(self.consul("/v1/agent/checks") or "{}").values()}

    def forget_services(self) -> None:
        """Takes every entry out of Consul, as if those who made them had left."""
        for identifier in json.loads(self.consul("/v1/agent/services") or "{}"):
            fetch(f"http://127.0.0.1:{self.ports['consul']}/v1/agent/service/deregister/{identifier}", method="PUT")

    def sessions(self, application: str) -> int:
        """Sessions in the database with an application name."""
        found = self.sql(f"select count(*) from pg_stat_activity where application_name = '{application}'", quiet=True)
        return int(found or 0)

    def close(self) -> None:
        """Ends everything, epmd of this test too."""
        for name in list(self.running):
            self.stop(name)
        subprocess.run(["epmd", "-port", str(self.ports["epmd"]), "-kill"], capture_output=True, check=False, env={**os.environ})


@contextmanager
def running_platform(set_up: Callable[[Platform], None]) -> Iterator[Platform]:
    """A platform, or as much of it as `set_up` starts, ended and deleted afterwards."""
    if missing := missing_programs():
        pytest.fail(f"not installed here: {', '.join(missing)}; ./webitel test sandbox installs it")
    # Not below pytest's own directory: only its owner may enter that one, and PostgreSQL runs under another account.
    with tempfile.TemporaryDirectory(prefix="webitel-platform-", ignore_cleanup_errors=True) as folder:
        made = Platform(Path(folder))
        try:
            set_up(made)
            yield made
        finally:
            made.close()
