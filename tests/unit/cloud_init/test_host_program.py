"""The program that looks at a given host, on this machine: real files, sockets and tools."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from cloud_init.host import mend, running, software, storage
from cloud_init.host.facts import Facts, Line, Request
from cloud_init.host.lines import receive, send
from cloud_init.host.machine import find_owner
from cloud_init.host.network import list_listeners, sum_up
from cloud_init.host_program import make_host_program
from cloud_init.node.apply import host_leave
from cloud_init.node.apply.host_leave import LEFT
from tests.waiting import wait_until

HERE = Path(__file__).parents[3]


def test_it_needs_nothing_but_its_file_and_tells_what_the_types_say(tmp_path: Path) -> None:
    file = tmp_path / "program"
    file.write_bytes(make_host_program(Request("s", "127.0.0.1", devices={"database": str(tmp_path / "none")})))
    done = subprocess.run(
        [sys.executable, "-I", str(file), "facts"], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=60
    )
    facts = TypeAdapter(Facts).validate_json(done.stdout)
    assert facts.problems == {}
    assert facts.cpu and facts.cpu.vcpus == len(os.sched_getaffinity(0)) and facts.cpu.steal_percent is None
    assert facts.storage and facts.storage.sync is None and facts.storage.devices[0].kind == "missing"
    assert facts.network and facts.network.nic and facts.network.nic.name == "lo"
    assert facts.names and "127.0.0.1" in facts.names.localhost


def test_it_imports_nothing_of_ours_but_itself() -> None:
    for path in (HERE / "cloud_init/host").glob("*.py"):
        for line in path.read_text().splitlines():
            if line.startswith(("from components", "from cli", "from cloud_init")):
                assert line.startswith("from cloud_init.host."), f"{path.name}: {line}"


def test_it_tells_its_time_for_every_line(tmp_path: Path) -> None:
    file = tmp_path / "program"
    file.write_bytes(make_host_program(Request("s", "127.0.0.1")))
    done = subprocess.run(
        [sys.executable, "-I", str(file), "clock"], input="\n" * 5, capture_output=True, text=True, check=True, timeout=20
    )
    times = [float(line) for line in done.stdout.split()]
    assert len(times) == 5 and times == sorted(times)


def make_image(path: Path, *label: str) -> str:
    with path.open("wb") as file:
        file.truncate(16 << 20)
    if label:
        subprocess.run(["mkfs.ext4", "-q", "-L", *label, str(path)], check=True)
    return str(path)


@pytest.mark.skipif(not shutil.which("mkfs.ext4"), reason="no mkfs.ext4 here")
def test_what_is_on_a_disk_is_told(tmp_path: Path) -> None:
    assert storage.look_at_block("database", make_image(tmp_path / "empty")).holds == ()
    found = storage.look_at_block("database", make_image(tmp_path / "full", "webitel-database"))
    assert found.holds == ("ext4",) and found.label == "webitel-database"


def test_a_disk_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    """Nobody reads a directory as a disk, as nobody does one that is broken."""
    found = storage.look_at_block("database", str(tmp_path))
    assert (found.kind, found.holds) == ("unreadable", ())


def test_what_is_in_a_directory_is_told(tmp_path: Path) -> None:
    assert storage.look_at_device("database", str(tmp_path)).holds == ()
    (tmp_path / "base").mkdir()
    found = storage.look_at_device("database", str(tmp_path))
    assert (found.kind, found.holds, found.mounted) == ("directory", ("base",), "")
    (tmp_path / storage.SENTINEL).write_text("given-basic database\n")
    assert storage.look_at_device("database", str(tmp_path)).label == "webitel given-basic database"
    (tmp_path / "file").touch()
    assert storage.look_at_device("database", str(tmp_path / "file")).kind == "other"


def test_writes_are_timed_and_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "WRITE_SECONDS", 0.2)
    found = storage.measure_sync(tmp_path)
    assert 0 < found.middle <= found.slowest and found.writes > 0
    assert list(tmp_path.iterdir()) == []
    assert storage.find_place(str(tmp_path / "a/b")) == tmp_path
    assert storage.find_place("/dev/disk/by-id/x") == Path("/var/lib")


def test_listeners_are_told_with_their_program() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port, taken = server.getsockname()[1], other.getsockname()[1]
        found = {(one.protocol, one.port): one for one in list_listeners()}
        assert found["tcp", port].address == "127.0.0.1" and "py" in found["tcp", port].process
        assert ("udp", taken) in found


def test_lost_packets_are_counted_where_they_arrive() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with ThreadPoolExecutor() as pool:
        taking = pool.submit(receive, "127.0.0.1", port, "127.0.0.1", 0.6)
        # What is sent before somebody listens is lost, which is what is counted here.
        wait_until(lambda: any((one.protocol, one.port) == ("udp", port) for one in list_listeners()), 20, "the receiver")
        sent = send("127.0.0.1", port, 1000, 0.5)
        line: Line = taking.result()
    assert 0 < sent <= 500 and line.received == line.sent <= sent and line.jitter < 1000
    assert receive("127.0.0.1", port, "127.0.0.2", 0.0).received == 0


def test_checksums_are_the_internets() -> None:
    assert sum_up(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D  # RFC 1071, section 3


def test_the_owner_of_a_node_and_of_one_only_begun_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files: dict[str, str] = {}
    monkeypatch.setattr("cloud_init.host.machine.read", lambda path: files.get(path, ""))
    assert find_owner() == {}
    files["/var/lib/webitel/host.json"] = json.dumps({"stack": "a-single", "node": "a-single-all-1"})
    assert find_owner() == {"stack": "a-single", "key": "all-1"}
    files["/etc/webitel/node.json"] = json.dumps({"stack": "a-single", "key": "all-1"})
    assert find_owner() == {"stack": "a-single", "key": "all-1"}


def test_who_refuses_a_log_in_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"text": "", "status": 100}

    def run(*command: str, seconds: float = 0) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, said["status"], "", said["text"])  # type: ignore[arg-type]

    monkeypatch.setattr(software, "run", run)
    said["text"] = "E: Failed to fetch https://m.example/x  401  Unauthorized [IP: 192.0.2.1 443]"
    assert software.reach("https://m.example/x").problem == ""
    said["text"] = "E: Failed to fetch https://m.example/x  Could not connect to m.example:443 (192.0.2.1)"
    assert "Could not connect" in software.reach("https://m.example/x").problem


def test_apts_sources_are_read_as_apt_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = (
        "Package files:\n 100 /var/lib/dpkg/status\n     release a=now\n"
        " 500 http://debian.example.org/debian bookworm/main amd64 Packages\n"
        "     release v=12.12,o=Debian,a=oldstable,n=bookworm,l=Debian,c=main,b=amd64\n     origin debian.example.org\n"
        " 500 https://apt.example.com stable/main amd64 Packages\n     release o=Example,a=stable,n=stable,c=main\n"
    )
    monkeypatch.setattr(software, "run", lambda *command: subprocess.CompletedProcess(command, 0, shown, ""))
    told = (
        ("http://debian.example.org/debian/", "bookworm"),
        ("https://apt.example.com", "stable"),
        ("https://new.example.com/", "s"),
    )
    first, second, third = software.list_sources(told)
    assert (third.uri, third.suite, third.origin) == ("https://new.example.com/", "s", "")
    assert (first.suite, first.origin, first.codename, first.priority) == ("bookworm", "Debian", "bookworm", 500)
    assert (second.uri, second.origin) == ("https://apt.example.com", "Example")


def test_sources_are_read_as_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://off.example x\ndeb [arch=amd64 trusted=yes] http://one.example/d s main\n"
    )
    (folder / "flat.list").write_text("deb-src http://src.example s main\ndeb http://flat.example ./\n")
    (folder / "debian.sources").write_text(
        "Types: deb deb-src\nURIs: http://two.example/debian\n http://three.example/debian\nSuites: a b\nComponents: main\n"
        "# Signed-By: x\n\nEnabled: no\nTypes: deb\nURIs: http://off.example\nSuites: a\n\n"
        "Types: deb-src\nURIs: http://src.example\nSuites: a\n"
    )
    monkeypatch.setattr(software, "APT", tmp_path)
    two, three = "http://two.example/debian", "http://three.example/debian"
    assert software.list_targets() == (
        ("http://one.example/d", "s"),
        ("http://flat.example", "./"),
        *((two, "a"), (two, "b"), (three, "a"), (three, "b")),
    )
    assert software.find_list("http://flat.example", "./") == "http://flat.example/./InRelease"
    assert software.find_list("http://one.example/d/", "s") == "http://one.example/d/dists/s/InRelease"


def test_what_a_deployment_left_is_known_by_its_note(monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, str] = {}
    monkeypatch.setattr(software, "read", lambda path: said.get(path, ""))
    assert software.find_left() == set()
    said[str(LEFT)] = json.dumps({"packages": ["nginx", "sed"]})
    assert software.find_left() == {"nginx", "sed"}


def test_what_is_mended_stays_so_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages, file = tmp_path / "enabled", tmp_path / "host.conf"
    monkeypatch.setattr(mend, "PAGES", pages)
    monkeypatch.setattr(mend, "PAGES_FILE", file)
    assert mend.mend("huge pages") == ""
    assert pages.read_text() == "madvise\n" and str(pages) in file.read_text()
    monkeypatch.setattr(mend, "PAGES_FILE", tmp_path / "none" / "host.conf")
    assert "No such file" in mend.mend("huge pages")
    governors = tmp_path / "cpu0/cpufreq"
    governors.mkdir(parents=True)
    (governors / "scaling_governor").write_text("powersave\n")
    monkeypatch.setattr(mend, "GOVERNORS", tmp_path)
    monkeypatch.setattr(mend, "GOVERNORS_FILE", tmp_path / "governor.conf")
    assert mend.mend("governor") == ""
    assert (governors / "scaling_governor").read_text() == "performance\n"


@dataclass
class Timekeepers:
    """A host whose programs are scripts in a folder: which daemons run, which time server chrony reaches, what was asked."""

    folder: Path

    @property
    def asked(self) -> list[str]:
        file = self.folder / "asked"
        return file.read_text().splitlines() if file.exists() else []

    def have(self, *names: str) -> None:
        for name in names:
            (self.folder / name).touch()

    def run(self, *command: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        path = f"PATH={self.folder}/bin:/usr/bin:/bin"
        return running.run("env", path, f"AT={self.folder}", *command, seconds=seconds)


PROGRAMS = {
    "apt-get": """
case $1 in
update) touch $AT/lists ;;
install) test -e $AT/lists || { echo "E: Unable to locate package chrony" >&2; exit 100; } ;;
esac
""",
    "systemctl": """
case "$1 $2" in
"is-active "*) test -e $AT/active-$2 && echo active ;;
"is-enabled "*) test -e $AT/enabled-$2 && echo enabled ;;
"enable --now") touch $AT/active-$3 ;;
"disable --now") rm -f $AT/active-$3 $AT/enabled-$3 ;;
esac
""",
    # As chronyc 4.3 answered a daemon that reaches its server, one that has none, and one that may not set the clock (-x).
    "chronyc": """
case $1 in
waitsync) test -e $AT/reached && echo "try: 1, refid: 7F000001, correction: 4.999981403, skew: 20.614" ||
  { echo "try: 1, refid: 00000000, correction: 0.000000000, skew: 0.000"; exit 1; } ;;
makestep) test ! -e $AT/may-not && echo "200 OK" || { echo "500 Failure"; exit 1; } ;;
esac
""",
}


@pytest.fixture
def keepers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Timekeepers:
    made = Timekeepers(tmp_path)
    (tmp_path / "bin").mkdir()
    for name, script in PROGRAMS.items():
        file = tmp_path / "bin" / name
        file.write_text(f'#!/bin/sh\necho "{name} $*" >>$AT/asked\n{script}')
        file.chmod(0o755)
    monkeypatch.setattr(mend, "run", made.run)
    monkeypatch.setattr(mend, "find_owner", dict)
    return made


def test_time_is_mended_where_no_package_was_ever_looked_for(keepers: Timekeepers) -> None:
    """A fresh host has no lists of packages: apt finds none until it has fetched them."""
    keepers.have("reached")
    assert mend.mend("time") == ""
    asked = [line for line in keepers.asked if line.startswith("apt-get")]
    assert [line.split()[1] for line in asked] == ["install", "update", "install"]
    assert all("--force-confold" in line for line in asked), "the owner's own /etc/default/chrony stays"
    assert "systemctl enable --now chrony" in keepers.asked and "chronyc makestep" in keepers.asked


def test_a_clock_that_is_wrong_is_stepped_to_what_the_servers_say(keepers: Timekeepers) -> None:
    """Whoever keeps it runs already: nothing is installed, and chrony is told to ask now and not to slew for hours."""
    keepers.have("active-chrony", "reached")
    assert mend.mend("time") == ""
    assert not any(line.startswith("apt-get") for line in keepers.asked)
    assert [line.split()[1] for line in keepers.asked if line.startswith("chronyc")] == [
        "online",
        "burst",
        "waitsync",
        "makestep",
    ]
    keepers.have("may-not")
    assert mend.mend("time") == "chronyd does not step the clock: 500 Failure"


def test_time_that_no_server_tells_is_not_called_mended(keepers: Timekeepers) -> None:
    keepers.have("active-chrony")
    assert "no time server" in mend.mend("time")
    assert "chronyc makestep" not in keepers.asked


def test_one_daemon_keeps_the_time_where_there_were_several(keepers: Timekeepers) -> None:
    keepers.have("active-chrony", "enabled-chrony", "active-systemd-timesyncd", "enabled-ntp", "reached")
    assert mend.mend("time") == ""
    assert sorted(one.name for one in keepers.folder.glob("*-*")) == ["active-chrony", "enabled-chrony"]


def test_the_clock_of_a_node_at_work_is_not_stepped(keepers: Timekeepers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is heard in calls and read in a database's records; its own chrony steps it when it is off by more than a second."""
    keepers.have("active-chrony", "reached")
    monkeypatch.setattr(mend, "find_owner", lambda: {"stack": "a-single", "key": "all-1"})
    assert "node at work" in mend.mend("time")
    assert keepers.asked == []


def test_what_was_mended_is_what_leaving_takes_back() -> None:
    assert {str(one) for one in host_leave.MENDED} == {
        str(one) for one in (mend.PAGES_FILE, mend.GOVERNORS_FILE, mend.CONNECTIONS_FILE)
    }
