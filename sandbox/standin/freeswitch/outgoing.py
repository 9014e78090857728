"""What FreeSWITCH begins itself: a call to the outside, a change of a running one."""

import asyncio
import re
import uuid
from urllib.parse import unquote

from . import sip
from .call import Call, read_routes
from .calls import GIVE_UP, T1, T2, Phone

ORIGINATE = re.compile(
    r"(?:\{[^}]*\})?sofia/(?P<profile>\w+)/(?:sip:)?(?P<user>[^@;/]+)@(?P<host>[0-9.:]+)(?P<parameters>;\S*)? &echo(?:\(\))?"
)
"""`originate {variables}sofia/sip/1000@192.0.2.1:5060;fs_path=sip:10.0.0.1:5062 &echo()`."""


async def originate(phone: Phone, text: str) -> str:
    """Calls somebody and echoes what is heard; answers as `fs_cli` does, once the call stands or has failed."""
    match = ORIGINATE.fullmatch(text)
    if match is None:
        return "-USAGE: <call url> <exten>|&<application_name>(<app_args>)\n"
    if match["profile"] != "sip":
        return "-ERR INVALID_PROFILE\n"
    if "outbound" in phone.paused:
        phone.say("[CRIT] The system cannot create any outbound sessions at this time.")
        return "-ERR DESTINATION_OUT_OF_ORDER\n"
    target = f"sip:{match['user']}@{match['host']}"
    path = re.search(r";fs_path=([^;]+)", match["parameters"] or "")
    where = sip.host_port(unquote(path[1]) if path else target)
    media, port = await phone.profile.media.open(where)
    # outbound-use-uuid-as-callid
    call_id, tag = str(uuid.uuid4()), sip.branch()[7:]
    body = sip.write_sdp(phone.profile.media.address, port, 1, True)
    call = Call(
        sip.Message("", (("call-id", call_id),), ""),
        lambda data: phone.transmit(data, where),
        tag,
        match["user"],
        f"<sip:webitel@{phone.profile.address}>;tag={tag}",
        f"<{target}>",
        target,
        [],
        f"<sip:mod_sofia@{phone.here}>",
        media,
        port,
        is_inbound=False,
        uuid=call_id,
    )
    phone.keep((call_id, tag), call)
    answer = await transact(phone, call, "INVITE", body, where)
    if answer is None or answer.status >= 300:
        phone.end(call)
        return f"-ERR {'NO_USER_RESPONSE' if answer is None else answer.start[8:]}\n"
    call.routes = read_routes(answer)[::-1]
    follow(phone, call, answer)
    return f"+OK {call_id}\n"


async def renegotiate(phone: Phone, call_id: str) -> str:
    """`uuid_media_reneg`: a re-INVITE with the same media."""
    call = next((known for known in phone.calls.values() if known.id == call_id), None)
    if call is None:
        return "-ERR No such channel!\n"
    call.version += 1
    body = sip.write_sdp(phone.profile.media.address, call.port, call.version, True)
    answer = await transact(phone, call, "INVITE", body, call.next_hop())
    if answer is None or answer.status >= 300:
        return f"-ERR {'no answer' if answer is None else answer.start[8:]}\n"
    follow(phone, call, answer)
    return "+OK Success\n"


def follow(phone: Phone, call: Call, answer: sip.Message) -> None:
    """A good answer to an INVITE of ours: where the call goes from now on, and its ACK."""
    call.remote, call.target = answer.one("to"), sip.uri(answer.one("contact"))
    call.confirmed = True
    offer = sip.parse_sdp(answer.body)
    if offer and call.media:
        call.media.target = (offer.address, offer.port)
    phone.transmit(call.request("ACK", call.sequence, phone.here), call.next_hop())


async def transact(phone: Phone, call: Call, method: str, body: str, where: tuple[str, int]) -> sip.Message | None:
    """A request, repeated until something is said; its final answer, or None after 32 s."""
    call.sequence += 1
    data = call.request(method, call.sequence, phone.here, body)
    key = call.id, f"{call.sequence} {method}"
    if method == "INVITE":
        call.invite = sip.parse(data) or call.invite
    answers = phone.answers[key] = asyncio.Queue()
    pause, waited = T1, 0.0
    try:
        phone.transmit(data, where)
        while waited < GIVE_UP:
            try:
                message = await asyncio.wait_for(answers.get(), pause)
            except TimeoutError:
                waited += pause
                pause = min(2 * pause, T2)
                phone.transmit(data, where)
                continue
            if message.status >= 200:
                return message
            pause = GIVE_UP - waited
        return None
    finally:
        del phone.answers[key]
