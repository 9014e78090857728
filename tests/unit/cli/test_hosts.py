"""Every finding of `hosts check` is planted once and found, and nothing is found on a host that is as wished."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cli.hosts.across import Offset, judge_across, judge_lines
from cli.hosts.check import list_rounds
from cli.hosts.finding import Finding, Verdict, make_finding
from cli.hosts.judge import judge_host
from cloud_init.host.facts import Facts, FileSystem, Line, Listener, Peer, Reached, SharedAddress, Source, Sync
from components.model.host_checks import CHECKS, NEVER_ACCEPTED
from components.model.host_limits import MEMORY_SHARE, Limit
from components.model.problems import PlanError
from tests.unit.cli.host_facts import (
    FACTS,
    GIB,
    ROOT,
    make_wishes,
    with_device,
    with_nic,
    with_part,
)

WISHES = make_wishes()

PLANTED: dict[str, tuple[str, str, Facts]] = {
    "another release": ("release", "fail", with_part("system", release="debian 13")),
    "another architecture": ("release", "fail", with_part("system", architecture="arm64")),
    "another python": ("python3", "fail", with_part("system", python="3.9.2")),
    "no root": ("way in", "fail", with_part("system", root=False)),
    "an old kernel": ("kernel", "fail", with_part("system", kernel="5.10.0-30-amd64")),
    "another init": ("init", "fail", with_part("system", init="openrc")),
    "cgroups of version 1": ("init", "fail", with_part("system", unified_cgroups=False)),
    "another hypervisor": ("virtualisation", "warn", with_part("system", virtualisation="oracle")),
    "a container without calls": ("virtualisation", "warn", with_part("system", virtualisation="lxc", container=True)),
    "cloud-init at work": ("cloud-init", "fail", with_part("system", cloud_init="running")),
    "cloud-init that failed": ("cloud-init", "warn", with_part("system", cloud_init="error")),
    "another deployment's": ("owner", "fail", with_part("system", ours="all-1", ours_stack="other-single")),
    "another node's": ("owner", "fail", with_part("system", ours="app-1", ours_stack="given-basic")),
    "few processors": ("vCPU", "fail", with_part("cpu", vcpus=4)),
    "crowded cores": ("whole cores", "warn", with_part("cpu", cores=2)),
    "an old processor": ("processor", "fail", with_part("cpu", flags=("ssse3",))),
    "no AVX2": ("processor", "warn", with_part("cpu", flags=("ssse3", "sse4_1", "sse4_2", "popcnt"))),
    "a slow processor": ("processor", "warn", with_part("cpu", mhz=1800.0)),
    "a governor that saves": ("governor", "warn", with_part("cpu", governor="powersave")),
    "two memory nodes": ("memory nodes", "warn", with_part("cpu", numa_nodes=2)),
    "stolen time without calls": ("steal", "warn", with_part("cpu", steal_percent=3.0)),
    "too little memory": ("memory", "fail", with_part("memory", total=16 * GIB)),
    "somewhat little memory": ("memory", "warn", with_part("memory", total=29 * GIB)),
    "swap in use": ("swap", "warn", with_part("memory", swap=2 * GIB, swap_used=GIB)),
    "huge pages for all": ("huge pages", "warn", with_part("memory", huge_pages="always")),
    "no room": ("room", "fail", with_part("storage", systems=(replace(ROOT, free=5 * GIB),))),
    "little room": ("room", "warn", with_part("storage", systems=(replace(ROOT, free=20 * GIB),))),
    "a closed /tmp": (
        "mounts",
        "fail",
        with_part("storage", systems=(ROOT, FileSystem("/tmp", "tmpfs", "tmpfs", GIB, GIB, True))),
    ),
    "no disk": ("data disk", "fail", with_device(kind="missing", size=0)),
    "a disk that cannot be read": ("data disk", "fail", with_device(kind="unreadable")),
    "a file": ("data disk", "fail", with_device(kind="other")),
    "a file system": ("data disk", "fail", with_device(holds=("ext4",))),
    "a disk in use": ("data disk", "fail", with_device(holds=("ext4",), mounted="/srv")),
    "the disk of /": ("data disk", "fail", with_device(on_root=True)),
    "a small disk": ("data disk", "warn", with_device(size=50 * GIB)),
    "a name that changes": ("data disk", "warn", with_device(path="/dev/sdb", stable=False)),
    "a disk of an earlier deployment": ("data disk", "warn", with_device(holds=("ext4",), label="webitel-database")),
    "a directory on the disk of /": (
        "data disk",
        "warn",
        with_device(kind="directory", path="/srv/database", free=900 * GIB, on_root=True),
    ),
    "a directory with something in it": (
        "data disk",
        "fail",
        with_device(kind="directory", path="/srv/database", holds=("base",), free=900 * GIB),
    ),
    "a directory that is not there": ("data disk", "warn", with_device(kind="missing", path="/srv/database", size=0)),
    "a slow disk": (
        "disk latency",
        "warn",
        with_part("storage", sync=Sync("/var/lib", "/dev/vda1", 400, 2.0, 5.0)),
    ),
    "a private address of nobody": ("interface", "fail", with_part("network", nic=None)),
    "a slow interface": ("interface", "fail", with_nic(speed=100)),
    "half duplex": ("interface", "fail", with_nic(duplex="half")),
    "a poor driver": ("interface", "warn", with_nic(driver="e1000")),
    "an interface that drops": ("interface", "warn", with_nic(dropped=5000)),
    "few connections": ("connections", "warn", with_part("network", connections=65536)),
    "somebody on a port": (
        "ports",
        "fail",
        with_part("network", listeners=(Listener("tcp", "0.0.0.0", 5432, "postgres"),)),
    ),
    "somebody on a port of IPv6": ("ports", "fail", with_part("network", listeners=(Listener("tcp", "::", 5672, "beam.smp"),))),
    "a lossy way": ("loss", "fail", with_part("network", peers=(Peer("10.20.0.11", 25, 24, 0.3, True),))),
    "no way": ("loss", "fail", with_part("network", peers=(Peer("10.20.0.11", 25, 0, None, False),))),
    "a long way": ("round trip", "warn", with_part("network", peers=(Peer("10.20.0.11", 25, 25, 5.0, True),))),
    "a very long way": ("round trip", "fail", with_part("network", peers=(Peer("10.20.0.11", 25, 25, 30.0, True),))),
    "packets that vanish": ("packet size", "fail", with_part("network", peers=(Peer("10.20.0.11", 25, 25, 0.3, False),))),
    "another PostgreSQL": ("other programs", "fail", with_part("software", packages={"postgresql-15": "installed"})),
    "a mail server": ("other programs", "warn", with_part("software", packages={"exim4-daemon-light": "installed"})),
    "half a package": ("packages", "fail", with_part("software", broken=("linux-image-amd64",))),
    "a held package": ("packages", "warn", with_part("software", held=("openssl",))),
    "a pin": ("packages", "warn", with_part("software", pins=("/etc/apt/preferences.d/x",))),
    "a foreign source": (
        "sources",
        "warn",
        with_part("software", sources=(Source("https://x.example/apt", "stable", "X", "stable", 500),)),
    ),
    "a source that was never fetched": (
        "sources",
        "warn",
        with_part("software", sources=(Source("https://x.example/apt", "stable", "", "", 500),)),
    ),
    "another Debian": (
        "sources",
        "fail",
        with_part("software", sources=(Source("http://debian.example.org/debian", "trixie", "Debian", "trixie", 500),)),
    ),
    "an active firewall": ("firewall", "fail", with_part("software", firewalls=("ufw",))),
    "tables of nftables": ("firewall", "warn", with_part("software", tables=("inet filter",))),
    "SELinux": ("confinement", "fail", with_part("software", selinux=True)),
    "nobody keeps the time": ("time", "warn", with_part("clock", daemons=(), offset=None)),
    "two keep the time": ("time", "warn", with_part("clock", daemons=("chrony", "ntpd"))),
    "a clock not in step": ("time", "warn", with_part("clock", synchronised=False)),
    "a clock that is off": ("time", "fail", with_part("clock", offset=400.0)),
    "no name server": ("names", "fail", with_part("names", servers=())),
    "localhost of IPv6 only": ("names", "fail", with_part("names", localhost=("::1",))),
    "a name that leads nowhere": ("names", "warn", with_part("names", full="")),
    "a source that is silent": (
        "package sources",
        "fail",
        replace(FACTS, reached=(Reached("https://user:secret@m.example/InRelease", 8000, "timed out"),)),
    ),
    "a part that cannot be looked at": ("facts", "fail", replace(FACTS, network=None, problems={"network": "OSError: no"})),
}


def bad(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.check, one.state) for one in findings if one.state != "pass"]


def test_nothing_is_wrong_with_a_host_as_wished() -> None:
    assert bad(judge_host(WISHES["data-1"], FACTS)) == []


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_found_and_nothing_else(what: str) -> None:
    check, state, facts = PLANTED[what]
    found = judge_host(WISHES["data-1"], facts)
    assert (check, state) in bad(found)
    assert {name for name, _ in bad(found)} == {check}
    assert all(one.remedy for one in found if one.state != "pass")


CALLS: dict[str, tuple[str, str, Facts]] = {
    "a container": ("virtualisation", "fail", with_part("system", virtualisation="lxc", container=True)),
    "stolen time": ("steal", "fail", with_part("cpu", steal_percent=3.0)),
    "few queues": ("interface", "warn", with_nic(queues=1)),
}


def test_headers_are_asked_for_where_a_module_may_be_built() -> None:
    facts = replace(with_part("system", headers=False), storage=FACTS.storage)
    assert bad(judge_host(WISHES["edge-1"], facts)) == [("kernel", "warn")]
    assert bad(judge_host(WISHES["app-1"], facts)) == []


SHARED = SharedAddress("10.20.0.200", "10.20.0.0/24", False, "", "")
TURNS: dict[str, tuple[str, SharedAddress]] = {
    "nobody has it": ("pass", SHARED),
    "the other node has it": ("pass", replace(SHARED, owner="02:00:00:00:00:01", node="10.20.0.13")),
    "a printer has it": ("fail", replace(SHARED, owner="02:00:00:00:00:02")),
    "the host has it fixed": ("fail", replace(SHARED, is_here=True)),
    "another network": ("fail", replace(SHARED, network="10.20.1.0/24")),
}


@pytest.mark.parametrize("what", TURNS)
def test_nobody_else_has_the_address_of_two_nodes(what: str) -> None:
    state, shared = TURNS[what]
    facts = replace(with_part("network", shared=shared), storage=FACTS.storage)
    wish = make_wishes(sip_address="10.20.0.200")["edge-1"]
    assert wish.ask(measure=False).shared == "10.20.0.200" and not make_wishes()["edge-1"].shared
    assert bad(judge_host(wish, facts)) == ([("SIP address", "fail")] if state == "fail" else [])


def test_a_node_of_ours_may_have_it() -> None:
    facts = with_part("network", shared=replace(SHARED, is_here=True))
    assert facts.system
    ours = replace(facts, system=replace(facts.system, ours="edge-1", ours_stack="given-basic"))
    wish = make_wishes(sip_address="10.20.0.200")["edge-1"]
    assert [one.state for one in judge_host(wish, ours) if one.check == "SIP address"] == ["pass"]


@pytest.mark.parametrize("what", CALLS)
def test_where_calls_pass_more_is_asked(what: str) -> None:
    check, state, facts = CALLS[what]
    assert bad(judge_host(WISHES["app-1"], replace(facts, storage=FACTS.storage))) == [(check, state)]


def test_a_slow_disk_under_the_database_is_refused_where_it_is_the_one_measured() -> None:
    wish = WISHES["data-1"]
    there = wish.host.model_copy(update={"devices": {"database": "/srv/database"}})
    slow = with_part("storage", sync=Sync("/srv", "/dev/vdb", 400, 9.0, 25.0), devices=())
    assert bad(judge_host(replace(wish, host=there), slow)) == [("disk latency", "fail")]


Across = Callable[[], list[Finding]]


def across(other: Facts, ahead: float = 0.0) -> list[Finding]:
    facts = {"data-1": FACTS, "app-1": other}
    offsets = {"data-1": Offset(1.0, 2.0), "app-1": Offset(1.0 + ahead, 2.0)}
    return judge_across(list(WISHES.values()), facts, offsets)


OTHER = replace(
    FACTS,
    system=replace(FACTS.system, machine_id="b" * 32, host_keys=("ssh-ed25519 AAAA2",)),  # type: ignore[type-var]
    names=replace(FACTS.names, host="app"),  # type: ignore[type-var]
)
TOGETHER: dict[str, tuple[str, str, Across]] = {
    "a clock an hour ahead": ("clocks", "fail", lambda: across(OTHER, 3_600_000.0)),
    "a clock somewhat ahead": ("clocks", "warn", lambda: across(OTHER, 40.0)),
    "a copied machine": ("identities", "fail", lambda: across(FACTS)),
    "another time zone": (
        "time zones",
        "warn",
        lambda: across(replace(OTHER, clock=replace(OTHER.clock, zone="Europe/Berlin"))),  # type: ignore[type-var]
    ),
    "another packet size": (
        "packet size",
        "fail",
        lambda: across(replace(OTHER, network=with_nic(mtu=9000).network)),
    ),
    "audio that is lost": ("audio lost", "fail", lambda: judge_lines({("a", "b"): (1000, Line(1000, 990, 0.1, 1.0))}, 1)),
    "audio that is late": ("audio jitter", "warn", lambda: judge_lines({("a", "b"): (1000, Line(1000, 1000, 2.0, 9.0))}, 1)),
}


@pytest.mark.parametrize("what", TOGETHER)
def test_what_only_several_hosts_tell_is_found(what: str) -> None:
    check, state, look = TOGETHER[what]
    assert set(bad(look())) == {(check, state)}


def test_hosts_that_differ_only_as_they_should_pass_together() -> None:
    assert bad(across(OTHER)) == []


def test_the_way_to_a_host_is_no_fault_of_its_clock() -> None:
    slow = {"data-1": Offset(0.0, 60.0), "app-1": Offset(90.0, 60.0)}
    assert bad(judge_across(list(WISHES.values()), {"data-1": FACTS, "app-1": OTHER}, slow)) == []


def test_every_check_was_planted() -> None:
    planted = {check for check, _, _ in (*PLANTED.values(), *CALLS.values())} | {check for check, _, _ in TOGETHER.values()}
    planted |= {"SIP address"} if any(state == "fail" for state, _ in TURNS.values()) else set()
    assert planted == set(CHECKS)


def test_an_owner_takes_upon_himself_what_no_data_hang_on() -> None:
    wish = make_wishes(accepts=["memory"])["data-1"]
    facts = with_part("memory", total=GIB)
    found = next(one for one in judge_host(wish, facts) if one.check == "memory")
    assert (found.state, found.accepted) == ("warn", True)
    for check in NEVER_ACCEPTED:
        assert make_finding(Verdict(check, "fail", "x"), "data-1", (check,)).state == "fail"


@pytest.mark.parametrize(("name", "why"), [("memroy", "no check of"), ("data disk", "nobody can take that upon himself")])
def test_only_checks_that_there_are_and_that_may_be_accepted_are(name: str, why: str) -> None:
    with pytest.raises(PlanError, match=why):
        make_wishes(accepts=[name])


def test_a_node_at_work_is_not_a_host_that_serves_something() -> None:
    ours = replace(with_part("system", ours="data-1", ours_stack="given-basic"), reached=())
    busy = replace(
        ours,
        storage=with_device(holds=("ext4",), label="webitel-database", mounted="/var/lib/webitel/database").storage,
        network=with_part("network", listeners=(Listener("tcp", "10.20.0.10", 5432, "postgres"),)).network,
        software=with_part("software", packages={"postgresql-15": "installed"}, tables=("inet webitel",)).software,
    )
    assert bad(judge_host(WISHES["data-1"], busy)) == []


def test_what_an_earlier_deployment_left_is_no_other_program() -> None:
    packages = {"postgresql-15": "installed", "nginx-common": "installed"}
    assert bad(judge_host(WISHES["data-1"], with_part("software", packages=packages, left=tuple(packages)))) == []
    found = judge_host(WISHES["data-1"], with_part("software", packages=packages, left=("nginx-common",)))
    assert [one.found for one in found if one.state == "fail"] == ["postgresql-15 is installed"]


def test_no_log_in_of_a_mirror_is_shown() -> None:
    found = judge_host(WISHES["data-1"], PLANTED["a source that is silent"][2])
    assert "secret" not in repr(found) and "m.example" in repr(found)


@pytest.mark.parametrize("count", range(2, 9))
def test_everybody_meets_everybody_once(count: int) -> None:
    rounds = list_rounds(count)
    met = [tuple(sorted(pair)) for one in rounds for pair in one]
    assert sorted(met) == [(one, other) for one in range(count) for other in range(one + 1, count)]
    for one in rounds:
        busy = [player for pair in one for player in pair]
        assert len(busy) == len(set(busy))


def test_limits_read_from_both_ends() -> None:
    assert [Limit(2, 10, "ms").judge(value) for value in (1.9, 2, 9, 10)] == ["pass", "warn", "warn", "fail"]
    assert [MEMORY_SHARE.judge(value) for value in (92, 90, 85)] == ["pass", "warn", "fail"]
