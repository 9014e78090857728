"""The log server that nodes send their records to (`webitel:log_target`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address

from components.model.plan import EgressRule
from components.model.planning.draft import Draft
from components.model.problems import Problem, setting_problem
from components.model.settings import Settings

TARGET = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?):([0-9]{1,5})")
EXAMPLE = "use host:port such as logs.your-company.com:6514"
LAST_PORT = 65535
PEM = re.compile(r"\s*(-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+")


def check_log_target(draft: Draft) -> Iterator[Problem]:
    """Find a target that is no host and port, and an authority that is no certificate."""
    target, authority = draft.settings.log_target, draft.settings.log_authority
    found = TARGET.fullmatch(target)
    if target and (not found or not 1 <= int(found[2]) <= LAST_PORT):
        yield setting_problem("log_target", target, f"not a log server; {EXAMPLE}")
    if authority and not target:
        yield setting_problem("log_authority", "[PEM]", f"no log server is named: set webitel:log_target; {EXAMPLE}")
    if authority and not PEM.fullmatch(authority):
        yield setting_problem(
            "log_authority", authority[:40], "not a certificate as PEM; it begins with -----BEGIN CERTIFICATE-----"
        )


def find_log_egress(role: str, settings: Settings) -> Iterator[EgressRule]:
    """Return the way out of a role's nodes to the log server; a name may lead anywhere."""
    if found := TARGET.fullmatch(settings.log_target):
        yield EgressRule(role, "tcp", str(int(found[2])), (network_of(found[1]),), ("log server",))


def network_of(host: str) -> str:
    """Return the network of a host: its own where it is an address."""
    try:
        return f"{IPv4Address(host)}/32"
    except AddressValueError:
        return "0.0.0.0/0"
