"""SIP of the profile: OPTIONS, and calls that the dial plan takes, answers, changes and ends."""

import asyncio
import time
from collections.abc import Callable
from typing import cast

from . import execution, sip
from .call import Call, Send, incoming
from .media import Media
from .profile import Profile

T1, T2, GIVE_UP = 0.5, 4.0, 32.0
REFUSED = "Maximum Calls In Progress"
RETRY = ("Retry-After: 300",)
"""What the real one says with a 503, whether it is full or paused."""

CLEARED = ('Reason: Q.850;cause=16;text="NORMAL_CLEARING"',)
SILENT = ('Reason: SIP;cause=804;text="MEDIA_TIMEOUT"',)


class Phone:
    """Every call of the profile."""

    def __init__(self, profile: Profile, say: Callable[[str], None]) -> None:
        self.profile, self.say = profile, say
        self.transport: asyncio.DatagramTransport | None = None
        self.calls: dict[tuple[str, str], Call] = {}
        self.answers: dict[tuple[str, str], asyncio.Queue[sip.Message]] = {}
        self.traces = False
        self.paused: set[str] = set()
        self.total = self.peak = 0
        self.started: list[float] = []
        self.stopping = False

    @property
    def here(self) -> str:
        """The profile's address and port."""
        return f"{self.profile.address}:{self.profile.port}"

    def refuses(self) -> bool:
        """Whether everything from outside is answered 503 now: full, paused inbound or about to end."""
        return self.stopping or "inbound" in self.paused or len(self.calls) >= self.profile.max_sessions

    def is_fast(self) -> bool:
        """Whether a new call exceeds the sessions per second."""
        now = time.monotonic()
        self.started = [moment for moment in self.started if now - moment < 1]
        return len(self.started) >= self.profile.per_second

    def take(self, message: sip.Message, send: Send) -> None:
        """One message from the network."""
        if message.status:
            waiting = self.answers.get((message.one("call-id"), message.one("cseq")))
            if waiting:
                waiting.put_nowait(message)
            return
        call = self.calls.get(message.key) or next(
            (known for known in self.calls.values() if known.id == message.one("call-id")), None
        )
        if message.method in ("OPTIONS", "REGISTER", "INVITE") and call is None and self.refuses():
            send(sip.answer(message, 503, REFUSED, "full", RETRY))
        elif message.method == "OPTIONS":
            send(sip.answer(message, 200, "OK", "probe", (f"Contact: <sip:{self.here}>", *execution.ALLOW)))
        elif message.method == "INVITE":
            self.invite(message, send, call)
        elif message.method == "ACK":
            if call:
                self.acknowledge(call, message)
        elif call is None:
            send(sip.answer(message, 481, "Call Does Not Exist", "none"))
        elif message.method == "BYE":
            send(sip.answer(message, 200, "OK"))
            self.end(call)
        elif message.method == "CANCEL":
            send(sip.answer(message, 200, "OK", call.tag))
            if not call.answered and not call.confirmed:
                send(sip.answer(call.invite, 487, "Request Terminated", call.tag))
                self.end(call)
        else:
            send(sip.answer(message, 200, "OK", call.tag))

    def invite(self, message: sip.Message, send: Send, call: Call | None) -> None:
        """A new call, a change of a running one, or a repetition."""
        if call is None:
            if self.is_fast():
                send(sip.answer(message, 503, REFUSED, "full", RETRY))
                return
            self.started.append(time.monotonic())
            call = incoming(message, send, self.here)
            self.keep(message.key, call)
            send(sip.answer(message, 100, "Trying"))
            call.tasks.append(asyncio.create_task(execution.begin(self, call)))
        elif (message.key, message.one("cseq")) == (call.invite.key, call.invite.one("cseq")):
            if call.answered:
                send(call.answered)
        else:
            call.invite, call.send, call.target = message, send, sip.uri(message.one("contact"))
            call.version += 1
            call.tasks.append(asyncio.create_task(execution.change(self, call)))

    def acknowledge(self, call: Call, message: sip.Message) -> None:
        """An ACK; it brings the answer where our 200 was the offer."""
        call.answered, call.confirmed = b"", True
        if call.offers:
            call.offers = False
            answer = sip.parse_sdp(message.body)
            if answer is None or not set(self.profile.codecs) & set(answer.codecs):
                self.hang_up(call)
                return
            if call.media:
                call.media.target = (answer.address, answer.port)
        call.acknowledged.set()

    def keep(self, key: tuple[str, str], call: Call) -> None:
        """A call more."""
        self.calls[key] = call
        self.total, self.peak = self.total + 1, max(self.peak, len(self.calls))

    def give_up(self, call: Call, status: int, reason: str, more: tuple[str, ...] = ()) -> None:
        """A final no to a call that was not answered."""
        call.send(sip.answer(call.invite, status, reason, call.tag, more))
        self.end(call)

    def respond(self, call: Call, body: str) -> None:
        """200 with our SDP, repeated until the ACK."""
        call.answered = sip.answer(call.invite, 200, "OK", call.tag, (f"Contact: {call.contact}", *execution.ALLOW), body)
        call.send(call.answered)
        call.tasks.append(asyncio.create_task(self.repeat(call, call.answered)))

    async def repeat(self, call: Call, answered: bytes) -> None:
        """The 200 again until it is acknowledged; after 32 s the call ends."""
        pause, waited = T1, 0.0
        while waited < GIVE_UP:
            await asyncio.sleep(pause)
            waited += pause
            if call.answered is not answered:
                return
            call.send(answered)
            pause = min(2 * pause, T2)
        self.say(f"[WARNING] no ACK in {call.id}")
        self.hang_up(call)

    async def watch_media(self, call: Call, media: Media) -> None:
        """Hang up a call that nobody speaks in, as long as our files want it."""
        while shortest := min(self.profile.silence, self.profile.hold):
            await asyncio.sleep(min(1.0, shortest / 4))
            limit = self.profile.hold if sip.is_on_hold(call.invite.body) else self.profile.silence
            if time.monotonic() - media.heard > limit:
                self.say(f"[NOTICE] {call.uuid} hangup [MEDIA_TIMEOUT]")
                self.hang_up(call, SILENT)
                return

    def hang_up(self, call: Call, reason: tuple[str, ...] = CLEARED) -> None:
        """A BYE along the recorded route; the call is over whatever the answer is."""
        call.sequence += 1
        self.transmit(call.request("BYE", call.sequence, self.here, "", reason), call.next_hop())
        self.end(call)

    def transmit(self, data: bytes, where: tuple[str, int]) -> None:
        """Sends a datagram from the profile's port: by it OpenSIPS knows who speaks."""
        assert self.transport
        self.trace("send", data, where)
        self.transport.sendto(data, where)

    def trace(self, what: str, data: bytes, where: tuple[str, int]) -> None:
        """`sofia global siptrace on`: every message in the log."""
        if self.traces:
            text = data.decode("utf-8", "replace").replace("\r\n", "\n")
            self.say(f"{what} {len(data)} bytes {'from' if what == 'recv' else 'to'} udp/[{where[0]}]:{where[1]}\n{text}")

    def end(self, call: Call) -> None:
        """Forgets the call and its media."""
        for key, known in list(self.calls.items()):
            if known is call:
                del self.calls[key]
        if call.media:
            call.media.close()
        call.ended.set()
        running = asyncio.current_task()
        for task in call.tasks:
            if task is not running:
                task.cancel()

    def hang_up_all(self) -> None:
        """SIGTERM: a BYE to every caller at once."""
        self.stopping = True
        for call in list(self.calls.values()):
            self.hang_up(call)


class Socket(asyncio.DatagramProtocol):
    """The profile's UDP socket."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.phone.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.phone.trace("recv", data, address)
        message = sip.parse(data)
        if message:
            self.phone.take(message, lambda reply: self.phone.transmit(reply, address))


async def serve_stream(phone: Phone, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The profile over TCP."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            message = sip.parse(head.lstrip(b"\r\n"))
            if message is None:
                continue
            body = await reader.readexactly(int(message.one("content-length") or 0))
            phone.take(message._replace(body=body.decode("utf-8", "replace")), writer.write)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        writer.close()
