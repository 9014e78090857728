"""What the adapters hand hypervisors boots Debian by cloud-init's own data sources, without an error or a warning."""

from __future__ import annotations

import base64
import email
import gzip
import json
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.model.settings import Settings
from tests.clouds.conformance.program import CLOUD_CONFIG, read_config, run_program
from tests.local import ended
from tests.local.guests import GUESTINFO, SEED, Guest, make_hypervisor
from tests.long_form import only_long
from tests.plans import make_plan
from tests.simulator import webitel
from tests.simulator.faults import Faults
from tests.simulator.simulators import make_provider
from tests.simulator.world import Thing, World
from tools.incus.network import find_free_network, read_routes

pytestmark = [
    pytest.mark.local,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of an SDK about itself
    only_long("two minutes, and a package comes from the network"),
]

STACK = f"t{os.getpid()}-guests"
USER = "debian"
NODE = "edge-1"


@dataclass(frozen=True)
class Handed:
    """What a guest finds: the MAC address of its card, its files, and what it is told in them."""

    mac: str
    files: Mapping[str, str]
    user_data: str
    source: str
    named: bool = True

    @property
    def settings(self) -> dict[str, Any]:
        """cloud-init's settings."""
        text = self.user_data
        if text.startswith("Content-Type"):
            part = email.message_from_string(text).get_payload(0)
            packed = part.get_payload(decode=True)  # type: ignore[union-attr]
        else:
            packed = base64.b64decode(text)
        found: dict[str, Any] = yaml.safe_load(gzip.decompress(packed))  # type: ignore[arg-type]
        return found


def find(world: World, type: str, name: str) -> Thing:
    """What a resource made."""
    return next(one for one in world.all(type) if one.urn.endswith(f"::{name}"))


def hand_proxmox(world: World) -> Handed:
    """The drive that Proxmox VE makes of snippets and its own settings (`facts/onprem.md` 2.5)."""
    machine = find(world, "proxmoxve:index/vmLegacy:VmLegacy", NODE)
    drive, mac = machine.inputs["initialization"], machine.outputs["macAddresses"][0]
    address = drive["ipConfigs"][0]["ipv4"]
    own = IPv4Interface(address["address"])
    subnet = {"type": "static", "address": str(own.ip), "netmask": str(own.netmask), "gateway": address["gateway"]}
    cards = [{"type": "physical", "name": "eth0", "mac_address": mac.lower(), "subnets": [subnet]}]
    network = {"version": 1, "config": [*cards, {"type": "nameserver", "address": drive["dns"]["servers"]}]}
    texts = {
        kind: find(world, "proxmoxve:index/fileLegacy:FileLegacy", f"{NODE}-{kind}").inputs["sourceRaw"]["data"]
        for kind in ("user", "meta")
    }
    files = {"user-data": texts["user"], "meta-data": texts["meta"], "network-config": json.dumps(network), "vendor-data": ""}
    return Handed(mac, in_seed(files), texts["user"], "DataSourceNoCloud")


def hand_vsphere(world: World) -> Handed:
    """guestinfo, as the machine's settings have it."""
    machine = find(world, "vsphere:index/virtualMachine:VirtualMachine", NODE)
    told = machine.inputs["extraConfig"]
    files = {f"{GUESTINFO}/{name}": value for name, value in told.items()}
    mac = machine.inputs["networkInterfaces"][0]["macAddress"]
    return Handed(mac, files, told["guestinfo.userdata"], "DataSourceVMware")


def hand_libvirt(world: World) -> Handed:
    """The disc."""
    disc = find(world, "libvirt:index/cloudInitDisk:CloudInitDisk", NODE).inputs
    mac = find(world, "libvirt:index/domain:Domain", NODE).inputs["networkInterfaces"][0]["mac"]
    files = {"user-data": disc["userData"], "meta-data": disc["metaData"], "network-config": disc["networkConfig"]}
    return Handed(mac, in_seed(files), disc["userData"], "DataSourceNoCloud")


def hand_xen(world: World) -> Handed:
    """The drive that Xen Orchestra makes: the identity is the machine's, and there is no name (`facts/onprem.md` 5.2)."""
    machine = find(world, "xenorchestra:index/vm:Vm", NODE)
    told = machine.inputs
    files = {
        "user-data": told["cloudConfig"],
        "meta-data": f"instance-id: {machine.id}\n",
        "network-config": told["cloudNetworkConfig"],
    }
    return Handed(told["networks"][0]["macAddress"], in_seed(files), told["cloudConfig"], "DataSourceNoCloud", named=False)


def in_seed(files: Mapping[str, str]) -> dict[str, str]:
    """Where NoCloud finds them."""
    return {f"{SEED}/{name}": text for name, text in files.items()}


HANDED: Mapping[str, Callable[[World], Handed]] = {
    "proxmox": hand_proxmox,
    "vsphere": hand_vsphere,
    "libvirt": hand_libvirt,
    "xen": hand_xen,
}


@dataclass(frozen=True)
class Booted:
    """A guest that has booted, with what it was handed and what its node is in the plan."""

    guest: Guest
    handed: Handed
    said: str
    name: str
    address: str
    gateway: str
    server: str
    key: str


@pytest.fixture(scope="module")
def guests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Booted]]:
    """A guest of each hypervisor, booted at the same time."""
    folder, held = tmp_path_factory.mktemp("guests"), ended.hold(STACK)
    try:
        with make_hypervisor(STACK, f"wg{os.getpid()}", find_free_network(read_routes()), folder) as hypervisor:
            # Nobody is at the gateway: what is installed later stays away, and what is told is not what happens to be there.
            started = {
                cloud: build(cloud, folder / cloud, hypervisor.network, hand, number)
                for number, (cloud, hand) in enumerate(HANDED.items())
            }
            made = {cloud: hypervisor.boot(cloud, one.mac, one.files) for cloud, (one, _) in started.items()}
            yield {cloud: Booted(made[cloud], one, made[cloud].wait(), *told) for cloud, (one, told) in started.items()}
    finally:
        ended.release(held)


def build(
    cloud: str, folder: Path, network: IPv4Network, hand: Callable[[World], Handed], number: int
) -> tuple[Handed, tuple[str, str, str, str, str]]:
    """What the adapter registers for a node of a committed stack, in a network of this machine's: handed over; and its name,
    address, gateway, name server and our key."""
    folder.mkdir()
    # Side by side, no two have an address in common.
    own, stack = list(network.subnets(new_prefix=26))[number], f"{cloud}-basic"
    gateway, server = str(own[-2]), str(own[-3])
    site = {**read_config(stack).get("site", {}), "gateway": gateway, "name_servers": [server]}
    changes: dict[str, Any] = {"network": str(own), "site": site}
    world, faults = World(folder / "world.jsonl"), Faults(None)
    providers = [make_provider(cloud, world, faults), webitel.make_provider(world, faults)]
    registered, _ = run_program(stack, providers, changes, cloud_config=CLOUD_CONFIG)
    node = next(one for one in make_plan(Settings.model_validate(read_config(stack, changes)), stack).nodes if one.key == NODE)
    key = next(str(one.outputs["public"]["ssh_public_key"]) for one in registered if "public" in one.outputs)
    return hand(world), (node.name, str(node.private_address), gateway, server, key)


@pytest.mark.parametrize("cloud", HANDED)
def test_cloud_init_takes_it_without_a_complaint(guests: Mapping[str, Booted], cloud: str) -> None:
    one = guests[cloud]
    assert "status: done" in one.said and one.handed.source in one.said, one.said
    run = one.guest.run
    assert json.loads(run("cat /run/cloud-init/result.json"))["v1"]["errors"] == []
    assert run("grep -E 'WARNING|ERROR|CRITICAL|Traceback' /var/log/cloud-init.log /var/log/cloud-init-output.log", None) == ""
    said = run("cloud-init schema --system", None)
    assert "Valid" in said and "Invalid" not in said, said


@pytest.mark.parametrize("cloud", HANDED)
def test_a_guest_is_what_the_plan_says(guests: Mapping[str, Booted], cloud: str) -> None:
    one, run = guests[cloud], guests[cloud].guest.run
    (found,) = json.loads(run("ip -json -4 address show eth0"))
    assert [address["local"] for address in found["addr_info"]] == [one.address]
    (route,) = json.loads(run("ip -json route show default"))
    assert (route["gateway"], route["dev"]) == (one.gateway, "eth0")
    assert run("resolvectl dns eth0").split()[-1] == one.server
    assert run("hostname; hostname --fqdn").split() == [one.name] * 2
    identity = one.name if one.handed.named else yaml.safe_load(one.handed.files[f"{SEED}/meta-data"])["instance-id"]
    assert run("cat /var/lib/cloud/data/instance-id") == identity


@pytest.mark.parametrize("cloud", HANDED)
def test_we_and_nobody_else_get_in(guests: Mapping[str, Booted], cloud: str) -> None:
    one, run, settings = guests[cloud], guests[cloud].guest.run, guests[cloud].handed.settings
    assert one.key.split()[1] in run(f"cat /home/{USER}/.ssh/authorized_keys")
    assert run(f"passwd --status {USER}").split()[1] == "L"
    assert run(f"su {USER} -c 'sudo -n id -u'") == "0"
    assert run("ls /etc/ssh/ssh_host_*_key") == "/etc/ssh/ssh_host_ed25519_key"
    assert run("ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null").split()[1:3] == settings["ssh_keys"]["ed25519_public"].split()[:2]
    assert "passwordauthentication no" in run("sshd -T")
    for file in settings["write_files"]:
        path = shlex.quote(file["path"])
        assert run(f"cat {path}") == file["content"].strip(), path
        assert run(f"stat -c %a {path}") == f"{int(file.get('permissions', '0644'), 8):o}", path


@pytest.mark.parametrize("cloud", HANDED)
def test_it_boots_again_as_it_was(guests: Mapping[str, Booted], cloud: str) -> None:
    one, run = guests[cloud], guests[cloud].guest.run
    kept = "/var/lib/cloud/data/instance-id /etc/ssh/ssh_host_ed25519_key.pub /etc/machine-id"
    ask = f"cat {kept}; networkctl status eth0 | grep Address:"
    before = run(ask)
    one.guest.restart()
    assert "status: done" in one.guest.wait()
    assert run(ask) == before
    assert run("grep -E 'WARNING|ERROR|CRITICAL|Traceback' /var/log/cloud-init.log /var/log/cloud-init-output.log", None) == ""
