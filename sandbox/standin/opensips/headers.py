"""Functions of sipmsgops and textops: headers and bodies; changes act when the message is sent."""

from __future__ import annotations

import re

from .context import Context, function
from .message import COMPACT
from .patterns import compiled


def key_of(name: str) -> str:
    """A header's full name in small letters."""
    key = name.strip().lower()
    return COMPACT.get(key, key)


@function("is_method")
def is_method(context: Context, names: str) -> int:
    """Of the request, or of the request a reply belongs to."""
    message = context.current
    return 1 if (message.method or message.sequence[1]) in names.split("|") else -1


@function("has_totag")
def has_totag(context: Context) -> int:
    """Whether it belongs to a dialog."""
    return 1 if context.current.tag("to") else -1


@function("append_hf")
def append_hf(context: Context, text: str, after: str | None) -> int:
    """A header at the end."""
    del after
    context.current.edits.after.append(text)
    return 1


@function("insert_hf")
def insert_hf(context: Context, text: str, before: str | None) -> int:
    """A header at the front."""
    del before
    context.current.edits.before.append(text.rstrip("\r\n"))
    return 1


@function("append_to_reply")
def append_to_reply(context: Context, text: str) -> int:
    """A header of our own answers."""
    context.message.reply_headers.append(text)
    return 1


@function("remove_hf")
def remove_hf(context: Context, name: str) -> int:
    """Takes every header of a name away, those that came in only."""
    return remove(context, lambda key: key == key_of(name))


@function("remove_hf_re")
def remove_hf_re(context: Context, pattern: str) -> int:
    """Takes headers away whose name fits."""
    return remove(context, lambda key: compiled(pattern).search(key) is not None)


def remove(context: Context, fits: object) -> int:
    """Takes headers away; of a request's Via the core forgets it again before anything is sent."""
    assert callable(fits)
    message = context.current
    found = [place for place, header in enumerate(message.headers) if fits(header.key)]
    if context.reply is None:
        found = [place for place in found if message.headers[place].key != "via"]
    message.edits.removed.update(found)
    return 1 if found else -1


@function("is_present_hf")
def is_present_hf(context: Context, name: str) -> int:
    """Whether such a header came in."""
    return 1 if context.current.places(key_of(name)) else -1


@function("has_body")
def has_body(context: Context, kind: str | None) -> int:
    """Whether there is a body, of a type where one is asked for."""
    message = context.current
    if not message.body:
        return -1
    if kind and message.one("content-type").partition(";")[0].strip().lower() != kind.lower():
        return -1
    return 1


@function("has_body_part")
def has_body_part(context: Context, kind: str | None) -> int:
    """As has_body, and inside a multipart."""
    message = context.current
    if has_body(context, kind) == 1:
        return 1
    return 1 if kind and re.search(rf"(?im)^content-type:\s*{re.escape(kind)}", message.body) else -1


@function("ruri_has_param")
def ruri_has_param(context: Context, name: str, value: str | None) -> int:
    """Whether the request's URI has a parameter."""
    from .uri import parse_uri

    uri = parse_uri(context.message.target)
    said = uri.parameters.get(name.lower()) if uri else None
    return 1 if said is not None and value in (None, said) else -1


def lines_of(body: str, media: str) -> list[str]:
    """The lines of a body; empty when it has no such media."""
    return body.split("\r\n") if f"m={media}" in body else []


@function("codec_exists")
def codec_exists(context: Context, name: str, clock: str | None) -> int:
    """Whether the SDP offers a codec."""
    rate = f"/{clock}" if clock else "/"
    return 1 if re.search(rf"(?im)^a=rtpmap:\d+ {re.escape(name)}{rate}", context.current.current_body) else -1


@function("is_audio_on_hold")
def is_audio_on_hold(context: Context) -> int:
    """Whether the SDP holds the call."""
    return 1 if re.search(r"(?m)^a=(sendonly|inactive)|^c=IN IP4 0\.0\.0\.0", context.current.current_body) else -1


@function("stream_exists")
def stream_exists(context: Context, media: str, transport: str | None) -> int:
    """Whether the SDP has such a media line."""
    for found in re.finditer(r"(?m)^m=(\S+) \S+ (\S+)", context.current.current_body):
        if compiled(media).search(found[1]) and (not transport or compiled(transport).search(found[2])):
            return 1
    return -1


@function("search")
def search(context: Context, pattern: str) -> int:
    """Looks through the message."""
    message = context.current
    text = "\n".join(f"{header.name}: {header.value}" for header in message.headers) + "\n\n" + message.body
    return 1 if compiled(pattern).search(text) else -1


@function("search_body")
def search_body(context: Context, pattern: str) -> int:
    """Looks through the body."""
    return 1 if compiled(pattern).search(context.current.body) else -1


@function("replace_body")
def replace_body(context: Context, pattern: str, text: str) -> int:
    """Replaces the first fit in the body."""
    message = context.current
    body, count = compiled(pattern).subn(lambda _: text, message.current_body, count=1)
    message.edits.body = body
    return 1 if count else -1


@function("replace_body_all")
def replace_body_all(context: Context, pattern: str, text: str) -> int:
    """Replaces every fit in the body."""
    message = context.current
    body, count = compiled(pattern).subn(lambda _: text, message.current_body)
    message.edits.body = body
    return 1 if count else -1


def change_headers(context: Context, pattern: str, text: str, every: bool) -> int:
    """Replaces in header lines, or takes one away as a whole."""
    message = context.current
    changed = 0
    for place, header in enumerate(message.headers):
        if place in message.edits.removed or (changed and not every):
            continue
        whole = f"{header.name}: {message.current(place)}\r\n"
        new, count = compiled(pattern).subn(lambda _: text, whole, count=0 if every else 1)
        if count and not new:
            message.edits.removed.add(place)
            changed += count
        elif count and new.startswith(f"{header.name}: "):
            message.set_header(place, new[len(header.name) + 2 :].removesuffix("\r\n"))
            changed += count
    return 1 if changed else -1


@function("replace")
def replace(context: Context, pattern: str, text: str) -> int:
    """Replaces the first fit in the headers."""
    return change_headers(context, pattern, text, False)


@function("replace_all")
def replace_all(context: Context, pattern: str, text: str) -> int:
    """Replaces every fit in the headers."""
    return change_headers(context, pattern, text, True)


@function("change_reply_status")
def change_reply_status(context: Context, code: int, reason: str) -> int:
    """Another status for the reply that is passed on."""
    if context.reply is None:
        return -1
    context.reply.status, context.reply.reason = code, reason
    return 1
