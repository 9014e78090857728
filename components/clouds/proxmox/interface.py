"""Proxmox VE's own interface: what no function of the provider tells or does. It is asked with the provider's own API token."""

from __future__ import annotations

import json
import os
from typing import Any

from components.clouds import own_interface
from components.clouds.adoption import Setting


def call(setting: Setting, method: str, path: str) -> Any:
    """Return the `data` of an answer. Raises OSError with the interface's own words."""
    endpoint = setting("proxmoxve:endpoint") or os.environ.get("PROXMOX_VE_ENDPOINT", "")
    token = setting("proxmoxve:apiToken") or os.environ.get("PROXMOX_VE_API_TOKEN", "")
    if not token or not endpoint:
        raise OSError("an endpoint and an API token are needed: export PROXMOX_VE_ENDPOINT=... PROXMOX_VE_API_TOKEN=...")
    insecure = (setting("proxmoxve:insecure") or os.environ.get("PROXMOX_VE_INSECURE", "")).lower() in ("true", "1")
    base = f"{endpoint.rstrip('/')}/api2/json"
    text = own_interface.send(base, method, path, {"Authorization": f"PVEAPIToken={token}"}, insecure=insecure)
    return json.loads(text)["data"]


def find_machine(setting: Setting, id: str) -> dict[str, Any]:
    """Return what the cluster tells of a machine by its number. Raises OSError, also where it has none."""
    found = [one for one in call(setting, "GET", "/cluster/resources") if str(one.get("vmid")) == id]
    if not found:
        raise OSError(f"the cluster has no machine {id}")
    return dict(found[0])
