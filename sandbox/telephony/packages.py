"""OpenSIPS' and FreeSWITCH's packages under their own names (`facts/webitel.md` 1.4 and 1.6), with stand-ins in them."""

from __future__ import annotations

from pathlib import Path

from sandbox.deb import Package
from sandbox.standin.freeswitch.words import VERSION as FREESWITCH_VERSION
from sandbox.standin.opensips.management import VERSION as OPENSIPS_VERSION
from sandbox.webitel.packages import PROGRAM, launcher

HERE = Path(__file__).parent

OPENSIPS_MODULES = (
    "opensips-http-modules",
    "opensips-rabbitmq-modules",
    "opensips-auth-modules",
    "opensips-postgres-module",
    "opensips-wss-module",
    "opensips-tls-module",
    "opensips-tlsmgm-module",
    "opensips-tls-openssl-module",
)

FREESWITCH_MODULES = {
    name: name.replace("-", "_")
    for name in (
        "dialplan-xml",
        "valet-parking",
        "event-socket",
        "native-file",
        "local-stream",
        "tone-stream",
        "http-cache",
        "google-transcribe",
        "av",
        "opus",
        "opusfile",
        "sndfile",
        "shout",
        "sofia",
        "conference",
        "console",
        "loopback",
        "commands",
        "db",
        "dptools",
        "expr",
        "hash",
        "spandsp",
        "imagick",
        "png",
        "logfile",
        "lua",
        "spy",
        "amd",
        "amqp",
        "grpc",
    )
}
"""Package `freeswitch-mod-<name>` -> module `mod_<name>.so`, a file that says what it is."""


def system_user(name: str, *folders: str, runs_in: str = "") -> str:
    """A postinst that makes the user and gives it its folders. `runs_in` is one that no restart of the machine keeps."""
    return (
        '#!/bin/sh\nset -e\nif [ "$1" = configure ]; then\n'
        f"  adduser --quiet --system --group --home /var/lib/{name} --no-create-home {name}\n"
        + (f"  mkdir -p {runs_in}\n" if runs_in else "")
        + f"  chown -R {name}:{name} {' '.join((*folders, runs_in))}\n"
        "  if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi\nfi\n"
    )


OPENSIPS = Package(
    "opensips",
    OPENSIPS_VERSION,
    "OpenSIPS 3.4",
    depends=(PROGRAM.name, "adduser"),
    files={
        "/usr/sbin/opensips": launcher("opensips", "opensips.program"),
        "/lib/systemd/system/opensips.service": HERE / "opensips.service",
    },
    folders={"/etc/opensips": 0o755, "/var/lib/opensips": 0o755},
    scripts={"postinst": system_user("opensips", "/var/lib/opensips")},
)

FREESWITCH = Package(
    "freeswitch",
    FREESWITCH_VERSION,
    "FreeSWITCH 1.10",
    depends=(PROGRAM.name, "adduser"),
    files={
        "/usr/bin/freeswitch": launcher("freeswitch", "freeswitch.program"),
        "/usr/bin/fs_cli": launcher("fs_cli", "freeswitch.client"),
    },
    folders={
        "/etc/freeswitch": 0o750,
        "/var/lib/freeswitch": 0o750,
        "/var/log/freeswitch": 0o750,
        "/var/cache/freeswitch": 0o750,
        "/usr/share/freeswitch": 0o755,
        "/usr/lib/freeswitch/mod": 0o755,
    },
    scripts={
        "postinst": system_user(
            "freeswitch",
            "/etc/freeswitch",
            "/var/lib/freeswitch",
            "/var/log/freeswitch",
            "/var/cache/freeswitch",
            runs_in="/var/run/freeswitch",
        )
    },
)

SYSTEMD = Package(
    "freeswitch-systemd",
    FREESWITCH_VERSION,
    "Unit of FreeSWITCH",
    depends=(FREESWITCH.name,),
    files={
        "/lib/systemd/system/freeswitch.service": HERE / "freeswitch.service",
        "/usr/lib/tmpfiles.d/freeswitch.conf": "d /var/run/freeswitch 0755 freeswitch freeswitch - -\n",
    },
)


def module_package(name: str, module: str) -> Package:
    """A module: the start looks for its file."""
    return Package(
        f"freeswitch-mod-{name}",
        FREESWITCH_VERSION,
        f"Module mod_{module}",
        depends=(FREESWITCH.name,),
        files={f"/usr/lib/freeswitch/mod/mod_{module}.so": "stand-in of the sandbox, not a module\n"},
    )


PACKAGES = (
    OPENSIPS,
    *(Package(name, OPENSIPS_VERSION, "Modules of OpenSIPS", depends=(OPENSIPS.name,)) for name in OPENSIPS_MODULES),
    FREESWITCH,
    SYSTEMD,
    Package(
        "freeswitch-music-default",
        FREESWITCH_VERSION,
        "Music on hold",
        depends=(FREESWITCH.name,),
        folders={"/usr/share/freeswitch/sounds/music/8000": 0o755},
    ),
    *(module_package(name, module) for name, module in sorted(FREESWITCH_MODULES.items())),
)
