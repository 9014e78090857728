"""How far systemd shuts in each unit: what every program bears, what one needs beyond that, and what stays as it is and why.

Rendered into `hardening.conf` of each unit (`cloud_init/hardening.conf.j2`). Where each setting comes from, and under which
program it was seen, is in `docs/facts/hardening.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

EXPOSURE_LIMIT = 5.0
"""What `systemd-analyze security` says at most of a unit that stands in `HARDENED`; 10 is a unit with every right."""

BASE = (
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "RestrictNamespaces=yes",
    "RestrictSUIDSGID=yes",
    "RestrictRealtime=yes",
    "LockPersonality=yes",
    "SystemCallArchitectures=native",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
)
"""What every program of the platform bears, unless a later line takes it back."""


@dataclass(frozen=True)
class Hardening:
    """What a unit has beside `BASE`. `capabilities`: the only ones it can ever have. `writes`: folders that it may change, beside
    its service's data. `lines`: whatever else.

    `restarts`: its program is started anew at once, since no call notices. The others carry calls or hold data: they are shut in
    at their next start. `metadata`: it runs as root and is kept from the machine's metadata by its address, since nftables lets
    root through. `reason`: why it has rights that others lack."""

    capabilities: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    restarts: bool = False
    metadata: bool = False
    reason: str = ""

    @property
    def text(self) -> str:
        """Return the lines of `[Service]`."""
        lines = [*BASE, f"CapabilityBoundingSet={' '.join(self.capabilities)}"]
        if self.writes:
            # A folder that a release or a package does not have is no reason not to start.
            lines.append("ReadWritePaths=" + " ".join(f"-{path}" for path in self.writes))
        return "\n".join((*lines, *self.lines))


NO_GENERATED_CODE = "MemoryDenyWriteExecute=yes"
NO_RIGHTS = "SystemCallFilter=~@privileged"
EMPTY_HOME = ("ProtectHome=tmpfs", "TemporaryFileSystem=/home:mode=1777")
"""go-micro ends at once where it cannot make `~/.micro`; what it keeps there is for its own command line, which nobody uses. And
whoever asks PostgreSQL for TLS looks for a certificate of its own at home: none is right, a shut home ends the try."""
CHANGES_USER = ("CAP_SETUID", "CAP_SETGID")
KEEPS_FILES = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER")


def webitel(*lines: str, restarts: bool = True) -> Hardening:
    """Return what one of Webitel's programs in Go has. Not restarted are the two that callers' flows and queues live in."""
    return Hardening(lines=(NO_RIGHTS, *EMPTY_HOME, *lines), restarts=restarts)


HARDENED: Mapping[str, Hardening] = {
    **{unit: webitel(NO_GENERATED_CODE) for unit in ("engine", "webitel-logger", "webitel-cases")},
    **{unit: webitel(NO_GENERATED_CODE) for unit in ("messages-srv", "messages-bot")},
    **{unit: webitel(NO_GENERATED_CODE, restarts=False) for unit in ("flow_manager", "call_center")},
    # It runs other programs on what people upload.
    "storage": webitel(),
    "nginx": Hardening(
        (*CHANGES_USER, *KEEPS_FILES, "CAP_NET_BIND_SERVICE", "CAP_KILL"),
        ("/run", "/var/log/nginx", "/var/lib/nginx"),
        (NO_GENERATED_CODE,),
        reason="its first process is root and serves nobody: it reads the key and opens low ports; the others are www-data",
    ),
    "sip-websocket": Hardening(
        (*CHANGES_USER, "CAP_NET_RAW", "CAP_NET_ADMIN"),
        ("/run", "/var/log/nginx", "/var/lib/nginx"),
        (NO_GENERATED_CODE,),
        reason="it connects from browsers' own addresses and makes the route for the answers",
    ),
    "haproxy": Hardening(
        (*CHANGES_USER, *KEEPS_FILES, "CAP_KILL", "CAP_SYS_CHROOT", "CAP_SYS_RESOURCE"),
        ("/run", "/var/lib/haproxy"),
        (NO_GENERATED_CODE,),
        reason="its first process is root and serves nobody; the others run as haproxy",
    ),
    "consul": Hardening(writes=("/var/lib/consul", "/opt/consul", "/etc/consul.d"), lines=(NO_GENERATED_CODE,)),
    # Erlang compiles while it runs.
    "rabbitmq-server": Hardening(writes=("/var/lib/rabbitmq", "/var/log/rabbitmq", "/etc/rabbitmq", "/run")),
    "epmd": Hardening(lines=(NO_GENERATED_CODE,)),
    # PostgreSQL compiles queries, and whatever archives the log runs in here too.
    "patroni": Hardening(
        writes=("/etc/patroni", "/run", "/var/lib/postgresql", "/var/log/postgresql", "/var/lib/webitel"),
        reason="PostgreSQL runs in it, and what is run by PostgreSQL",
    ),
    # PCRE compiles patterns.
    "opensips": Hardening(writes=("/run", "/var/lib/opensips")),
    "rtpengine-daemon": Hardening(
        ("CAP_NET_ADMIN", "CAP_SYS_NICE"),
        ("/run/rtpengine", "/var/spool/rtpengine"),
        ("RestrictRealtime=no",),
        reason="its package gives it these two rights: the kernel's table of streams, and priority over what is not audio",
    ),
    # Beyond what its package does: it writes nowhere, and speaks to this node only.
    "redis-server": Hardening(
        lines=(
            NO_GENERATED_CODE,
            NO_RIGHTS,
            "SystemCallFilter=~@resources",
            "ReadWritePaths=",
            "IPAddressDeny=any",
            "IPAddressAllow=localhost",
        ),
    ),
    "freeswitch": Hardening(
        (*CHANGES_USER, *KEEPS_FILES, "CAP_SYS_NICE", "CAP_SYS_RESOURCE"),
        tuple(
            f"{folder}/freeswitch"
            for folder in ("/run", "/etc", "/var/lib", "/var/cache", "/var/log", "/var/spool", "/usr/share")
        ),
        ("RestrictRealtime=no",),
        reason="its unit gives it its folders as root, and it takes real-time priority; its user is freeswitch",
    ),
    "fail2ban": Hardening(
        ("CAP_DAC_READ_SEARCH", "CAP_NET_ADMIN", "CAP_NET_RAW"),
        ("/run", "/var/lib/fail2ban", "/var/log"),
        restarts=True,
        metadata=True,
        reason="it reads every log and changes nftables",
    ),
    "webitel-watch": Hardening(
        (*CHANGES_USER, *KEEPS_FILES, "CAP_DAC_READ_SEARCH", "CAP_KILL", "CAP_NET_RAW", "CAP_NET_ADMIN", "CAP_SYS_PTRACE"),
        (
            "/run",
            "/etc/webitel",
            "/etc/consul.d",
            "/etc/patroni",
            "/etc/grafana",
            "/etc/haproxy",
            "/var/lib/webitel",
            "/var/lib/rabbitmq",
            "/var/log",
        ),
        metadata=True,
        reason="it starts and restarts services, measures disks, asks the broker as its user, hands out tokens",
    ),
    # What it starts and stops is systemd's to do.
    "webitel-locks": Hardening(writes=("/run",), lines=(NO_GENERATED_CODE,), metadata=True),
    "webitel-address": Hardening(
        writes=("/run",),
        lines=(NO_GENERATED_CODE, "ProtectProc=invisible"),
        reason="it asks the machine's metadata for the keys of its role, which root alone may, and has no right but that",
    ),
    "webitel-mesh": Hardening(
        ("CAP_NET_ADMIN", "CAP_NET_RAW"),
        ("/run", "/var/lib/webitel"),
        (NO_GENERATED_CODE, "PrivateDevices=no", "DevicePolicy=closed", "DeviceAllow=/dev/net/tun rw"),
        restarts=True,
        metadata=True,
        reason="it makes a network interface, and the routes to the other nodes by it",
    ),
    # Root, so that no other program can rewrite what stands in its files, and without anything else that root may.
    "webitel-records": Hardening(lines=(NO_GENERATED_CODE, "ProtectProc=invisible"), restarts=True, metadata=True),
    "prometheus": Hardening(writes=("/var/lib/prometheus",), lines=(NO_RIGHTS, NO_GENERATED_CODE), restarts=True),
    "prometheus-alertmanager": Hardening(writes=("/var/lib/prometheus",), lines=(NO_RIGHTS, NO_GENERATED_CODE), restarts=True),
    "prometheus-blackbox-exporter": Hardening(lines=(NO_RIGHTS, NO_GENERATED_CODE), restarts=True),
    "prometheus-node-exporter": Hardening(lines=(NO_RIGHTS, NO_GENERATED_CODE), restarts=True),
    "webitel-setup-postgresql": Hardening(writes=("/run",)),
    "webitel-setup-rabbitmq": Hardening(
        (*CHANGES_USER, *KEEPS_FILES),
        ("/run", "/etc/rabbitmq", "/var/lib/rabbitmq", "/var/log/rabbitmq"),
        metadata=True,
        reason="it asks the broker as its user",
    ),
}
"""By unit, without `.service`."""

LEFT_ALONE: Mapping[str, str] = {
    "webitel-app": "closed: what it takes the licence's identifier from is not known, and was not seen under a sandbox",
    "webitel-api": "the same program as webitel-app",
    "webitel-uac": "the same program as webitel-app",
    "grafana-server": "its package has shut it in",
    "webitel-certificate": "not seen under a sandbox yet: it orders certificates and has others take them up",
    "webitel-backup": "not seen under a sandbox yet: it runs pgBackRest as the database's user",
    "webitel-backup-verify": "not seen under a sandbox yet: it runs pgBackRest as the database's user",
    "webitel-backup-files": "not seen under a sandbox yet: it reads every recording, and writes them where they are brought back",
    "webitel-install": "it installs packages at the first boot, whatever their scripts do",
    "webitel-guard": "it puts back files of the firewall and of sshd, whatever they are",
    "ssh": "who logs in works in it: an operator's session would be as shut in as the server",
    "nftables": "it loads the rules and ends",
    "chrony": "its package has shut it in",
}
"""By unit, why it has no `hardening.conf`."""
