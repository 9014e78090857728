"""Hetzner Cloud: `status` of a server; started by the interface's own action (API reference, Server Actions)."""

from __future__ import annotations

import os

from components.clouds.adoption import Setting
from components.clouds.power import Power, Request

REST = "https://api.hetzner.cloud/v1"


def start(id: str, state: str, setting: Setting) -> Request:
    """Return the request of the action `poweron`, with the token that the provider uses too."""
    base = setting("hcloud:endpoint") or os.environ.get("HCLOUD_ENDPOINT") or REST
    token = setting("hcloud:token") or os.environ.get("HCLOUD_TOKEN", "")
    return Request(f"{base.rstrip('/')}/servers/{id}/actions/poweron", {}, token)


POWER = Power(
    "hcloud:index/getServer:getServer",
    lambda id: {"id": int(id)},
    lambda answer: str(answer["status"]),
    frozenset({"off", "stopping"}),
    start,
    frozenset({"stopping"}),
)
