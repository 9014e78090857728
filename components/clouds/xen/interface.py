"""Xen Orchestra's own REST interface, asked with the provider's own token: what no function of the provider tells or does."""

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
    """Return the document of an answer. Raises OSError with the interface's own words."""
    url = setting("xenorchestra:url") or os.environ.get("XOA_URL", "")
    token = setting("xenorchestra:token") or os.environ.get("XOA_TOKEN", "")
    if not token or not url:
        raise OSError("an address and a token are needed: export XOA_URL=wss://... XOA_TOKEN=...")
    insecure = (setting("xenorchestra:insecure") or os.environ.get("XOA_INSECURE", "")).lower() in ("true", "1")
    # The provider's is that of its web socket.
    base = url.rstrip("/").replace("wss://", "https://").replace("ws://", "http://")
    request = urllib.request.Request(
        f"{base}/rest/v0{path}",
        b"{}" if method == "POST" else None,
        {"Cookie": f"authenticationToken={token}", "Content-Type": "application/json"},
        method=method,
    )
    # As the provider does it, where its owner says so.
    context = unverified() if insecure else None
    try:
        with urllib.request.urlopen(request, timeout=SECONDS, context=context) as answer:
            text = answer.read()
            return json.loads(text) if text else {}
    except urllib.error.HTTPError as error:
        raise OSError(f"{path}: {error.code} {error.reason} {error.read(500).decode(errors='replace')}".strip()) from error
    except urllib.error.URLError as error:
        raise OSError(f"{path}: {error.reason}") from error


def unverified() -> ssl.SSLContext:
    """Return what takes any certificate: a fresh appliance has one that nobody signed."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def list_machines(setting: Setting) -> dict[str, Any]:
    """Return the machines of every pool, by id, with name and tags."""
    return {str(one["id"]): one for one in call(setting, "GET", "/vms?fields=id,name_label,tags")}
