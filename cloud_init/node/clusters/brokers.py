"""RabbitMQ's brokers by name: who they are to be, and where one keeps what it has."""

import pathlib

from ..manifest import Manifest, MemberEntry

DATA = pathlib.Path("/var/lib/rabbitmq/mnesia")


def list_members(manifest: Manifest) -> list[MemberEntry]:
    """List the nodes that are to form the broker, the one that may begin first."""
    return manifest["clusters"].get("rabbitmq", [])


def broker_name(node: str) -> str:
    """Return the Erlang node name of a node's broker."""
    return f"rabbit@{node}"
