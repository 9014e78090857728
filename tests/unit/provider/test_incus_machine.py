"""Local machines and disks without an Incus: inputs, changes, addresses, and what its API answers."""

import http.server
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from provider.handler import ProviderError, Request
from provider.incus import LocalDisk
from provider.incus_machine import LocalMachine, choose_address
from provider.incus_machine_inputs import MachineInputs
from provider.values import UNKNOWN
from tools.incus import api, daemon, network

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


def test_disk_only_grows() -> None:
    inputs = {"name": "test-database", "purpose": "database", "size_gib": 20, "labels": LABELS}
    assert LocalDisk().check(REQUEST, inputs, inputs | {"size_gib": 30})[1] == []
    (failure,) = LocalDisk().check(REQUEST, inputs, inputs | {"size_gib": 10})[1]
    assert failure == ("size_gib", "10: a disk can only grow, and has 20 GiB now")
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
    with pytest.raises(
        ProviderError,
        match=(
            r"test-all-1 was created with another SSH key.*Restore that state.*"
            r"incus delete --force test-all-1; incus storage volume delete webitel test-database"
        ),
    ):
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
    machine = MachineInputs.model_validate(MACHINE | {"public_network": "p-test", "public_address": "198.18.7.10", "late": True})
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
    with pytest.raises(ProviderError, match=r"no free address left in 10\.78\.0\.0/28"):
        choose_address(gateway, "late")
