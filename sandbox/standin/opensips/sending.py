"""Where a message goes and how it looks when it leaves."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from functools import lru_cache
from typing import TYPE_CHECKING

from .branches import drop_own_via
from .evaluate import run_route
from .message import Edits, Message, write
from .transport import Connection, Listener
from .uri import parse_parameters, parse_uri, split_list

if TYPE_CHECKING:
    from .branches import Branch
    from .core import Core
    from .transactions import Transaction

UNRESOLVABLE = -478
SEND_FAILED = -477
DROPPED = -1


@lru_cache(maxsize=256)
def resolve(host: str) -> str:
    """An address for a name; empty when there is none."""
    host = host.strip("[]")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        try:
            return socket.gethostbyname(host)
        except OSError:
            return ""


def fix_via(message: Message) -> None:
    """Notes in the first Via where the request really came from, as `received` and `rport`."""
    places = message.places("via")
    if not places:
        return
    values = split_list(message.headers[places[0]].value)
    head, _, tail = values[0].partition(";")
    parameters = parse_parameters(tail)
    sent_by = head.strip().rpartition(" ")[2]
    host = sent_by.partition(":")[0]
    if host != message.here.address:
        parameters["received"] = message.here.address
    if message.force_rport or "rport" in parameters:
        parameters["rport"] = str(message.here.port)
        parameters.setdefault("received", message.here.address)
    values[0] = head.strip() + "".join(f";{name}={said}" if said else f";{name}" for name, said in parameters.items())
    message.set_header(places[0], ", ".join(values))


def reply_address(request: Message) -> tuple[str, int]:
    """Where an answer goes: back to its source, by the port of Via unless `rport` is there."""
    _, sent_by, parameters = request.via()
    port = sent_by.rpartition(":")[2]
    if request.force_rport or "rport" in parameters:
        return request.here.address, request.here.port
    return request.here.address, int(port) if port.isdigit() and ":" in sent_by else 5060


def send_reply(core: Core, request: Message, data: bytes) -> bool:
    """An answer on the way back."""
    source = request.here
    if source.protocol == "udp":
        address, port = reply_address(request)
    else:
        address, port = source.address, source.port
    may_connect = core.transport.may_connect("tcp_no_new_conn_rplflag", request.flags)
    return core.transport.send(data, source.listener, address, port, source.connection, may_connect)


def next_hop(
    core: Core,
    message: Message,
    uri: str,
    destination: str,
    forced: Listener | None,
) -> tuple[Listener, str, int] | None:
    """The socket to leave by, and the address and port to go to."""
    target = parse_uri(destination or uri)
    if target is None or not target.host:
        return None
    protocol = target.transport
    address = resolve(target.parameters.get("maddr") or target.host)
    if not address:
        return None
    port = target.port or (5061 if protocol == "tls" else 5060)
    listener = (
        forced
        if forced and forced.protocol == protocol
        else core.transport.choose(protocol, address, message.source.listener if message.source else None)
    )
    return (listener, address, port) if listener else None


def record_routes(message: Message, edits: Edits, out: Listener, extra: str) -> list[str]:
    """Our Record-Route lines: two, with `r2=on`, where the message leaves by another socket than it came in by."""
    if "record" not in message.routing:
        return []
    tail = f";lr{edits.record_parameters}{extra}"
    came = message.here.listener
    if came is out or "single" in message.routing:
        return [f"Record-Route: <sip:{out.in_route}{tail}>"]
    return [f"Record-Route: <sip:{listener.in_route};r2=on{tail}>" for listener in (out, came)]


def own_via(listener: Listener, branch: str, connection: Connection | None = None) -> str:
    """Our Via line."""
    mark = f";i={id(connection) & 0xFFFFFFF:x}" if connection else ""
    return f"Via: SIP/2.0/{listener.protocol.upper()} {listener.host}:{listener.shown_port};branch={branch}{mark}"


def prepare_branch(transaction: Transaction, branch: Branch, destination: str, forced: Listener | None, path: str) -> int:
    """Runs the branch route and writes the request as this branch sends it; below zero when it cannot go out."""
    core, message = transaction.core, transaction.request
    kept = message.edits, message.new_uri, message.destination, message.socket
    message.edits, message.new_uri, message.destination, message.socket = message.edits.copy(), branch.uri, destination, forced
    try:
        name = transaction.hooks.get("branch")
        hop = next_hop(core, message, message.target, message.destination, message.socket)
        if hop:
            branch.listener = hop[0]
        if name and not run_route(transaction.context("branch", branch), "branch_route", name):
            return DROPPED
        for step in core.before_sending:
            step(transaction, branch)
        branch.uri = message.target
        hop = next_hop(core, message, message.target, message.destination, message.socket)
        if hop is None:
            core.say(f"ERROR:tm:add_uac: no way to {message.destination or message.target}")
            return UNRESOLVABLE
        branch.listener, branch.address, branch.port = hop
        branch.connection = core.connection_of(message.destination or message.target, branch)
        edits = message.edits
        more = [f"Route: {path}"] if path else []
        before = [
            *record_routes(message, edits, branch.listener, core.dialogs.route_parameter(transaction)),
            own_via(branch.listener, branch.identifier, branch.connection),
            *more,
            *edits.before,
        ]
        branch.data = write(f"{message.method} {message.target} SIP/2.0", message, edits, before)
    finally:
        message.edits, message.new_uri, message.destination, message.socket = kept
    return 1


def write_hop(transaction: Transaction, branch: Branch, method: str, reply: Message | None) -> bytes:
    """CANCEL, or the ACK to a refusal: like the request of that branch."""
    request = transaction.request
    assert branch.listener
    to = reply.one("to") if reply else request.one("to")
    lines = [f"{method} {branch.uri} SIP/2.0", own_via(branch.listener, branch.identifier), "Max-Forwards: 70"]
    lines += [
        f"Route: {value}"
        for place, value in ((place, request.current(place)) for place in request.places("route"))
        if place not in request.edits.removed
    ]
    sender = next((request.edits.replaced.get(place, request.headers[place].value) for place in request.places("from")), "")
    lines += [
        f"From: {from_of(branch.data) or sender}",
        f"To: {to if reply else to_of(branch.data) or to}",
        f"Call-ID: {request.one('call-id')}",
        f"CSeq: {request.sequence[0]} {method}",
    ]
    if transaction.core.user_agent:
        lines.append(transaction.core.user_agent)
    return ("\r\n".join([*lines, "Content-Length: 0"]) + "\r\n\r\n").encode("latin-1", "replace")


def from_of(data: bytes) -> str:
    """The From of a request as it went out."""
    return header_of(data, b"from")


def to_of(data: bytes) -> str:
    """The To of a request as it went out."""
    return header_of(data, b"to")


def header_of(data: bytes, name: bytes) -> str:
    """The first header of a name in a written message."""
    for line in data.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip().decode("latin-1")
    return ""


def forward_stateless(core: Core, message: Message) -> int:
    """An ACK on its way, or anything else without a transaction."""
    hop = next_hop(core, message, message.target, message.destination, message.socket)
    if hop is None:
        return UNRESOLVABLE
    listener, address, port = hop
    branch = f"z9hG4bK{secrets.token_hex(4)}.{secrets.token_hex(3)}.0"
    edits = message.edits
    before = [*record_routes(message, edits, listener, ""), own_via(listener, branch), *edits.before]
    data = write(f"{message.method} {message.target} SIP/2.0", message, edits, before)
    may_connect = core.transport.may_connect("tcp_no_new_conn_bflag", message.branch_flags)
    return 1 if core.transport.send(data, listener, address, port, may_connect=may_connect) else SEND_FAILED


def forward_reply(core: Core, reply: Message) -> None:
    """A reply of no transaction of ours goes where the next Via says, if the first one is ours."""
    _, sent_by, _ = reply.via()
    host, _, port = sent_by.partition(":")
    if not core.transport.is_own(host, int(port) if port.isdigit() else 5060):
        return
    protocol, sent_by, parameters = reply.via(1)
    if not sent_by:
        return
    edits = reply.edits.copy()
    drop_own_via(reply, edits)
    status = 500 if reply.status == 503 else reply.status
    data = write(f"SIP/2.0 {status} {reply.reason}", reply, edits, [])
    host, _, text = sent_by.partition(":")
    port_number = int(parameters.get("rport") or text or 5060)
    listener = core.transport.choose(protocol, host, reply.here.listener)
    if listener:
        core.transport.send(data, listener, parameters.get("received") or resolve(host), port_number)
