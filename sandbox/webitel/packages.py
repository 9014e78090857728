"""The packages of release 25.08 under the vendor's names (`facts/webitel.md` 1.1, 1.7 to 1.14), with stand-ins in them."""

from __future__ import annotations

from pathlib import Path

from sandbox.deb import Package
from sandbox.standin.words import VERSION
from sandbox.webitel.units import vendor_unit

HERE = Path(__file__).parent
LIBRARY = "/usr/lib/webitel-sandbox"

COMPILE = "python3 -m compileall -q -f --invalidation-mode checked-hash"

LAUNCHER = """#!/usr/bin/python3 -I
import sys

sys.path.insert(0, "{library}")
from standin.{module} import main

sys.exit(main({argument}))
"""


def launcher(binary: str, module: str = "program") -> str:
    """The text of a program of the vendor's name."""
    return LAUNCHER.format(library=LIBRARY, module=module, argument=f'"{binary}"' if module == "program" else "")


PROGRAM = Package(
    "webitel-sandbox",
    VERSION,
    "What every stand-in runs on",
    depends=("python3", "python3-psycopg2", "python3-pika", "python3-yaml"),
    files={f"{LIBRARY}/standin": HERE.parent / "standin"},
    # As Debian's packages do: their users may write nothing there, and each start would compile all of it.
    scripts={
        "postinst": f"#!/bin/sh\nset -e\n{COMPILE} {LIBRARY}\n",
        "prerm": f"#!/bin/sh\nset -e\nfind {LIBRARY} -name __pycache__ -prune -exec rm -r {{}} +\n",
    },
)

COMMON = Package(
    "webitel-common",
    VERSION,
    "Units to copy, as the vendor ships them in 25.08",
    files={
        f"/opt/webitel/etc/systemd/system/{unit}.service": vendor_unit(unit)
        for unit in (
            "engine",
            "storage",
            "call_center",
            "flow_manager",
            "messages-srv",
            "messages-bot",
            "webitel-api",
            "webitel-app",
            "webitel-uac",
        )
    },
    folders={"/opt/storage": 0o755, "/opt/storage/data": 0o755, "/opt/storage/recordings": 0o755},
)


def service_package(
    name: str,
    binary: str,
    units: dict[str, str],
    scripts: dict[str, str] | None = None,
    files: dict[str, str | Path] | None = None,
    folders: dict[str, int] | None = None,
) -> Package:
    """A package with one binary, and its units as conffiles where an administrator's stand: file name -> text.

    So the vendor's workflow packs them (`type=config` in each repository's workflow.yml of v25.08); two have the name of ours.
    """
    conffiles = {f"/etc/systemd/system/{unit}.service": text for unit, text in units.items()}
    return Package(
        name,
        VERSION,
        f"{binary} of Webitel 25.08",
        depends=(PROGRAM.name,),
        files={f"/usr/local/bin/{binary}": launcher(binary), **conffiles, **(files or {})},
        scripts=scripts or {},
        folders=folders or {},
        conffiles=tuple(conffiles),
    )


def starts_itself(unit: str) -> dict[str, str]:
    """The vendor's way with engine and cases: enabled and started at once, whatever their configuration; a missing unit fails."""
    return {
        "postinst": (
            '#!/bin/sh\nset -e\nif [ "$1" = configure ] && [ -d /run/systemd/system ]; then\n'
            f"  systemctl daemon-reload\n  systemctl enable -q {unit}.service\n"
            f"  systemctl restart --no-block {unit}.service\nfi\n"
        )
    }


SERVICES = (
    service_package(
        "webitel-core",
        "webitel",
        {},
        folders={"/var/lib/webitel": 0o755},
        files={"/opt/webitel/provisioning/README": "The vendor's provisioning stands here.\n"},
    ),
    # The 25.08 package carries a unit of another name than the one its postinst enables (`facts/webitel.md` 1.15).
    service_package("webitel-engine", "engine", {"webitel-engine": vendor_unit("engine")}, starts_itself("engine")),
    service_package("webitel-storage", "storage", {"webitel-storage": vendor_unit("storage")}),
    # Its unit runs a binary that the package does not have (`facts/webitel.md` 1.10).
    service_package(
        "webitel-call-center",
        "call_center",
        {
            "webitel-call-center": vendor_unit("call_center").replace(
                "/usr/local/bin/call_center", "/usr/local/bin/webitel-call-center"
            )
        },
    ),
    service_package("webitel-flow-manager", "flow_manager", {"webitel-flow-manager": vendor_unit("flow_manager")}),
    service_package(
        "webitel-messages", "messages", {f"webitel-{unit}": vendor_unit(unit) for unit in ("messages-srv", "messages-bot")}
    ),
    service_package("webitel-logger", "webitel-logger", {"webitel-logger": vendor_unit("webitel-logger")}),
    service_package(
        "webitel-cases", "webitel-cases", {"webitel-cases": vendor_unit("webitel-cases")}, starts_itself("webitel-cases")
    ),
)

SCHEMA = Package(
    "webitel-postgresql-15",
    VERSION,
    "Database schema of Webitel 25.08",
    files={"/usr/share/postgresql/15/webitel": HERE / "schema"},
)

GRAFANA = Package(
    "grafana",
    "11.6.0+sandbox1",
    "Grafana",
    depends=(PROGRAM.name, "adduser"),
    files={
        "/usr/sbin/grafana-server": launcher("grafana-server", "grafana"),
        "/lib/systemd/system/grafana-server.service": HERE / "grafana" / "grafana-server.service",
        "/etc/grafana/grafana.ini": HERE / "grafana" / "grafana.ini",
        "/etc/default/grafana-server": HERE / "grafana" / "grafana-server.default",
    },
    folders={"/etc/grafana/provisioning/datasources": 0o755, "/var/lib/grafana": 0o750, "/var/log/grafana": 0o750},
    conffiles=("/etc/grafana/grafana.ini", "/etc/default/grafana-server"),
    scripts={
        "postinst": (
            '#!/bin/sh\nset -e\nif [ "$1" = configure ]; then\n'
            "  adduser --quiet --system --group --home /usr/share/grafana --no-create-home grafana\n"
            "  chown -R grafana:grafana /var/lib/grafana /var/log/grafana\n  chgrp -R grafana /etc/grafana\n"
            "  if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi\nfi\n"
        )
    },
)

WEB = {
    "webitel-auth-app": ("app/auth", "auth"),
    "webitel-admin-app": ("", "admin"),
    "webitel-history": ("history", "history"),
    "webitel-agent-workspace": ("workspace", "workspaces"),
    "webitel-supervisor-workspace": ("supervisor", "supervisor"),
    "webitel-flow-diagram": ("flow", "flow-diagram"),
    "webitel-audit-app": ("audit", "audit"),
    "webitel-crm": ("crm", "crm"),
    "webitel-web-widget": ("omni-widget", "omni-widget"),
}
"""Package -> path in the browser, folder below /opt/www."""


def page(name: str, path: str) -> str:
    """A page that says what it stands for."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title></head>\n'
        f"<body><h1>{name}</h1><p>Stand-in of the sandbox for the web application at /{path}.</p></body></html>\n"
    )


WEB_APPLICATIONS = tuple(
    Package(name, VERSION, "Web application", files={f"/opt/www/{folder}/index.html": page(name, path)})
    for name, (path, folder) in WEB.items()
)

PACKAGES = (PROGRAM, COMMON, *SERVICES, SCHEMA, GRAFANA, *WEB_APPLICATIONS)
