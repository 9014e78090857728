"""The local resources on the real Incus of this machine. Everything made here is deleted here."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provider.handler import PartialFailure, ProviderError, Request
from provider.incus import LocalDisk, LocalNetwork
from provider.incus_machine import LocalMachine
from tools.incus import api, ensure_base_image, ensure_incus, ensure_pool
from tools.incus.network import find_free_network, read_routes

pytestmark = pytest.mark.local

STACK = "test-incus"
LABELS = {"stack": STACK}
MOUNT = "/var/lib/webitel/test-disk"
USER_DATA = """#cloud-config
write_files:
- {path: /etc/from-user-data, content: "yes\\n"}
"""

Shell = Callable[[str], str]


def make_request() -> Request:
    return Request("urn:pulumi:test::webitel::webitel:index:Local::test")


@pytest.fixture(scope="module")
def image() -> str:
    ensure_incus(print)
    ensure_pool(print)
    return ensure_base_image(print)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ssh") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def network(image: str) -> Iterator[dict[str, Any]]:
    api.delete_instance(f"{STACK}-all-1")  # what an interrupted test left
    api.remove(api.network_path("wtest0"))
    inputs = {"name": "wtest0", "cidr": str(find_free_network(read_routes())), "labels": LABELS}
    handler = LocalNetwork()
    assert handler.check(make_request(), None, inputs) == (inputs, [])
    id, outputs = handler.create(make_request(), inputs)
    yield outputs
    handler.delete(make_request(), id, inputs, outputs)
    assert api.find(api.network_path("wtest0")) is None
    handler.delete(make_request(), id, inputs, outputs)


@pytest.fixture
def disk(network: dict[str, Any]) -> Iterator[str]:
    handler = LocalDisk()
    api.remove(api.volume_path(f"{STACK}-database"))
    inputs = {"name": f"{STACK}-database", "purpose": "database", "size_gib": 1, "labels": LABELS}
    id, outputs = handler.create(make_request(), inputs)
    yield outputs["name"]
    handler.delete(make_request(), id, inputs, outputs)
    assert api.find(api.volume_path(id)) is None


@pytest.fixture
def inputs(image: str, network: dict[str, Any], disk: str, key: Path) -> Iterator[dict[str, Any]]:
    name = f"{STACK}-all-1"
    yield {
        "name": name,
        "image": image,
        "network": network["name"],
        "address": network["gateway"].removesuffix(".1") + ".10",
        "vcpus": 1,
        "memory_gib": 0.5,
        "user_data": USER_DATA,
        "ssh_public_key": key.with_suffix(".pub").read_text().strip(),
        "disks": [{"name": disk, "purpose": "database", "path": MOUNT}],
        "labels": LABELS,
    }
    api.delete_instance(name)


@pytest.fixture
def shell(inputs: dict[str, Any], key: Path) -> Shell:
    """Runs a command on the machine over SSH, as root; waits for the SSH server at most 30 s."""
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    command = ["ssh", "-i", str(key), *options, "-o", "ConnectTimeout=2", f"debian@{inputs['address']}", "sudo", "-i"]

    def run(text: str) -> str:
        deadline = time.monotonic() + 30
        while True:
            done = subprocess.run([*command, "sh", "-s"], input=text, capture_output=True, text=True, check=False)
            if done.returncode != 255 or time.monotonic() > deadline:
                assert done.returncode == 0, done.stderr
                return done.stdout.strip()
            time.sleep(0.2)

    return run


def test_machine_boots_and_keeps_its_identity(inputs: dict[str, Any], shell: Shell) -> None:
    handler, started = LocalMachine(), time.monotonic()
    id, outputs = handler.create(make_request(), inputs)
    created = time.monotonic() - started
    assert outputs == {"machine_id": id, "address": inputs["address"], "name": inputs["name"]}
    assert shell("cat /var/lib/cloud/data/instance-id") == id
    print(f"created and started in {created:.1f} s, SSH {time.monotonic() - started:.1f} s after the start")
    assert shell("cloud-init status --wait | tail -1; cat /etc/from-user-data; hostname").split() == [
        *("status:", "done", "yes", inputs["name"]),
    ]
    assert shell("systemctl is-system-running --wait; systemctl --failed --quiet") == "running"
    shell("getent hosts localhost && ip route get 192.0.2.1")
    host_key = shell("cat /etc/ssh/ssh_host_ed25519_key.pub")
    api.change_state(inputs["name"], "restart")
    assert shell("cat /var/lib/cloud/data/instance-id; cat /etc/ssh/ssh_host_ed25519_key.pub") == f"{id}\n{host_key}"
    assert handler.read(make_request(), id, inputs, outputs) == (inputs, outputs)


def test_limits_change_in_place(inputs: dict[str, Any], shell: Shell) -> None:
    handler = LocalMachine()
    id, outputs = handler.create(make_request(), inputs)
    boot = shell("cat /proc/sys/kernel/random/boot_id; systemctl show -p UserspaceTimestampMonotonic --value")
    bigger = inputs | {"vcpus": 2, "memory_gib": 1}
    changes = handler.diff(make_request(), id, inputs, outputs, bigger)
    assert changes == (["memory_gib", "vcpus"], [], True)
    handler.update(make_request(), id, inputs, outputs, bigger)
    config = api.call("GET", api.instance_path(inputs["name"]))["config"]
    assert (config["limits.cpu"], config["limits.memory"]) == ("2", "1024MiB")
    assert shell("cat /proc/sys/kernel/random/boot_id; systemctl show -p UserspaceTimestampMonotonic --value") == boot
    assert handler.read(make_request(), id, inputs, outputs) == (bigger, outputs)


def test_disk_leaves_and_returns_with_its_data(inputs: dict[str, Any], shell: Shell) -> None:
    handler = LocalMachine()
    id, outputs = handler.create(make_request(), inputs)
    shell(f"mountpoint -q {MOUNT} && echo kept >{MOUNT}/sentinel && chown -R daemon {MOUNT}")
    without = inputs | {"disks": []}
    handler.update(make_request(), id, inputs, outputs, without)
    assert shell(f"mountpoint -q {MOUNT} || ls -A {MOUNT} 2>&1 | head -1; true").endswith("No such file or directory")
    handler.update(make_request(), id, without, outputs, inputs)
    assert shell(f"mountpoint -q {MOUNT} && cat {MOUNT}/sentinel && stat -c %U {MOUNT}/sentinel") == "kept\ndaemon"
    assert "Disk quota exceeded" in shell(f"dd if=/dev/zero of={MOUNT}/big bs=1M count=1200 2>&1; rm {MOUNT}/big")
    handler.delete(make_request(), id, inputs, outputs)
    new_id, _ = handler.create(make_request(), inputs)
    assert new_id != id
    assert shell(f"cat {MOUNT}/sentinel && stat -c %U {MOUNT}/sentinel") == "kept\ndaemon"


def test_create_of_which_nobody_knows_is_adopted(inputs: dict[str, Any], shell: Shell) -> None:
    handler = LocalMachine()
    id, outputs = handler.create(make_request(), inputs)
    api.change_state(inputs["name"], "stop", force=True)  # as if we had been killed before the start
    assert handler.create(make_request(), inputs) == (id, outputs)
    assert shell("cat /var/lib/cloud/data/instance-id") == id
    with pytest.raises(ProviderError, match="of this stack, but with other inputs, already exists"):
        handler.create(make_request(), inputs | {"user_data": "#cloud-config\n"})
    with pytest.raises(ProviderError, match=f"that is not this stack.s already exists.*incus delete --force {STACK}-all-1"):
        handler.create(make_request(), inputs | {"labels": {"stack": "another"}})


def test_deletion_spares_another_machine_of_the_same_name(inputs: dict[str, Any]) -> None:
    handler = LocalMachine()
    id, outputs = handler.create(make_request(), inputs)
    handler.delete(make_request(), "another-id", inputs, outputs)
    assert handler.read(make_request(), "another-id", inputs, outputs) is None
    assert api.find(api.instance_path(inputs["name"])) is not None
    handler.delete(make_request(), id, inputs, outputs)
    handler.delete(make_request(), id, inputs, outputs)
    assert api.find(api.instance_path(inputs["name"])) is None


def test_failed_start_is_recorded_and_resumed(inputs: dict[str, Any], shell: Shell) -> None:
    handler = LocalMachine()
    wrong = inputs | {"disks": [inputs["disks"][0] | {"path": "/etc/passwd"}]}  # a directory cannot be mounted there
    with pytest.raises(PartialFailure, match=inputs["name"]) as raised:
        handler.create(make_request(), wrong)
    failure = raised.value
    handler.update(make_request(), failure.id, wrong, failure.outputs, inputs)
    assert shell("cat /var/lib/cloud/data/instance-id") == failure.id


def test_network_in_use_elsewhere_is_refused(network: dict[str, Any]) -> None:
    route = next(route for route in read_routes() if route.interface == "wtest0")
    failures = LocalNetwork().check(make_request(), None, {"name": "wtest1", "cidr": str(route.network), "labels": LABELS})[1]
    assert len(failures) == 1
    assert f"webitel:network = {route.network}: this host already reaches" in failures[0].reason
    with pytest.raises(ProviderError, match="a network wtest0 that is not this stack's already exists"):
        LocalNetwork().create(make_request(), {"name": "wtest0", "cidr": str(route.network), "labels": {"stack": "another"}})


def test_volume_of_somebody_else_is_refused(disk: str) -> None:
    foreign = {"name": disk, "purpose": "database", "size_gib": 1, "labels": {"stack": "another"}}
    with pytest.raises(ProviderError, match=f"incus storage volume delete webitel {disk}"):
        LocalDisk().create(make_request(), foreign)
    grown = foreign | {"labels": LABELS, "size_gib": 2}
    assert LocalDisk().create(make_request(), grown) == (disk, {"name": disk})
    assert api.call("GET", api.volume_path(disk))["config"]["size"] == "2GiB"
