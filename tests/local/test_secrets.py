"""No generated secret shows anywhere: every one of the state is looked for in all that leaves the engine and the nodes."""

import base64
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote as quote_url

import pytest

from components.host_keys import own_key
from tests.local.deployment import Deployment
from tests.local.processes import read_process_file

pytestmark = pytest.mark.local

SHORTEST = 8
SHORTEST_LINE = 40
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n(.*?)-----END", re.DOTALL)
LARGEST = 1 << 26
LOUD = """[Service]
ExecStartPre=
ExecStartPre=/bin/sh -c 'grep password: /etc/patroni/config.yml; head -4 /etc/ssl/private/webitel.pem; \
 grep password /etc/rabbitmq/definitions.json; exit 1'
"""
SEARCH = """
import json, os, stat, sys
needles = {needle.encode(): name for needle, name in json.load(sys.stdin).items()}
user, roots, skipped = int(sys.argv[1]), sys.argv[2].split(), sys.argv[3].split()
os.setgroups([]); os.setgid(user); os.setuid(user)
looked = 0
for root in roots:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in skipped]
        for name in files:
            path = os.path.join(folder, name)
            try:
                if not stat.S_ISREG(os.lstat(path).st_mode) or os.path.getsize(path) > LARGEST:
                    continue
                data = open(path, "rb").read()
            except OSError:
                continue
            looked += 1
            for needle in needles:
                if needle in data:
                    print(f"{path}: {needles[needle]}")
print(f"looked at {looked}")
""".replace("LARGEST", str(LARGEST))


@pytest.fixture(scope="module")
def needles(single: Deployment) -> dict[str, str]:
    """Every text that would give a secret away, with the secret's name."""
    secrets = single.read_secrets()
    assert len(secrets) > 8
    # OpenSSH's format begins alike in every key of one type, the throw-away ones of user data among them; lines differ in length.
    anybodys = own_key("of another deployment", "of another machine").private.replace("\n", "")
    found: dict[str, str] = {}
    for name, value in secrets.items():
        blocks = PRIVATE_KEY.findall(value)
        if not blocks and value.startswith("-----BEGIN CERTIFICATE-----"):
            continue
        # Of a key's text no line may show but what every key begins with; certificates beside it are public.
        lines = [line for block in blocks for line in block.split() if len(line) >= SHORTEST_LINE and line not in anybodys]
        texts = lines if blocks else [value]
        assert texts and all(len(text) >= SHORTEST for text in texts), f"{name} is too short to look for"
        for text in texts:
            shapes = (text, quote_url(text, safe=""), base64.b64encode(text.encode()).decode().rstrip("="))
            found |= dict.fromkeys(shapes, name)
    return found


def look(needles: dict[str, str], text: str) -> set[str]:
    """The names of the secrets that show in a text."""
    return {name for needle, name in needles.items() if needle in text}


def look_below(needles: dict[str, str], folder: Path) -> dict[str, set[str]]:
    """The secrets that show in files of this host, by path."""
    found = {str(path): look(needles, path.read_text(errors="replace")) for path in folder.rglob("*") if path.is_file()}
    assert found, f"{folder} has no files"
    return {path: names for path, names in found.items() if names}


def look_on_node(single: Deployment, needles: dict[str, str], user: int, roots: str, skipped: str) -> list[str]:
    """The secrets that show in files of the node which a user may read."""
    program = f"import sys; sys.argv = ['', {str(user)!r}, {roots!r}, {skipped!r}]\n{SEARCH}"
    *hits, looked = single.python_on_node(program, text=json.dumps(needles), seconds=180).splitlines()
    assert int(looked.rpartition(" ")[2]) > 5, looked
    return hits


@contextmanager
def watch_arguments(needles: dict[str, str]) -> Iterator[set[str]]:
    """Collects the names of secrets in arguments of any process of this host and of its containers while it runs."""
    found: set[str] = set()
    seen: set[str] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            for folder in os.scandir("/proc"):
                if folder.name.isdecimal():
                    command = read_process_file(Path(folder.path) / "cmdline")
                    if command not in seen:
                        seen.add(command)
                        found.update(f"{name}: {command.split(chr(0))[0]}" for name in look(needles, command))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()
    assert any("webitel" in command for command in seen)


def test_needles_are_found_where_they_are(single: Deployment, needles: dict[str, str], tmp_path: Path) -> None:
    """The search itself: what root may read holds them, and arguments are seen."""
    hits = look_on_node(single, needles, 0, "/etc", "")
    assert {"/etc/rabbitmq/definitions.json", "/etc/patroni/config.yml"} <= {hit.split(":")[0] for hit in hits}
    (tmp_path / "file").write_text(f"x {next(iter(needles))} y")
    assert look_below(needles, tmp_path)
    harmless = {"a-needle-of-the-test": "test"}
    with watch_arguments(harmless) as found:
        subprocess.run(["sh", "-c", "sleep 0.5; : a-needle-of-the-test"], check=True)
    assert found == {"test: sh"}


def test_user_data_holds_no_secret(single: Deployment, needles: dict[str, str], tmp_path: Path) -> None:
    command = ["incus", "config", "show", "--expanded", single.node]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    assert "cloud-init.user-data" in shown
    assert look(needles, shown) == set()
    assert look(needles, single.on_node("cat /var/lib/cloud/instance/*.txt*")) == set()
    single.webitel("render", single.name, str(tmp_path))
    assert look_below(needles, tmp_path) == {}


def test_no_process_has_a_secret_among_its_arguments(healthy: Deployment, needles: dict[str, str]) -> None:
    with watch_arguments(needles) as found:
        healthy.on_node("systemctl restart webitel-setup-postgresql webitel-setup-rabbitmq", seconds=180)
        healthy.set(upload_limit_mib=70)
        healthy.up()
        healthy.status()
        healthy.webitel("ssh", healthy.node, "--", "true")
        healthy.on_node("systemctl restart webitel-watch")
    assert found == set()


def test_world_readable_files_hold_no_secret(single: Deployment, needles: dict[str, str]) -> None:
    nobody = 65534
    # What packages brought is older than the secrets.
    skipped = "/proc /sys /dev /usr/bin /usr/lib /usr/libexec /usr/sbin /usr/share /usr/include /var/lib/dpkg /var/cache/apt"
    assert look_on_node(single, needles, nobody, "/ /usr/lib/webitel /usr/share/webitel /dev/shm", skipped) == []


def test_logs_of_the_node_hold_no_secret(single: Deployment, needles: dict[str, str]) -> None:
    assert look(needles, single.on_node("journalctl --no-pager -q", seconds=120)) == set()
    assert look_on_node(single, needles, 0, "/var/log", "/var/log/journal") == []


def test_a_failing_units_log_is_shown_without_secrets(healthy: Deployment, needles: dict[str, str]) -> None:
    """A unit that prints passwords and keys and fails."""
    folder = "/run/systemd/system/nginx.service.d"
    healthy.on_node(f"mkdir -p {folder} && cat >{folder}/zz-loud.conf && systemctl daemon-reload", text=LOUD)
    try:
        healthy.on_node("systemctl restart nginx", check=False)
        healthy.set(upload_limit_mib=71)
        texts = [
            healthy.up(status=1).said,
            healthy.webitel("status", healthy.name, status=1).said,
            healthy.webitel("status", healthy.name, "--json", status=1).said,
            healthy.webitel("logs", healthy.node, "nginx").said,
        ]
    finally:
        healthy.on_node(f"rm -rf {folder}; systemctl daemon-reload; systemctl reset-failed nginx; systemctl restart nginx")
        # The journal of the node is for root; what the unit said would be found there by a later look.
        healthy.on_node("journalctl --rotate -q && journalctl --vacuum-time=1s -q")
    for text in texts:
        assert "nginx" in text
        assert "[secret]" in text
        assert look(needles, text) == set()
    healthy.up()


def test_nothing_printed_so_far_holds_a_secret(single: Deployment, needles: dict[str, str]) -> None:
    """All that the commands of these tests printed, failures too; a preview of a rotation among it."""
    single.set(rotate={"database_password": 2})
    try:
        single.webitel("preview", single.name, "--diff")
    finally:
        single.set(rotate=None)
    assert len(list(single.said.glob("*.out"))) > 5
    assert look_below(needles, single.said) == {}


def test_state_holds_no_secret_in_plain_text(single: Deployment, needles: dict[str, str]) -> None:
    folder = Path(single.environment["XDG_DATA_HOME"])
    assert list(folder.rglob(f"{single.name}.json"))
    assert look_below(needles, folder) == {}
    # Whoever else uses this machine reads none of it.
    assert {path for path in folder.rglob("*") if path.is_dir() and path.name == "state" and path.stat().st_mode & 0o077} == set()
