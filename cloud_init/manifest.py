"""What the node program needs to know about its node: units, services with their probes, clusters, disks, versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NotRequired, TypedDict, cast

from cloud_init.bundles import StandIns
from cloud_init.context import Context, address_placeholder
from cloud_init.node.health.figures import describe
from cloud_init.node.manifest import (
    CandidateEntry,
    DirectoryEntry,
    Manifest,
    MemberEntry,
    MeshEntry,
    PortsEntry,
    ProbeEntry,
    ServiceEntry,
    ShareEntry,
    UnitEntry,
)
from cloud_init.versions import main_units, wanted_versions
from components.model.backup import RCLONE, read_bucket
from components.model.catalogue.node import MESH
from components.model.catalogue.service import DataDirectory, OnChange, Probe, Service
from components.model.catalogue.services import called_service
from components.model.catalogue.standby import ADDRESS, hands_over_first
from components.model.clouds.facts import PublicAddress
from components.model.mesh import PUBLIC, list_apart
from components.model.naming import SIP
from components.model.secret_specs import SECRETS
from components.model.share import SHARE, Share


def at_next_start(service: Service) -> str:
    """Return what a changed drop-in does: a unit that would reload keeps running, since the drop-in counts at its next start."""
    keeps = service.on_change in (OnChange.NOTHING, OnChange.RELOAD)
    return "refresh" if keeps else service.on_change.value


def list_actions(on_change: str | list[str]) -> list[str]:
    """List what a fragment says about a change: one action, several, or `nothing`."""
    if isinstance(on_change, list):
        return on_change
    return [] if on_change == "nothing" else [on_change]


def actions(context: Context, service: Service, on_change: str | list[str] | None) -> list[str]:
    """List what a changed file does, such as `["reload nginx"]`; the fragment may say it, else the catalogue does."""
    if on_change is not None:
        return list_actions(on_change)
    if service.on_change == OnChange.NOTHING:
        return []
    return [f"{service.on_change.value} {unit}" for unit in main_units(service, context.source)]


class UnitSettings(TypedDict):
    """What a fragment says about a unit: what it waits for, and lines for `[Unit]` and `[Service]`."""

    waits: NotRequired[list[str]]
    unit: NotRequired[list[str]]
    service: NotRequired[list[str]]
    oneshot: NotRequired[bool]


def list_units(context: Context, service: Service, settings: Mapping[str, UnitSettings]) -> list[UnitEntry]:
    """List the service's units with what each waits for, and what the fragment adds to `[Unit]` and `[Service]`."""
    called = [called_service(call) for call in service.calls]
    waits = [name for name, one in context.catalogue.items() if one.awaited and name in called and name != service.name]
    unknown = set(settings) - set(service.units_from(context.source))
    if unknown:
        raise ValueError(f"services/{service.name}.yaml.j2 has settings for {sorted(unknown)}, which the catalogue lacks")
    mounts = sorted({context.mount(directory.disk) for directory in service.data})
    units: list[UnitEntry] = []
    for name in service.units_from(context.source):
        own = settings.get(name, UnitSettings())
        unit: UnitEntry = {
            "name": name,
            "service": service.name,
            "mounts": mounts,
            "waits": own.get("waits", waits),
            "unit_lines": own.get("unit", []),
            "service_lines": own.get("service", []),
            "oneshot": own.get("oneshot", False),
        }
        if moves(context, service):
            unit["moves"] = True
        if service.name in context.speaking:
            unit["speaks_outside"] = True
        units.append(unit)
    return units


def make_manifest(
    context: Context,
    units: list[UnitEntry],
    bundle_actions: dict[str, list[str]],
    sandbox: StandIns,
) -> Manifest:
    """Put together all that the node program needs to know. `bundle_actions`: what a new version of a bundle does to the
    services that read it."""
    manifest: Manifest = {
        "node": context.node.name,
        "time_zone": context.settings.time_zone,
        "key": context.node.key,
        "id": context.instance_id,
        "stack": context.plan.stack,
        "packages": context.packages.list_at_boot() + context.packages.list_later(),
        "disks": [
            {"purpose": disk.purpose, "mount": context.mount(disk.purpose), "size_gib": disk.size_gib}
            for disk in context.node.disks
            if disk.is_data
        ],
        "directories": [describe_directory(directory) for service in context.services for directory in service.data],
        "clusters": {service.name: members(context, service) for service in context.services if service.cluster_sizes},
        "address": context.address(),
        "drain_timeout": context.settings.drain_timeout,
        "install_units": context.packages.list_units(),
        "probe_secrets": [name for name, spec in SECRETS.items() if spec.probed and name in context.secrets()],
        "services": [describe_service(context, service) for service in context.services],
        "versions": wanted_versions(context.services, context.source, context.settings.package_versions, sandbox),
        "ports": list_ports(context),
        "units": units,
        "bundle_actions": bundle_actions,
        "parts": context.packages.list_parts(),
        "renewed": context.packages.list_renewed(),
    }
    if context.here(ADDRESS):
        manifest["sip_address"] = context.plan.sip_address
        if context.cloud.moved_by_cloud:
            manifest["address_move"] = {
                "by": context.cloud.address_moves.value,
                "public": context.sip_outside,
                "handle": address_placeholder(SIP, "handle"),
            }
            if context.cloud.public_address is PublicAddress.OWN:
                manifest["address_move"]["beside"] = context.address(kind="public")
    if context.here(MESH.name):
        manifest["mesh"] = describe_mesh(context)
    if context.share:
        manifest["share"] = describe_share(context, context.share)
    if context.here("opensips"):
        manifest["emergency_numbers"] = list(context.settings.emergency_numbers)
    if context.settings.operator_accounts:
        manifest["operators"] = sorted(context.settings.operator_accounts)
    bucket = read_bucket(context.settings, context.cloud)
    if bucket and context.here("postgresql"):
        given = context.settings.backup
        manifest["backup"] = {
            "stack": context.plan.stack,
            "host": bucket.host,
            "port": bucket.port,
            "at": given.at,
            "full_days": given.full_days,
            "verify_days": given.verify_days,
        }
    if bucket and (service := next((one for one in context.services if RCLONE in one.packages), None)):
        manifest["backup_files"] = {
            "host": bucket.host,
            "port": bucket.port,
            "folder": service.data[0].path,
            "unit": service.units_from(context.source)[0],
            "days": context.settings.backup.recordings_days,
        }
    if context.node.leaving:
        manifest["leaving"] = True
    if context.cloud.given:
        manifest["given"] = True
    if users := {service.account.name: service.account.number for service in context.services if service.account}:
        manifest["users"] = users
    if context.plan.facts.largest_packet and not context.plan.existing:  # a company's network may carry larger ones
        manifest["largest_packet"] = context.plan.facts.largest_packet
    return manifest


def describe_mesh(context: Context) -> MeshEntry:
    """Describe the mesh: the other nodes, with what each is known by, and what goes past it."""
    return {
        "port": MESH.listeners[0].port,
        "sends": context.settings.mesh_sends,
        "peers": [
            {"key": node.key, "address": context.address(node), "public": address_placeholder(node.key, PUBLIC)}
            for node in context.plan.nodes
            if node is not context.node
        ],
        "apart": [{"protocol": one.protocol, "ports": str(one.ports)} for one in list_apart(context.settings, context.catalogue)],
    }


def describe_directory(directory: DataDirectory) -> DirectoryEntry:
    """Describe a directory that must outlive the machine."""
    entry: DirectoryEntry = {"path": directory.path, "owner": directory.owner, "mode": directory.mode, "disk": directory.disk}
    if directory.changed_owner:
        entry["changed_owner"] = True
    return entry


def list_ports(context: Context) -> PortsEntry:
    """List the ports that the node program itself asks, by `<service>_<listener>`."""
    names = {key: key.split("_", 1) for key in PortsEntry.__annotations__}
    return cast(PortsEntry, {key: context.port(service, listener) for key, (service, listener) in names.items()})


def describe_service(context: Context, service: Service) -> ServiceEntry:
    """Describe a service with its units and its probes."""
    probes = [fill_probe(context, service, probe) for probe in service.probes]
    if len({tuple(describe(probe).items()) for probe in probes}) < len(probes):
        raise ValueError(f"{service.name}: two probes make one figure for Prometheus; have `says` or an argument tell them apart")
    entry: ServiceEntry = {
        "name": service.name,
        "title": service.title,
        "units": list(service.units_from(context.source)),
        "probes": probes,
        "restarts_when_deaf": service.restarts_when_deaf,
    }
    if "freeswitch.grpc" in service.calls:
        entry["calls_freeswitch"] = True
    if moves(context, service):
        entry["candidates"] = candidates(context, service)
        if service.moves_with:
            entry["lock"] = service.moves_with
        if hands_over_first(service):
            entry["hands_over_first"] = True
    return entry


def describe_share(context: Context, share: Share) -> ShareEntry:
    """Describe the share: where it is mounted, and by which systemd unit."""
    return {"source": share.source, "mount": context.mount(SHARE), "unit": context.mount_unit(SHARE)}


def members(context: Context, service: Service) -> list[MemberEntry]:
    """List the nodes that form a service's cluster and stay in it, in the order of the plan."""
    return [{"key": node.key, "name": node.name, "address": context.address(node)} for node in context.plan.serving(service.name)]


def moves(context: Context, service: Service) -> bool:
    """Tell whether a lock decides where the service runs: another node of this role may run it instead, or soon will."""
    return service.moves and (service.locked_alone or len(context.plan.candidates(service.name, context.node)) > 1)


def candidates(context: Context, service: Service) -> list[CandidateEntry]:
    """List the nodes between which a service moves, this one included."""
    found: list[CandidateEntry] = []
    for node in context.plan.candidates(service.name, context.node):
        found.append({"key": node.key, "address": context.address(node)})
        if node.leaving:
            found[-1]["leaving"] = True
    return found


def fill_probe(context: Context, service: Service, probe: Probe) -> ProbeEntry:
    """Put the node's addresses, ports and numbers into a probe; a ValueError names an argument that the node does not know."""
    filled: dict[str, str | int] = {
        key: value.replace("{id}", str(context.identity(service))).replace("{hostname}", context.host_name)
        if isinstance(value, str)
        else value
        for key, value in probe.arguments.items()
    }
    if "listener" in filled:
        listener = service.listener(str(filled.pop("listener")))
        filled |= {"address": context.bind(service.name, listener.name), "port": listener.port, "protocol": listener.protocol}
    entry = {"kind": probe.kind, "says": probe.says, **({} if probe.restart_cures else {"restart_cures": False}), **filled}
    if unknown := entry.keys() - ProbeEntry.__annotations__.keys():
        raise ValueError(f"{service.name}: the probe {probe.kind} has {', '.join(sorted(unknown))}, which no node knows")
    # The names are checked above, their values' types by a test over the whole catalogue.
    return cast(ProbeEntry, entry)
