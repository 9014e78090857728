"""The way of web sockets into OpenSIPS under real nginx, in a name space of its own: who OpenSIPS believes is there."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stacks.load import load_deployment
from tests.plans import compose_configuration
from tests.sandbox.platform import PYTHON
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

SIP, WEB, OTHER = "10.99.0.60", "10.99.0.50", "10.99.0.40"
"""The node of OpenSIPS, that of nginx, and one that has nothing to say here."""

BROWSER = "203.0.113.68"

FILES = {"/etc/nginx/sip-websocket.conf": "sip-websocket.conf", "/usr/lib/webitel/setup/way_back.sh": "way_back.sh"}

ASK = """
import socket, sys, threading
sip, source, told = sys.argv[1:]
def answer(listener):
    while True:
        connection, peer = listener.accept()
        head = b""
        while b"\\r\\n\\r\\n" not in head:
            head += connection.recv(4096)
        lines = "HTTP/1.1 101 OK", "Upgrade: websocket", "Connection: Upgrade", "X-Peer: " + peer[0], "", ""
        connection.sendall("\\r\\n".join(lines).encode())
threading.Thread(target=answer, args=(socket.create_server((sip, 5070)),), daemon=True).start()
browser = socket.create_connection((sip, 5071), 8, (source, 0))
lines = "GET /sip HTTP/1.1", "Host: x", "X-Real-IP: " + told, "Upgrade: websocket", "Connection: Upgrade", "", ""
browser.sendall("\\r\\n".join(lines).encode())
print(browser.recv(4096).decode())
"""
"""OpenSIPS' web socket, which says whom it sees, and a handshake as nginx of the web sends it."""


class Node:
    """A name space with the rendered files of the extended tier's node of OpenSIPS, and nginx there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        deployment = load_deployment("local-extended")
        files = compose_configuration(deployment.plan, deployment.plan.node("sip-1"), deployment.settings).files
        for path, name in FILES.items():
            text = files[path].replace("{{address:sip-1}}", SIP).replace("{{address:web-1}}", WEB)
            assert "{{" not in text
            text = text.replace("/run/sip-websocket.pid", str(folder / "pid"))
            (folder / name).write_text(re.sub(r"^user .*$", "user www-data;", text, flags=re.MULTILINE))
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        ours, theirs = (Path(f"/proc/{process}/ns/net") for process in ("self", self.holder.pid))
        wait_until(lambda: theirs.readlink() != ours.readlink(), 10, "the name space")
        self.inside("ip link set lo up && " + " && ".join(f"ip address add {address}/32 dev lo" for address in (SIP, WEB, OTHER)))
        self.nginx = subprocess.Popen(
            [*self.enter(), "/usr/sbin/nginx", "-c", str(folder / "sip-websocket.conf"), "-g", "daemon off;"]
        )

    def enter(self) -> list[str]:
        return ["nsenter", "--target", str(self.holder.pid), "--net"]

    def inside(self, command: str) -> str:
        """A shell's command there; an error fails the test."""
        done = subprocess.run([*self.enter(), "sh", "-c", command], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, source: str, told: str) -> str:
        """The answer to a handshake from a node for a browser."""
        done = subprocess.run(
            [*self.enter(), PYTHON, "-c", ASK, SIP, source, told], capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        """Ends both."""
        for process in (self.nginx, self.holder):
            process.send_signal(signal.SIGTERM)
            process.wait(10)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    if os.geteuid() != 0 or not Path("/usr/sbin/nginx").exists():
        pytest.fail("needs root and nginx; ./webitel test sandbox has both")
    made = Node(tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_opensips_sees_the_browser_that_nginx_of_the_web_names_and_believes_nobody_else(node: Node) -> None:
    # Without its way back the answer would leave for the browser itself.
    assert " 504 " in node.ask(WEB, BROWSER)
    for _ in range(2):
        node.inside(f"sh {node.folder}/way_back.sh")
    assert node.inside("ip rule").count("sport 5070") == 1
    assert f"X-Peer: {BROWSER}" in node.ask(WEB, BROWSER)
    assert f"X-Peer: {OTHER}" in node.ask(OTHER, BROWSER)


OLDER = "ip rule add pref 5070 from {} ipproto tcp sport 5070 lookup 5070 protocol kernel"
FAILS = 'ip() { [ "$*" = "${*#rule add}" ] || return 2; command ip "$@"; }; '
"""A machine on which no rule can be added any more."""


def test_the_way_back_is_never_missing_while_it_is_made_anew(node: Node) -> None:
    script, failing = node.folder / "way_back.sh", node.folder / "failing.sh"
    failing.write_text(FAILS + script.read_text())
    node.inside(f"sh {script}; sh {failing}")
    for number in (61, 62):
        node.inside(OLDER.format(f"10.99.0.{number}"))
    node.inside(f"sh {failing}")
    assert [line.split() for line in node.inside("ip -d rule list pref 5070").splitlines()] == [
        f"5070: from {SIP} ipproto tcp sport 5070 lookup 5070 proto kernel".split()
    ]
    # Another address than before, which cannot be added: the old way stays.
    node.inside("ip rule delete pref 5070; " + OLDER.format("10.99.0.61"))
    node.inside(f"! sh {failing}")
    assert "from 10.99.0.61 " in node.inside("ip rule list pref 5070")
    node.inside(f"sh {script}")
    assert node.inside("ip rule list pref 5070").split("from ")[1:] == [f"{SIP} ipproto tcp sport 5070 lookup 5070\n"]
