"""Parts of a manifest as the node program reads them, with what a test does not care about left at nothing."""

from collections.abc import Callable
from typing import Any, cast

from cloud_init.node.manifest import Manifest, ProbeEntry, ServiceEntry, UnitEntry, empty_manifest
from cloud_init.node.state import State
from cloud_init.node.system import Unhealthy

PORTS = {
    "consul_http": 8500,
    "haproxy_sql": 5432,
    "haproxy_amqp": 5672,
    "haproxy_management": 15672,
    "postgresql_sql": 5432,
    "postgresql_rest": 8008,
    "rabbitmq_amqp": 5672,
    "rabbitmq_management": 15672,
    "nginx_https": 443,
    "rtpengine_cli": 2224,
    "redis_calls": 6379,
}


def manifest(**parts: Any) -> Manifest:
    """A node's manifest with those parts."""
    return cast(Manifest, {**empty_manifest(), "address": "127.0.0.1", "ports": PORTS, **parts})


def state(**parts: Any) -> State:
    """A node's state with those parts."""
    return cast(State, {"files": [], "pending": [], "disks": {}, **parts})


def service(name: str, *probes: ProbeEntry, **parts: Any) -> ServiceEntry:
    """A service with one unit of its name."""
    return cast(
        ServiceEntry, {"name": name, "title": name, "units": [name], "probes": list(probes), "restarts_when_deaf": False, **parts}
    )


def unit(name: str, service: str = "", **parts: Any) -> UnitEntry:
    """A unit of a service of its name, unless told otherwise."""
    return cast(
        UnitEntry,
        {
            "name": name,
            "service": service or name,
            "mounts": [],
            "waits": [],
            "unit_lines": [],
            "service_lines": [],
            "oneshot": False,
            **parts,
        },
    )


def probe(kind: str = "http", says: str = "it is ill", **arguments: Any) -> ProbeEntry:
    """A question of that kind."""
    return cast(ProbeEntry, {"kind": kind, "says": says, **arguments})


def wrong(question: Callable[..., None], *arguments: Any) -> str:
    """What a question finds wrong, "" where it is answered as it should be."""
    try:
        question(*arguments)
    except Unhealthy as error:
        return str(error)
    return ""
