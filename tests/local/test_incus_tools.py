"""Daemon, pool and images on this machine. Everything made here is deleted here."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provider.handler import Request
from provider.incus import LocalNetwork
from provider.incus_machine import LocalMachine
from tools.environment import SetupError
from tools.incus import api, builder, ensure_base_image, ensure_incus, ensure_packages_image, ensure_pool, execute, images
from tools.incus.network import find_free_network, read_routes

pytestmark = pytest.mark.local

ROOT = Path(__file__).parents[2]
NAME = "test-tools-1"
LABELS = {"stack": "test-tools"}
USER_DATA = """#cloud-config
write_files:
- path: /etc/systemd/system/webitel-install.service
  content: |
    [Service]
    Type=oneshot
    RemainAfterExit=yes
    ExecStart=/bin/sh -c 'echo step one; {step}'
runcmd:
- [systemctl, start, --no-block, webitel-install.service]
"""


def make_request() -> Request:
    return Request("urn:pulumi:test::webitel::webitel:index:Local::test")


@pytest.fixture
def base() -> str:
    ensure_incus(print)
    ensure_pool(print)
    return ensure_base_image(print)


@pytest.fixture
def key(base: str) -> Iterator[str]:
    """Key of an image of packages that is gone afterwards."""
    key = f"test{os.getpid()}x{time.monotonic_ns()}"
    yield key
    images._remove_aliases(f"webitel-packages-{key}")
    # Another run on this machine that stops Incus puts the images away, this one too.
    for stored in images.cache_directory().glob(f"webitel-packages-{key}*"):
        stored.unlink()


def run_in(name: str, command: str) -> str:
    done = execute.run(name, ["sh", "-c", command])
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def test_base_image_is_made_once(base: str) -> None:
    started = time.monotonic()
    said: list[str] = []
    assert ensure_base_image(said.append) == base
    assert said == []
    print(f"base image found in {time.monotonic() - started:.2f} s")


def test_packages_image_boots_as_a_new_machine(key: str) -> None:
    said: list[str] = []
    started = time.monotonic()
    alias = ensure_packages_image(key, USER_DATA.format(step="touch /installed"), said.append)
    print(f"image of packages in {time.monotonic() - started:.1f} s")
    assert alias.startswith(f"webitel-packages-{key}-")
    assert (said[0][:18], said[-1]) == ("starting a machine", "keeping the machine as an image")
    said.clear()
    assert ensure_packages_image(key, "never used", said.append) == alias
    # Another run may be making an image, or have put this one away.
    assert not any(line.startswith("starting a machine") for line in said)
    cidr = find_free_network(read_routes())
    network = {"name": "wtest2", "cidr": str(cidr), "labels": LABELS}
    machine = {
        "name": NAME,
        "image": alias,
        "network": "wtest2",
        "address": str(cidr[10]),
        "vcpus": 1,
        "memory_gib": 0.5,
        "user_data": "#cloud-config\nruncmd:\n- [touch, /second]\n",
        "ssh_public_key": "ssh-ed25519 AAAA",
        "labels": LABELS,
    }
    try:
        LocalNetwork().create(make_request(), network)
        id, _ = LocalMachine().create(make_request(), machine)
        assert run_in(NAME, "cloud-init status --wait | tail -1") == "status: done"
        assert run_in(NAME, "ls /installed /second; hostname; cat /var/lib/cloud/data/instance-id").split() == [
            *("/installed", "/second", NAME, id),
        ]
        # One address, the machine's own; its own host key and machine id; no unit that the image had switched off is on.
        assert run_in(NAME, "ip -4 -br address show eth0").split()[2:] == [f"{cidr[10]}/24"]
        assert NAME in run_in(NAME, "cat /etc/ssh/ssh_host_ed25519_key.pub")
        assert len(run_in(NAME, "cat /etc/machine-id")) == 32
        assert run_in(NAME, "systemctl is-enabled systemd-networkd-wait-online || true") == "masked"
        assert run_in(NAME, "systemctl is-system-running --wait") == "running"
    finally:
        api.delete_instance(NAME)
        api.remove(api.network_path("wtest2"))


def test_failing_installation_is_shown_and_leaves_nothing(key: str) -> None:
    with pytest.raises(SetupError, match=r"webitel-install.service failed \(exit-code\):\n(.|\n)*the last word"):
        ensure_packages_image(key, USER_DATA.format(step="echo the last word; exit 3"), print)
    assert api.find(api.instance_path(builder.NAME)) is None
    assert api.find(api.network_path(builder.NAME)) is None
    assert not images._exists(f"webitel-packages-{key}")


def test_killed_build_is_cleaned_by_the_next(key: str) -> None:
    program = (
        f"from tools.incus import ensure_packages_image as make; make({key!r}, {USER_DATA.format(step='sleep 60')!r}, print)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while (found := api.find(api.instance_path(builder.NAME))) is None or found["status"] != "Running":
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert api.find(api.instance_path(builder.NAME)) is not None
    ensure_packages_image(key, USER_DATA.format(step="true"), print)
    assert api.find(api.instance_path(builder.NAME)) is None


@pytest.mark.parametrize("has_btrfs", [True, False])
def test_daemon_of_our_own_comes_and_goes(tmp_path: Path, base: str, has_btrfs: bool) -> None:
    """A second Incus beside the real one, with directories of its own."""
    environment = os.environ | {
        "INCUS_DIR": str(tmp_path / "incus"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    environment.pop("INCUS_SOCKET", None)
    (tmp_path / "incus").mkdir()
    (tmp_path / "cache/webitel").mkdir(parents=True)
    (tmp_path / f"cache/webitel/{base}.tar").symlink_to(images.cache_directory() / f"{base}.tar")
    if not has_btrfs:
        environment["PATH"] = str(link_programs(tmp_path / "bin", without="btrfs"))

    def tool(command: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "tools.incus", command],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    assert tool("status") == (1, "Incus does not answer. Next: python3 -m tools.incus start\n")
    try:
        status, output = tool("start")
        assert status == 0, output
        assert ("machines start slower from a plain directory" in output) is not has_btrfs
        pid = int((tmp_path / "state/webitel/incusd.pid").read_text())
        assert b"incusd" in Path(f"/proc/{pid}/cmdline").read_bytes()
        status, output = tool("status")
        assert status == 0
        assert f"pool webitel: {'btrfs' if has_btrfs else 'dir'}," in output
        assert f"image {base}" in output
    finally:
        cleaned, output = tool("clean")
    assert cleaned == 0, output
    assert not (tmp_path / "state/webitel/incusd.pid").exists()
    # Gone, or a zombie until process 1 looks.
    command = Path(f"/proc/{pid}/cmdline")
    assert not command.exists() or b"incusd" not in command.read_bytes()
    assert not any((tmp_path / "incus/storage-pools").iterdir())
    assert not list((tmp_path / "cache/webitel").glob("*.tar"))
    assert tool("clean")[0] == 0


def link_programs(directory: Path, without: str) -> Path:
    """Makes a directory that holds all programs of this machine but those with that word in their name."""
    directory.mkdir()
    for source in os.get_exec_path():
        for program in Path(source).iterdir() if Path(source).is_dir() else ():
            if without not in program.name and not (directory / program.name).is_symlink():
                (directory / program.name).symlink_to(program)
    assert shutil.which(f"mkfs.{without}", path=str(directory)) is None
    return directory
