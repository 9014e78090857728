"""What is wrong with the place on a hypervisor: addresses that no node can use, and what there is no hypervisor for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from components.model.machine import Public
from components.model.naming import mac_address
from components.model.planning.addresses import gateway_of
from components.model.planning.draft import Draft
from components.model.problems import Problem, setting_problem
from components.model.site import EVERYWHERE, Site
from components.model.standby import find_role, has_address


def check_site(draft: Draft) -> Iterator[Problem]:
    """Find a place where none is asked for, a router outside the network, public addresses of nodes that have none."""
    site, facts = draft.settings.site, draft.facts
    if not facts.made_to_measure:
        if site != Site():
            yield setting_problem("site", "given", f"{facts.title} is no hypervisor of yours; remove the setting")
        return
    for name in Site.model_fields:
        if name not in (*EVERYWHERE, *facts.site_uses) and getattr(site, name) != getattr(Site(), name):
            why = f"of no use on {facts.title}; remove it (docs/operate/{facts.name}.md)"
            yield setting_problem(f"site.{name}", "given", why)
    gateway = site.gateway or gateway_of(draft.network)
    if gateway not in draft.network:
        yield setting_problem(
            "site.gateway",
            gateway,
            f"not in webitel:network = {draft.network}; use its router, such as {gateway_of(draft.network)}",
        )
    if "://" in draft.settings.image and not site.image_checksum:
        why = "needed for webitel:image, whose text is Debian's SHA512SUMS beside it; set it to the one of that file"
        yield setting_problem("site.image_checksum", "", why)
    if facts.has_endpoints:
        yield from check_endpoints(draft)
    reached = {f"{role}-{n}" for role, n in draft.placed if draft.public_of(role) is Public.SERVICE}
    for key, address in site.public_addresses.items():
        if key not in reached:
            able = ", ".join(sorted(reached))
            yield setting_problem(
                f"site.public_addresses.{key}", address, f"no node that is reached from outside; those are {able}"
            )
    if site.public_addresses:
        for key in sorted(reached - site.public_addresses.keys()):
            yield setting_problem(
                f"site.public_addresses.{key}",
                "",
                "every node reached from outside needs one, or none has; use 203.0.113.5 or the like",
            )
    # Nodes that take turns have one together.
    turns = find_role(draft.tier) if has_address(draft.settings) else None
    owners = {
        (turns.name if turns and key.rpartition("-")[0] == turns.name else key, one) for key, one in site.public_addresses.items()
    }
    for address, times in Counter(one for _, one in owners).items():
        if times > 1:
            yield setting_problem("site.public_addresses", address, f"stands there for {times} nodes; each needs one of its own")
    if facts.mac_prefix:
        macs = Counter(mac_address(facts.mac_prefix, draft.stack, f"{role}-{n}") for role, n in draft.placed)
        if twice := [one for one, times in macs.items() if times > 1]:
            yield Problem("stack name", draft.stack, f"two of its nodes would have the MAC address {twice[0]}; use another name")


def check_endpoints(draft: Draft) -> Iterator[Problem]:
    """Find hosts that nobody says how to reach, and two that are the same one."""
    hosts, package = draft.settings.site.hosts, draft.facts.package
    bare = [zone for zone in dict.fromkeys(draft.zone_of(role, n) for role, n in draft.placed) if zone not in hosts]
    for zone in bare[1:]:
        why = f"without an endpoint, as is {bare[0]}, and only one host is at {package}:uri; use qemu+ssh://root@{zone}/system"
        yield setting_problem(f"site.hosts.{zone}", "", why)
    for endpoint, times in Counter(hosts.values()).items():
        if times > 1:
            yield setting_problem("site.hosts", endpoint, f"stands there for {times} hosts; each has one of its own")
