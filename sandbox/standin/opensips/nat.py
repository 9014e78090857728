"""nathelper: who is behind a NAT, and pings that keep its way open."""

from __future__ import annotations

import ipaddress
import secrets
from typing import TYPE_CHECKING

from .context import Context, function
from .message import Message
from .requests import send_request
from .uri import parse_address, parse_uri, split_list

if TYPE_CHECKING:
    from .core import Core
    from .location import Contact

PRIVATE = tuple(ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
TESTS = {
    "private-contact": 1,
    "diff-ip-src-via": 2,
    "private-via": 4,
    "private-sdp": 8,
    "diff-port-src-via": 16,
    "diff-ip-src-contact": 32,
    "diff-port-src-contact": 64,
    "carrier-grade-nat": 128,
}


def is_private(host: str) -> bool:
    """Addresses that the internet does not route, as the module lists them."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return any(address in network for network in PRIVATE)


@function("nat_uac_test")
def nat_uac_test(context: Context, names: str) -> int:
    """Whether one of the tests says so."""
    message = context.current
    wanted = int(names) if names.isdigit() else sum(TESTS.get(name.strip(), 0) for name in names.split(","))
    _, sent_by, _ = message.via()
    host, _, port_text = sent_by.partition(":")
    port = int(port_text) if port_text.isdigit() else 5060
    contact = parse_uri(parse_address(message.one("contact"))[1])
    sdp = next((line.split()[-1] for line in message.body.splitlines() if line.startswith("c=IN IP4 ")), "")
    here = message.here
    found = {
        1: contact is not None and is_private(contact.host),
        2: here.address != host,
        4: is_private(host),
        8: is_private(sdp),
        16: here.port != port,
        32: contact is not None and contact.host != here.address,
        64: contact is not None and (contact.port or 5060) != here.port,
    }
    return 1 if any(found.get(bit) for bit in found if wanted & bit) else -1


@function("fix_nated_contact")
def fix_nated_contact(context: Context, parameters: str | None) -> int:
    """Contact says where the message came from."""
    message = context.current
    for place in message.places("contact"):
        values = []
        for value in split_list(message.current(place)):
            name, text, _ = parse_address(value)
            uri = parse_uri(text)
            if uri is None:
                values.append(value)
                continue
            tail = value.partition(">")[2] if "<" in value else ""
            said = "".join(f";{key}={what}" if what else f";{key}" for key, what in uri.parameters.items())
            user = f"{uri.user}@" if uri.user else ""
            values.append(
                f"{name + ' ' if name else ''}<{uri.scheme}:{user}{message.here.address}:{message.here.port}"
                f"{said}{parameters or ''}>{tail}"
            )
        message.set_header(place, ", ".join(values))
    return 1 if message.places("contact") else -1


@function("fix_nated_register")
def fix_nated_register(context: Context) -> int:
    """The source goes into the registration beside the contact."""
    here = context.message.here
    name = context.core.config.text("nathelper", "received_avp").removeprefix("$avp(").rstrip(")")
    if not name:
        return -1
    transport = "" if here.protocol == "udp" else f";transport={here.protocol}"
    context.avps.setdefault(name, []).insert(0, f"sip:{here.address}:{here.port}{transport}")
    return 1


@function("fix_nated_sdp")
def fix_nated_sdp(context: Context, flags: str, address: str | None, more: str | None) -> int:
    """Puts the source's address into the SDP."""
    del more
    import re

    message = context.current
    if not message.body:
        return -1
    place = address or message.here.address
    body = message.current_body
    if "rewrite-media-ip" in flags or (flags.isdigit() and int(flags) & 2):
        body = re.sub(r"(?m)^c=IN IP4 \S+", f"c=IN IP4 {place}", body)
    if "rewrite-origin-ip" in flags or (flags.isdigit() and int(flags) & 8):
        body = re.sub(r"(?m)^(o=.* IN IP4) \S+", rf"\1 {place}", body)
    message.edits.body = body
    return 1


class Pings:
    """Pings to registered phones."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def text(self, name: str) -> str:
        """One of the module's texts."""
        return self.core.config.text("nathelper", name)

    def round(self) -> None:
        """One round: UDP contacts, others where `natping_tcp` says so; behind a NAT only where `ping_nated_only` says so."""
        config = self.core.config
        for contact in self.core.location.everything():
            nated = config.text("usrloc", "nat_bflag") in contact.flags
            if (config.number("nathelper", "ping_nated_only") and not nated) or contact.socket is None:
                continue
            if contact.socket.protocol != "udp" and not config.number("nathelper", "natping_tcp"):
                continue
            if self.text("sipping_bflag") and self.text("sipping_bflag") in contact.flags and self.text("sipping_from"):
                self.ask(contact)
            else:
                uri = parse_uri(contact.received or contact.uri)
                if uri and contact.socket.protocol == "udp":
                    self.core.transport.send(b"\0\0\0\0", contact.socket, *uri.address)

    def ask(self, contact: Contact) -> None:
        """A SIP ping; after too many without an answer the contact may be removed."""
        flag = self.text("remove_on_timeout_bflag")

        def done(status: int, reply: Message | None) -> None:
            del status
            if reply is not None:
                contact.lost = 0
                return
            contact.lost += 1
            if flag and flag in contact.flags and contact.lost >= self.core.config.number("nathelper", "max_pings_lost"):
                self.core.location.remove(contact, "ping")

        send_request(
            self.core,
            self.text("sipping_method"),
            contact.uri,
            self.text("sipping_from"),
            contact.uri,
            callback=done,
            socket=contact.socket,
            destination=contact.received,
            call_id=secrets.token_hex(8),
        )


def start(core: Core) -> None:
    """Begins to ping."""
    if core.has("nathelper"):
        interval = core.config.number("nathelper", "natping_interval")
        if interval:
            core.timers.every(interval, core.pings.round)
