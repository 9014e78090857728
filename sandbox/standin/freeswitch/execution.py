"""A call on its way through the dial plan, application by application, and what Flow Manager has done with it.

Flow Manager's stand-in says nothing about a call: the number called says it. `tone` speaks first and hangs up after two
seconds, `hangup` echoes and hangs up after two seconds, `ring...` rings for a second first, every other one echoes until the
caller hangs up.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

from . import sip
from .call import Call
from .dialplan import expand

if TYPE_CHECKING:
    from .calls import Phone

HANGS_UP_AFTER, RINGS_FOR = 2.0, 1.0
CONNECT_LIMIT = 25.0
"""Seconds that the real one waits for the first word of Flow Manager."""

ALLOW = ("Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REFER, NOTIFY",)
CLEARING = ('Reason: Q.850;cause=16;text="NORMAL_CLEARING"',)


async def begin(phone: Phone, call: Call) -> None:
    """A new call: its offer is looked at before the dial plan, unless that comes late."""
    offer = sip.parse_sdp(call.invite.body)
    if offer is None and not phone.profile.late:
        phone.say("[INFO] sofia.c:8033 No SDP in INVITE and 3pcc not enabled, hanging up.")
        phone.give_up(call, 480, "Temporarily Unavailable", ('Reason: Q.850;cause=96;text="MANDATORY_IE_MISSING"',))
        return
    if offer is not None and not set(phone.profile.codecs) & set(offer.codecs):
        phone.give_up(call, 488, "Not Acceptable Here", ('Reason: Q.850;cause=88;text="INCOMPATIBLE_DESTINATION"',))
        return
    if phone.profile.late == "true" and offer is None:
        await answer(phone, call)
    await execute(phone, call)


async def execute(phone: Phone, call: Call) -> None:
    """The applications in turn; a call that is left after the last one is hung up."""
    is_late = sip.parse_sdp(call.invite.body) is None
    call.variables |= {
        "uuid": call.uuid,
        "destination_number": call.number,
        "endpoint_disposition": "RECEIVED_NOSDP" if is_late else "RECEIVED",
    }
    call.variables |= {f"sip_h_{name}": value for name, value in call.invite.headers if name.startswith("x-")}
    for application, data in phone.profile.dialplan.actions(phone.profile.context, call.variables):
        text = expand(data, phone.profile.variables | call.variables)
        if application in ("set", "export"):
            name, _, value = text.partition("=")
            call.variables[name] = value
        elif application == "socket":
            await connect(phone, call, text)
        elif application == "answer":
            await answer(phone, call)
        elif application == "echo":
            await answer(phone, call)
            await call.ended.wait()
        elif application == "respond":
            status, _, reason = text.partition(" ")
            refuse(phone, call, int(status), reason)
        elif application == "hangup":
            refuse(phone, call, 480, "Temporarily Unavailable")
        else:
            phone.say(f"[ERR] the stand-in does not do {application}")
        if call.ended.is_set():
            return
    phone.say(f"[NOTICE] {call.uuid} has executed the last dialplan instruction, hanging up.")
    refuse(phone, call, 480, "Temporarily Unavailable")


def refuse(phone: Phone, call: Call, status: int, reason: str) -> None:
    """The end of a call by ourselves: a final answer, or a BYE where it stands already."""
    if call.answered or call.confirmed:
        phone.hang_up(call)
    else:
        phone.give_up(call, status, reason, CLEARING if status == 480 else ())


async def connect(phone: Phone, call: Call, data: str) -> None:
    """`socket`: Flow Manager has the call as long as it holds the connection; nobody there means the next application."""
    for place in data.split(maxsplit=1)[0].split("|"):
        host, _, port = place.partition(":")
        try:
            reader, writer = await asyncio.open_connection(host, int(port or 8084))
        except OSError as error:
            phone.say(f"[ERR] mod_event_socket.c:486 Socket Error: {os.strerror(error.errno or 0)}")
            continue
        try:
            await control(phone, call, reader, writer)
        finally:
            writer.close()
        return
    phone.say("[ERR] mod_event_socket.c:490 Socket Error!")


async def control(phone: Phone, call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What happens while the connection stands. One that says nothing leaves the caller waiting, as the real one does."""
    try:
        first = await asyncio.wait_for(reader.readuntil(b"\n\n"), CONNECT_LIMIT)
    except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
        phone.say("[CRIT] mod_event_socket.c:2707 Socket Error!")
        await call.ended.wait()
        return
    if first.strip() == b"connect":
        writer.write(f"Content-Type: command/reply\nUnique-ID: {call.uuid}\n\n".encode())
    flow = asyncio.create_task(run_flow(phone, call))
    call.tasks.append(flow)
    gone = asyncio.create_task(drained(reader))
    over = asyncio.create_task(call.ended.wait())
    try:
        await asyncio.wait((gone, over), return_when=asyncio.FIRST_COMPLETED)
        if call.answered or call.confirmed:
            # It runs an application, which goes on to its end without whoever asked for it.
            await over
        flow.cancel()
    finally:
        gone.cancel()
        over.cancel()


async def drained(reader: asyncio.StreamReader) -> None:
    """Returns when the other side has closed."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(4096):
            pass


async def run_flow(phone: Phone, call: Call) -> None:
    """What a flow does with the number that was called."""
    if call.number.startswith("ring"):
        call.send(sip.answer(call.invite, 180, "Ringing", call.tag, (f"Contact: {call.contact}", *ALLOW)))
        await asyncio.sleep(float(call.number.removeprefix("ring") or RINGS_FOR))
    await answer(phone, call)
    if call.media and call.number == "tone":
        call.media.speak()
    if call.number in ("tone", "hangup"):
        await asyncio.sleep(HANGS_UP_AFTER)
        phone.hang_up(call)


async def answer(phone: Phone, call: Call) -> None:
    """200 to the INVITE, unless that was said already; a late offer has to be answered before anything is heard."""
    if call.answered or call.confirmed:
        return
    await negotiate(phone, call)
    if call.offers:
        await call.acknowledged.wait()


async def change(phone: Phone, call: Call) -> None:
    """An INVITE inside the call."""
    offer = sip.parse_sdp(call.invite.body)
    if offer is not None and not set(phone.profile.codecs) & set(offer.codecs):
        call.send(sip.answer(call.invite, 488, "Not Acceptable Here", call.tag))
        return
    await negotiate(phone, call)


async def negotiate(phone: Phone, call: Call) -> None:
    """200 with the first codec of ours that was offered, or with an offer of ours."""
    offer = sip.parse_sdp(call.invite.body)
    if call.media is None:
        nowhere = phone.profile.address, 9
        call.media, call.port = await phone.profile.media.open((offer.address, offer.port) if offer else nowhere)
        call.tasks.append(asyncio.create_task(phone.watch_media(call, call.media)))
    elif offer:
        call.media.target = (offer.address, offer.port)
    codecs = tuple(number for number in phone.profile.codecs if number in offer.codecs)[:1] if offer else phone.profile.codecs
    call.offers = offer is None
    if call.offers and not call.confirmed and phone.profile.late == "proxy":
        # Such a 200 alone has the profile's own contact.
        call.contact = f"<sip:mod_sofia@{phone.here}>"
    phone.respond(
        call, sip.write_sdp(phone.profile.media.address, call.port, call.version, offer is None or 101 in offer.codecs, codecs)
    )
