"""SIP of the profile: OPTIONS, and calls that are answered, echoed and ended.

The number called says what happens: `tone` speaks first and hangs up after two seconds, `hangup` echoes and hangs up after two
seconds, every other one echoes until the caller hangs up.
"""

import asyncio
import time
from collections.abc import Callable
from typing import cast

from . import sip
from .call import Call, Send, incoming
from .media import Ports

T1, T2, GIVE_UP = 0.5, 4.0, 32.0
HANGS_UP_AFTER = 2.0


class Phone:
    """Every call of the profile."""

    def __init__(
        self, address: str, port: int, media: Ports, limits: tuple[int, int], flow: tuple[str, int], say: Callable[[str], None],
    ) -> None:
        self.address, self.port, self.media, self.flow, self.say = address, port, media, flow, say
        self.transport: asyncio.DatagramTransport | None = None
        self.max_sessions, self.per_second = limits
        self.calls: dict[tuple[str, str], Call] = {}
        self.answers: dict[tuple[str, str], asyncio.Queue[sip.Message]] = {}
        self.traces = False
        self.paused = False
        self.total = self.peak = 0
        self.started: list[float] = []
        self.stopping = False

    @property
    def is_full(self) -> bool:
        """No session is left."""
        return len(self.calls) >= self.max_sessions

    def refuses(self) -> str:
        """Why a call is answered 503 now, empty if it is taken (`facts/calls-observed.md` 5)."""
        if self.paused or self.stopping:
            return "System Paused"
        if self.is_full:
            return "Maximum Calls In Progress"
        now = time.monotonic()
        self.started = [moment for moment in self.started if now - moment < 1]
        return "Maximum Calls In Progress" if len(self.started) >= self.per_second else ""

    def take(self, message: sip.Message, send: Send) -> None:
        """One message from the network."""
        if message.status:
            waiting = self.answers.get((message.one("call-id"), message.one("cseq")))
            if waiting:
                waiting.put_nowait(message)
            return
        call = self.calls.get(message.key) or next(
            (known for known in self.calls.values() if known.id == message.one("call-id")), None)
        if message.method == "OPTIONS":
            reason = "" if call else ("System Paused" if self.paused else "Maximum Calls In Progress" if self.is_full else "")
            send(sip.answer(message, 503 if reason else 200, reason or "OK", "probe", self.contact()))
        elif message.method == "INVITE":
            self.invite(message, send, call)
        elif message.method == "ACK":
            if call:
                call.answered, call.confirmed = b"", True
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

    def contact(self) -> tuple[str, ...]:
        """Where requests inside the call go, and what is understood."""
        return (f"Contact: <sip:mod_sofia@{self.address}:{self.port}>", "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO")

    def invite(self, message: sip.Message, send: Send, call: Call | None) -> None:
        """A new call, a change of a running one, or a repetition."""
        if call is None:
            reason = self.refuses()
            if reason:
                send(sip.answer(message, 503, reason, "full"))
                return
            self.started.append(time.monotonic())
            call = incoming(message, send)
            self.keep(message.key, call)
            send(sip.answer(message, 100, "Trying"))
            call.tasks.append(asyncio.create_task(self.answer(call)))
        elif (message.key, message.one("cseq")) == (call.invite.key, call.invite.one("cseq")):
            if call.answered:
                send(call.answered)
        else:
            call.invite, call.send, call.target = message, send, sip.uri(message.one("contact"))
            call.version += 1
            call.tasks.append(asyncio.create_task(self.accept(call)))

    def keep(self, key: tuple[str, str], call: Call) -> None:
        """A call more."""
        self.calls[key] = call
        self.total, self.peak = self.total + 1, max(self.peak, len(self.calls))

    async def answer(self, call: Call) -> None:
        """Flow Manager is asked, as the dial plan says; then the call is answered."""
        try:
            await self.ask_flow()
        except OSError as error:
            self.say(f"[ERR] Socket Error! flow manager at {self.flow[0]}:{self.flow[1]}: {error}")
            call.send(sip.answer(call.invite, 503, "Service Unavailable", call.tag))
            self.end(call)
            return
        call.send(sip.answer(call.invite, 180, "Ringing", call.tag, self.contact()))
        await self.accept(call)
        if call.media and call.number == "tone":
            call.media.speak()
        if call.number in ("tone", "hangup"):
            await asyncio.sleep(HANGS_UP_AFTER)
            self.hang_up(call)

    async def ask_flow(self) -> None:
        """The outbound event socket of the dial plan: `socket acr_srv`."""
        connection = asyncio.open_connection(*self.flow)
        try:
            _, writer = await asyncio.wait_for(connection, 2)
        except TimeoutError as error:
            raise OSError("no answer within 2 s") from error
        writer.close()

    async def accept(self, call: Call) -> None:
        """200 with our SDP, repeated until the ACK."""
        offer = sip.parse_sdp(call.invite.body)
        if offer is None or 8 not in offer.codecs:
            call.send(sip.answer(call.invite, 488, "Not Acceptable Here", call.tag))
            if not call.confirmed:
                self.end(call)
            return
        if call.media is None:
            call.media, call.port = await self.media.open((offer.address, offer.port))
        else:
            call.media.target = (offer.address, offer.port)
        body = sip.write_sdp(self.address, call.port, call.version, 101 in offer.codecs)
        call.answered = sip.answer(call.invite, 200, "OK", call.tag, self.contact(), body)
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

    def hang_up(self, call: Call) -> None:
        """A BYE along the recorded route; the call is over whatever the answer is."""
        call.sequence += 1
        self.transmit(call.request("BYE", call.sequence, self.here), call.next_hop())
        self.end(call)

    @property
    def here(self) -> str:
        """The profile's address and port."""
        return f"{self.address}:{self.port}"

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
