"""Everything that can be wrong with a deployment's settings, each rule a function of the draft."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from components.model.acme import check_order
from components.model.alerting import check_alerting
from components.model.backup import check_backup
from components.model.calls import check_calls, check_carrier_profiles
from components.model.clouds.machines import check_machine_type
from components.model.mesh import check_mesh
from components.model.naming import explain_name, node_name
from components.model.planning.audio import choose_default
from components.model.planning.check_limits import (
    check_disk_limits,
    check_network_numbers,
    check_number_of_nodes,
    check_stack_name,
)
from components.model.planning.check_logins import check_operator_accounts, check_operator_keys, check_ssh_authorities
from components.model.planning.check_metrics import check_metrics
from components.model.planning.check_shape import (
    check_counts,
    check_disk_sizes,
    check_leaving,
    check_network,
    check_private_only,
    check_public_network,
    unknown_role,
)
from components.model.planning.check_site import check_site
from components.model.planning.check_values import (
    check_bastion,
    check_budget,
    check_certificate,
    check_disk_key,
    check_domain,
    check_grafana_reads,
    check_image,
    check_mirror,
    check_networks,
    check_place,
    check_repository_keys,
    check_reverse_dns,
    check_rotation,
    check_tags,
    check_time_zone,
    check_update_window,
    check_versions,
    check_web_names,
    check_zone,
)
from components.model.planning.disks import check_kept
from components.model.planning.draft import Draft
from components.model.planning.existing import check_existing_network
from components.model.planning.hosts import check_hosts
from components.model.planning.log_target import check_log_target
from components.model.planning.placement import find_clashes
from components.model.planning.zones import check_zones
from components.model.problems import Problem, setting_problem
from components.model.share import check_share
from components.model.standby import check_standby

Check = Callable[[Draft], Iterator[Problem]]


def check_machine_types(draft: Draft) -> Iterator[Problem]:
    """Find machine types of unknown roles, or that a role cannot have."""
    roles = {role.name: role for role in draft.tier.roles}
    for name in (
        *(name for name in roles if name in draft.settings.machine_types),
        *(name for name in draft.settings.machine_types if name not in roles),
    ):
        machine = draft.settings.machine_types[name]
        if name not in roles:
            yield setting_problem(f"machine_types.{name}", machine, unknown_role(name, draft.tier))
        elif machine:
            fit = choose_default(draft.facts, draft.tier, name, draft.region, draft.catalogue)
            if problem := check_machine_type(draft.facts, name, machine, fit, draft.region):
                yield problem


def check_name(draft: Draft) -> Iterator[Problem]:
    """Find a stack name that makes no valid node name."""
    longest = max((node_name(draft.stack, role, count) for role, count in draft.counts.items()), key=len)
    if why := explain_name(longest):
        yield Problem("stack name", draft.stack, f"{why}; use a name such as aws-basic")
    else:
        yield from check_stack_name(draft)


def check_clashes(draft: Draft) -> Iterator[Problem]:
    """Find services of one node that want the same address and port: a mistake in the catalogue."""
    yield from dict.fromkeys(
        Problem("", "", f"the catalogue is broken: {text}")
        for services in dict.fromkeys(draft.placed.values())
        for text in find_clashes(services, draft.catalogue)
    )


CHECKS: tuple[Check, ...] = (
    check_machine_types,
    check_name,
    check_counts,
    check_standby,
    check_mesh,
    check_number_of_nodes,
    check_disk_sizes,
    check_disk_limits,
    check_hosts,
    check_network,
    check_public_network,
    check_private_only,
    check_existing_network,
    check_site,
    check_leaving,
    check_kept,
    check_domain,
    check_web_names,
    check_certificate,
    check_order,
    check_grafana_reads,
    check_log_target,
    check_alerting,
    check_metrics,
    check_backup,
    check_zone,
    check_place,
    check_zones,
    check_bastion,
    check_budget,
    check_disk_key,
    check_reverse_dns,
    check_tags,
    check_image,
    check_networks,
    check_network_numbers,
    check_calls,
    check_carrier_profiles,
    check_time_zone,
    check_operator_keys,
    check_operator_accounts,
    check_ssh_authorities,
    check_mirror,
    check_share,
    check_repository_keys,
    check_update_window,
    check_versions,
    check_rotation,
    check_clashes,
)
"""In the order in which their problems are told."""
