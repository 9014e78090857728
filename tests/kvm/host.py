"""A host with libvirt and QEMU that emulates: Debian's libvirtd as a process of the test's, in mounts, processes and a network of
its own. It ends with the test, and so does every machine on it: they live in its process tree."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

BRIDGE, NETWORK = "br0", "webitel"
NODES, GATEWAY, OPERATOR = "10.20.0.0/20", "10.20.0.1", "185.12.0.1"
"""The committed stacks' network and its router, and who operates from beyond that: all of them are the bridge."""
STORE_GIB = 400
"""Of the pool's file system, a file with holes: a data disk has all its room at once."""
START_SECONDS = 120.0
CLONE_NEWNET = 0x40000000
FOLDERS = ("etc/libvirt", "var/lib/libvirt", "var/log/libvirt", "var/cache/libvirt")
"""What a libvirtd of the system's calls its own."""
DAEMON = 'auth_unix_ro = "none"\nauth_unix_rw = "none"\n'
QEMU = (
    'user = "root"\ngroup = "root"\nsecurity_driver = "none"\nnamespaces = []\ncgroup_controllers = []\nstdio_handler = "file"\n'
)
ENTER = """
set -e
folder=$1
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir /run/libvirt
mount --bind "$folder/run" /run/libvirt
for one in {folders}; do mkdir -p "/$one"; mount --bind "$folder/$one" "/$one"; done
# A user that libvirtd looks for whatever its settings say; the package that makes it starts services too.
cp /etc/passwd /etc/group "$folder/etc"
echo "libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin" >>"$folder/etc/passwd"
echo "libvirt-qemu:x:64055:" >>"$folder/etc/group"
for one in passwd group; do mount --bind "$folder/etc/$one" "/etc/$one"; done
mkdir -p /var/lib/libvirt/images
mount -o loop "$folder/store" /var/lib/libvirt/images
# The shell stays: it takes the end of each QEMU, for which nobody else waits, and libvirtd would not see it end.
libvirtd --config /etc/libvirt/libvirtd.conf --pid-file /run/libvirt/libvirtd.pid
exit $?
"""


@dataclass(frozen=True)
class Host:
    """The host, and the address at which the provider and `virsh` reach it."""

    folder: Path
    uri: str

    def virsh(self, *words: str, fails: bool = False) -> str:
        """What a command of virsh prints, also about its failure."""
        done = subprocess.run(
            ["virsh", "--quiet", "--connect", self.uri, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
        assert (done.returncode != 0) is fails, f"virsh {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def volumes(self) -> set[str]:
        """The names of the volumes of the pool."""
        return {line.split()[0] for line in self.virsh("vol-list", "default").splitlines() if line.strip()}

    def told(self) -> str:
        """The end of what libvirtd and the machines' consoles said."""
        files = [self.folder / "libvirtd.log", *sorted((self.folder / "var/log/libvirt/qemu").glob("*"))]
        return "\n".join(f"{file.name}:\n{file.read_text(errors='replace')[-3000:]}" for file in files if file.exists())


@contextmanager
def own_network() -> Iterator[None]:
    """Have this thread, and what it starts, stand in a network of its own with the host's bridge, which leads nowhere."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as before:
        if libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "no network of its own for the test: run it as root")
        try:
            for words in (
                "link set lo up",
                f"link add {BRIDGE} type bridge stp_state 0",
                f"address add {GATEWAY}/32 dev {BRIDGE}",
                f"address add {OPERATOR}/32 dev {BRIDGE}",
                f"link set {BRIDGE} up",
                f"route add {NODES} dev {BRIDGE} src {OPERATOR}",
            ):
                subprocess.run(["ip", *words.split()], check=True)
            yield
        finally:
            if libc.setns(before.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "the test cannot go back to the network of this machine")


@contextmanager
def kvm_host(folder: Path, image: Path) -> Iterator[Host]:
    """The host as docs/operate/libvirt.md has it made: a pool, a network on the bridge, the image. In `own_network`."""
    for name in ("run", *FOLDERS):
        (folder / name).mkdir(parents=True)
    (folder / "etc/libvirt/libvirtd.conf").write_text(DAEMON)
    (folder / "etc/libvirt/qemu.conf").write_text(QEMU)
    with (folder / "store").open("wb") as store:
        store.truncate(STORE_GIB << 30)
    subprocess.run(["mkfs.ext4", "-q", "-T", "largefile4", "-E", "nodiscard", str(folder / "store")], check=True)
    host = Host(folder, f"qemu+unix:///system?socket={folder}/run/libvirt-sock")
    script = ENTER.format(folders=" ".join(FOLDERS))
    # It ends with this process however that ends.
    alone = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]
    command = [*alone, "sh", "-c", script, "sh", str(folder)]
    with (folder / "libvirtd.log").open("w") as log, ExitStack() as ending:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        ending.callback(daemon.wait)
        ending.callback(daemon.kill)
        end = time.monotonic() + START_SECONDS
        while not (folder / "run/libvirt-sock").exists():
            assert daemon.poll() is None and time.monotonic() < end, f"libvirtd does not start:\n{host.told()}"
            time.sleep(0.2)
        prepare(host, image)
        yield host


def prepare(host: Host, image: Path) -> None:
    """Do what the host's owner does once."""
    network = host.folder / "webitel.xml"
    network.write_text(f'<network><name>{NETWORK}</name><forward mode="bridge"/><bridge name="{BRIDGE}"/></network>')
    name = "debian-12-genericcloud-amd64.qcow2"
    for words in (
        f"net-define {network}",
        f"net-start {NETWORK}",
        f"net-autostart {NETWORK}",
        "pool-define-as default dir --target /var/lib/libvirt/images",
        "pool-build default",
        "pool-start default",
        f"vol-create-as default {name} 3GiB --format qcow2",
        f"vol-upload --pool default {name} {image}",
    ):
        host.virsh(*words.split())
