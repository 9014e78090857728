"""A small catalogue and nodes that carry it, so that a test can be computed by hand."""

from __future__ import annotations

from collections.abc import Mapping

from components.model.catalogue.service import Audience, Bind, Egress, Placement, Ports, Service, tcp, udp
from components.model.machine import MachineType, Public
from components.model.plan import Node

CATALOGUE: Mapping[str, Service] = {
    service.name: service
    for service in (
        Service("time", "Time", placement=Placement.EVERY, egress=(Egress("time", "udp", Ports(123, 123)),)),
        Service("ssh", "SSH", placement=Placement.EVERY, listeners=(tcp("ssh", 22, Audience.OPERATORS, bind=Bind.ANY),)),
        Service(
            "mesh",
            "Mesh",
            placement=Placement.EVERY,
            calls=("mesh.gossip",),
            listeners=(tcp("gossip", 8301), tcp("http", 8500, Audience.NODE, bind=Bind.LOOPBACK)),
        ),
        Service(
            "database",
            "Database",
            calls=("database",),
            cluster_sizes=(1, 3),
            listeners=(
                tcp("sql", 5432),
                tcp("rest", 8008),
                tcp("debug", 9000, Audience.NODE),
                tcp("hidden", 9001, bind=Bind.LOOPBACK),
            ),
        ),
        Service(
            "proxy",
            "Proxy",
            placement=Placement.BESIDE_CALLERS,
            beside=("database",),
            calls=("database.sql",),
            listeners=(tcp("sql", 5432, Audience.NODE, bind=Bind.LOOPBACK),),
        ),
        Service("worker", "Worker", calls=("database", "mesh.gossip", "keeper.files"), listeners=(tcp("grpc", 10000),)),
        Service(
            "keeper",
            "Keeper",
            calls=("database",),
            placement=Placement.FIRST,
            listeners=(tcp("files", 10021),),
            egress=(Egress("files", "tcp", Ports(443, 443)),),
        ),
        Service(
            "web",
            "Web",
            calls=("worker",),
            listeners=(
                tcp("https", 443, Audience.INTERNET),
                udp("sip", 5060, Audience.CARRIERS, Audience.PHONES),
                udp("rtp", 10000, Audience.INTERNET, Audience.CALLERS, last=19999),
            ),
            egress=(
                Egress("trunks", "udp", Ports(5060, 5061), Audience.CARRIERS),
                Egress("phones", "udp", Ports(1024, 65535), Audience.PHONES),
            ),
        ),
    )
}

ALWAYS = ("time", "ssh", "mesh")


def make_node(role: str, n: int, *services: str, public: Public = Public.NO) -> Node:
    """A node of the stack `test` with these services beside the ones of every node."""
    return Node(f"test-{role}-{n}", role, n, (*ALWAYS, *services), MachineType("m", 2, 4), (), None, public, None)


NODES = (
    make_node("data", 1, "database", "proxy", "keeper"),
    make_node("data", 2, "database"),
    make_node("app", 1, "proxy", "worker"),
    make_node("edge", 1, "web", public=Public.SERVICE),
)
