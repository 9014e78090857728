"""The DNS records of a deployment's domain, derived from the catalogue: who answers for web and SIP, on which port."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from components.model.catalogue.service import Front
from components.model.catalogue.services import find_front
from components.model.plan import Plan

SRV_NAMES = {"sip": "_sip._udp", "sip-tcp": "_sip._tcp", "sip-tls": "_sips._tcp"}
"""What a listener of SIP is called in DNS (RFC 3263); one that the catalogue does not have gets no record."""

TTL_SECONDS = 300
"""Seconds: a machine that is replaced may have another address."""

PRIORITY, WEIGHT = 10, 10


@dataclass(frozen=True)
class Zone:
    """A zone in a cloud's own DNS; `key` is what that cloud finds it by beside its name, "" where the name does."""

    name: str
    key: str = ""


@dataclass(frozen=True)
class Record:
    """A record set. `name` is whole, without the final dot. A record of type A has the public addresses of `nodes` (keys),
    one of type SRV leads to `target` and `port`."""

    name: str
    type: str
    nodes: tuple[str, ...] = ()
    port: int = 0
    target: str = ""

    @property
    def label(self) -> str:
        """What tells it from the others."""
        return f"{self.name} {self.type}"

    @property
    def value(self) -> str:
        """The value of an SRV record as DNS writes it."""
        return f"{PRIORITY} {WEIGHT} {self.port} {self.target}."

    def inside(self, zone: Zone) -> str:
        """Return the name inside a zone, `@` for the zone itself."""
        return self.name.removesuffix(zone.name).rstrip(".") or "@"

    def lines(self, addresses: Sequence[str] = ()) -> list[str]:
        """Return the record as lines of a zone file."""
        return [f"{self.name}. {TTL_SECONDS} IN {self.type} {value}" for value in (addresses or [self.value])]


def read_zone(setting: str) -> Zone:
    """Return the zone that `webitel:dns_zone` names, `your-company.com` or `key/your-company.com`."""
    key, _, name = setting.rpartition("/")
    return Zone(name.lower().rstrip("."), key)


def list_names(plan: Plan) -> dict[str, str]:
    """Return the name that leads to the public address of each node (key) which has one, the domain itself first."""
    found: dict[str, str] = {}
    for record in list_records(plan):
        for key in record.nodes:
            found.setdefault(key, record.name)
    return found


def list_records(plan: Plan) -> tuple[Record, ...]:
    """Return the records of the plan's domain. Where SIP is answered by other nodes than the web it has a name of its own."""
    web, sip = (tuple(node.key for node in plan.nodes_with(find_front(front).name)) for front in (Front.WEB, Front.SIP))
    records = [Record(plan.domain, "A", web)]
    target = plan.domain if sip == web else f"sip.{plan.domain}"
    if target != plan.domain:
        records.append(Record(target, "A", sip))
    listeners = {listener.name: listener.port for listener in find_front(Front.SIP).listeners}
    records += [
        Record(f"{name}.{plan.domain}", "SRV", port=listeners[listener], target=target)
        for listener, name in SRV_NAMES.items()
        if listener in listeners
    ]
    return tuple(records)
