"""Guests of a hypervisor: plain Debian 12 containers whose cloud-init finds, by its own data sources, what the hypervisor tells.

The kernel of this machine reads neither ISO 9660 nor FAT: what stands in a drive labelled `cidata` stands in the other place in
which the same data source, NoCloud, looks for the same files.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path

from tests.local.owner import Owner
from tools.incus import api, execute
from tools.incus.network import read_resolvers

SEED = "/var/lib/cloud/seed/nocloud"
GUESTINFO = "/etc/guestinfo"
"""What is in a virtual machine's `extra_config`, a file a name; where something is, the guest is VMware's."""
TOLD = f"{GUESTINFO}/guestinfo.userdata"
BOOT_SECONDS = 180
POLL_SECONDS = 1.0

# What programs of VMware's guest answer; elsewhere they are as they were. Only the first stage asks whether it is in a container,
# in which no DMI is read: what later ones leave out in containers, such as growing a disk, is left out.
IN_VMWARE = f"""
set -eu
mkdir -p {GUESTINFO}
cat >/usr/bin/vmware-rpctool <<'END'
#!/bin/sh
set -- $1
name=$(basename "$2")
case $1 in
info-get) test -s {GUESTINFO}/$name && exec cat {GUESTINFO}/$name; echo "No value found" >&2; exit 1 ;;
info-set) shift 2; echo "$*" >{GUESTINFO}/$name ;;
*) echo "Unknown command" >&2; exit 1 ;;
esac
END
mv /usr/bin/systemd-detect-virt /usr/bin/systemd-detect-virt.debian
cat >/usr/bin/systemd-detect-virt <<'END'
#!/bin/sh
test -e {TOLD} && test ! -e /run/looked || exec /usr/bin/systemd-detect-virt.debian "$@"
case "$*" in *--container*) exit 1 ;; esac
echo vmware
END
cat >/usr/sbin/dmidecode <<'END'
#!/bin/sh
test "$*" = "--string system-product-name" && echo "VMware7,1"
END
cat >/usr/sbin/look-like-vmware <<'END'
#!/bin/sh
test -e {TOLD} || exit 0
test $1 = on || {{ touch /run/looked; exec umount /proc/1/environ; }}
: >/run/environ
exec mount --bind /run/environ /proc/1/environ
END
chmod 755 /usr/bin/vmware-rpctool /usr/bin/systemd-detect-virt /usr/sbin/dmidecode /usr/sbin/look-like-vmware
mkdir -p /etc/systemd/system/cloud-init-local.service.d
printf '[Service]\\nExecStartPre=/usr/sbin/look-like-vmware on\\nExecStartPost=/usr/sbin/look-like-vmware off\\n' \\
  >/etc/systemd/system/cloud-init-local.service.d/vmware.conf
"""
# Debian's own images have netplan on systemd-networkd, and no settings of ours.
AS_IMAGES_OF_DEBIAN = f"""
set -eu
chmod 644 /etc/systemd/network/10-owner.network
networkctl reload
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qqy install --no-install-recommends netplan.io >/dev/null
rm /etc/cloud/cloud.cfg.d/90_webitel.cfg /etc/systemd/network/10-owner.network /etc/cloud/cloud-init.disabled
rm -rf /var/lib/cloud /etc/ssh/ssh_host_*
mkdir -p {SEED} /etc/systemd/system/systemd-networkd.service.d
# netplan looks for a card by the address that it was made with, which a container's has none of.
cat >/etc/systemd/system/systemd-networkd.service.d/veth.conf <<'END'
[Service]
ExecStartPre=+/bin/sh -c "sed -i s/PermanentMACAddress/MACAddress/ /run/systemd/network/*.network"
END
: >/etc/machine-id
"""


class Guest:
    """One of them."""

    def __init__(self, container: str) -> None:
        self.container = container

    def run(self, script: str, status: int | None = 0) -> str:
        """What a script prints on it, run as root; `status` None: however it ends."""
        done = execute.run(self.container, ["sh", "-c", script])
        assert status is None or done.returncode == status, f"{script}: {done.returncode}\n{done.stdout}{done.stderr}"
        return (done.stdout + done.stderr).strip()

    def wait(self) -> str:
        """Wait until cloud-init has ended, and return what it says of itself."""
        end = time.monotonic() + BOOT_SECONDS
        while "status: running" in (said := self.run("cloud-init status --long", None)) or "not run" in said:
            assert time.monotonic() < end, f"{self.container}: {said}"
            time.sleep(POLL_SECONDS)
        return said

    def restart(self) -> None:
        """Boot it again."""
        api.change_state(self.container, "restart", force=True)


class Hypervisor:
    """Makes guests on a bridge, all of one template."""

    def __init__(self, owner: Owner) -> None:
        self.owner, self.network = owner, owner.network
        self.template = f"{owner.stack}-template"

    def prepare(self) -> None:
        """Make the bridge and the template, which has what it installs from the network."""
        self.owner.prepare()
        self.create(self.template, {"type": "image", "alias": self.owner.image}, "")
        servers = "".join(f"DNS={server}\n" for server in read_resolvers() or [str(self.owner.gateway.ip)])
        address = f"Address={self.network[250]}/{self.network.prefixlen}\nGateway={self.owner.gateway.ip}\n{servers}"
        link = f"[Match]\nName=eth0\n[Network]\n{address}"
        api.write_file(self.template, "/etc/systemd/network/10-owner.network", link.encode())
        api.write_file(self.template, "/etc/cloud/cloud-init.disabled", b"")
        api.change_state(self.template, "start")
        self.owner.wait_for_boot(self.template)
        Guest(self.template).run(AS_IMAGES_OF_DEBIAN + IN_VMWARE)
        api.change_state(self.template, "stop", force=True)
        # Else Incus, too, would tell every copy something, where our own machines on it find it.
        path = f"{api.instance_path(self.template)}/metadata"
        api.call("PUT", path, {**api.call("GET", path), "templates": {}})

    def create(self, name: str, source: Mapping[str, str], mac: str) -> None:
        """Create a container that does not run yet."""
        card = {"type": "nic", "network": self.owner.bridge, "name": "eth0", **({"hwaddr": mac.lower()} if mac else {})}
        body = {
            "name": name,
            "type": "container",
            "source": source,
            "profiles": [],
            "config": self.owner.labels | {"security.nesting": "true"},
            "devices": {"root": {"type": "disk", "pool": api.POOL, "path": "/"}, "eth0": card},
        }
        api.call("POST", "/instances", body)

    def boot(self, name: str, mac: str, files: Mapping[str, str]) -> Guest:
        """Boot a guest with that network card and what it finds."""
        guest = Guest(f"{self.owner.stack}-{name}")
        self.create(guest.container, {"type": "copy", "source": self.template}, mac)
        for path, text in files.items():
            api.write_file(guest.container, path, text.encode())
        api.change_state(guest.container, "start")
        return guest


@contextmanager
def make_hypervisor(stack: str, bridge: str, network: IPv4Network, folder: Path) -> Iterator[Hypervisor]:
    """A hypervisor without guests, deleted with all of them."""
    owner = Owner(stack, bridge, network, folder)
    hypervisor = Hypervisor(owner)
    try:
        hypervisor.prepare()
        yield hypervisor
    finally:
        owner.end()
