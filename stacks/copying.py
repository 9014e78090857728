"""A stack file for another deployment: what only the first one can decrypt, and what is said of its nodes, stays with it."""

from __future__ import annotations

import yaml

from components.model.planning.standing import PLACES
from stacks.edit import edit_text
from stacks.problems import NAMESPACE
from stacks.settings import contains_encrypted

OWN_KEYS = ("encryptionsalt", "encryptedkey")
"""What the engine writes beside `config` for one stack's secrets."""


NODES = (*PLACES, "leaving", "kept_disks")
"""Settings about nodes that stand, or stood."""


def leave_out_nodes(text: str) -> str:
    """Return a stack file's text without what was written of the first deployment's nodes. Raises EditError where that cannot be
    taken out."""
    config = (yaml.load(text, Loader=yaml.BaseLoader) or {}).get("config") or {}
    for key in (f"{NAMESPACE}:{name}" for name in NODES):
        if key in config:
            text = edit_text(text, ((key,), None))
    return text


def leave_out_secrets(text: str) -> tuple[str, list[str]]:
    """Return a stack file's text without its encrypted values, and their keys. Raises EditError where one cannot be taken out."""
    kept = [line for line in text.splitlines() if line.partition(":")[0].strip("\"' ") not in OWN_KEYS]
    text = "\n".join(kept) + "\n"
    # Every scalar as its text: only where something is encrypted matters here.
    config = (yaml.load(text, Loader=yaml.BaseLoader) or {}).get("config") or {}
    secrets = [key for key, value in config.items() if contains_encrypted(value)]
    for key in secrets:
        text = edit_text(text, ((key,), None))
    return text, secrets
