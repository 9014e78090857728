"""The checks of given hosts as data: what passes, what is worth a look, what is refused, whose figure that is, what to do.

`docs/operate/hosts-check.md` has its table from here (`python -m tools.pages`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from components.model.host_limits import (
    CLOCK,
    DEBIAN,
    FREE_SHARE,
    JITTER,
    LEAST_FREE_GIB,
    LOST,
    MEMORY_SHARE,
    MHZ,
    OTHER_SYNC,
    OURS,
    ROUND_TRIP,
    STEAL,
    SYNC,
    VENDOR,
    WANTED_CONNECTIONS,
    Limit,
)


@dataclass(frozen=True)
class HostCheck:
    """`source` is whose figures they are; `mends` what `--apply` does, "" = nothing."""

    looks_at: str
    passes: str
    warns: str
    fails: str
    source: str
    remedy: str
    mends: str = ""


def of(looks_at: str, limit: Limit, source: str, remedy: str, more: str = "", mends: str = "") -> HostCheck:
    """Return the check of a figure; `more` says of which hosts."""
    passes, warns, fails = limit.words
    return HostCheck(looks_at, passes, warns, fails + more, source, remedy, mends)


CHECKS: Mapping[str, HostCheck] = {
    "way in": HostCheck(
        "SSH as webitel:host_user, and root from there",
        "your key is taken, and sudo asks for nothing",
        "-",
        "no answer, another host key, no key taken, no root",
        OURS,
        "ssh-copy-id USER@HOST, and as root there: apt install sudo; echo 'USER ALL=(ALL) NOPASSWD: ALL' > "
        "/etc/sudoers.d/webitel",
    ),
    "release": HostCheck(
        "/etc/os-release, dpkg --print-architecture",
        "Debian 12 amd64",
        "-",
        "any other",
        VENDOR,
        "install Debian 12 (bookworm) for amd64: the vendor has packages for nothing else",
    ),
    "python3": HostCheck("python3 --version", "3.11", "-", "none, or another", DEBIAN, "apt install python3", "installs python3"),
    "kernel": HostCheck(
        "uname -r, its modules",
        "6.1 or newer",
        "no headers where rtpengine runs: its kernel module cannot be built",
        "older than 6.1",
        DEBIAN,
        "apt install linux-image-amd64 linux-headers-amd64, then restart",
    ),
    "init": HostCheck(
        "process 1, systemctl --version, /sys/fs/cgroup",
        "systemd 252 or newer on unified cgroups",
        "-",
        "any other",
        DEBIAN,
        "have the machine boot with systemd, as Debian 12 does by itself",
    ),
    "virtualisation": HostCheck(
        "systemd-detect-virt",
        "none, kvm, vmware, xen, amazon",
        "another hypervisor; a container on a node without calls",
        "a container (lxc, openvz) where calls pass",
        OURS,
        "take a machine or a virtual machine: a container has no clock, kernel and network queues of its own",
    ),
    "steal": of(
        "/proc/stat while every vCPU is busy for 2 s",
        STEAL,
        OURS,
        "have the hypervisor's administrator reserve the CPU: no more vCPUs than threads on that host",
        ", where calls pass",
    ),
    "vCPU": HostCheck(
        "processors that Linux may use",
        "as many as the tier's",
        "-",
        "fewer",
        f"{VENDOR} where known, else {OURS}",
        "give the machine more, or take a smaller tier",
    ),
    "whole cores": HostCheck(
        "threads of the same core", "at most 2 vCPU a core", "more", "-", VENDOR, "pin vCPUs to whole cores"
    ),
    "processor": HostCheck(
        "flags and clock of /proc/cpuinfo",
        f"x86-64-v2 with AVX2, at least {MHZ / 1000:g} GHz",
        "no AVX2, or slower",
        "no x86-64-v2",
        VENDOR,
        "have the hypervisor pass the host's processor through (CPU type host)",
    ),
    "governor": HostCheck(
        "scaling_governor",
        "performance, schedutil, or none",
        "powersave, ondemand, conservative",
        "-",
        OURS,
        "echo performance > /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
        "sets performance, now and at every start",
    ),
    "memory nodes": HostCheck(
        "/sys/devices/system/node", "one", "several: who reads the other's memory waits", "-", OURS, "let it fit into one"
    ),
    "memory": of("/proc/meminfo", MEMORY_SHARE, OURS, "give the machine more, or take a smaller tier"),
    "swap": HostCheck("/proc/meminfo", "nothing in it", "in use", "-", OURS, "find out what takes the memory; swapoff -a"),
    "huge pages": HostCheck(
        "transparent_hugepage/enabled",
        "madvise or never",
        "always, with a database",
        "-",
        "PostgreSQL",
        "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        "sets madvise, now and at every start",
    ),
    "room": HostCheck(
        "the file system of /",
        f"free: {FREE_SHARE} % of the tier's boot disk",
        "less",
        f"less than {LEAST_FREE_GIB} GiB",
        f"{VENDOR} where known, else {OURS}",
        "enlarge the disk of /",
    ),
    "mounts": HostCheck(
        "/tmp, /var, /var/lib, /var/tmp",
        "programs may run there",
        "-",
        "noexec",
        OURS,
        "mount -o remount,exec, and in /etc/fstab: packages' scripts and Erlang run programs there",
    ),
    "data disk": HostCheck(
        "blkid, wipefs, lsblk, or what is in the directory",
        "an empty disk of the plan's size, by a name that stays",
        "smaller; a name that may change; a directory on the disk of /; a disk of an earlier deployment",
        "not there, or anything on it: nothing is ever formatted over something",
        OURS,
        "another disk, or look what is on it and empty it yourself: wipefs --all DEVICE",
    ),
    "disk latency": of(
        "8 KiB writes, each synced, for at most 2 s where the database would stand; 99 of 100",
        SYNC,
        VENDOR,
        "take SSDs with power loss protection, or a controller with a battery",
        f", with a database; others {OTHER_SYNC.warns:g} and {OTHER_SYNC.fails:g} ms",
    ),
    "interface": HostCheck(
        "ip address, /sys/class/net",
        "has the private address; 1 Gbit/s, full duplex; as many queues as cores, up to 4, where calls pass",
        "e1000, rtl8139; fewer queues; 1 of 1000 packets was dropped",
        "nobody has the private address; slower; half duplex",
        VENDOR,
        "virtio or vmxnet3 with several queues; a 1 Gbit/s port",
    ),
    "connections": HostCheck(
        "nf_conntrack_max, where connections are tracked",
        f"{WANTED_CONNECTIONS}",
        "fewer",
        "-",
        OURS,
        f"sysctl -w net.netfilter.nf_conntrack_max={WANTED_CONNECTIONS}",
        f"sets {WANTED_CONNECTIONS}, now and at every start",
    ),
    "ports": HostCheck(
        "sockets that listen, against the node's services",
        "ours are free",
        "-",
        "somebody listens on one",
        OURS,
        "stop that program and keep it from starting",
    ),
    "other programs": HostCheck(
        "dpkg",
        "no database, broker, web server, telephony or containers of somebody else's",
        "-",
        "one is installed: the host serves something already",
        OURS,
        "take another host, or remove it: apt purge PACKAGES",
    ),
    "packages": HostCheck(
        "dpkg --audit, apt-mark showhold, pins",
        "whole, nothing held",
        "packages are held, or pinned",
        "half installed",
        OURS,
        "dpkg --configure -a; apt --fix-broken install; apt-mark unhold PACKAGES",
    ),
    "sources": HostCheck(
        "apt-cache policy",
        "Debian 12's, and ours",
        "of others",
        "another release of Debian's by the same right as bookworm",
        OURS,
        "take it out of /etc/apt, or give it priority 100 or less in /etc/apt/preferences.d",
    ),
    "package sources": HostCheck(
        "apt's own way out to every source of the plan",
        "all answer",
        "-",
        "one does not",
        OURS,
        "open the way there (80 and 443), give apt the proxy, or webitel:package_source mirror",
    ),
    "firewall": HostCheck(
        "ufw, firewalld, netfilter-persistent, tables of nftables",
        "none",
        "tables of somebody else's: they go",
        "ufw or firewalld is active",
        OURS,
        "ufw disable, or systemctl disable --now firewalld: ours is nftables, and there is only one",
    ),
    "confinement": HostCheck("AppArmor, SELinux", "AppArmor, or neither", "-", "SELinux enforces", OURS, "setenforce 0"),
    "time": HostCheck(
        "chrony, systemd-timesyncd, ntpd",
        "one of them, in step",
        "none, several, or not in step",
        "chrony says 100 ms or more",
        OURS,
        "apt install chrony; chronyc makestep",
        "has chrony keep it, alone, and steps the clock to what its servers say",
    ),
    "names": HostCheck(
        "localhost, the host's own name, name servers",
        "localhost is 127.0.0.1, a name server is there",
        "the host's own name leads nowhere",
        "no name server; localhost is not 127.0.0.1",
        OURS,
        "mend /etc/hosts and /etc/resolv.conf",
    ),
    "cloud-init": HostCheck(
        "cloud-init status", "none, done or disabled", "ended with an error", "runs still", OURS, "cloud-init status --wait"
    ),
    "owner": HostCheck(
        "/etc/webitel/node.json",
        "nobody's, or this deployment's node",
        "-",
        "a node of another deployment, or another node",
        OURS,
        "take another host, or destroy that deployment first",
    ),
    "facts": HostCheck("whatever else could not be looked at", "-", "-", "something", OURS, "run ./webitel hosts check again"),
    "clocks": of(
        "each host's clock at the same moment, less the way there",
        CLOCK,
        OURS,
        "apt install chrony, with the same source on all",
        mends="as for time, on the hosts that it names",
    ),
    "identities": HostCheck(
        "machine id, SSH host keys, host names",
        "each host has its own",
        "-",
        "two have the same: one was copied from the other",
        OURS,
        "on the copy: rm /etc/machine-id /etc/ssh/ssh_host_*; systemd-machine-id-setup; ssh-keygen -A; hostnamectl hostname NAME",
    ),
    "time zones": HostCheck(
        "timedatectl", "all the same", "not all the same; `up` sets webitel:time_zone", "-", OURS, "timedatectl set-timezone UTC"
    ),
    "packet size": HostCheck(
        "MTU, and a packet as large as the interface takes from each host to each",
        "all the same, and they arrive",
        "-",
        "they differ, or vanish",
        OURS,
        "one MTU on all interfaces and switches; 1400 on a VLAN of Hetzner's vSwitch",
    ),
    "round trip": of(
        "25 packets 20 ms apart from each host to each, the middle one", ROUND_TRIP, OURS, "hosts of one site, on one switch"
    ),
    "loss": HostCheck(
        "the same packets",
        "none is lost",
        "-",
        "one is lost, or none arrives: something between the hosts filters or drops",
        OURS,
        "one VLAN, no firewall between the hosts: each node has its own",
    ),
    "SIP address": HostCheck(
        "ARP for webitel:sip_address, where SIP is to be; the addresses of the host",
        "nobody answers but a node of the deployment that has it",
        "-",
        "somebody else answers, the host has it fixed, or the private address is of another network",
        OURS,
        "set webitel:sip_address to a free address of the network of the private addresses, which nobody else gets (DHCP)",
    ),
    "audio lost": of(
        "--network: UDP of audio's size at the tier's rate between each two hosts, both ways",
        LOST,
        OURS,
        "look at switches, queues and drivers: ethtool -S",
    ),
    "audio jitter": of("--network: the same packets (RFC 3550)", JITTER, OURS, "reserve CPU for the machine, and more queues"),
}

NEVER_ACCEPTED = ("way in", "release", "python3", "data disk", "owner", "facts")
"""What no owner can take upon himself: nothing would work, or somebody's data would go."""
