"""Pseudo-variables: what they hold, and what assigning to them does."""

from __future__ import annotations

import time
from collections.abc import Callable

from .context import Context
from .digest import read_credentials
from .message import Message
from .transformations import transform
from .transport import Listener
from .tree import Format, Value, Variable
from .uri import parse_address, parse_uri

NULL_TEXT = "<null>"
"""What a text shows in place of NULL, and what avp_db_query stores for it."""


def print_format(context: Context, text: Format) -> str:
    """A text with its variables filled in."""
    parts = [part if isinstance(part, str) else show(get_variable(context, part)) for part in text.parts]
    return "".join(parts)


def show(value: Value) -> str:
    """A value inside a text."""
    return NULL_TEXT if value is None else str(value)


def get_variable(context: Context, variable: Variable) -> Value:
    """The value, transformations applied."""
    argument = print_format(context, variable.argument) if variable.argument else ""
    index = print_format(context, variable.index) if variable.index else ""
    value = get_plain(context, variable.name, argument, index)
    for step in variable.transformations:
        if "$" in step:
            from .formats import read_format

            step = print_format(context, read_format(step, 0))
        value = transform(value, step)
    return value


def get_plain(context: Context, name: str, argument: str, index: str) -> Value:
    """The value without transformations."""
    if name in ("avp", "bavp"):
        values = context.avps.get(argument, [])
        if index == "*":
            return ",".join(map(show, values)) or None
        place = int(index or 0)
        return values[place] if -len(values) <= place < len(values) else None
    if name == "var":
        return context.core.script_variables().get(argument)
    if name == "hdr":
        return get_header(context.current, argument, index)
    if name == "hdrcnt":
        return len(context.current.places(argument.lower()))
    if name == "param":
        return context.parameters[-1].get(argument) if context.parameters else None
    if name == "ct.fields":
        return get_contact(context.current, argument, index)
    if name in ("socket_in", "socket_out"):
        return get_socket(context, name, argument)
    if name == "time":
        return time.strftime(argument)
    if name == "stat":
        return context.core.statistic(argument)
    if name == "shv":
        return context.core.shared.get(argument, 0)
    if name in ("dlg_val", "DLG_count", "DLG_did", "DLG_status", "DLG_lifetime"):
        return context.core.dialogs.variable(context, name, argument)
    if name in ("T_fr_timeout", "T_fr_inv_timeout"):
        key = name[2:]
        held = context.transaction.timeouts if context.transaction else context.timeouts
        return held.get(key, context.core.config.number("tm", key))
    getter = GETTERS.get(name)
    return getter(context) if getter else None


def get_header(message: Message, name: str, index: str) -> Value:
    """A header as it came in: changes act at sending only."""
    from .message import COMPACT

    key = COMPACT.get(name.lower(), name.lower())
    values = [header.value for header in message.headers if header.key == key]
    if index == "*":
        return ",".join(values) or None
    place = int(index or 0)
    return values[place] if -len(values) <= place < len(values) else None


def get_contact(message: Message, field: str, index: str) -> Value:
    """A field of a contact."""
    values = message.values("contact")
    place = int(index or 0)
    if not -len(values) <= place < len(values):
        return None
    name, uri, parameters = parse_address(values[place])
    said = ";".join(f"{key}={value}" if value else key for key, value in parameters.items())
    return {"name": name.strip('"'), "uri": uri, "params": said}.get(field, parameters.get(field)) or None


def get_socket(context: Context, name: str, field: str) -> Value:
    """`$socket_in` and `$socket_out`, as a whole or a field of it."""
    listener: Listener | None = context.current.here.listener
    if name == "socket_out":
        listener = context.branch.listener if context.branch and context.branch.listener else context.message.socket
    if listener is None:
        return None
    if not field:
        return str(listener)
    fields: dict[str, Value] = {
        "ip": listener.address,
        "port": listener.port,
        "proto": listener.protocol,
        "advertised_ip": listener.advertised or None,
        "advertised_port": listener.advertised_port or None,
        "af": "INET",
        "anycast": 0,
        "tag": None,
        "forced": None,
    }
    return fields.get(field)


def of_uri(part: str, text: Callable[[Context], str]) -> Callable[[Context], Value]:
    """User, host or port of an address that `text` finds."""

    def get(context: Context) -> Value:
        uri = parse_uri(text(context))
        if uri is None:
            return None
        if part == "port":
            return uri.port or (5061 if uri.scheme == "sips" else 5060)
        if part == "transport":
            return uri.transport.upper()
        return str(getattr(uri, part)) or None

    return get


def header_uri(key: str) -> Callable[[Context], str]:
    """The URI of From, To or Contact."""
    return lambda context: context.current.address(key)[0]


def credential(part: str) -> Callable[[Context], Value]:
    """A field of the request's credentials."""

    def get(context: Context) -> Value:
        found = read_credentials(context.current)
        value = found.get(part) if found else None
        if part == "username" and value:
            return value
        return value or None

    return get


def user_of_credentials(context: Context) -> Value:
    """`$aU`: the user part of the credentials' name."""
    name = credential("username")(context)
    return str(name).removeprefix("sip:").partition("@")[0] or None if name else None


def clock(context: Context) -> tuple[int, int]:
    """Seconds and microseconds."""
    del context
    now = time.time_ns()
    return now // 10**9, now % 10**9 // 1000


def asked(context: Context) -> str:
    """The request's URI."""
    return context.message.target


def destination(context: Context) -> str:
    """The next hop that was set."""
    return context.message.destination


GETTERS: dict[str, Callable[[Context], Value]] = {
    "ru": lambda c: asked(c) or None,
    "rU": of_uri("user", asked),
    "rd": of_uri("host", asked),
    "rp": of_uri("port", asked),
    "rP": of_uri("transport", asked),
    "ou": lambda c: c.message.uri or None,
    "oU": of_uri("user", lambda c: c.message.uri),
    "od": of_uri("host", lambda c: c.message.uri),
    "op": of_uri("port", lambda c: c.message.uri),
    "du": lambda c: destination(c) or None,
    "dd": of_uri("host", destination),
    "dp": of_uri("port", destination),
    "dP": of_uri("transport", destination),
    "fu": lambda c: c.current.address("from")[0] or None,
    "fU": of_uri("user", header_uri("from")),
    "fd": of_uri("host", header_uri("from")),
    "ft": lambda c: c.current.tag("from") or None,
    "fn": lambda c: parse_address(c.current.one("from"))[0].strip('"') or None,
    "tu": lambda c: c.current.address("to")[0] or None,
    "tU": of_uri("user", header_uri("to")),
    "td": of_uri("host", header_uri("to")),
    "tt": lambda c: c.current.tag("to") or None,
    "tn": lambda c: parse_address(c.current.one("to"))[0].strip('"') or None,
    "ci": lambda c: c.current.one("call-id") or None,
    "cs": lambda c: c.current.sequence[0],
    "rm": lambda c: c.current.method or c.current.sequence[1],
    "rs": lambda c: c.current.status or None,
    "rr": lambda c: c.current.reason or None,
    "si": lambda c: c.current.here.address,
    "sp": lambda c: c.current.here.port,
    "pr": lambda c: c.current.here.protocol,
    "proto": lambda c: c.current.here.protocol,
    "Ri": lambda c: c.current.here.listener.address,
    "Rp": lambda c: c.current.here.listener.port,
    "ua": lambda c: c.current.one("user-agent") or None,
    "ct": lambda c: c.current.one("contact") or None,
    "cT": lambda c: c.current.one("content-type") or None,
    "rb": lambda c: c.current.body or None,
    "ml": lambda c: len(c.current.body),
    "pp": lambda c: c.core.process_id(),
    "rc": lambda c: c.retcode,
    "retcode": lambda c: c.retcode,
    "Ts": lambda c: clock(c)[0],
    "TS": lambda c: clock(c)[0],
    "Tsm": lambda c: clock(c)[1],
    "au": credential("username"),
    "ar": credential("realm"),
    "adu": credential("uri"),
    "aU": user_of_credentials,
    "ad": lambda c: str(credential("username")(c) or "").partition("@")[2] or None,
    "auth.nonce": credential("nonce"),
    "auth.resp": credential("response"),
    "auth.qop": credential("qop"),
    "auth.algorithm": credential("algorithm"),
    "auth.opaque": credential("opaque"),
    "socket_in": lambda c: str(c.current.here.listener),
    "socket_out": lambda c: get_socket(c, "socket_out", ""),
    "mf": lambda c: ",".join(sorted(c.flags)),
    "bf": lambda c: ",".join(sorted(c.branch_flags)),
    "T_branch_idx": lambda c: c.branch.number if c.branch else None,
    "cfg_line": lambda c: 0,
    "ai": lambda c: parse_address(c.current.one("p-asserted-identity"))[1] or None,
    "DLG_count": lambda c: c.core.dialogs.variable(c, "DLG_count", ""),
    "DLG_did": lambda c: c.core.dialogs.variable(c, "DLG_did", ""),
    "DLG_status": lambda c: c.core.dialogs.variable(c, "DLG_status", ""),
    "DLG_lifetime": lambda c: c.core.dialogs.variable(c, "DLG_lifetime", ""),
    "rtpstat": lambda c: None,
}
