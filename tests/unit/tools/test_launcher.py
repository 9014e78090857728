"""`./webitel` itself, in a checkout with nothing else in it, on machines without Python, HOME or a whole PATH."""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
UTILITIES = ("sh", "readlink", "dirname", "cut", "getent", "sed", "sort", "tr", "grep", "tail", "env", "touch", "rm", "cat", "ln")
ENVIRONMENT = """import os, sys
venv = sys.argv[2] + "/venv-1"
os.makedirs(venv + "/bin", exist_ok=True)
if not os.path.lexists(venv + "/bin/python"):
    os.symlink(sys.executable, venv + "/bin/python")
print(venv)
"""
COMMAND = """import os, sys
print(sys.argv[1:], os.environ["HOME"], os.environ["PATH"], sep="\\n")
"""
APT_GET = """#!{sh}
echo "$@" >>calls
for verb; do case $verb in update|install) break ;; esac; done
if [ -s "$verb.says" ]; then
    cat "$verb.says"
    [ -e once ] && rm "$verb.says"
    [ "$verb" = update ] || exit 100
fi
if [ "$verb" = install ]; then ln -s "{python}" "{bin}/python3"; fi
"""
HALF_A_PYTHON = "#!{sh}\nexit 1\n"


class Machine:
    """A folder with a checkout, and with the few programs that a bare machine has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.checkout = folder / "checkout"
        for path, text in (("tools/environment.py", ENVIRONMENT), ("tools/__init__.py", ""), ("cli/__main__.py", COMMAND)):
            (self.checkout / path).parent.mkdir(parents=True, exist_ok=True)
            (self.checkout / path).write_text(text)
        shutil.copy(ROOT / "webitel", self.checkout)
        for name in UTILITIES:
            (self.bin / name).symlink_to(str(shutil.which(name)))
        self.add("sleep", "#!{sh}\n")
        self.be("0")

    def add(self, name: str, text: str) -> None:
        """A program of this machine."""
        program = self.bin / name
        program.write_text(text.format(sh=shutil.which("sh"), python=sys.executable, bin=self.bin))
        program.chmod(0o755)

    def be(self, user: str) -> None:
        """Who runs it."""
        self.add("id", f"#!{{sh}}\necho {user}\n")

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the launcher with nothing in its environment but these."""
        # The kernel finds the shell of the script; its programs are those of this machine alone.
        return subprocess.run(
            [str(shutil.which("sh")), str(self.checkout / "webitel"), *arguments],
            cwd=self.folder,
            env={"PATH": f"{self.bin}:{self.folder}/none", "PYTHONDONTWRITEBYTECODE": "1", **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    # The folders that the launcher adds would bring this machine's own Python.
    launcher = made.checkout / "webitel"
    text = launcher.read_text().replace(":/usr/local/sbin:/usr/sbin:/sbin", ":/nowhere/sbin")
    launcher.write_text(text.replace("busy=150", "busy=4"))
    return made


def test_root_gets_python_installed(machine: Machine) -> None:
    machine.add("apt-get", APT_GET)
    machine.add("python3", HALF_A_PYTHON)
    (machine.bin / "python3").rename(machine.bin / "python3.11")
    done = machine.run("plan", "x y", HOME=str(machine.folder))
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "['plan', 'x y']"), done.stderr
    assert "Installing python3 and python3-venv" in done.stderr
    assert [call.split("=300 ")[1] for call in (machine.folder / "calls").read_text().splitlines()] == [
        "update",
        "install -y --no-install-recommends python3 python3-venv",
    ]


def test_a_mirror_that_stumbles_is_asked_again(machine: Machine) -> None:
    machine.add("apt-get", APT_GET)
    (machine.folder / "once").touch()
    (machine.folder / "install.says").write_text("E: Failed to fetch http://mirror.example/debian/python3.deb\n")
    assert machine.run("plan", HOME=str(machine.folder)).returncode == 0


@pytest.mark.parametrize(
    ("said", "tries"),
    [
        ("E: Failed to fetch http://me:secret@mirror.example/debian/python3.deb  Connection refused", 3),
        ("E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)\nE: mirror http://mirror.example/", 4),
    ],
)
def test_what_fails_for_good_names_the_host(machine: Machine, said: str, tries: int) -> None:
    machine.add("apt-get", APT_GET)
    (machine.folder / "install.says").write_text(said + "\n")
    done = machine.run("plan", HOME=str(machine.folder))
    assert (done.returncode, done.stdout) == (1, "")
    assert "installing Python (apt-get) failed. " in done.stderr
    assert "It asks mirror.example. " in done.stderr
    assert "secret" not in done.stderr
    assert (machine.folder / "calls").read_text().count("install -y") == tries


def test_who_is_not_root_gets_one_line_to_run(machine: Machine) -> None:
    machine.add("apt-get", APT_GET)
    machine.be("1000")
    done = machine.run("plan", HOME=str(machine.folder))
    assert done.returncode == 1
    assert done.stderr.splitlines()[1] == "  sudo sh -c 'apt-get update && apt-get install -y python3 python3-venv'"
    assert not (machine.folder / "calls").exists()


def test_home_and_administrators_folders_are_added(machine: Machine) -> None:
    (machine.bin / "python3").symlink_to(sys.executable)
    machine.be(str(os.getuid()))
    done = machine.run("plan", XDG_CACHE_HOME=str(machine.folder / "cache"))
    home, path = done.stdout.splitlines()[1:]
    assert home == pwd.getpwuid(os.getuid()).pw_dir
    assert path.endswith(":/nowhere/sbin")


@pytest.mark.parametrize(("target", "status"), [("/home/other/.cache/webitel/venv-9", 0), ("/home/other/own", 1)])
def test_a_link_into_the_cache_of_another_user_is_replaced(machine: Machine, target: str, status: int) -> None:
    """`sudo ./webitel up` leaves one behind."""
    (machine.bin / "python3").symlink_to(sys.executable)
    (machine.checkout / ".venv").symlink_to(target)
    done = machine.run("plan", HOME=str(machine.folder))
    assert done.returncode == status
    assert ("has no bin/python" in done.stderr) is bool(status)
