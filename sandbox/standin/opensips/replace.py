"""uac: another From or To than the one that came in."""

from __future__ import annotations

from .context import Context, function
from .uri import parse_address


def replace(context: Context, key: str, name: str | None, uri: str) -> int:
    """Another display name and URI; what restores them in replies is not there with `restore_mode` none."""
    message = context.message
    places = message.places(key)
    if not places:
        return -1
    old_name, old_uri, parameters = parse_address(message.headers[places[0]].value)
    shown = old_name if name is None or name == "" else f'"{name.strip(chr(34))}"'
    if name == "" and not uri:
        return -1
    tail = "".join(f";{key}={said}" if said else f";{key}" for key, said in parameters.items())
    message.set_header(places[0], f"{shown + ' ' if shown else ''}<{uri or old_uri}>{tail}")
    return 1


@function("uac_replace_from")
def uac_replace_from(context: Context, name: str | None, uri: str) -> int:
    """From."""
    return replace(context, "from", name, uri)


@function("uac_replace_to")
def uac_replace_to(context: Context, name: str | None, uri: str) -> int:
    """To."""
    return replace(context, "to", name, uri)
