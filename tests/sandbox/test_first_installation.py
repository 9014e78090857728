"""dpkg's database during a first installation, under the real dpkg in a mount name space of its own: what is on the disk
meanwhile and at the end, and what is made of a machine that was cut off and lost what it had not synced."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_init.node import install
from sandbox.deb import Package, pack_deb
from tests.sandbox.platform import ROOT

pytestmark = pytest.mark.sandbox

PROGRAM = """
import pathlib, subprocess, sys
from cloud_init.node import install
root, deb, *forces = sys.argv[1:]
install.DATABASE = pathlib.Path(root, "var/lib/dpkg")
install.BESIDE = pathlib.Path(root, "run/dpkg")
install.GIVEN = pathlib.Path(root, "given")
install.lay_over()
subprocess.run(["dpkg", f"--root={root}", *forces, "--install", deb], check=True, stdout=subprocess.DEVNULL)
print("installed", flush=True)
sys.stdin.readline()
install.keep_database()
"""
"""Installs as a node does, and waits before it puts the database on the disk."""

TEXTS = {"/usr/share/one/text": "a text\n", "/etc/one.conf": "a setting\n", "/etc/two.conf": "another\n"}


class Machine:
    """A file system with dpkg's database and one package to install."""

    def __init__(self, root: Path) -> None:
        self.root, self.database = root / "root", root / "root/var/lib/dpkg"
        for folder in ("info", "updates"):
            (self.database / folder).mkdir(parents=True)
        for name in ("status", "available"):
            (self.database / name).touch()
        self.deb = root / "one.deb"
        self.deb.write_bytes(
            pack_deb(Package("one", "1", "a package", files=TEXTS, conffiles=("/etc/one.conf", "/etc/two.conf")))
        )
        self.begun = list[subprocess.Popen[str]]()

    def begin(self, *forces: str) -> subprocess.Popen[str]:
        """Install, up to where the database is still in memory."""
        process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", sys.executable, "-P", "-c", PROGRAM, self.root, self.deb, *forces],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(ROOT)},
        )
        self.begun.append(process)
        assert process.stdout and process.stdout.readline() == "installed\n"
        return process

    def finish(self, process: "subprocess.Popen[str]") -> None:
        """Let it come to its end."""
        process.communicate("\n", timeout=60)
        assert process.returncode == 0

    def cut(self, process: "subprocess.Popen[str]") -> None:
        """Cut it off: what is in memory is gone with it."""
        process.kill()
        process.wait()

    def knows(self) -> str:
        """What the database on the disk says of the package."""
        shown = subprocess.run(
            ["dpkg-query", f"--admindir={self.database}", "-W", "-f", "${Status}", "one"],
            capture_output=True,
            text=True,
            check=False,
        )
        return shown.stdout

    def verify(self) -> str:
        """What differs from the package."""
        command = ["dpkg", f"--root={self.root}", "--verify", "one"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def read(self) -> dict[str, str]:
        """The package's files as they are."""
        return {name: (self.root / name[1:]).read_text() for name in TEXTS}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    for process in machine.begun:
        process.kill()
        process.wait()


def test_the_database_comes_to_the_disk_whole_at_the_end(machine: Machine) -> None:
    process = machine.begin(*install.KEEP)
    assert machine.knows() == ""
    machine.finish(process)
    assert machine.knows() == "install ok installed"
    assert [path.name for path in machine.database.parent.iterdir()] == ["dpkg"]
    assert machine.database.stat().st_mode & 0o777 == 0o755


def test_files_that_a_cut_off_left_are_replaced(machine: Machine) -> None:
    machine.cut(machine.begin(*install.KEEP))
    assert machine.knows() == ""
    assert machine.read() == TEXTS
    (machine.root / "usr/share/one/text").write_text("")
    (machine.root / "etc/one.conf").write_text("")
    (machine.root / "etc/two.conf").write_text("\0\0\0")
    machine.finish(machine.begin(*install.RENEW))
    assert machine.knows() == "install ok installed"
    assert (machine.read(), machine.verify()) == (TEXTS, "")


def test_a_given_host_has_its_database_on_the_disk(machine: Machine) -> None:
    (machine.root / "given").touch()
    machine.cut(machine.begin(*install.KEEP))
    assert machine.knows() == "install ok installed"
