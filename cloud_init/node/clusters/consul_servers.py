"""Consul's servers: whether one may go."""

from ..ask.consul import ConsulError, call
from ..manifest import Manifest
from ..system import ApplyError, Tell


def leave(_: Manifest, tell: Tell) -> None:
    """Refuse to take a server away while another one is down: what is left would have no majority."""
    try:
        health = call("GET", "/v1/operator/autopilot/health")
    except ConsulError as error:
        raise ApplyError(f"whether the other Consul servers work is not known: {error}", "consul") from error
    sick = [server["Name"] for server in health["Servers"] if not server["Healthy"]]
    if sick:
        raise ApplyError(f"Consul server {', '.join(sick)} does not work: no other one may leave now", "consul")
    tell("services", f"{len(health['Servers'])} Consul servers work")
