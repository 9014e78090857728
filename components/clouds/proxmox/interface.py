"""Proxmox VE's own interface: what no function of the provider tells or does. It is asked with the provider's own API token."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from typing import Any

from components.clouds.adoption import Setting

SECONDS = 15.0
"""For an answer."""


def call(setting: Setting, method: str, path: str) -> Any:
    """Return the `data` of an answer. Raises OSError with the interface's own words."""
    endpoint = setting("proxmoxve:endpoint") or os.environ.get("PROXMOX_VE_ENDPOINT", "")
    token = setting("proxmoxve:apiToken") or os.environ.get("PROXMOX_VE_API_TOKEN", "")
    if not token or not endpoint:
        raise OSError("an endpoint and an API token are needed: export PROXMOX_VE_ENDPOINT=... PROXMOX_VE_API_TOKEN=...")
    insecure = (setting("proxmoxve:insecure") or os.environ.get("PROXMOX_VE_INSECURE", "")).lower() in ("true", "1")
    request = urllib.request.Request(
        f"{endpoint.rstrip('/')}/api2/json{path}",
        b"{}" if method == "POST" else None,
        {"Authorization": f"PVEAPIToken={token}", "Content-Type": "application/json"},
        method=method,
    )
    # As the provider does it, where its owner says so.
    context = unverified() if insecure else None
    try:
        with urllib.request.urlopen(request, timeout=SECONDS, context=context) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        raise OSError(f"{path}: {error.code} {error.reason} {error.read(500).decode(errors='replace')}".strip()) from error
    except urllib.error.URLError as error:
        raise OSError(f"{path}: {error.reason}") from error


def unverified() -> ssl.SSLContext:
    """Return what takes any certificate: a fresh installation has one that nobody signed."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def find_machine(setting: Setting, id: str) -> dict[str, Any]:
    """Return what the cluster tells of a machine by its number. Raises OSError, also where it has none."""
    found = [one for one in call(setting, "GET", "/cluster/resources") if str(one.get("vmid")) == id]
    if not found:
        raise OSError(f"the cluster has no machine {id}")
    return dict(found[0])
