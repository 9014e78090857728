"""`hosts check` on real hosts: plain Debian, with what owners of hosts have on them; refused, mended, and fit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cli.hosts.check import How, Tell, check_hosts
from cli.hosts.finding import ACROSS, Finding
from components.model.settings import Settings
from stacks.load import make_deployment
from tests.local import ended
from tests.local.owner import OF_CONTAINERS, USER, Owner, OwnHost
from tests.long_form import only_long
from tools.incus.network import find_free_network, read_routes

pytestmark = pytest.mark.local

STACK = f"t{os.getpid()}-basic"
CLOCK_AHEAD = """#!/bin/sh
test "$1" = -B || exec /usr/bin/python3 "$@"
exec /usr/bin/python3 -c "
import runpy, sys, time
real = time.time
time.time = lambda: real() + 7200
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name='__main__')" "$@"
"""
LITTLE_MEMORY = """
sed 's/^MemTotal:.*/MemTotal:        1048576 kB/' /proc/meminfo >/root/meminfo
mount --bind /root/meminfo /proc/meminfo
"""
PASSWORD_ONLY = """
echo root:secret | chpasswd
printf 'PermitRootLogin yes\\nPasswordAuthentication yes\\n' >/etc/ssh/sshd_config.d/owner.conf
systemctl restart ssh
"""


class Hosts(NamedTuple):
    """Three hosts, and a disk of one of them."""

    by_role: Mapping[str, OwnHost]
    owner: Owner
    image: Path


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    folder = tmp_path_factory.mktemp("hosts")
    held = ended.hold(STACK)
    owner = Owner(STACK, f"wh{os.getpid()}", find_free_network(read_routes()), folder)
    image = folder / "disk"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    loop = ""
    try:
        owner.prepare()
        with ThreadPoolExecutor() as pool:
            places = {"data": 10, "app": 11, "edge": 12}
            made = dict(zip(places, pool.map(owner.make, places, places.values()), strict=True))
        loop = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=True).stdout.strip()
        owner.add_disk(made["data"], loop, "/dev/owners-disk")
        with owner.agent() as agent, pytest.MonkeyPatch.context() as environment:
            for name, value in agent.items():
                environment.setenv(name, value)
            yield Hosts(made, owner, image)
    finally:
        owner.end()
        if loop:
            subprocess.run(["losetup", "--detach", loop], check=True)
        ended.release(held)


def check(hosts: Hosts, how: How | None = None, tell: Tell = print, **changed: Any) -> list[Finding]:
    """Check them; `changed` settings, or by role what the list says of a host."""
    listed = [
        {"role": role, "address": host.address, "host_key": host.host_key, **changed.pop(role, {})}
        for role, host in hosts.by_role.items()
    ]
    listed[0].setdefault("devices", {"database": "/srv/database", "recordings": "/dev/owners-disk"})
    settings = Settings.model_validate(
        {
            "cloud": "onprem",
            "tier": "basic",
            "domain": "voice.your-company.com",
            "operators": ["10.0.0.0/8"],
            "network": str(hosts.owner.network),
            "package_source": "sandbox",
            "host_user": USER,
            "hosts": listed,
            **changed,
        }
    )
    return check_hosts(make_deployment(settings, STACK).plan, settings, how or How(), tell)


def of(findings: list[Finding], host: str, name: str) -> Finding:
    """The finding of that check, the worst of several."""
    mine = [one for one in findings if (one.host, one.check) == (host, name)]
    assert mine, f"{host} was not asked for {name}: {[one.check for one in findings if one.host == host]}"
    return max(mine, key=lambda one: ("pass", "warn", "fail").index(one.state))


def failed(findings: list[Finding]) -> list[tuple[str, str, str]]:
    """What is refused, but for what containers on this machine are."""
    return [(one.host, one.check, one.found) for one in findings if one.state == "fail" and one.check not in OF_CONTAINERS]


def test_plain_hosts_are_fit_but_for_what_containers_are(hosts: Hosts) -> None:
    found = check(hosts)
    assert failed(found) == []
    assert of(found, "app-1", "virtualisation").state == "fail", "calls pass there"
    assert of(found, "data-1", "virtualisation").found == "lxc"
    assert of(found, "data-1", "way in").found == "root", "by sudo: another user than root"
    disks = [one.found for one in found if one.check == "data disk"]
    assert any("/dev/owners-disk" in one for one in disks) and any("/srv/database" in one for one in disks)
    assert of(found, "edge-1", "package sources").state == "pass"
    assert of(found, ACROSS, "clocks").state == of(found, ACROSS, "identities").state == "pass"
    assert {one.check for one in found if one.host == "app-1"} >= {"loss", "round trip", "packet size", "interface", "ports"}
    accepted = check(hosts, app={"accepts": ["virtualisation"]})
    assert (of(accepted, "app-1", "virtualisation").state, of(accepted, "app-1", "virtualisation").accepted) == ("warn", True)
    left = [host.run("ls /run/webitel* /var/lib/.webitel* 2>/dev/null || true") for host in hosts.by_role.values()]
    assert left == ["", "", ""], "nothing of ours stays"


def test_what_owners_have_on_their_hosts_is_found(hosts: Hosts) -> None:
    data, app, edge = (hosts.by_role[role] for role in ("data", "app", "edge"))
    subprocess.run(["mkfs.ext4", "-q", "-F", str(hosts.image)], check=True)
    before = hosts.image.read_bytes()
    edge.run("cat >/usr/local/bin/python3; chmod 755 /usr/local/bin/python3", text=CLOCK_AHEAD)
    edge.run(LITTLE_MEMORY)
    app.run(PASSWORD_ONLY)
    app.run(f"mv /home/{USER}/.ssh/authorized_keys /root/kept")
    data.run("systemd-run --unit owners-web /usr/bin/python3 -m http.server 5432")
    data.run("echo 'deb [trusted=yes] https://apt.example.com stable main' >/etc/apt/sources.list.d/x.list")
    try:
        found = check(hosts)
        assert of(found, "data-1", "data disk").state == "fail"
        assert "holds ext4" in of(found, "data-1", "data disk").found
        assert hosts.image.read_bytes() == before, "it is as it was"
        assert "5432/tcp python3 (for postgresql)" in of(found, "data-1", "ports").found
        assert of(found, "data-1", "package sources").state == "fail", "one source that is nowhere"
        assert "apt.example.com" in of(found, "data-1", "sources").found
        assert of(found, "edge-1", "memory").found == "1.0 GiB"
        assert "7200" in of(found, ACROSS, "clocks").found and of(found, ACROSS, "clocks").state == "fail"
        assert f"{USER}@{app.address} takes none of your keys, only a password" in of(found, "app-1", "way in").found
        as_root = check(hosts, How(only=["app-1"]), host_user="root")
        assert "ssh-copy-id root@" in of(as_root, "app-1", "way in").remedy
    finally:
        edge.run("rm -f /usr/local/bin/python3; umount /proc/meminfo")
        app.run(f"test ! -e /root/kept || mv /root/kept /home/{USER}/.ssh/authorized_keys")
        data.run("systemctl stop owners-web; rm -f /etc/apt/sources.list.d/x.list")
        subprocess.run(["wipefs", "-q", "--all", str(hosts.image)], check=True)
    assert failed(check(hosts)) == []


def test_the_network_between_hosts_is_measured_in_both_directions(hosts: Hosts) -> None:
    found = check(hosts, How(network=True, seconds=3.0))
    lost = {one.found.partition(":")[0] for one in found if one.check == "audio lost"}
    keys = ("data-1", "app-1", "edge-1")
    assert lost == {f"{one} to {other}" for one in keys for other in keys if one != other}
    assert all(" 0 packets" not in one.found for one in found if one.check == "audio lost")
    assert sum(one.check == "audio jitter" for one in found) == 6


@only_long("installs packages")
def test_another_postgresql_is_refused_and_time_is_mended(hosts: Hosts) -> None:
    edge, app = hosts.by_role["edge"], hosts.by_role["app"]
    edge.run("apt-get -qq update; DEBIAN_FRONTEND=noninteractive apt-get -qqy install --no-install-recommends postgresql-15")
    found = check(hosts)
    assert "postgresql-15 is installed" in of(found, "edge-1", "other programs").found
    assert of(found, "edge-1", "other programs").state == "fail"
    known = check(hosts, edge={"accepts": ["other programs"]})
    assert of(known, "edge-1", "other programs").state == "warn"
    app.run("apt-get -qqy purge chrony systemd-timesyncd; apt-get -qq update")
    assert of(check(hosts, How(only=["app-1"])), "app-1", "time").state == "warn"
    mended = check(hosts, How(only=["app-1"], apply=True))
    told = of(mended, "app-1", "time").found
    assert "chrony" in told
    assert app.run("systemctl is-active chrony", check=False).strip() == "active", told


LATE = "late"
"""A host of its own, whose root may set what is the kernel's."""
NEGLECTED = """
cp -r --no-preserve=all /sys/devices/system/cpu /root/cpu 2>/dev/null
echo 'always madvise never' | sed 's/always/[always]/' >/root/pages
mount --bind /root/pages /sys/kernel/mm/transparent_hugepage/enabled
for cpu in /root/cpu/cpu[0-9]*; do mkdir -p $cpu/cpufreq; echo powersave >$cpu/cpufreq/scaling_governor; done
mount --bind /root/cpu /sys/devices/system/cpu
echo 65536 >/root/connections
mount --bind /root/connections /proc/sys/net/netfilter/nf_conntrack_max
export DEBIAN_FRONTEND=noninteractive
apt-get -qqy purge python3-minimal python3.11-minimal libpython3.11-minimal >/dev/null
rm -rf /var/lib/apt/lists/*
! command -v python3
"""
"""No kernel lets a container set its governor, or how many connections it tracks: files stand in their place."""


@only_long("installs packages")
def test_python_huge_pages_governor_and_connections_are_mended_at_once(hosts: Hosts) -> None:
    late = hosts.owner.make(LATE, 13, security_privileged="true")
    late.run(NEGLECTED)
    only = hosts._replace(by_role={**hosts.by_role, "data": late})

    def look(**how: Any) -> list[Finding]:
        return check(only, How(only=["data-1"], **how), data={"devices": {"database": "/srv/database", "recordings": "/srv/r"}})

    assert of(look(), "data-1", "python3").state == "fail"
    mended = look(apply=True)
    checks = ("python3", "governor", "connections", "huge pages")
    assert {name: of(mended, "data-1", name).state for name in checks} == dict.fromkeys(checks, "pass")
    assert {name: of(look(), "data-1", name).state for name in checks} == dict.fromkeys(checks, "pass")
    # What lasts beyond a restart says so in files of its own.
    kept = late.run("cat /etc/tmpfiles.d/webitel-governor.conf /etc/sysctl.d/59-webitel-host.conf")
    assert "performance" in kept and "262144" in kept
    late.run("echo '[always] madvise never' >/root/pages; systemd-tmpfiles --create /etc/tmpfiles.d/webitel-host.conf")
    # Into a file in the kernel's place it is written over what stood there.
    assert late.run("cat /sys/kernel/mm/transparent_hugepage/enabled").startswith("madvise")


WRONG_SECONDS = 5
TELLS_WRONG_TIME = f"""
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qqy -o DPkg::Options::=--force-confold install --no-install-recommends chrony libfaketime >/dev/null
printf 'local stratum 3\\nallow\\ncmdport 0\\nbindcmdaddress /\\npidfile /run/owner.pid\\nuser root\\n' >/root/wrong.conf
systemd-run --quiet --unit owners-clock env LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1 \\
  FAKETIME=-{WRONG_SECONDS}s FAKETIME_DONT_FAKE_MONOTONIC=1 /usr/sbin/chronyd -x -d -f /root/wrong.conf
"""
"""A time server that is wrong: for whoever believes it the own clock is."""
BELIEVES = """
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qqy -o DPkg::Options::=--force-confold install --no-install-recommends chrony >/dev/null
echo 'DAEMON_OPTS="-F 1 -x"' >/etc/default/chrony
sed -i '/^pool/d; /^makestep/d' /etc/chrony/chrony.conf
echo 'server {server} iburst minpoll 0 maxpoll 1' >/etc/chrony/sources.d/owner.sources
systemctl restart chrony
chronyc waitsync 30 0 0 1 >/dev/null
"""
OTHERS = """
cat >/etc/systemd/system/ntpsec.service <<END
[Service]
ExecStart=/usr/bin/sleep infinity
[Install]
WantedBy=multi-user.target
END
cp /etc/systemd/system/ntpsec.service /etc/systemd/system/systemd-timesyncd.service
rm /etc/chrony/sources.d/owner.sources
systemctl daemon-reload
systemctl restart chrony
systemctl enable ntpsec
systemctl enable --now systemd-timesyncd
"""
"""Two more who keep the time, one beside chrony now and one in its place at the next start; and no server for chrony."""


@only_long("installs packages")
def test_a_wrong_clock_is_stepped_by_its_chrony_or_said_to_stay_wrong(hosts: Hosts) -> None:
    """chronyd itself, and a server of the owner's. A container's may not set the clock (`-x`): that alone is left undone."""
    edge, app = hosts.by_role["edge"], hosts.by_role["app"]
    edge.run(TELLS_WRONG_TIME)
    app.run(BELIEVES.format(server=edge.address))
    found = of(check(hosts, How(only=["app-1"])), "app-1", "time")
    assert found.state == "fail" and f"chrony from {edge.address}" in found.found and found.mends, found
    assert 1000 * WRONG_SECONDS - 500 < float(found.found.split(", ")[-1].split()[0]) < 1000 * WRONG_SECONDS + 500
    told: list[str] = []
    check(hosts, How(only=["app-1"], apply=True), told.append)
    assert "  app-1: time: not mended: chronyd does not step the clock: 500 Failure" in told, told
    assert "Could not step system clock" in app.run("journalctl --unit chrony --output cat")
    app.run(OTHERS)
    both = of(check(hosts, How(only=["app-1"])), "app-1", "time")
    assert both.state == "warn" and "chrony and systemd-timesyncd" in both.found, both
    told.clear()
    left = of(check(hosts, How(only=["app-1"], apply=True), told.append), "app-1", "time")
    assert any("time: not mended: chrony reaches no time server" in line for line in told), told
    assert left.found.startswith("chrony") and "timesyncd" not in left.found, left
    assert app.run("systemctl is-active chrony; systemctl is-enabled chrony") == "active\nenabled"
    for other in ("ntpsec", "systemd-timesyncd"):
        assert app.run(f"systemctl is-enabled {other}; systemctl is-active {other}", check=False) == "disabled\ninactive"
