"""rtpengine: offers, answers and ends of calls over the NG protocol."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .bencode import decode, encode
from .context import Context, function
from .tree import Variable

if TYPE_CHECKING:
    from .core import Core

TRANSPORTS = {
    "RTP/AVP": "RTP/AVP",
    "RTP/AVPF": "RTP/AVPF",
    "RTP/SAVP": "RTP/SAVP",
    "RTP/SAVPF": "RTP/SAVPF",
    "UDP/TLS/RTP/SAVP": "UDP/TLS/RTP/SAVP",
    "UDP/TLS/RTP/SAVPF": "UDP/TLS/RTP/SAVPF",
}
REPLACES = {
    "replace-origin": "origin",
    "replace-session-connection": "session-connection",
    "replace-username": "username",
    "replace-SDP-version": "SDP version",
    "replace-zero-address": "zero address",
    "replace-session-name": "session name",
}
MUXES = ("demux", "offer", "reject", "accept", "require")


@dataclass(eq=False)
class Engine:
    """One rtpengine."""

    url: str
    address: tuple[str, int]
    disabled: bool = False
    recheck: float = 0.0
    """When it may be tried again, monotonic seconds."""
    permanent: bool = False


class Engines:
    """Every rtpengine of the file, in set 0."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.nodes: list[Engine] = []
        self.local = threading.local()

    def number(self, name: str) -> int:
        """One of the module's numbers."""
        return self.core.config.number("rtpengine", name)

    def load(self) -> None:
        """From `rtpengine_sock`; what cannot be read is logged, and the program starts all the same."""
        for value in self.core.config.parameters.get(("rtpengine", "rtpengine_sock"), []):
            for url in str(value).partition("==")[2].split() or str(value).split():
                url = url.partition("=")[0]
                protocol, _, place = url.partition(":")
                host, _, port = place.rpartition(":")
                if protocol != "udp" or not port.isdigit():
                    self.core.say(f"ERROR:rtpengine:add_rtpengine_socks: no socket {url}")
                    continue
                node = Engine(url, (host, int(port)))
                self.nodes.append(node)
                self.test(node)

    def test(self, node: Engine) -> None:
        """Whether it answers."""
        self.send(node, {"command": "ping"})
        if not node.disabled:
            self.core.say(f"INFO:rtpengine:rtpe_test: rtp proxy <{node.url}> found, support for it enabled")

    def recheck(self) -> None:
        """Tries again what was disabled for long enough."""
        for node in self.nodes:
            if node.disabled and not node.permanent and node.recheck <= time.monotonic():
                self.test(node)

    def send(self, node: Engine, message: dict[str, Any]) -> dict[str, Any] | None:
        """One command; None when the node does not answer, which disables it for a while."""
        sockets: dict[str, socket.socket] = self.local.__dict__.setdefault("sockets", {})
        link = sockets.get(node.url)
        if link is None:
            link = sockets[node.url] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            link.connect(node.address)
        cookie = secrets.token_hex(6).encode()
        data = cookie + b" " + encode(message)
        try:
            for _ in range(self.number("rtpengine_retr")):
                link.send(data)
                end = time.monotonic() + self.number("rtpengine_tout")
                while (left := end - time.monotonic()) > 0:
                    link.settimeout(left)
                    try:
                        said = link.recv(65535)
                    except TimeoutError:
                        break
                    if said.startswith(cookie + b" "):
                        node.disabled = False
                        found: dict[str, Any] = decode(said[len(cookie) + 1 :])
                        return found
            self.core.say("ERROR:rtpengine:send_rtpe_command: timeout waiting reply from a RTP proxy")
        except OSError as error:
            self.core.say(f"ERROR:rtpengine:send_rtpe_command: {error}")
        self.core.say(f"ERROR:rtpengine:send_rtpe_command: proxy <{node.url}> does not respond, disable it")
        node.disabled, node.recheck = True, time.monotonic() + self.number("rtpengine_disable_tout")
        return None

    def ask(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """By the first node that answers."""
        while True:
            node = next((one for one in self.nodes if not one.disabled), None)
            if node is None:
                self.core.say("ERROR:rtpengine:rtpe_function_call: no available proxies")
                return None
            said = self.send(node, message)
            if said is None:
                continue
            if said.get("result") == "error":
                self.core.say(f"ERROR:rtpengine:rtpe_function_call: proxy replied with error: {said.get('error-reason')}")
                return None
            return said

    def show(self) -> list[dict[str, Any]]:
        """MI `rtpengine_show`."""
        now = time.monotonic()
        return [
            {
                "Set": 0,
                "Nodes": [
                    {
                        "url": node.url,
                        "index": number,
                        "disabled": int(node.disabled),
                        "weight": 1,
                        "recheck_ticks": max(0, int(node.recheck - now)) if node.disabled else 0,
                    }
                    for number, node in enumerate(self.nodes)
                ],
            }
        ]

    def enable(self, url: str, enable: int | str, setid: int | str = 0) -> str:
        """MI `rtpengine_enable`."""
        del setid
        for node in self.nodes:
            if node.url == url:
                node.disabled = node.permanent = not int(enable)
                if int(enable):
                    self.test(node)
                return "OK"
        raise ValueError("rtpengine not found")


def start(core: Core) -> None:
    """Finds the nodes and looks after those that are disabled."""
    if core.has("rtpengine"):
        core.engines.load()
        core.timers.every(core.engines.number("rtpengine_timer_interval"), core.engines.recheck)
        core.commands |= {"rtpengine_show": core.engines.show, "rtpengine_enable": core.engines.enable}


class FlagError(Exception):
    """A word that rtpengine's module refuses."""


def read_flags(text: str, message: dict[str, Any]) -> set[str]:
    """Puts the words of a script into a command; returns those that only the module understands."""
    own: set[str] = set()
    sides: dict[str, str] = {}
    lists: dict[str, list[str]] = {"flags": [], "replace": [], "rtcp-mux": []}
    for word in text.split():
        key, equals, value = word.partition("=")
        mux = key.removeprefix("rtcp-mux-") if key.startswith("rtcp-mux-") else ""
        if key in TRANSPORTS and not equals:
            message["transport-protocol"] = TRANSPORTS[key]
        elif key in REPLACES:
            lists["replace"].append(REPLACES[key])
        elif mux in MUXES:
            lists["rtcp-mux"].append(mux)
        elif key in ("in-iface", "out-iface"):
            sides[key] = value
        elif key in ("call-id", "from-tag", "to-tag", "callid"):
            message["call-id" if key == "callid" else key] = value
        elif key == "repacketize" or key == "delete-delay":
            message[key] = int(value)
        elif key in ("force-answer", "directional", "via-branch"):
            own.add(key)
        elif equals:
            message["address family" if key == "address-family" else key] = value
        else:
            lists["flags"].append(key)
    if len(sides) == 1:
        raise FlagError(f"{next(iter(sides))} value without its other")
    if sides:
        message["direction"] = [sides["in-iface"], sides["out-iface"]]
    message |= {name: found for name, found in lists.items() if found}
    return own


def command(context: Context, name: str, flags: str | None, body: str | None) -> dict[str, Any] | None:
    """One command about the message that is being worked on."""
    current = context.current
    asked: dict[str, Any] = {}
    if name in ("offer", "answer"):
        asked["sdp"] = body if body is not None else current.current_body
    try:
        read_flags(flags or "", asked)
    except FlagError as error:
        context.say(f"ERROR:rtpengine:parse_flags: {error}")
        return None
    asked.setdefault("call-id", current.one("call-id"))
    asked["received-from"] = ["IP4", current.here.address]
    sender, receiver = current.tag("from"), current.tag("to")
    if (current.status == 0 and name == "answer") or (current.status and name == "offer"):
        # The answer comes in a request (an ACK), or the offer in a reply: whoever speaks has the tag in To.
        if not receiver:
            context.say("ERROR:rtpengine:rtpe_function_call: No to-tag present")
            return None
        sender, receiver = receiver, sender
    asked.setdefault("from-tag", sender)
    if receiver and name != "delete":
        asked.setdefault("to-tag", receiver)
    asked["command"] = name
    return context.core.engines.ask(asked)


def change_body(context: Context, name: str, flags: str | None, target: Variable | None, body: str | None) -> int:
    """Offer or answer; the new SDP replaces the old one, or goes into a variable."""
    said = command(context, name, flags, body)
    if said is None or "sdp" not in said:
        return -1
    if target:
        context.store(target, said["sdp"])
    else:
        context.current.edits.body = said["sdp"]
    return 1


@function("rtpengine_offer")
def rtpengine_offer(context: Context, flags: str | None, node: Variable | None, target: Variable | None, body: str | None) -> int:
    """An offer."""
    del node
    return change_body(context, "offer", flags, target, body)


@function("rtpengine_answer")
def rtpengine_answer(
    context: Context,
    flags: str | None,
    node: Variable | None,
    target: Variable | None,
    body: str | None,
) -> int:
    """An answer."""
    del node
    return change_body(context, "answer", flags, target, body)


@function("rtpengine_manage")
def rtpengine_manage(
    context: Context,
    flags: str | None,
    node: Variable | None,
    target: Variable | None,
    body: str | None,
) -> int:
    """Offer, answer or delete, as the message says."""
    message = context.current
    method = message.method or message.sequence[1]
    if method in ("CANCEL", "BYE") and not message.status:
        return rtpengine_delete(context, flags, node)
    if not message.body:
        return -1
    name = "offer" if not message.status and method in ("INVITE", "UPDATE") else "answer"
    return change_body(context, name, flags, target, body)


@function("rtpengine_delete")
def rtpengine_delete(context: Context, flags: str | None, node: Variable | None) -> int:
    """The end of a call's media."""
    del node
    return 1 if command(context, "delete", flags, None) is not None else -1
