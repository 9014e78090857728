"""The local resources and their tools without an Incus: what is checked, parsed and said."""

import http.server
import json
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from provider.handler import ProviderError, Request
from provider.incus import LocalDisk, LocalNetwork
from provider.incus_machine import LocalMachine, MachineInputs, choose_address
from provider.values import UNKNOWN
from tools.environment import SetupError
from tools.incus import api, apt, builder, daemon, network, pool

REQUEST = Request("urn:pulumi:test::webitel::webitel:index:LocalMachine::one")
LABELS = {"stack": "test"}
MACHINE: dict[str, Any] = {
    "name": "test-all-1",
    "image": "webitel-base-1",
    "network": "webitel0",
    "address": "10.77.0.10",
    "vcpus": 4,
    "memory_gib": 8,
    "user_data": "#cloud-config\n",
    "ssh_public_key": "ssh-ed25519 AAAA",
    "disks": [{"name": "test-database", "purpose": "database", "path": "/srv/database"}],
    "labels": LABELS,
}
ROUTES = """Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0
webitel0 00004D0A 00000000 0001 0 0 0 00FFFFFF 0 0 0
eth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0
"""


@pytest.fixture
def routes(tmp_path: Path) -> list[network.Route]:
    table = tmp_path / "route"
    table.write_text(ROUTES)
    return network.read_routes(table)


def test_routes_are_read(routes: list[network.Route]) -> None:
    assert routes == [(IPv4Network("10.77.0.0/24"), "webitel0"), (IPv4Network("192.0.2.0/24"), "eth0")]
    assert network.find_free_network(routes) == IPv4Network("10.77.1.0/24")
    assert network.find_free_network(routes, prefix=28) == IPv4Network("10.77.1.0/28")


@pytest.mark.parametrize(
    ("files", "servers"),
    [
        (["nameserver 192.0.2.53\nnameserver 2001:db8::1\nsearch example.com\n"], ["192.0.2.53"]),
        (["nameserver 127.0.0.53\n", "nameserver 198.51.100.1\n"], ["198.51.100.1"]),
        (["nameserver 127.0.0.1\nnameserver fe80::1%eth0\n"], []),
    ],
)
def test_name_servers_are_those_a_machine_can_reach(tmp_path: Path, files: list[str], servers: list[str]) -> None:
    paths = [tmp_path / str(number) for number in range(len(files))]
    for path, text in zip(paths, files, strict=True):
        path.write_text(text)
    assert network.read_resolvers([*paths, tmp_path / "missing"]) == servers


@pytest.mark.parametrize(
    ("rules", "blocked"),
    [
        ("-P FORWARD ACCEPT\n", False),
        ("-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n", True),
        ("-P FORWARD DROP\n-A FORWARD -i webitel0 -j ACCEPT\n", False),
    ],
)
def test_firewall_that_keeps_machines_in_is_noticed(monkeypatch: pytest.MonkeyPatch, rules: str, blocked: bool) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, stdout=rules)

    monkeypatch.setattr("shutil.which", lambda name: f"/usr/sbin/{name}")
    monkeypatch.setattr("tools.incus.network.subprocess.run", run)
    problem = network.find_forwarding_problem("webitel0")
    assert (problem is not None) is blocked
    assert problem is None or "iptables -I FORWARD -i webitel0 -j ACCEPT" in problem


@pytest.mark.parametrize(
    ("name", "cidr", "reason"),
    [
        ("webitel1", "192.0.2.128/25", "this host already reaches 192.0.2.0/24 by eth0"),
        ("webitel1", "10.77.0.0/16", "this host already reaches 10.77.0.0/24 by webitel0"),
        ("webitel1", "10.78.0.0/30", "too small"),
        ("webitel1", "10.78.0.1/24", "has host bits set"),
        ("webitel1", "ten", "Expected 4 octets"),
    ],
)
def test_unfit_network_is_refused_with_an_example(
    monkeypatch: pytest.MonkeyPatch, routes: list[network.Route], name: str, cidr: str, reason: str
) -> None:
    monkeypatch.setattr("provider.incus.read_routes", lambda: routes)
    inputs = {"name": name, "cidr": cidr, "labels": LABELS}
    (failure,) = LocalNetwork().check(REQUEST, None, inputs)[1]
    assert failure.property == "cidr"
    assert failure.reason.startswith(f"webitel:network = {cidr}: ")
    assert reason in failure.reason
    assert failure.reason.endswith("10.77.1.0/24")


def test_own_bridge_does_not_count_as_taken(monkeypatch: pytest.MonkeyPatch, routes: list[network.Route]) -> None:
    monkeypatch.setattr("provider.incus.read_routes", lambda: routes)
    inputs = {"name": "webitel0", "cidr": "10.77.0.0/24", "labels": LABELS}
    assert LocalNetwork().check(REQUEST, inputs, inputs) == (inputs, [])
    assert LocalNetwork().preview_create(REQUEST, inputs) == {"name": "webitel0", "gateway": "10.77.0.1"}
    (failure,) = LocalNetwork().check(REQUEST, None, inputs | {"name": "a-name-too-long-for-a-bridge"})[1][:1]
    assert "at most 15 characters" in failure.reason


def test_disk_only_grows() -> None:
    inputs = {"name": "test-database", "purpose": "database", "size_gib": 20, "labels": LABELS}
    assert LocalDisk().check(REQUEST, inputs, inputs | {"size_gib": 30})[1] == []
    (failure,) = LocalDisk().check(REQUEST, inputs, inputs | {"size_gib": 10})[1]
    assert failure == ("size_gib", "10: a disk only grows, it has 20 GiB")
    (failure,) = LocalDisk().check(REQUEST, None, inputs | {"size_gib": 0})[1]
    assert failure.property == "size_gib"


def test_machine_inputs_are_checked_as_far_as_known() -> None:
    check = LocalMachine().check
    assert check(REQUEST, None, MACHINE)[1] == []
    assert check(REQUEST, None, MACHINE | {"image": UNKNOWN, "ssh_public_key": UNKNOWN})[1] == []
    wrong = MACHINE | {"vcpus": 0, "name": "under_score", "colour": "red"}
    assert {failure.property for failure in check(REQUEST, None, wrong)[1]} == {"vcpus", "name", "colour"}
    missing = {key: value for key, value in MACHINE.items() if key != "address"}
    assert [failure.property for failure in check(REQUEST, None, missing)[1]] == ["address"]


@pytest.mark.parametrize(
    ("change", "replaces"),
    [
        ({"vcpus": 8, "memory_gib": 16}, []),
        ({"disks": []}, []),
        ({"address": "10.77.0.11"}, ["address"]),
    ],
)
def test_what_a_changed_input_does_to_a_machine(change: dict[str, Any], replaces: list[str]) -> None:
    changes = LocalMachine().diff(REQUEST, "id", MACHINE, {}, MACHINE | change)
    assert changes == (sorted(change), replaces, True)


@pytest.mark.parametrize("name", ["image", "user_data", "ssh_public_key"])
def test_what_counts_at_creation_changes_no_machine_that_runs(name: str) -> None:
    assert LocalMachine().diff(REQUEST, "id", MACHINE, {}, MACHINE | {name: "other"}).changed == []


def test_limits_and_disks_do_not_change_the_identity_of_inputs() -> None:
    one = MachineInputs.model_validate(MACHINE)
    assert MachineInputs.model_validate(MACHINE | {"vcpus": 2, "disks": []}).digest() == one.digest()
    assert MachineInputs.model_validate(MACHINE | {"address": "10.77.0.11"}).digest() != one.digest()


@pytest.mark.parametrize(("gib", "size"), [(1000, 60), (50, 40), (12.5, 10)])
def test_pool_size_follows_the_free_space(gib: float, size: int) -> None:
    assert pool.choose_size(int(gib * 2**30), Path("/var/lib/incus")) == size


def test_no_room_is_said_with_figures() -> None:
    with pytest.raises(SetupError, match=r"/var/lib/incus needs 12\.5 GiB free, it has 3\.0 GiB"):
        pool.choose_size(3 * 2**30, Path("/var/lib/incus"))


def show_unit(**changed: str) -> str:
    state = {
        "LoadState": "loaded",
        "ActiveState": "inactive",
        "SubState": "dead",
        "Result": "success",
        "NRestarts": "0",
        "ExecMainExitTimestampMonotonic": "0",
    }
    return "\n".join(f"{key}={value}" for key, value in (state | changed).items())


@pytest.mark.parametrize(
    ("shown", "done"),
    [
        (show_unit(LoadState="not-found"), True),
        (show_unit(), False),
        (show_unit(ActiveState="activating", SubState="start"), False),
        (show_unit(ActiveState="activating", SubState="auto-restart", Result="exit-code", NRestarts="2"), False),
        (show_unit(ActiveState="active", SubState="exited"), True),
        (show_unit(ExecMainExitTimestampMonotonic="12345"), True),
    ],
)
def test_end_of_the_installation_is_seen(shown: str, done: bool) -> None:
    assert builder.has_installed(shown) is done


@pytest.mark.parametrize(
    "shown",
    [
        show_unit(ActiveState="failed", SubState="failed", Result="exit-code"),
        show_unit(ActiveState="activating", SubState="auto-restart", Result="exit-code", NRestarts="3"),
    ],
)
def test_failed_installation_shows_the_last_lines(monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    def run(*command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, stdout=f"output of {command[0]}\n")

    monkeypatch.setattr(builder, "run", run)
    with pytest.raises(SetupError, match=r"failed \(exit-code\):\n  output of tail\n  output of journalctl"):
        builder.has_installed(shown)


def answer_commands(monkeypatch: pytest.MonkeyPatch, answers: dict[str, tuple[int, str]]) -> list[list[str]]:
    """Makes commands of `apt` end as the entry whose words they contain says; returns the commands run."""
    seen: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        seen.append(command)
        found = next((answer for words, answer in answers.items() if words in " ".join(command)), (0, ""))
        return subprocess.CompletedProcess(command, found[0], stdout=found[1], stderr=found[1])

    monkeypatch.setattr("tools.incus.apt.subprocess.run", run)
    return seen


def test_debian_mirror_is_that_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "http://mirror.example/debian/|bookworm|main",
        "http://mirror.example/debian/|bookworm-updates|main",
        "http://mirror.example/debian-security/|bookworm-security|main",
        "https://packages.example/hashi|bookworm|main",
        "https://download.example/linux/debian|bookworm|stable",
    ]
    answer_commands(monkeypatch, {"indextargets": (0, "\n".join(lines))})
    assert apt.read_debian_sources() == {
        "bookworm": "http://mirror.example/debian",
        "bookworm-updates": "http://mirror.example/debian",
        "bookworm-security": "http://mirror.example/debian-security",
    }
    assert "URIs: http://mirror.example/debian-security\nSuites: bookworm-security\n" in apt.format_debian_sources()


def test_what_apt_says_is_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    answer_commands(monkeypatch, {"install": (100, "E: Unable to locate package nope\n")})
    with pytest.raises(SetupError, match=r"install -y .*nope failed; apt said:\n  E: Unable to locate package nope"):
        apt.install(["nope"], print)


@pytest.mark.parametrize(
    ("system", "user", "message"),
    [
        ({"ID": "debian", "VERSION_ID": "12"}, 1000, "needs root: sudo ./webitel up"),
        ({"ID": "debian", "VERSION_ID": "11", "PRETTY_NAME": "Debian 11"}, 0, "cannot be installed on Debian 11"),
        ({"ID": "arch", "PRETTY_NAME": "Arch Linux"}, 0, "cannot be installed on Arch Linux"),
    ],
)
def test_incus_that_cannot_be_installed(monkeypatch: pytest.MonkeyPatch, system: dict[str, str], user: int, message: str) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: system)
    with pytest.raises(SetupError, match=message):
        apt.install_incus(print)


def test_backports_are_added_on_debian_12(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"ID": "debian", "VERSION_ID": "12"})
    monkeypatch.setattr(apt, "_BACKPORTS_FILE", tmp_path / "webitel-backports.sources")
    lines = "http://mirror.example/debian/|bookworm|main"
    seen = answer_commands(
        monkeypatch, {"indextargets": (0, lines), "policy incus-base": (0, "Candidate: (none)"), "policy": (0, "")}
    )
    apt.install_incus(lambda text: None)
    written = (tmp_path / "webitel-backports.sources").read_text()
    assert "URIs: http://mirror.example/debian\nSuites: bookworm-backports\n" in written
    assert {"incus-base", "incus-client", "dnsmasq-base", "btrfs-progs"} <= set(seen[-1])


Answer = Callable[[str, str], dict[str, Any]]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], None]]:
    """Serves answers on a socket as Incus does."""
    servers: list[socketserver.UnixStreamServer] = []

    def start(answer: Answer) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                body = json.dumps(answer(self.command, self.path)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_PUT = do_DELETE = do_GET

            def log_message(self, format: str, *args: Any) -> None: ...

            def address_string(self) -> str:
                return "local"

        server = socketserver.UnixStreamServer(str(tmp_path / "unix.socket"), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        servers.append(server)

    monkeypatch.delenv("INCUS_SOCKET", raising=False)
    monkeypatch.setenv("INCUS_DIR", str(tmp_path))
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def fail(code: int, text: str) -> dict[str, Any]:
    return {"type": "error", "error": text, "error_code": code, "metadata": None}


def test_operation_is_followed_to_its_end(serve: Callable[[Answer], None]) -> None:
    codes = iter([103, 103, 200])

    def answer(method: str, path: str) -> dict[str, Any]:
        if method == "PUT":
            return {"type": "async", "metadata": {"id": "7", "status_code": 103}}
        assert path == "/1.0/operations/7"
        return {"type": "sync", "metadata": {"id": "7", "status_code": next(codes), "err": "", "metadata": {"a": 1}}}

    serve(answer)
    assert api.call("PUT", "/instances/x/state", {}, pause=lambda seconds: None) == {"a": 1}


def test_failed_operation_and_missing_object(serve: Callable[[Answer], None]) -> None:
    def answer(method: str, path: str) -> dict[str, Any]:
        if method == "PUT":
            return {"type": "async", "metadata": {"id": "7", "status_code": 400, "err": "no space left on device"}}
        return fail(404, "Instance not found")

    serve(answer)
    with pytest.raises(api.IncusError, match="no space left on device"):
        api.call("PUT", "/instances/x/state", {})
    assert api.find("/instances/x") is None
    api.remove("/instances/x")


def test_container_with_another_ssh_key_is_not_adopted(serve: Callable[[Answer], None]) -> None:
    """With the state lost the deployment has a new key, which such a machine would never let in."""
    config = MachineInputs.model_validate(MACHINE).label_config() | {"user.meta-data": 'public-keys: ["ssh-ed25519 BBBB"]\n'}
    serve(lambda method, path: {"type": "sync", "metadata": {"config": config, "status": "Running"}})
    with pytest.raises(ProviderError, match=(
        r"test-all-1 was made with another SSH key.*Bring that state back.*"
        r"incus delete --force test-all-1; incus storage volume delete webitel test-database")):
        LocalMachine().create(REQUEST, MACHINE)


@pytest.mark.parametrize("said", ['Instance is busy running a "stop" operation', "Instance is running"])
def test_busy_container_is_asked_again(serve: Callable[[Answer], None], said: str) -> None:
    answers = iter([fail(400, said), {"type": "sync", "metadata": {}}])
    serve(lambda method, path: next(answers))
    waited: list[float] = []
    api.change_state("x", "start", pause=waited.append)
    assert len(waited) == 1


def test_absent_daemon_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INCUS_SOCKET", raising=False)
    monkeypatch.setenv("INCUS_DIR", str(tmp_path))
    assert daemon.is_answering() is False
    with pytest.raises(api.IncusError, match=r"Incus does not answer at .*unix\.socket.*python3 -m tools.incus start"):
        api.call("GET", "")


def test_a_machine_with_two_addresses_has_the_way_out_on_the_public_one() -> None:
    machine = MachineInputs.model_validate(
        MACHINE | {"public_network": "p-test", "public_address": "198.18.7.10", "late": True})
    assert [machine.devices()[name]["network"] for name in ("eth0", "eth1")] == ["p-test", "webitel0"]
    assert set(machine.devices()) - set(machine.first_devices()) == {"eth1"}
    gateway = network.find_gateway(IPv4Network("198.18.7.0/24"))
    described = network.describe_interface("198.18.7.10", gateway, {"eth1": "10.77.0.10/24"})
    assert described["ethernets"]["eth0"]["routes"] == [{"to": "0.0.0.0/0", "via": "198.18.7.1"}]
    assert described["ethernets"]["eth1"] == {"addresses": ["10.77.0.10/24"], "optional": True}


def test_what_is_not_asked_for_does_not_change_a_machine_that_is_there() -> None:
    plain = MachineInputs.model_validate(MACHINE)
    assert plain.digest() == MachineInputs.model_validate(MACHINE | {"late": False}).digest()
    assert plain.digest() != MachineInputs.model_validate(MACHINE | {"late": True}).digest()


def test_an_address_that_nobody_chose_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {"config": {"user.webitel.address": "10.78.0.11"}, "devices": {"eth1": {"network": "late"}}}
    elsewhere = {"config": {"user.webitel.address": "10.78.0.12"}, "devices": {"eth0": {"network": "other"}}}
    monkeypatch.setattr("provider.incus_machine.api.list_objects", lambda path: [taken, elsewhere])
    gateway = network.find_gateway(IPv4Network("10.78.0.0/28"))
    assert {choose_address(gateway, "late") for _ in range(3)} == {"10.78.0.12", "10.78.0.13", "10.78.0.14"}
    with pytest.raises(ProviderError, match=r"no address of 10\.78\.0\.0/28 is free"):
        choose_address(gateway, "late")


def test_the_network_that_stands_for_the_internet_is_named_when_it_is_unfit(
    monkeypatch: pytest.MonkeyPatch, routes: list[network.Route],
) -> None:
    monkeypatch.setattr("provider.incus.read_routes", lambda: routes)
    inputs = {"name": "p-test", "cidr": "192.0.2.0/24", "labels": LABELS, "public": True, "nat": False}
    (failure,) = LocalNetwork().check(REQUEST, None, inputs)[1]
    assert failure.reason.startswith("webitel:public_network = 192.0.2.0/24: ")
    assert failure.reason.endswith("198.18.0.0/24")


def test_a_closed_bridge_has_no_address_of_the_hosts_and_its_machines_still_know_the_prefix() -> None:
    gateway = network.find_gateway(IPv4Network("10.98.0.0/20"))
    closed, open_ = (network.describe_bridge(gateway, nat=False, routed=routed) for routed in (False, True))
    assert closed["ipv4.address"] == "none" and open_["ipv4.address"] == "10.98.0.1/20"
    # Incus' own way refuses what machines send to each other wherever br_netfilter works.
    assert "ipv4.routing" not in closed
    assert network.read_gateway(closed) == network.read_gateway(open_) == "10.98.0.1/20"
    assert network.read_gateway({"ipv4.address": "10.1.0.1/24"}) == "10.1.0.1/24", "a bridge of before"
