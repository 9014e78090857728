"""Two nodes with our files on one loopback, and somebody who listens on the wire between them."""

import http.server
import os
import pwd
import re
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from cloud_init.node.system import POSTGRESQL_BIN
from provider.handler import Request
from provider.secrets import Secrets
from provider.values import reveal
from stacks.load import load_deployment
from tests.plans import compose_configuration
from tests.waiting import wait_until

ADDRESSES = {"edge-1": "10.77.0.10", "data-1": "10.77.0.20", "app-1": "10.77.0.30"}
DATABASE = ADDRESSES["data-1"]
SECRET = "what-a-caller-said"
ETH_P_ALL = 0x0003
"""From linux/if_ether.h."""


class Wire:
    """Everything that goes from one node to another."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.socket.bind(("lo", ETH_P_ALL))
        self.socket.settimeout(0.2)
        self.seen, self.ended = bytearray(), False
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()

    def listen(self) -> None:
        while not self.ended:
            try:
                packet = self.socket.recv(1 << 16)
            except TimeoutError:
                continue
            if packet[12] != 127 or packet[16] != 127:
                self.seen += packet

    def end(self) -> bytes:
        time.sleep(0.3)
        self.ended = True
        self.thread.join()
        self.socket.close()
        return bytes(self.seen)


class Health(http.server.BaseHTTPRequestHandler):
    """Patroni's answer of a leader, which HAProxy asks for."""

    def do_OPTIONS(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Nodes:
    """One node with the database and one with HAProxy and its clients, as we render them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.account = folder, pwd.getpwnam("postgres")
        folder.chmod(0o755)
        deployment = load_deployment("local-basic")
        names = list(deployment.plan.secrets)
        inputs = {"names": names, "generations": {}, "domain": "voice.example.com"}
        made = Secrets().create(Request("urn:pulumi:test::webitel::webitel:index:Secrets::secrets"), inputs)[1]
        self.secrets: dict[str, str] = reveal(made)["values"]
        self.files = {
            key: {path: self.fill(text) for path, text in composed.files.items()}
            for key, composed in (
                (key, compose_configuration(deployment.plan, deployment.plan.node(key), deployment.settings))
                for key in ("data-1", "app-1")
            )
        }
        self.patroni = self.files["data-1"]["/etc/patroni/config.yml"]
        for path, text in {**self.files["data-1"], **self.files["app-1"]}.items():
            if path.startswith("/etc/webitel/") and path.endswith(".pem"):
                place = folder / Path(path).name
                place.write_text(text)
                place.chmod(0o600 if "KEY" in text else 0o644)
                os.chown(place, self.account.pw_uid, self.account.pw_gid)
        (address,) = re.findall(r"^WEBITEL_DBO_ADDRESS=(.*)$", self.files["app-1"]["/etc/webitel/messages-srv.env"], re.MULTILINE)
        self.source = address
        self.data = folder / "pg" / "data"
        (folder / "pg").mkdir()
        os.chown(folder / "pg", self.account.pw_uid, self.account.pw_gid)

    def fill(self, text: str) -> str:
        text = re.sub(r"\{\{secret:(\w+)\}\}", lambda found: self.secrets[found[1]], text)
        text = re.sub(r"\{\{address:([\w-]+)(\.\w+)?\}\}", lambda found: ADDRESSES[found[1]], text)
        return text.replace("/etc/webitel/", f"{self.folder}/")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            text=True,
            capture_output=True,
            check=False,
            cwd="/",
            user=self.account.pw_uid,
            group=self.account.pw_gid,
            extra_groups=[],
            timeout=30,
            env={**os.environ, "HOME": "/nonexistent"},  # as of a service: libpq looks there for certificates of its own
        )

    def set_member(self, text: str) -> None:
        """Do what Patroni does with its file: rules into one file, settings into another."""
        settings = yaml.safe_load(text)["postgresql"]
        (self.data / "pg_hba.conf").write_text("\n".join(settings["pg_hba"]) + "\n")
        wanted = {name: value for name, value in settings["parameters"].items() if name.startswith("ssl")}
        lines = [f"{name} = '{value}'" for name, value in wanted.items()]
        (self.data / "postgresql.auto.conf").write_text("\n".join(lines) + "\n")

    def reload(self, text: str) -> None:
        self.set_member(text)
        self.run(str(POSTGRESQL_BIN / "pg_ctl"), "-D", str(self.data), "reload")
        time.sleep(0.5)

    @contextmanager
    def database(self, text: str) -> Iterator[None]:
        """PostgreSQL with Patroni's file."""
        made = self.run(str(POSTGRESQL_BIN / "initdb"), "-D", str(self.data), "-A", "peer", "--no-sync", "-U", "postgres")
        assert made.returncode == 0, made.stderr
        self.set_member(text)
        server = subprocess.Popen(
            [
                str(POSTGRESQL_BIN / "postgres"),
                "-D",
                str(self.data),
                "-k",
                str(self.folder / "pg"),
                "-h",
                DATABASE,
                "-c",
                "fsync=off",
            ],
            cwd="/",
            user=self.account.pw_uid,
            group=self.account.pw_gid,
            extra_groups=[],
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "postgres.log").open("w"),
        )
        try:
            wait_until(lambda: self.sql("select 1") == "1", 30, "PostgreSQL")
            self.sql(f"create role opensips login password '{self.secrets['database_password']}'")
            self.sql(f"create role replicator login replication password '{self.secrets['replication_password']}'")
            self.sql("create database webitel owner opensips")
            yield
        finally:
            server.terminate()
            server.wait(20)

    def sql(self, statement: str) -> str:
        return self.run("psql", "-XAtq", "-h", str(self.folder / "pg"), "-U", "postgres", "-c", statement).stdout.strip()

    @contextmanager
    def proxy(self) -> Iterator[None]:
        """HAProxy of the node with clients, and who tells it that the database leads."""
        leader = http.server.ThreadingHTTPServer((DATABASE, 8008), Health)
        threading.Thread(target=leader.serve_forever, daemon=True).start()
        file = self.folder / "haproxy.cfg"
        file.write_text(self.files["app-1"]["/etc/haproxy/haproxy.cfg"].replace("/run/haproxy/", f"{self.folder}/"))
        process = subprocess.Popen(["haproxy", "-db", "-q", "-f", str(file)])
        try:
            wait_until(lambda: self.ask(self.source, "select 1").stdout.strip() == "1", 8, "the database behind HAProxy")
            yield
        finally:
            process.terminate()
            process.wait(10)
            leader.shutdown()
            leader.server_close()

    def ask(self, source: str, statement: str) -> subprocess.CompletedProcess[str]:
        return self.run("psql", "-XAtq", "-c", statement, source)


@contextmanager
def made_nodes() -> Iterator[Nodes]:
    """Nodes with their addresses."""
    for address in ADDRESSES.values():
        subprocess.run(["ip", "address", "replace", f"{address}/32", "dev", "lo"], check=True)
    # Not pytest's own folder, which PostgreSQL's user cannot enter.
    with tempfile.TemporaryDirectory(prefix="webitel-encryption-", dir="/tmp") as folder:
        yield Nodes(Path(folder))
