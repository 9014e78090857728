"""`doctor` on a cloud: credentials, machine types, quotas, the domain, the state; asked at the same time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence

from cli.cloud.check import Check
from cli.cloud.credentials import Found, find_credentials
from cli.cloud.questions import ANSWERS_SECONDS, Answers, ask_cloud, find_obstacle, read_provider_config
from components.model.catalogue.tiers import TIERS, is_voice
from components.model.clouds.machines import choose_machine_type, describe_machine_type
from components.model.clouds.offers import Offers, Quota
from components.model.plan import Node, Plan
from components.model.planning.draft import tier_size

NAME_SECONDS = 10.0
"""For a name server's answer."""
MEANT = {"offers": "machine types", "quotas": "quota"}
"""Questions by another name than what they are about."""


def check_cloud(plan: Plan, documentation: set[str], *, rest: str = "", seconds: float = 0) -> Iterator[Check]:
    """Check what a deployment on a cloud needs there. `documentation` are settings that are examples still, so not asked for.
    Changes nothing; takes at most `seconds`. `rest` is another address of the cloud's REST interface."""
    found = find_credentials(plan.facts, read_provider_config(plan))
    name = None if "domain" in documentation else Name(plan.domain)
    answers = None
    obstacle = "" if found.missing else find_obstacle(plan)
    if not found.missing and not obstacle:
        answers = ask_cloud(plan, rest=rest, seconds=seconds or ANSWERS_SECONDS)
    yield from check_credentials(plan, found, obstacle, answers)
    if answers:
        yield from judge(plan, answers)
    if name:
        yield check_domain(name)
    yield from check_state(plan)


def check_credentials(plan: Plan, found: Found, obstacle: str, answers: Answers | None) -> Iterator[Check]:
    """Check whether there are credentials, and whether the cloud takes them."""
    title = plan.facts.title
    names = ", ".join(found.names)
    for what, remedy in found.missing.items():
        yield Check(what, f"none for {title}" if not names else f"{names}, no {what}", remedy)
    if answers and "account" in answers.errors:
        yield Check("credentials", f"{names}: {answers.errors['account']}", f"replace them: {found.remedy}")
    elif answers:
        yield Check("credentials", f"{names or 'found by the provider'}: {answers.account}")
    elif not found.missing:
        yield Check("credentials", f"{names}; not tried: {obstacle}", f"./webitel preview {plan.stack} installs it", True)


def judge(plan: Plan, answers: Answers, anew: Sequence[str] = ()) -> Iterator[Check]:
    """Check what an account is told against the plan; `anew` are the keys of nodes that are there and get a new machine."""
    if answers.offers:
        new = [node for node in plan.nodes if node.key not in answers.there or node.key in anew]
        yield from judge_machine_types(plan, new or plan.nodes, answers.offers)
    for quota in answers.quotas:
        yield judge_quota(quota)
    for finding in answers.findings:
        yield Check(finding.about, finding.found, finding.remedy, finding.waits)
    for what, error in answers.errors.items():
        if what != "account" and "account" not in answers.errors:
            yield Check(MEANT.get(what, what), "unknown", error, True)


def judge_machine_types(plan: Plan, nodes: Sequence[Node], offers: Offers) -> Iterator[Check]:
    """Check whether every zone, or the one place, has the machine types of these nodes; what fits instead, and where else."""
    zones = dict.fromkeys(node.zone for node in nodes) if offers.setting == "zone" and plan.zones else ("",)
    for zone in zones:
        yield from judge_place(plan, [node for node in nodes if not zone or node.zone == zone], offers, zone)


def judge_place(plan: Plan, nodes: Sequence[Node], offers: Offers, zone: str) -> Iterator[Check]:
    """Check the machine types of the nodes in a zone, "" = in the one place there is."""
    wanted = {node.role: node.machine_type.name for node in nodes}
    here = offers.types.get(zone or offers.current, ())
    lacking = {role: name for role, name in wanted.items() if name not in here}
    place = f"{plan.region}{f' zone {zone}' if zone else ''}"
    if not lacking:
        yield Check("machine types", f"{', '.join(sorted(set(wanted.values())))} in {place}")
        return
    taken = plan.zones if len(plan.zones) > 1 else ()
    others = [value for value, types in sorted(offers.types.items()) if set(wanted.values()) <= set(types) and value not in taken]
    setting = f"webitel:zones: in place of {zone}," if taken else f"webitel:{offers.setting}:"
    for role, name in lacking.items():
        ways = [*find_fit(plan, role, here), *(f"{setting} {value} has all of them" for value in others[:2])]
        yield Check(
            "machine types",
            f"webitel:machine_types.{role} = {name}: not offered in {place}",
            ", or ".join(ways) or f"another webitel:region: {place} has no machine type that fits",
        )


def find_fit(plan: Plan, role: str, offered: Sequence[str]) -> Iterator[str]:
    """Yield the setting that gives a role the cheapest machine type of those offered; nothing where none fits."""
    cloud, tier_role = plan.facts, TIERS[plan.tier].role(role)
    try:
        fit = choose_machine_type(cloud, tier_size(tier_role, cloud), plan.region, is_voice(tier_role), offered)
    except LookupError:
        return
    yield f"webitel:machine_types: {{{role}: {fit.name}}}, {describe_machine_type(cloud, fit, plan.region)}"


def judge_quota(quota: Quota) -> Check:
    """Check whether a quota leaves room for the deployment."""
    used = "" if quota.used is None else f"{quota.used:g} used, "
    told = f"{quota.name}: {quota.limit:g}, {used}{quota.needed:g} needed"
    return Check("quota", told, "" if quota.is_enough else quota.remedy)


class Name(threading.Thread):
    """A host name being looked up; no name server keeps the command from its end."""

    def __init__(self, name: str) -> None:
        super().__init__(daemon=True)
        self.host, self.addresses, self.error = name, "", f"no name server answered within {NAME_SECONDS:g} s"
        self.until = time.monotonic() + NAME_SECONDS
        self.start()

    def run(self) -> None:
        try:
            found = socket.getaddrinfo(self.host, None, proto=socket.IPPROTO_TCP)
        except OSError as error:
            self.error = error.strerror or str(error)
        else:
            self.addresses = ", ".join(sorted({str(address[0]) for *_, address in found}))


def check_domain(name: Name) -> Check:
    """Check whether name servers know the domain: before the first `up` it cannot point anywhere right."""
    name.join(max(name.until - time.monotonic(), 0))
    if name.addresses:
        return Check("domain", f"{name.host} is {name.addresses}")
    remedy = f"after `up`: point {name.host} to the address that it prints (A record)"
    return Check("domain", f"{name.host}: {name.error}", remedy, waits=True)


def check_state(plan: Plan) -> Iterator[Check]:
    """Warn of a state that only this machine has: lost with it, and nobody else can work on the deployment."""
    from tools.engine.environment import run_environment

    address = run_environment().get("PULUMI_BACKEND_URL", "")
    if address.startswith("file:"):
        yield Check("shared state", f"{address}: on this machine only", plan.facts.shared_state, True)
