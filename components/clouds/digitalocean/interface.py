"""DigitalOcean's own interface, for what no function of its provider tells or does: where it is, and with which token."""

from __future__ import annotations

import os

from components.clouds.adoption import Setting

VARIABLES = ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN")
REST = "https://api.digitalocean.com"


def read_token(setting: Setting) -> str:
    """Return the token that the provider uses too."""
    return setting("digitalocean:token") or next((os.environ[name] for name in VARIABLES if os.environ.get(name)), "")


def read_base(setting: Setting) -> str:
    """Return the address without the slash at its end."""
    return (setting("digitalocean:apiEndpoint") or os.environ.get("DIGITALOCEAN_API_URL") or REST).rstrip("/")
