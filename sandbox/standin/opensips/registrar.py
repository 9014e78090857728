"""registrar: REGISTER saved, contacts looked up."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from .context import Context, function
from .core_functions import send_reply
from .location import READS, Contact
from .uri import parse_address, parse_uri

if TYPE_CHECKING:
    from .core import Core

BAD_SEQUENCE, TOO_MANY = (400, "Bad Request"), (503, "Too many registered contacts")


def start(core: Core) -> None:
    """Restores contacts and begins to look for those that end."""
    if not core.has("usrloc"):
        return
    if core.location.mode in READS:
        core.location.restore()
        core.timers.after(0, core.location.announce_all)
    core.timers.every(core.config.number("usrloc", "timer_interval"), core.location.sweep)

    def remove(table_name: str, aor: str) -> str:
        del table_name
        for contact in core.location.find(aor):
            core.location.remove(contact, "mi")
        return "OK"

    core.commands |= {"ul_dump": core.location.dump, "ul_rm": remove}


def avp_name(context: Context, parameter: str) -> str:
    """The avp that a parameter names."""
    return context.core.config.text("registrar", parameter).removeprefix("$avp(").rstrip(")")


def first_avp(context: Context, parameter: str) -> str:
    """Its value."""
    values = context.avps.get(avp_name(context, parameter), [])
    return str(values[0]) if values and values[0] is not None else ""


def record_name(context: Context, given: str | None, key: str) -> str:
    """The address of record of To, of the request's URI, or the one that the script gives."""
    text = given or (context.message.address("to")[0] if key == "to" else context.message.target)
    uri = parse_uri(text)
    return context.core.location.name_of(uri.user, uri.host) if uri else ""


def lifetime(context: Context, parameters: dict[str, str]) -> int:
    """Seconds a contact stays, within the registrar's bounds; 0 takes it away."""
    config = context.core.config
    said = parameters.get("expires") or context.message.one("expires")
    seconds = int(said) if said.isdigit() else config.number("registrar", "default_expires")
    if seconds == 0:
        return 0
    seconds = max(seconds, config.number("registrar", "min_expires"))
    most = config.number("registrar", "max_expires")
    return min(seconds, most) if most else seconds


@function("save")
def save(context: Context, table: str, flags: str | None, aor: str | None, owner: str | None) -> int:
    """Registers, answers with what is registered; -1 when it cannot."""
    del table, owner
    core, message = context.core, context.message
    name = record_name(context, aor, "to")
    words = (flags or "").replace(" ", "").split(",")
    most = next(
        (int(word.partition("=")[2]) for word in words if word.startswith("max-contacts=")),
        core.config.number("registrar", "max_contacts"),
    )
    known = core.location.find(name)
    wanted = message.values("contact")
    if wanted == ["*"]:
        for contact in known:
            core.location.remove(contact, "unregistered")
        return answer(context, words, [])
    number = message.sequence[0]
    fresh: list[Contact] = []
    for value in wanted:
        _, uri, parameters = parse_address(value)
        same = next((one for one in known if one.uri == uri), None)
        if same and same.call_id == message.one("call-id") and number <= same.sequence:
            if core.config.number("registrar", "allow_dup_cseq") and number == same.sequence:
                continue
            return refuse(context, words, *BAD_SEQUENCE)
        seconds = lifetime(context, parameters)
        if seconds == 0:
            if same:
                core.location.remove(same, "unregistered")
            continue
        made = make_contact(context, name, uri, seconds, parameters)
        if same:
            made.identifier = same.identifier
        fresh.append(made)
    places = [one.uri for one in known]
    new = [one for one in fresh if one.uri not in places]
    left = core.location.find(name)
    if most and len(left) + len(new) > most:
        if "force-registration" not in words and "f" not in words:
            return refuse(context, words, *TOO_MANY)
        for old in sorted(left, key=lambda one: one.expires)[: len(left) + len(new) - most]:
            core.location.remove(old, "pushed out")
    for made in fresh:
        same = next((one for one in core.location.find(name) if one.uri == made.uri), None)
        if same:
            same.__dict__.update(made.__dict__)
            core.location.update(same)
        else:
            core.location.add(made)
    keep_connection(context, fresh)
    return answer(context, words, core.location.find(name))


def make_contact(context: Context, name: str, uri: str, seconds: int, parameters: dict[str, str]) -> Contact:
    """A contact as this request registers it."""
    message = context.message
    allow = message.one("allow")
    quality = parameters.get("q", "")
    weight = float(quality) if re.fullmatch(r"[01](\.\d+)?", quality) else -1.0
    return Contact(
        name,
        uri,
        time.time() + seconds,
        weight,
        message.one("call-id"),
        message.sequence[0],
        set(context.branch_flags),
        message.one("user-agent"),
        first_avp(context, "received_avp"),
        "",
        message.here.listener,
        frozenset(part.strip().upper() for part in allow.split(",")) if allow else None,
        first_avp(context, "attr_avp"),
    )


def keep_connection(context: Context, contacts: list[Contact]) -> None:
    """A connection stays as long as what was registered on it, where the script flags it."""
    flag = context.core.config.text("registrar", "tcp_persistent_flag")
    connection = context.message.here.connection
    if flag and flag in context.flags and connection and contacts:
        longest = max(one.expires for one in contacts) - time.time()
        connection.ends = max(connection.ends, time.monotonic() + longest)


def refuse(context: Context, words: list[str], code: int, reason: str) -> int:
    """The registrar's own refusal."""
    if "no-reply" not in words:
        send_reply(context, code, reason)
    return -1


def answer(context: Context, words: list[str], contacts: list[Contact]) -> int:
    """200 with every contact."""
    values = [
        f"<{one.uri}>"
        + (f";q={one.quality:g}" if one.quality >= 0 else "")
        + f";expires={max(0, int(one.expires - time.time() + 0.5))}"
        + (f';received="{one.received}"' if one.received else "")
        for one in contacts
    ]
    if values:
        context.message.reply_headers.append("Contact: " + ", ".join(values))
    if "no-reply" not in words:
        send_reply(context, 200, "OK")
    return 1


@function("lookup")
def lookup(context: Context, table: str, flags: str | None, aor: str | None) -> int:
    """The registered contacts become the request's targets; -1 without any, -2 when none takes the method."""
    del table
    core, message = context.core, context.message
    words = (flags or "").replace(" ", "").split(",")
    found = core.location.find(record_name(context, aor, "ruri"))
    if not found:
        return -1
    if "method-filtering" in words or "m" in words:
        found = [one for one in found if one.methods is None or message.method in one.methods]
        if not found:
            return -2
    first, *others = found
    message.new_uri, message.destination, message.socket = first.uri, first.received or first.path, first.socket
    context.branch_flags.clear()
    context.branch_flags.update(first.flags)
    if avp_name(context, "attr_avp") and first.attribute:
        context.avps.setdefault(avp_name(context, "attr_avp"), []).insert(0, first.attribute)
    if "no-branches" not in words and "b" not in words:
        for one in others:
            message.branches.append((one.uri, one.received or one.path, set(one.flags), one.socket, ""))
    return 1


@function("is_registered")
def is_registered(context: Context, table: str, aor: str | None) -> int:
    """Whether somebody is registered."""
    del table
    return 1 if context.core.location.find(record_name(context, aor, "to")) else -1


@function("remove")
def remove(context: Context, table: str, aor: str, uri: str | None, host: str | None, instance: str | None) -> int:
    """Takes contacts out."""
    del table, host, instance
    parsed = parse_uri(aor)
    name = context.core.location.name_of(parsed.user, parsed.host) if parsed else aor
    for contact in context.core.location.find(name):
        if uri in (None, contact.uri):
            context.core.location.remove(contact, "script")
    return 1
