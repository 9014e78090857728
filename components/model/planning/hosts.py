"""Hosts that are given: which node stands on which, and what is wrong with them as far as the stack file tells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from components.model.catalogue.tiers import Role
from components.model.given_hosts import ACCEPT, Host, read_address
from components.model.host_checks import CHECKS, NEVER_ACCEPTED
from components.model.machine import Public
from components.model.planning.addresses import PRIVATE
from components.model.planning.check_shape import explain_count, unknown_role
from components.model.planning.draft import Draft
from components.model.problems import Problem, setting_problem
from components.model.settings import Settings

EXAMPLE = "{address: 203.0.113.10, private_address: 10.20.0.10, role: ROLE}"
HOST_KEY = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d{3}) [A-Za-z0-9+/]{40,}={0,3}( .*)?")
STABLE = re.compile(r"/dev/(disk/by-|mapper/|[^/]+/[^/]+$)")
"""Names of devices that stay at a restart: links of udev, LVM."""


def list_hosts(settings: Settings, role: str) -> list[Host]:
    """List the hosts of a role, the first node's first."""
    return [host for host in settings.hosts if host.role == role]


def find_host(settings: Settings, role: str, n: int) -> Host:
    """Return the host of a role's n-th node (from 1)."""
    return list_hosts(settings, role)[n - 1]


def is_directory(device: str) -> bool:
    """Return whether the place of a node's data is a directory, on whatever disk that is."""
    return not device.startswith("/dev/")


def check_hosts(draft: Draft) -> Iterator[Problem]:
    """Find hosts that are missing, cannot be told apart, or do not say where their data go."""
    settings, facts = draft.settings, draft.facts
    if not facts.given:
        if settings.hosts:
            yield setting_problem(
                "hosts", f"{len(settings.hosts)}", f"{facts.title} makes its machines itself; remove them, or use onprem"
            )
        return
    roles = {role.name: role for role in draft.tier.roles}
    for name, role in roles.items():
        yield from check_number(draft, role, len(list_hosts(settings, name)))
    for number, host in enumerate(settings.hosts, 1):
        if host.role not in roles:
            yield setting_problem(f"hosts.{number}.role", host.role, unknown_role(host.role, draft.tier))
        else:
            yield from check_host(draft, f"hosts.{number}", host, roles[host.role])
    yield from check_twice(settings)
    yield from check_kinds(draft)


def check_number(draft: Draft, role: Role, has: int) -> Iterator[Problem]:
    """Find a role with fewer hosts than nodes, or with as many as it cannot have."""
    wanted = draft.settings.counts.get(role.name, has or role.count)
    example = EXAMPLE.replace("ROLE", role.name)
    if has < wanted:
        lacking = wanted - has
        yield setting_problem(
            "hosts",
            f"{has} of role {role.name}",
            f"{wanted} {'is' if wanted == 1 else 'are'} needed; add {lacking} such as {example}",
        )
    elif role.name not in draft.settings.counts and (why := explain_count(role, has, draft.catalogue)):
        yield setting_problem("hosts", f"{has} of role {role.name}", why)


def check_host(draft: Draft, name: str, host: Host, role: Role) -> Iterator[Problem]:
    """Find what is wrong with one host."""
    private = read_address(host.private)
    if private is None:
        yield setting_problem(f"{name}.private_address", "", f"{host.host} is a name; write the address too, such as 10.20.0.10")
    elif private not in draft.network:
        yield setting_problem(
            f"{name}.private_address", private, f"not in webitel:network {draft.network}; remove that, or use one inside it"
        )
    elif not is_private_host(host) and len(draft.settings.hosts) > 1:
        yield setting_problem(
            f"{name}.private_address",
            private,
            "the nodes would speak to each other over the internet; give the hosts a private network, such as 10.20.0.0/24",
        )
    if draft.public_of(role.name) is Public.SERVICE and read_address(host.public) is None:
        yield setting_problem(
            f"{name}.public_address", "", f"{host.host} is a name, and phones need an address; write it, such as 203.0.113.10"
        )
    for check in host.accepts:
        if check not in CHECKS or check in NEVER_ACCEPTED:
            why = "nobody can take that upon himself" if check in CHECKS else "no check of `./webitel hosts check`"
            yield setting_problem(f"{name}.accepts", check, f"{why}; remove it, or use one such as memory")
    if host.host_key not in ("", ACCEPT) and not HOST_KEY.fullmatch(host.host_key):
        yield setting_problem(
            f"{name}.host_key", host.host_key, f"not a host key; use one such as ssh-ed25519 AAAA..., or {ACCEPT}"
        )
    purposes = [one for one in draft.disks_of(role) if one != "boot"]
    for purpose in purposes:
        if purpose not in host.devices:
            yield setting_problem(
                f"{name}.devices.{purpose}",
                "",
                "say where the data go: an empty disk such as /dev/disk/by-id/..., or a directory such as "
                f"/srv/webitel/{purpose}",
            )
    for purpose, device in host.devices.items():
        setting = f"{name}.devices.{purpose}"
        if purpose not in purposes:
            has = " and ".join(purposes) or "none"
            yield setting_problem(setting, device, f"{role.name} has no disk for that purpose (it has {has}); remove it")
        elif not re.fullmatch(r"/[^\s/][^\s]*", device) or ".." in device.split("/"):
            yield setting_problem(setting, device, "neither a device nor a directory; use one such as /dev/disk/by-id/...")
    if len(set(host.devices.values())) < len(host.devices):
        yield setting_problem(f"{name}.devices", next(iter(host.devices.values())), "stands twice; every purpose has its own")


def is_private_host(host: Host) -> bool:
    """Return whether the host's address among the hosts is a private one."""
    address = read_address(host.private)
    return address is not None and any(address in network for network in PRIVATE)


def check_twice(settings: Settings) -> Iterator[Problem]:
    """Find hosts that stand in the list twice."""
    for field in ("address", "private"):
        for value, times in Counter(getattr(host, field) for host in settings.hosts).items():
            if times > 1:
                numbers = [str(number) for number, host in enumerate(settings.hosts, 1) if getattr(host, field) == value]
                name = "address" if field == "address" else "private_address"
                yield setting_problem(f"hosts.{numbers[-1]}.{name}", value, f"hosts {' and '.join(numbers)} have it; one each")
                return


def check_kinds(draft: Draft) -> Iterator[Problem]:
    """Find hosts reached from outside of which some are behind a router's translation and others are not."""
    reached = [
        (number, host)
        for number, host in enumerate(draft.settings.hosts, 1)
        if host.role in draft.machines and draft.public_of(host.role) is Public.SERVICE
    ]
    kinds = {number: (host.translated, host.public != host.private) for number, host in reached}
    for number, host in reached:
        if host.translated and host.public == host.private:
            yield setting_problem(
                f"hosts.{number}.translated", "true", "then public_address is another one than private_address; say it"
            )
    if len(set(kinds.values())) > 1:
        yield setting_problem(
            "hosts",
            ", ".join(host.address for _, host in reached),
            "hosts that are reached from outside have their public address all in the same way: all translated, all with an "
            "address of their own beside the private one, or all with one address",
        )


def warn_of_hosts(draft: Draft) -> Iterator[str]:
    """Find what is allowed and should be known."""
    if not draft.facts.given:
        return
    for number, host in enumerate(draft.settings.hosts, 1):
        for purpose, device in host.devices.items():
            setting = f"webitel:hosts.{number}.devices.{purpose} = {device}"
            if is_directory(device):
                yield f"{setting}: a directory shares the fate of the disk that it is on"
            elif not STABLE.match(device):
                yield (
                    f"{setting}: may be another disk after a restart; it is found again by its file system, but name it such as "
                    "/dev/disk/by-id/..."
                )
        if host.host_key == ACCEPT:
            yield f"webitel:hosts.{number}.host_key = {ACCEPT}: whichever machine answers at {host.address} first is taken for it"
    for role in draft.tier.roles:
        has = len(list_hosts(draft.settings, role.name))
        if has > draft.counts[role.name]:
            used = draft.counts[role.name]
            yield f"webitel:hosts has {has} of role {role.name}, and webitel:counts uses {used}: the last stand idle"
