"""Nodes with a real agent or server of Consul each, and the part of the node program that looks after its access lists."""

import json
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from cloud_init.node import turns
from cloud_init.node.ask import consul, tokens
from cloud_init.node.ask.consul import Session
from cloud_init.node.clusters import access, trust
from cloud_init.node.system import Unhealthy
from tests.sandbox.consul_program import find_consul
from tests.unit.node.entries import PORTS, manifest, service

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = (ROOT / "cloud_init/files/consul/webitel.json").read_text()
SERVERS = 3
FIRST_HTTP = 18600


def rendered_acl() -> object:
    """What our file says of access lists."""
    found = re.search(r'^  "acl": (\{.*\}),$', TEMPLATE, re.MULTILINE)
    assert found, "our file says nothing of access lists"
    return json.loads(found[1])


def send(port: int, method: str, path: str, body: object = None, token: str = "") -> tuple[int, str]:
    """Status and text of a request to an agent; (0, why) where nobody answers."""
    content = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", content, method=method)
    if token:
        request.add_header("X-Consul-Token", token)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


class Node:
    """One node: the first `servers` have a server, the others an agent."""

    def __init__(self, folder: Path, number: int, servers: int) -> None:
        self.name, self.address, self.http = f"node-{number}", f"127.0.0.{number + 1}", FIRST_HTTP + number
        self.servers, self.is_server = servers, number <= servers
        self.folder = folder / self.name
        (self.folder / "etc").mkdir(parents=True)
        names = ["consul", *(["consul-server"] if self.is_server else [])]
        ports = {**PORTS, "consul_http": self.http}
        self.manifest = manifest(
            node=self.name, key=self.name, address=self.address, ports=ports, services=[service(name) for name in names]
        )
        self.turn = Session(self.name)
        self.process: subprocess.Popen[bytes] | None = None
        self.restarts = 0
        self.patroni = self.folder / "patroni.yml"
        self.patroni.write_text('consul:\n  token: ""\n')
        self.of_members = False

    def give(self, secrets: dict[str, str]) -> None:
        """What the provider sends: servers get all, the others what their services use."""
        mine = {name: value for name, value in secrets.items() if self.is_server or name != tokens.MANAGEMENT}
        (self.folder / "probe.json").write_text(json.dumps(mine))

    def start(self, with_lists: bool = True) -> None:
        """Start it as our template would have it, or as before there were access lists."""
        if with_lists:
            with self.acting():
                access.prepare(self.manifest)
        if self.of_members:
            self.fill()
        (self.folder / "etc" / "webitel.json").write_text(
            json.dumps(
                {
                    **(self.of_group() if self.of_members else {}),
                    **({"acl": rendered_acl()} if with_lists else {}),
                    "node_name": self.name,
                    "datacenter": "webitel",
                    "bind_addr": self.address,
                    "client_addr": "127.0.0.1",
                    "server": self.is_server,
                    **({"bootstrap_expect": self.servers} if self.is_server else {}),
                    "retry_join": [
                        one for one in (f"127.0.0.{number + 1}" for number in range(1, self.servers + 1)) if one != self.address
                    ],
                    "retry_interval": "1s",
                    "ports": {"http": self.http, "serf_wan": -1, "grpc": -1, "dns": -1},
                    "performance": {"raft_multiplier": 1},
                    "skip_leave_on_interrupt": True,
                    "disable_update_check": True,
                    "log_level": "WARN",
                }
            )
        )
        command = [str(find_consul()), "agent", "-config-dir", str(self.folder / "etc"), "-data-dir", str(self.folder / "data")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def fill(self) -> None:
        """What `up` does with the key and the certificate of the group."""
        with self.acting():
            secrets = json.loads((self.folder / "probe.json").read_text())
            self.filled = trust.fill(secrets)
            (self.folder / "etc" / "webitel.pem").write_text(self.filled[trust.CERTIFICATE])

    def of_group(self) -> dict[str, object]:
        """What our file says of the group's key and certificate."""
        ours = dict(re.findall(r'"(\w+)": ("/etc/consul.d/webitel.pem"|true|"\{\{ secret[^}]*\}\}"),', TEMPLATE))
        names = {name for name in ours if name.endswith("_file") or name.startswith("verify_")}
        assert len(names) == 6 and "encrypt" in ours
        pem = str(self.folder / "etc" / "webitel.pem")
        return {
            "encrypt": self.filled[trust.KEY],
            **{name: pem if name.endswith("_file") else True for name in names},
        }

    def stop(self) -> None:
        """End its Consul."""
        if self.process:
            self.process.send_signal(signal.SIGINT)  # as its unit says
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        """As systemd would."""
        self.restarts += 1
        self.stop()
        self.start()

    @contextmanager
    def acting(self) -> Iterator[None]:
        """The node program on this node."""
        with ExitStack() as stack:
            for module, changes in (
                (tokens, {"IN_USE": self.folder / "in-use.json", "PROBE_SECRETS": self.folder / "probe.json"}),
                (turns, {"WRITING": self.folder / "writing.lock"}),
                (consul, {"load_manifest": lambda: self.manifest}),
                (
                    trust,
                    {
                        "IN_USE": self.folder / "trust.json",
                        "PROBE_SECRETS": self.folder / "probe.json",
                        "KEY_FILE": self.folder / "etc" / "webitel.json",
                        "CERTIFICATE_FILE": self.folder / "etc" / "webitel.pem",
                        "SERF": self.folder / "data" / "serf",
                    },
                ),
                (
                    access,
                    {
                        "CONSUL_FILE": self.folder / "etc" / "access.json",
                        "CONSUL_DATA": self.folder / "data",
                        "CONSUL_OWNER": "root",
                        "PATRONI_FILE": self.patroni,
                        "TURN": self.folder / "turn.lock",
                        "LOCK": self.folder / "apply.lock",
                        "SOON_SECONDS": 0.1,
                        "name_management": lambda: "master",
                        "restart_consul": self.restart,
                        "_turn": self.turn,
                    },
                ),
            ):
                for name, value in changes.items():
                    stack.enter_context(patch.object(module, name, value))
            yield

    def look(self) -> None:
        """One round of the node program."""
        with self.acting():
            access.look(self.manifest)

    def send(self, method: str, path: str, body: object = None, token: str = "") -> tuple[int, str]:
        """A request of some program on this node."""
        return send(self.http, method, path, body, token)

    def is_ready(self) -> bool:
        """Whether the node's programs may use its Consul: what units wait for."""
        with self.acting():
            try:
                access.check()
            except Unhealthy:
                return False
            return ":" in self.send("GET", "/v1/status/leader")[1]

    def is_armed(self) -> bool:
        """Whether it uses the tokens that it was given last."""
        with self.acting():
            return access.is_armed(self.manifest)

    def is_closed(self) -> bool:
        """Whether its agent refuses who has no token."""
        with self.acting():
            try:
                return access.runs_closed()
            except consul.ConsulError:
                return False


def go_on(nodes: list[Node], until: Callable[[], bool], seconds: float = 60) -> float:
    """Have every node's program do its rounds until something is so; return how long that took."""
    began = time.monotonic()
    while not until():
        assert time.monotonic() - began < seconds, [(node.name, node.is_armed(), node.is_closed()) for node in nodes]
        for node in nodes:
            node.look()
        time.sleep(0.1)
    return time.monotonic() - began


LEADER_SECONDS = 1.0


class Patroni:
    """Writes and renews what Patroni does, with the token of its file, without a pause; remembers every refusal.

    Not one that is over within a second: Consul 1.8.7 itself knows no token in the moment in which a server becomes the leader
    (`docs/facts/ha-measured.md` 6), and twenty times a second one may be asked just then.
    """

    def __init__(self, node: Node) -> None:
        self.node, self.done, self.ended = node, 0, threading.Event()
        self.refused: list[str] = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while not self.ended.wait(0.02):
            status, said = self.write()
            until = time.monotonic() + LEADER_SECONDS
            while status == 403 and "ACL not found" in said and time.monotonic() < until:
                status, said = self.write()
            self.done += status == 200
            if status == 403:
                self.refused.append(said)

    def write(self) -> tuple[int, str]:
        """Write with the token that is in the file."""
        found = re.search(r'token: "(.*)"', self.node.patroni.read_text())
        return self.node.send("PUT", "/v1/kv/service/webitel/leader", self.node.name, found[1] if found else "")

    def end(self) -> None:
        self.ended.set()
        self.thread.join()
