"""A given host without sudo: root logs in, behind the company's jump host, and the database has a disk of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.local.conftest import Figure
from tests.local.owner import USER, OwnHost
from tests.local.rack import DATA, Rack, list_files, make_rack
from tests.long_form import only_long

pytestmark = [pytest.mark.local, only_long("two hosts, taken twice")]

DISK_BYTES = 100 << 30
"""Of which nothing is written that nobody needs."""
WHOLE_ROOT = {"security_privileged": "true"}
"""Containers mount no disk otherwise."""
WITHOUT_CLOCK = """
mkdir -p /etc/systemd/system/chrony.service.d
printf '[Unit]\nConditionCapability=\n' >/etc/systemd/system/chrony.service.d/owner.conf
systemctl daemon-reload
"""
"""A privileged container may not set the clock, without which Debian's chrony does not start; here it only looks (`-x`)."""
WITH_PASSWORD = """
echo root:secret | chpasswd
printf 'PermitRootLogin yes\\nPasswordAuthentication yes\\n' >/etc/ssh/sshd_config.d/owner.conf
systemctl restart ssh
"""
SQL = "cd / && runuser -u postgres -- psql -XAtq webitel -c"
LET_ROOT_IN = f"install -D -m 600 /home/{USER}/.ssh/authorized_keys /root/.ssh/authorized_keys"


class Racked(NamedTuple):
    """The rack, its only host, and the disk in it."""

    rack: Rack
    host: OwnHost
    device: str


@contextmanager
def only_by(jump: OwnHost, host: OwnHost) -> Iterator[None]:
    """Nobody on this machine reaches the host's SSH, but for the jump host."""
    assert jump.address != host.address
    table = f"webitel_jump_{os.getpid()}"
    rule = f"ip daddr {host.address} tcp dport 22 reject with tcp reset"
    rules = f"table ip {table} {{\nchain out {{\ntype filter hook output priority -1\n{rule}\n}}\n}}\n"
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "ip", table], check=True)


@pytest.fixture(scope="module")
def racked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Racked]:
    image = tmp_path_factory.mktemp("disk") / "image"
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    loop = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=True).stdout.strip()
    try:
        for rack in make_rack(tmp_path_factory, "single", "root"):
            jump, host = rack.owner.make("jump", 30), rack.add("all-1", 20, **WHOLE_ROOT)
            rack.owner.add_disk(host, loop, loop)
            host.run(WITHOUT_CLOCK)
            rack.devices = {"database": loop, "recordings": f"{DATA}/recordings"}
            home = rack.deployment.folder / "home"
            (home / ".ssh").mkdir(parents=True)
            (home / ".ssh/known_hosts").write_text(f"{jump.address} {jump.host_key}\n")
            cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
            rack.deployment.environment |= {"HOME": str(home), "XDG_CACHE_HOME": cache}
            rack.deployment.settings |= {"ssh_via": f"{USER}@{jump.address}"}
            rack.choose("all-1")
            with only_by(jump, host):
                yield Racked(rack, host, loop)
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)


def digest(device: str) -> str:
    """What is on the disk, as whoever writes there sees it: of its first GiB, which has all that a small file system has."""
    with Path(device).open("rb") as file:
        return hashlib.sha256(file.read(1 << 30)).hexdigest()


def refuse(racked: Racked) -> str:
    """What `up` says that refuses the host, and leaves it as it was."""
    said = racked.rack.deployment.up("--yes", status=1).said
    assert racked.host.run("ls -d /var/lib/webitel /usr/lib/webitel 2>/dev/null || true") == "", said
    return " ".join(said.split())


def test_a_root_with_a_password_only_is_refused(racked: Racked) -> None:
    racked.host.run(WITH_PASSWORD)
    said = refuse(racked)
    assert f"root@{racked.host.address} takes none of your keys" in said
    assert "ssh-copy-id" in said, said
    racked.host.run("rm /etc/ssh/sshd_config.d/owner.conf; systemctl restart ssh")


def test_a_disk_that_holds_something_is_left_alone(racked: Racked) -> None:
    racked.host.run(LET_ROOT_IN)
    racked.rack.before["all-1"] = list_files(racked.host)
    subprocess.run(["mkfs.ext4", "-q", "-F", racked.device], check=True)
    before = digest(racked.device)
    assert f"{racked.device} holds ext4" in refuse(racked)
    assert digest(racked.device) == before
    subprocess.run(["wipefs", "-q", "--all", racked.device], check=True)


def test_root_takes_it_by_the_jump_host(racked: Racked, figure: Figure) -> None:
    deployment, host = racked.rack.deployment, racked.host
    done = deployment.up("--yes")
    figure("up on a given host by a jump host", done.seconds)
    assert deployment.status()["healthy"]
    assert host.run("findmnt -n -o SOURCE,FSTYPE /var/lib/webitel/database").split() == [racked.device, "ext4"]
    assert host.run("blkid -p -o value -s LABEL " + racked.device).startswith("webitel-")
    assert "permitrootlogin without-password" in host.run("sshd -T")
    before = deployment.units()
    assert set(json.loads(deployment.up("--json", "--yes").output)["changes"]) <= {"same", "read"}
    assert deployment.units() == before


def test_it_is_left_with_its_data_and_taken_again(racked: Racked) -> None:
    deployment, host = racked.rack.deployment, racked.host
    host.run(f"{SQL} 'create table kept as select 20 as number'")
    uuid = host.run(f"blkid -p -o value -s UUID {racked.device}")
    said = " ".join(deployment.webitel("destroy", deployment.name, "--yes").said.split())
    assert "what stays here: the data of database" in said, said
    assert host.run("cat /etc/fstab | grep -v '^#' || true") == ""
    assert host.run(f"findmnt -n -S {racked.device} || true") == ""
    assert host.run("cat /root/.ssh/authorized_keys").count("\n") == 0
    after = list_files(host)
    changed = {path for path, old in racked.rack.before["all-1"].items() if after.get(path) != old}
    assert not [path for path in changed if "ssh" in path or "systemd" in path or "apt" in path], sorted(changed)
    deployment.up("--yes")
    assert deployment.status()["healthy"]
    assert host.run(f"blkid -p -o value -s UUID {racked.device}") == uuid
    assert host.run(f"{SQL} 'select number from kept'") == "20"
