"""What a deployment on a simulated cloud must look like: problems, each a line, none where all is as the plan says."""

from __future__ import annotations

import base64
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network

from cloud_init.compose import compose_user_data
from cloud_init.sent import encode
from components.clouds.registry import CLOUDS
from components.model.catalogue.services import CATALOGUE
from components.model.catalogue.tiers import TIERS
from components.model.clouds.facts import PublicAddress
from components.model.machine import Public
from components.model.naming import disk_name
from components.model.plan import Node, Plan
from components.model.planning.check_shape import clustered_roles
from components.model.planning.firewall import ANYWHERE
from components.model.settings import Settings
from tests.clouds.conformance.program import Registration
from tests.simulator.case import Seen, Types, identity, load_case
from tests.simulator.openings import find_reach_problems
from tests.simulator.world import World

CONFIGURATION = "webitel:index:NodeConfiguration"
HEALTH = "webitel:index:Health"
SECRETS = "webitel:index:Secrets"


TYPES: Mapping[str, Types] = {name: load_case(name).types for name, cloud in CLOUDS.items() if cloud.real}


def find_world_problems(plan: Plan, settings: Settings, world: World) -> Iterator[str]:
    """What differs between the machines of the plan and those that exist, and who reaches whom."""
    seen = {machine.name: machine for machine in load_case(plan.cloud).see(world)}
    expected = {node.name for node in plan.nodes}
    if seen.keys() != expected:
        yield f"machines: {sorted(seen)} instead of {sorted(expected)}"
        return
    for node in plan.nodes:
        for what, wanted, found in compare(plan, node, settings, seen[node.name]):
            if wanted != found:
                yield f"{node.key}: {what} is {show(found)}, not {show(wanted)}"
    wanted = Counter(f"{node.key}-{disk.purpose}" for node in (*plan.nodes, *plan.kept) for disk in node.disks if disk.is_data)
    if wanted != (found := Counter(disk.urn.rpartition("::")[2] for disk in TYPES[plan.cloud].list_disks(world))):
        yield f"data disks: {sorted(found.elements())} instead of {sorted(wanted.elements())}"
    for what in ("private_address", "public_address"):
        for address, times in Counter(getattr(machine, what) for machine in seen.values()).items():
            if address and times > 1:
                yield f"{what} {address} is of {times} machines"
    yield from find_not_apart(plan, seen)
    yield from find_wrong_ways(plan, world, seen)
    if plan.facts.firewalls:
        yield from find_reach_problems(plan, world)


HOST_KEY = "ssh_keys:\n  ed25519_private: |\n"


def read_sent(sent: object) -> tuple[str, str]:
    """What cloud-init gets of user data as sent: without a throw-away host key, and that."""
    # Whatever is around it (nothing, MIME, a script), the longest block of such lines is it.
    packed = re.findall(r"(?:^[A-Za-z0-9+/=]+$\n?)+", str(sent), re.MULTILINE)
    try:
        text = gzip.decompress(base64.b64decode(max(packed, key=len, default="").removesuffix("END\n"))).decode()
    except (EOFError, OSError, ValueError, zlib.error) as error:
        return f"what cloud-init cannot read: {error}", ""
    before, found, key = text.partition(HOST_KEY)
    return before, found and key


def compare(plan: Plan, node: Node, settings: Settings, machine: Seen) -> Iterator[tuple[str, object, object]]:
    """What of a machine, as it should be and as it is."""
    yield "machine type", node.machine_type.name, machine.machine_type
    text, host_key = read_sent(machine.user_data)
    decoded = compose_user_data(plan, node, settings).decoded
    yield "user data", decoded, text
    # What is around it too: a script that lost its end still holds the text.
    yield "user data as sent", encode(f"{decoded}{HOST_KEY}{host_key}", plan.facts), machine.user_data
    yield "a host key of its own", True, host_key != ""
    yield "data disks", {disk_name(node.name, disk.purpose): disk.size_gib for disk in node.disks if disk.is_data}, machine.disks
    if plan.facts.public_address is not PublicAddress.PRIVATE:
        yield "public address", node.public is not Public.NO, machine.public_address is not None
    yield "running", True, machine.runs
    if machine.untracked is not None:
        listeners = {(name, one.name): one for name in node.services for one in CATALOGUE[name].listeners}
        audio = {
            (opening.protocol, opening.ports)
            for opening in plan.openings
            if opening.role == node.role
            and ANYWHERE in opening.sources
            and not listeners[opening.service, opening.listener].tracked
        }
        yield "audio that the firewall tracks", set(), audio - machine.untracked
    yield "told an SSH key", True, machine.lets_in
    yield "more public addresses", (), machine.more_addresses
    yield "place in the region", True, machine.place.startswith(plan.region)
    if node.zone:
        yield "zone", node.zone, machine.place.removeprefix(plan.region).removeprefix("-")
    if node.public is Public.NO and plan.slots.get(node.zone) is not None:
        yield "zone of its way out", machine.place, machine.way_out
    # Of all roles where the network is not the deployment's alone: else they are of everybody in it, and worn by nobody.
    of_all = {f"{plan.stack}-{name}" for name in ("in", "out", "out-network")} if plan.existing else set()
    worn_by_role = [name for name in machine.firewalls if name not in of_all]
    yield (
        "firewalls of its role only",
        True,
        bool(worn_by_role) is plan.facts.firewalls
        and all(f"{name}-".startswith(f"{plan.stack}-{node.role}-") for name in worn_by_role),
    )
    yield (
        "place in the network",
        True,
        any(IPv4Address(machine.private_address) in IPv4Network(network) for network in plan.networks),
    )
    if node.private_address:
        yield "private address", node.private_address, machine.private_address
    if machine.boot_gib is not None:
        yield "boot disk", next(disk.size_gib for disk in node.disks if not disk.is_data), machine.boot_gib
    if machine.boot_iops is not None:
        asked = max(CATALOGUE[name].boot_iops for name in node.services)
        yield f"speed of the boot disk, {machine.boot_iops} IOPS", True, machine.boot_iops >= asked
    if machine.data_iops is not None:
        asked = TIERS[plan.tier].role(node.role).size.iops
        yield f"speed of data disks, {machine.data_iops} IOPS", True, machine.data_iops >= asked
    for what in ("encrypted", "guarded", "tokens_only"):
        if getattr(machine, what) is not None:
            yield what, True, getattr(machine, what)
    worn = " ".join(machine.labels)
    yield "labels with stack and role", True, plan.stack in worn and node.role in worn.replace(plan.stack, "")


def find_not_apart(plan: Plan, seen: Mapping[str, Seen]) -> Iterator[str]:
    """Nodes of a role in one zone that nothing keeps on different hosts; members of a cluster are in one group."""
    clustered = clustered_roles(TIERS[plan.tier], CATALOGUE)
    by_itself = load_case(plan.cloud).apart
    for role in plan.roles:
        members = [seen[node.name] for node in plan.nodes if node.role == role]
        for place in dict.fromkeys(machine.place for machine in members):
            together = [machine for machine in members if machine.place == place]
            groups = {machine.apart for machine in together}
            if len(together) < 2 or None in groups or (by_itself and role not in clustered):
                continue
            seats = [machine.seat for machine in together if machine.seat is not None]
            if role in clustered and len(seats) != len(set(seats)):
                yield f"{role}: several of its nodes are in one place of their group in {place}: {sorted(seats)}"
            if "" in groups or (role in clustered and len(groups) > 1):
                yield f"{role}: nothing keeps its nodes apart in {place}: groups {sorted(filter(None, groups))}"


def find_wrong_ways(plan: Plan, world: World, seen: Mapping[str, Seen]) -> Iterator[str]:
    """Configurations that were told another machine, address or disk than the node's."""
    ids = {thing.urn.rpartition("::")[2]: thing for thing in TYPES[plan.cloud].list_machines(world)}
    told = {thing.inputs["node"]: thing.inputs for thing in world.all(CONFIGURATION)}
    for node in plan.nodes:
        inputs, machine = told.get(node.name), seen[node.name]
        if inputs is None:
            yield f"{node.key}: has no configuration"
            continue
        thing = ids[node.key]
        if str(inputs["machine_id"]) not in {identity(thing), *thing.list_names()}:
            yield f"{node.key}: its configuration is for machine {inputs['machine_id']}"
        reached = node.public is Public.SERVICE and plan.facts.public_address is not PublicAddress.PRIVATE
        address = machine.public_address if reached else machine.private_address
        if inputs["address"] != address:
            yield f"{node.key}: SSH goes to {inputs['address']}, not to {address}"
        purposes = {disk.purpose for disk in node.disks if disk.is_data}
        devices = {purpose: machine.devices.get(disk_name(node.name, purpose)) for purpose in purposes}
        if inputs["devices"] != devices:
            yield f"{node.key}: its disks are {devices}, it is told {inputs['devices']}"


def find_option_problems(plan: Plan, registrations: Sequence[Registration]) -> Iterator[str]:
    """What a resource is registered with beside its inputs: protection, order, what may replace it; and secrets."""
    types = TYPES[plan.cloud]
    serving = {node.key for node in plan.nodes if node.public is Public.SERVICE}
    # A machine with data that goes with it is kept like a disk.
    holding = {node.key for node in plan.nodes if node.has_data} if plan.facts.disks_in_machine else set()
    for one in registrations:
        holds = types.is_machine(one.type, one.name) and one.name in holding
        kept = types.is_disk(one.type, one.name) or one.type == SECRETS or (one.type == types.addresses and one.name in serving)
        kept |= holds
        if kept and not one.protect:
            yield f"{one.name}: {one.type} is not protected"
        guarded = one.type in types.guarded and (holds or not types.is_machine(one.type, one.name))
        if guarded and not one.given.get(types.guard):
            yield f"{one.name}: {one.type} is not protected by the cloud"
        if one.given.get(types.guard) and not kept:
            yield f"{one.name}: the cloud refuses its deletion, and nobody lifts that"
        for needed in load_case(plan.cloud).needed:
            if one.type == needed.type and needed.is_of(types, one.name) and needed.find_wrong(one.given):
                yield f"{one.name}: {needed.path} is not as needed ({needed.value}): {needed.otherwise}"
        for (type, end), inputs in types.parts.items():
            if one.type == type and one.name.endswith(end) and (missing := set(inputs) - set(one.ignore_changes)):
                yield f"{one.name}: a change of {', '.join(sorted(missing))} makes the machine anew"
        if types.is_disk(one.type, one.name) and (missing := set(types.kept_inputs) - set(one.ignore_changes)):
            yield f"{one.name}: a change of {', '.join(sorted(missing))} makes the disk anew, empty"
        if one.type == types.attachments and not one.delete_before_replace:
            yield f"{one.name}: the end of an attachment may undo its successor"
        if types.is_machine(one.type, one.name):
            if missing := set(types.at_creation) - set(one.ignore_changes):
                yield f"{one.name}: a change of {', '.join(sorted(missing))} replaces or breaks the machine"
            if not one.delete_before_replace:
                yield f"{one.name}: its successor is made before it is gone"
        if one.type == types.keys and ("name" in one.given or "keyName" in one.given or one.delete_before_replace):
            yield f"{one.name}: an SSH key with a fixed name goes before its successor comes, and with it the machines"
    yield from find_leaks(registrations)


def find_leaks(registrations: Sequence[Registration]) -> Iterator[str]:
    """Secret values in inputs that nobody marked as secret."""
    values = [value for one in registrations if one.type == SECRETS for value in one.secret_values if len(value) > 8]
    for one in registrations:
        for path, text in walk(one.given):
            if any(value in text for value in values) and not any(path[: len(marked)] == marked for marked in one.secret_paths):
                yield f"{one.name}: {one.type} has a secret in {'.'.join(map(str, path))}"


def walk(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every text inside a value with its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from walk(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk(item, (*path, index))


def show(value: object, longest: int = 60) -> str:
    """A value for a line of text."""
    text = repr(value)
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text)} characters)"
