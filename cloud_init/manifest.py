"""What the node program needs to know of its node: units, services with their probes, clusters, disks, versions."""

from __future__ import annotations

from typing import Any

from cloud_init.context import Context
from cloud_init.versions import main_units, wanted_versions
from components.model.catalogue.service import OnChange, Probe, Service
from components.model.catalogue.services import called_service
from components.model.share import SHARE, Share

PROBE_SECRETS = ("database_password", "broker_password", "esl_password")
"""What the health check logs in with; kept on the node in a file that only root reads."""

WAITS = ("consul", "postgresql", "rabbitmq")
"""What a unit can wait for before it starts (`node wait`)."""


def at_next_start(service: Service) -> str:
    """What a changed drop-in does: what reloads otherwise keeps running, since the drop-in counts at the next start."""
    keeps = service.on_change in (OnChange.NOTHING, OnChange.RELOAD)
    return "refresh" if keeps else service.on_change.value


def actions(context: Context, service: Service, on_change: object) -> list[str]:
    """What a changed file does, such as `["reload nginx"]`; the fragment may say it, else the catalogue does."""
    if isinstance(on_change, str):
        return [] if on_change == "nothing" else [on_change]
    if isinstance(on_change, list):
        return [str(action) for action in on_change]
    if service.on_change == OnChange.NOTHING:
        return []
    return [f"{service.on_change.value} {unit}" for unit in main_units(service, context.source)]


def list_units(context: Context, service: Service, fragment: dict[str, Any]) -> list[dict[str, Any]]:
    """The service's units with what each waits for, and what the fragment adds to `[Unit]` and `[Service]`."""
    called = [called_service(call) for call in service.calls]
    waits = [name for name in WAITS if name in called and name != service.name]
    extra = fragment.get("units", {})
    unknown = set(extra) - set(service.units_from(context.source))
    if unknown:
        raise ValueError(f"services/{service.name}.yaml.j2 has settings for {sorted(unknown)}, which the catalogue lacks")
    mounts = sorted({context.mount(directory.disk) for directory in service.data})
    return [
        {
            "name": name, "service": service.name, "mounts": mounts,
            "waits": extra.get(name, {}).get("waits", waits),
            "unit_lines": extra.get(name, {}).get("unit", []), "service_lines": extra.get(name, {}).get("service", []),
            "oneshot": bool(extra.get(name, {}).get("oneshot", False)),
            **({"moves": True} if moves(context, service) else {}),
        }
        for name in service.units_from(context.source)
    ]


def make_manifest(context: Context) -> dict[str, Any]:
    """What the node program needs besides files and units."""
    return {
        "node": context.node.name, "key": context.node.key, "id": context.instance_id, "stack": context.plan.stack,
        "packages": context.packages() + context.stand_in_packages(),
        "disks": [
            {"purpose": disk.purpose, "mount": context.mount(disk.purpose), "size_gib": disk.size_gib}
            for disk in context.node.disks if disk.is_data
        ],
        "directories": [
            {"path": directory.path, "owner": directory.owner, "mode": directory.mode, "disk": directory.disk}
            for service in context.services for directory in service.data
        ],
        **({"share": describe_share(context, context.share)} if context.share else {}),
        **({"emergency_numbers": list(context.settings.emergency_numbers)} if context.here("opensips") else {}),
        **({"leaving": True} if context.node.leaving else {}),
        "clusters": {service.name: members(context, service) for service in context.services if service.cluster_sizes},
        "address": context.address(), "drain_timeout": context.settings.drain_timeout, "install_units": context.install_units(),
        "probe_secrets": [name for name in PROBE_SECRETS if name in context.secrets()],
        "services": [
            {
                "name": service.name, "title": service.title, "units": list(service.units_from(context.source)),
                "probes": [fill_probe(context, service, probe) for probe in service.probes],
                "restarts_when_deaf": service.restarts_when_deaf,
                **({"calls_freeswitch": True} if "freeswitch.grpc" in service.calls else {}),
                **({"candidates": candidates(context, service)} if moves(context, service) else {}),
            }
            for service in context.services
        ],
        "versions": wanted_versions(context.services, context.source, context.settings.package_versions),
    }


def describe_share(context: Context, share: Share) -> dict[str, str]:
    """The share, where it is mounted and by which unit of systemd's."""
    return {"source": share.source, "mount": context.mount(SHARE), "unit": context.mount_unit(SHARE)}


def members(context: Context, service: Service) -> list[dict[str, str]]:
    """The nodes that form a service's cluster and stay in it, in the order of the plan."""
    return [
        {"key": node.key, "name": node.name, "address": context.address(node)} for node in context.plan.serving(service.name)
    ]


def moves(context: Context, service: Service) -> bool:
    """Whether another node of this role may run the service instead."""
    return service.moves and len(context.plan.candidates(service.name, context.node)) > 1


def candidates(context: Context, service: Service) -> list[dict[str, Any]]:
    """The nodes between which a service moves, this one too."""
    return [
        {"key": node.key, "address": context.address(node), **({"leaving": True} if node.leaving else {})}
        for node in context.plan.candidates(service.name, context.node)
    ]


def fill_probe(context: Context, service: Service, probe: Probe) -> dict[str, Any]:
    """A probe with the node's addresses, ports and numbers in it."""
    filled = {
        key: value.replace("{id}", str(context.identity(service))).replace("{hostname}", context.node.name)
        if isinstance(value, str) else value
        for key, value in probe.arguments.items()
    }
    if "listener" in filled:
        listener = service.listener(str(filled.pop("listener")))
        filled |= {"address": context.bind(service.name, listener.name), "port": listener.port, "protocol": listener.protocol}
    return {"kind": probe.kind, "says": probe.says, **({} if probe.restart_cures else {"restart_cures": False}), **filled}
