"""The owner of hosts: makes plain Debian 12 machines, as containers of this host, which know nothing of this project."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

from tools.incus import api, ensure_base_image, ensure_incus, ensure_pool, execute
from tools.incus.network import describe_bridge, find_gateway, read_resolvers

USER = "admin"
"""The account that the owner has on each host, with sudo."""
BOOT_SECONDS = 60
OF_CONTAINERS = (
    "virtualisation",
    "init",
    "vCPU",
    "steal",
    "processor",
    "memory",
    "room",
    "disk latency",
    "loss",
    "round trip",
    "kernel",
)
"""Checks of given hosts that fail for what this machine, busy with tests, and containers on it are."""

PREPARE = """
set -eu
chmod 644 /etc/systemd/network/10-owner.network
networkctl reload
dpkg --purge cloud-init >/dev/null 2>&1
rm -rf /etc/cloud /var/lib/cloud
useradd --create-home --shell /bin/bash {user}
echo '{user} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{user}
install -d -m 700 -o {user} -g {user} /home/{user}/.ssh
cat >/home/{user}/.ssh/authorized_keys
chown {user}: /home/{user}/.ssh/authorized_keys
chmod 600 /home/{user}/.ssh/authorized_keys
hostname {name}
echo {name} >/etc/hostname
printf '127.0.0.1 localhost\\n127.0.1.1 {name}\\n' >/etc/hosts
ssh-keygen -q -A
# It has tried without host keys until systemd would start it no more.
systemctl reset-failed ssh
systemctl restart ssh
# What whoever runs this in containers knows: neither sets the clock, nor schedules in real time.
mkdir -p /etc/systemd/system/freeswitch.service.d
cd /etc/systemd/system/freeswitch.service.d
printf '[Service]\\nCPUSchedulingPolicy=other\\nIOSchedulingClass=best-effort\\n' >zz-owner.conf
echo 'DAEMON_OPTS="-F 1 -x"' >/etc/default/chrony
cat /etc/ssh/ssh_host_ed25519_key.pub
"""


@dataclass(frozen=True)
class OwnHost:
    """A host: its container, its name, its address and its host key."""

    container: str
    name: str
    address: str
    host_key: str

    def run(self, script: str, *, check: bool = True, text: str = "") -> str:
        """Run a script on it as root, past SSH."""
        done = execute.run(self.container, ["sh", "-c", script], text)
        assert done.returncode == 0 or not check, f"{script}: {done.returncode}\n{done.stdout}{done.stderr}"
        return (done.stdout + ("" if check else done.stderr)).strip()


class Owner:
    """Hosts on a bridge of their own. `stack` marks them, so that what an interrupted test leaves is found
    (`tests/local/ended.py`). `key` is the private half of the owner's SSH key."""

    def __init__(self, stack: str, bridge: str, network: IPv4Network, folder: Path) -> None:
        self.stack, self.bridge, self.network = stack, bridge, network
        self.gateway: IPv4Interface = find_gateway(network)
        self.key = folder / "owner"
        self.labels = {"user.webitel.stack": stack}
        self.image = ""

    def prepare(self) -> None:
        """Make the bridge and the owner's key."""
        ensure_incus(print)
        ensure_pool(print)
        self.image = ensure_base_image(print)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        body = {"name": self.bridge, "type": "bridge", "config": self.labels | describe_bridge(self.gateway)}
        api.call("POST", "/networks", body)

    def make(self, key: str, place: int, **config: str) -> OwnHost:
        """Make a host for the node of that key: `place` is that of its address in the network, `config` more of its container's.
        Its own name is another one."""
        address, container, name = str(self.network[place]), f"{self.stack}-{key}", f"rack-{place}"
        more = {name.replace("_", "."): value for name, value in config.items()}
        body = {
            "name": container,
            "type": "container",
            "source": {"type": "image", "alias": self.image},
            "profiles": [],
            "config": self.labels | {"security.nesting": "true", **more},
            "devices": {
                "root": {"type": "disk", "pool": api.POOL, "path": "/"},
                "eth0": {"type": "nic", "network": self.bridge, "name": "eth0"},
            },
        }
        api.call("POST", "/instances", body)
        servers = " ".join(read_resolvers() or [str(self.gateway.ip)])
        link = f"Address={address}/{self.network.prefixlen}\nGateway={self.gateway.ip}\nDNS={servers}\n"
        network = f"[Match]\nName=eth0\n[Network]\n{link}"
        api.write_file(container, "/etc/systemd/network/10-owner.network", network.encode())
        api.write_file(container, "/etc/cloud/cloud-init.disabled", b"")
        api.change_state(container, "start")
        self.wait_for_boot(container)
        script = PREPARE.format(user=USER, name=name)
        done = execute.run(container, ["sh", "-c", script], self.key.with_suffix(".pub").read_text())
        assert done.returncode == 0, done.stderr
        return OwnHost(container, name, address, " ".join(done.stdout.split()[-3:-1]))

    def wait_for_boot(self, container: str) -> None:
        """Wait until it has come up."""
        end = time.monotonic() + BOOT_SECONDS
        while True:
            done = execute.run(container, ["systemctl", "is-system-running"])
            if done.stdout.strip() in ("running", "degraded"):
                return
            assert time.monotonic() < end, f"{container} did not come up: {done.stdout}{done.stderr}"
            time.sleep(0.3)

    def add_disk(self, host: OwnHost, device: str, path: str) -> None:
        """Give a host a disk of this machine's, at a path. A privileged one may open only what is there at its start."""
        api.change_state(host.container, "stop", force=True)
        where = api.instance_path(host.container)
        devices = api.call("GET", where)["devices"] | {"disk": {"type": "unix-block", "source": device, "path": path}}
        api.call("PATCH", where, {"devices": devices})
        api.change_state(host.container, "start")
        self.wait_for_boot(host.container)

    @contextmanager
    def agent(self) -> Iterator[dict[str, str]]:
        """An SSH agent with the owner's key; yields the variables by which programs find it."""
        said = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
        found = dict(part.split("=", 1) for line in said.splitlines() for part in [line.partition(";")[0]] if "=" in part)
        try:
            subprocess.run(["ssh-add", "-q", str(self.key)], env=found, check=True)
            yield {"SSH_AUTH_SOCK": found["SSH_AUTH_SOCK"]}
        finally:
            subprocess.run(["ssh-agent", "-k"], env=found, capture_output=True, check=True)

    def end(self) -> None:
        """Delete all of it."""
        for found in api.list_objects("/instances"):
            if found["config"].get("user.webitel.stack") == self.stack:
                api.delete_instance(found["name"])
        api.remove(api.network_path(self.bridge))
