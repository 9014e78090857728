"""DigitalOcean: `status` of a droplet; started by the interface's own action (API reference, Droplet Actions)."""

from __future__ import annotations

from components.clouds.adoption import Setting
from components.clouds.digitalocean.interface import read_base, read_token
from components.clouds.power import Power, Request


def start(id: str, state: str, setting: Setting) -> Request:
    """Return the request of the action `power_on`."""
    return Request(f"{read_base(setting)}/v2/droplets/{id}/actions", {"type": "power_on"}, read_token(setting))


POWER = Power(
    "digitalocean:index/getDroplet:getDroplet",
    lambda id: {"id": int(id)},
    lambda answer: str(answer["status"]),
    frozenset({"off"}),
    start,
)
