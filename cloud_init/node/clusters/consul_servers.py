"""Consul's servers: whether one may leave."""

from ..ask.consul import ConsulError, call
from ..manifest import Manifest
from ..system import ApplyError, Tell


def leave(_: Manifest, tell: Tell) -> None:
    """Refuse to remove a server while another one is down: the rest would have no majority."""
    try:
        health = call("GET", "/v1/operator/autopilot/health")
    except ConsulError as error:
        raise ApplyError(f"it is unknown whether the other Consul servers work: {error}", "consul") from error
    sick = [server["Name"] for server in health["Servers"] if not server["Healthy"]]
    if sick:
        raise ApplyError(f"Consul server {', '.join(sick)} is down: no other one may leave now", "consul")
    tell("services", f"{len(health['Servers'])} Consul servers are healthy")
