"""The brokers' cookie is rotated while three real ones run: no connection between them breaks, who restarts comes back."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from cloud_init.node.clusters import cookie
from cloud_init.node.clusters.brokers import broker_name
from cloud_init.node.manifest import Manifest
from tests.sandbox.platform import RABBITMQ, free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

OLD, NEW = "OLD-cookie", "NEW-cookie"
NAMES = ["one", "two", "three"]
STARTS_SECONDS = 120
CONNECTIONS = (
    "{ok, All} = net_kernel:nodes_info(), "
    "lists:sort([{N, proplists:get_value(address, I)} || {N, I} <- All, proplists:get_value(type, I) == normal])."
)
"""Those of commands are hidden."""


class Broker:
    """A member, with a folder of its own in place of a node's."""

    def __init__(self, folder: Path, name: str, epmd: int) -> None:
        self.folder, self.name, self.port = folder / name, name, free_port()
        self.folder.mkdir()
        self.cookie = self.folder / ".erlang.cookie"
        self.cookie.write_text(OLD)
        self.cookie.chmod(0o400)
        # What says on a node that its broker has run.
        (self.folder / "ran" / broker_name(name)).mkdir(parents=True)
        (self.folder / "plugins").write_text("[].\n")
        (self.folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self.port}\n")
        self.environment = {
            **os.environ,
            "PATH": f"{RABBITMQ}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"{name}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "ERL_EPMD_PORT": str(epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "LC_ALL": "C.UTF-8",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [str(RABBITMQ / "rabbitmq-server")], stdout=log, stderr=log, cwd="/", env=self.environment, start_new_session=True
            )

    def kill(self) -> None:
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def control(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(RABBITMQ / "rabbitmqctl"), "-q", *words]
        return subprocess.run(command, env=self.environment, cwd="/", capture_output=True, text=True, timeout=90, check=False)

    def do(self, *words: str) -> str:
        done = self.control(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def is_up(self) -> bool:
        return self.control("eval", "rabbit:is_running().").stdout.strip() == "true"

    def sees(self) -> str:
        """The brokers that it is connected to."""
        return self.do("eval", "lists:sort(nodes()).")

    def connections(self) -> str:
        """The sockets to the others: another port is another connection."""
        return self.do("eval", CONNECTIONS)


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[list[Broker]]:
    """A cluster of three."""
    epmd = free_port()
    made = [Broker(tmp_path, name, epmd) for name in NAMES]
    try:
        for broker in made:
            broker.start()
        for broker in made:
            wait_until(broker.is_up, STARTS_SECONDS, f"broker {broker.name}")
        for broker in made[1:]:
            for words in (("stop_app",), ("join_cluster", "one@localhost"), ("start_app",)):
                broker.do(*words)
        yield made
    finally:
        for broker in made:
            broker.kill()
        subprocess.run(["epmd", "-port", str(epmd), "-kill"], capture_output=True, check=False)


class Deployment:
    """What Consul holds for the brokers' nodes; their program looks at it in turn."""

    def __init__(self, brokers: list[Broker], patch: pytest.MonkeyPatch) -> None:
        self.brokers, self.patch = brokers, patch
        self.notes: dict[str, str] = {}
        self.said: list[str] = []
        patch.setattr(cookie, "list_keys", lambda prefix: {name: {"Value": text} for name, text in self.notes.items()})
        patch.setattr(cookie, "find_key", lambda key: {"holder": self.notes.get(key.removeprefix(cookie.NOTES), "")})
        patch.setattr(cookie, "call", self.put)

    def put(self, method: str, path: str, body: str) -> Any:
        self.notes[path.rpartition("/")[2]] = body

    def look(self, broker: Broker, given: str) -> None:
        """What a broker's node does at its next look."""
        files = {"FILE": broker.cookie, "FRESH": broker.folder / ".erlang.cookie.fresh", "DATA": broker.folder / "ran"}
        turn = cookie.TURN.replace(str(ORIGINAL_FRESH), str(files["FRESH"])).replace(str(ORIGINAL_FILE), str(broker.cookie))
        with self.patch.context() as patch:
            for name, path in files.items():
                patch.setattr(cookie, name, path)
            secrets = broker.folder / "secrets.json"
            secrets.write_text(json.dumps({cookie.SECRET: given}))
            patch.setattr(cookie, "PROBE_SECRETS", secrets)
            patch.setattr(cookie, "TURN", turn)
            patch.setattr(cookie, "is_running", lambda unit: broker.process is not None)
            patch.setattr(cookie, "run", lambda command, *_: broker.control(*command[2:]))
            members = [{"key": name, "name": name, "address": ""} for name in NAMES]
            cookie.look(cast(Manifest, {"node": broker.name, "clusters": {"rabbitmq": members}}))


ORIGINAL_FILE, ORIGINAL_FRESH = cookie.FILE, cookie.FRESH


def test_a_rotation_cuts_nothing(brokers: list[Broker], monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = brokers
    deployment = Deployment(brokers, monkeypatch)
    before = [broker.connections() for broker in brokers]
    for broker in (one, two):
        deployment.look(broker, NEW)
    deployment.look(three, OLD)
    deployment.look(one, NEW)
    assert [broker.cookie.read_text() for broker in brokers] == [OLD] * 3
    # A broker that is away meanwhile is waited for, and has the new one when it comes back.
    for broker in (three, one, two):
        deployment.look(broker, NEW)
    assert [broker.cookie.read_text() for broker in brokers] == [NEW] * 3
    assert [broker.cookie.stat().st_mode & 0o777 for broker in brokers] == [0o400] * 3
    assert [broker.do("eval", "erlang:get_cookie().") for broker in brokers] == [f"'{NEW}'"] * 3
    assert [broker.connections() for broker in brokers] == before
    two.kill()
    two.start()
    wait_until(two.is_up, STARTS_SECONDS, "the broker that restarted")
    assert two.sees() == "[one@localhost,three@localhost]"
    assert one.sees() == "[three@localhost,two@localhost]"
