"""Xen Orchestra's own REST interface, asked with the provider's own token: what no function of the provider tells or does."""

from __future__ import annotations

import json
import os
from typing import Any

from components.clouds import own_interface
from components.clouds.adoption import Setting


def call(setting: Setting, method: str, path: str) -> Any:
    """Return the document of an answer. Raises OSError with the interface's own words."""
    url = setting("xenorchestra:url") or os.environ.get("XOA_URL", "")
    token = setting("xenorchestra:token") or os.environ.get("XOA_TOKEN", "")
    if not token or not url:
        raise OSError("an address and a token are needed: export XOA_URL=wss://... XOA_TOKEN=...")
    insecure = (setting("xenorchestra:insecure") or os.environ.get("XOA_INSECURE", "")).lower() in ("true", "1")
    # The provider's is that of its web socket.
    base = url.rstrip("/").replace("wss://", "https://").replace("ws://", "http://") + "/rest/v0"
    text = own_interface.send(base, method, path, {"Cookie": f"authenticationToken={token}"}, insecure=insecure)
    return json.loads(text) if text else {}


def list_machines(setting: Setting) -> dict[str, Any]:
    """Return the machines of every pool, by id, with name and tags."""
    return {str(one["id"]): one for one in call(setting, "GET", "/vms?fields=id,name_label,tags")}
