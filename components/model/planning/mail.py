"""Outgoing mail: the services' ways out against what the cloud closes."""

from __future__ import annotations

from collections.abc import Iterator

from components.model.catalogue.service import Ports
from components.model.planning.draft import Draft

PURPOSE = "mail"
SENDING_PORTS = (587, 465, 25)
"""Submission, submission by TLS, and what servers use among themselves (RFC 6409, RFC 8314, RFC 5321)."""


def warn_of_closed_mail(draft: Draft) -> Iterator[str]:
    """Say which ports for mail the cloud closes to new accounts, and what is left: nothing answers there, not even a refusal."""
    ways = {
        way.ports
        for role in draft.tier.roles
        for name in role.services
        for way in draft.catalogue[name].egress
        if way.purpose == PURPOSE
    }
    closed = [port for port in draft.facts.closed_mail_ports if any(ports.overlaps(Ports(port, port)) for ports in ways)]
    if not closed:
        return
    sending = [port for port in SENDING_PORTS if any(ports.overlaps(Ports(port, port)) for ports in ways)]
    left = [port for port in sending if port not in closed]
    what = f"outgoing mail: {draft.facts.title} may close {_join(closed)} to new accounts"
    if left:
        yield f"{what}; name your mail service in Webitel with port {_join(left)}"
    else:
        yield f"{what}; ask its support before you count on mail from there"


def _join(ports: list[int]) -> str:
    return " and ".join(map(str, ports))
