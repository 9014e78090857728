"""Probes of telephony: SIP requests, rtpengine's control socket, FreeSWITCH's event socket and its gRPC."""

import contextlib
import os
import re
import secrets
import socket
from typing import TYPE_CHECKING, Any

from ..manifest import ProbeEntry
from ..system import Unhealthy
from . import grpc

if TYPE_CHECKING:
    from .view import View

TIMEOUT_SECONDS = 2.5
BEFORE = "esl_password_before"
"""What the former passwords of the event socket are kept under, the latest first."""


def sip_request(probe: ProbeEntry, view: "View") -> None:
    """Send a request outside a dialog and judge the status of its answer; `accept` is another status that is fine too.

    With `credentials` a challenge is answered for an account that nobody has: only then is the database asked for accounts
    (`facts/telephony-real.md` 1), and the answer is the same challenge again.
    """
    method, target = probe["method"], f"{probe['address']}:{probe['port']}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((view.address, 0))
        sock.settimeout(TIMEOUT_SECONDS)
        sock.connect((probe["address"], probe["port"]))
        try:
            answer = exchange(sock, method, view.address, "")
            challenge = re.search(r"(?im)^WWW-Authenticate:\s*Digest\s+(.*)$", answer)
            if probe.get("credentials") and challenge:
                answer = exchange(sock, method, view.address, answer_challenge(challenge[1], method, view.address))
        except TimeoutError as error:
            raise Unhealthy(f"no answer to {method} at {target} within {TIMEOUT_SECONDS} s") from error
    first = answer.splitlines()[0]
    if first.split(" ")[1] not in {str(probe["status"]), probe.get("accept")}:
        raise Unhealthy(f"{method}: {first}, expected {probe['status']}")


def exchange(sock: socket.socket, method: str, host: str, header: str) -> str:
    """Send one request and return its final answer; raise a TimeoutError without one."""
    mine, target = ("{}:{}".format(*name) for name in (sock.getsockname(), sock.getpeername()))
    token = secrets.token_hex(8)
    sock.send(write_request(method, target if method == "OPTIONS" else host, host, mine, token, header))
    while True:
        data = sock.recv(65535).decode(errors="replace")
        if data.startswith("SIP/2.0 ") and not data.startswith("SIP/2.0 1") and token in data:
            return data


def write_request(
    method: str,
    target: str,
    host: str,
    mine: str,
    token: str,
    header: str = "",
    transport: str = "UDP",
    agent: str = "webitel-node",
) -> bytes:
    """Write a request outside a dialog, to `target`, from `mine` (address and port); `token` marks what belongs to it."""
    contact = f"sip:probe@{mine}" + ("" if transport == "UDP" else f";transport={transport.lower()}")
    return (
        f"{method} sip:{target} SIP/2.0\r\n"
        f"Via: SIP/2.0/{transport} {mine};branch=z9hG4bK{token};rport\r\nMax-Forwards: 10\r\n"
        f"From: <sip:probe@{host}>;tag={token}\r\nTo: <sip:probe@{host}>\r\n"
        f"Call-ID: {token}@{host}\r\nCSeq: 1 {method}\r\nContact: <{contact}>\r\n"
        f"{header}User-Agent: {agent}\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def answer_challenge(challenge: str, method: str, host: str) -> str:
    """Return the header with an answer that cannot be right."""
    words = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    return (
        f'Authorization: Digest username="webitel-probe", realm="{words.get("realm", "")}", nonce="{words.get("nonce", "")}", '
        f'uri="sip:{host}", response="{secrets.token_hex(16)}", algorithm=MD5, qop=auth, nc=00000001, '
        f'cnonce="{secrets.token_hex(4)}"\r\n'
    )


def bencode(value: object) -> bytes:
    """Encode rtpengine's wire format."""
    if isinstance(value, str):
        return f"{len(value.encode())}:{value}".encode()
    if isinstance(value, list):
        return b"l" + b"".join(bencode(item) for item in value) + b"e"
    assert isinstance(value, dict), value
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


def ask_rtpengine(address: str, port: int, message: dict[str, Any]) -> str:
    """Send one command and return its answer. The cookie is fresh: a repeated one gets the earlier answer replayed."""
    cookie = secrets.token_hex(8)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(TIMEOUT_SECONDS)
        sock.sendto(f"{cookie} ".encode() + bencode(message), (address, port))
        return sock.recv(65535).decode(errors="replace").removeprefix(f"{cookie} ")


def rtpengine(probe: ProbeEntry, view: "View") -> None:
    """Make an offer that opens media ports, then delete it: a ping is answered even with an address the node lacks."""
    address, port = probe["address"], probe["port"]
    call = {"call-id": f"probe-{os.getpid()}-{secrets.token_hex(4)}", "from-tag": "probe"}
    offer = (
        f"v=0\r\no=- 1 1 IN IP4 {view.address}\r\ns=-\r\nc=IN IP4 {view.address}\r\nt=0 0\r\n"
        "m=audio 40000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
    )
    try:
        said = ask_rtpengine(address, port, {**call, "command": "offer", "sdp": offer, "replace": ["origin"]})
        ask_rtpengine(address, port, {**call, "command": "delete"})
    except TimeoutError as error:
        raise Unhealthy(f"no answer on its control socket {address}:{port}") from error
    if "6:result2:ok" not in said or "m=audio" not in said:
        raise Unhealthy(said[:200])


def ask_freeswitch(probe: ProbeEntry, view: "View", command: str) -> str:
    """Send FreeSWITCH's event socket a command. Raises PermissionError when it rejects the password.

    It has the password of its last start: where that has changed since, the former ones are tried as well.
    """
    passwords = [*filter(None, [view.secrets.get("esl_password")]), *view.secrets.get(BEFORE, "").split()]
    for password in passwords[:-1]:
        with contextlib.suppress(PermissionError):
            return ask_with(password, probe, command)
    return ask_with(passwords[-1], probe, command)


def ask_with(password: str, probe: ProbeEntry, command: str) -> str:
    """Send one command with one password."""
    with socket.create_connection((probe["address"], probe["port"]), TIMEOUT_SECONDS) as connection:
        connection.settimeout(TIMEOUT_SECONDS)
        stream = connection.makefile("rb")
        read_block(stream)
        connection.sendall(f"auth {password}\n\n".encode())
        if "+OK" not in read_block(stream):
            raise PermissionError("the event socket rejects the password")
        connection.sendall(f"api {command}\n\n".encode())
        header = read_block(stream)
        length = int(next((line.split(":")[1] for line in header.splitlines() if line.startswith("Content-Length")), "0"))
        return stream.read(length).decode(errors="replace")


def freeswitch(probe: ProbeEntry, view: "View") -> None:
    """Check that the event socket accepts the password, that `status` says that it is ready, and that nothing is paused:
    `status` alone tells a pause of both directions only (`facts/calls-observed.md` 0.8, `facts/telephony-real.md` E)."""
    text = ask_freeswitch(probe, view, "status")
    paused = [name for name in ("inbound", "outbound") if "true" in ask_freeswitch(probe, view, f"fsctl pause_check {name}")]
    if paused:
        raise Unhealthy(
            f"paused, new {' and '.join(paused)} calls are refused: a drain is in progress, or was abandoned; "
            "`webitel-node resume` takes calls again"
        )
    if "is ready" not in text:
        raise Unhealthy(next((line for line in text.splitlines() if "ready" in line), text[:100]))


def freeswitch_calls(probe: ProbeEntry, _: "View") -> None:
    """Call FreeSWITCH's gRPC."""
    call_freeswitch(probe["address"], probe["port"])


def call_freeswitch(address: str, port: int) -> None:
    """Have fs.Api/Execute answer: a server that merely accepts connections would keep the next caller waiting for ever."""
    answered = grpc.call(address, port, "/fs.Api/Execute", grpc.text_field(1, "version"), TIMEOUT_SECONDS)
    if not grpc.read_text(answered, 1):
        raise Unhealthy("it answers a call with an empty message")


def read_block(stream: Any) -> str:
    """Read header lines up to an empty one."""
    lines = []
    while line := stream.readline().decode(errors="replace").strip():
        lines.append(line)
    return "\n".join(lines)
