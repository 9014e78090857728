"""With an account: a phone that registers, places a call and is heard."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterable
from pathlib import Path

from cli.console import Failure
from cli.smoke.audio import CLOCK_HERTZ, HEADER_BYTES, PACKET_SECONDS, End, Stream, estimate_mos
from cli.smoke.check import Account, Finding, World, explain
from cli.smoke.media import LEAST_MOS, MOST_LOSS
from cli.smoke.phone import CallProblem, Phone
from cli.smoke.sip import SIP

SECONDS = 10.0
TAIL_SECONDS = 0.6
"""For the last packets to come back."""
RTP_VERSION = 2
SWALLOWED = 5
"""Packets that FreeSWITCH's `echo` keeps at its beginning (`facts/telephony.md`)."""
EXAMPLE = "such as --account 1001@your-company.com:/root/phone-password --call 600"


def read_account(given: str, number: str, domain: str) -> Account | None:
    """Read `--account USER[@DOMAIN]:FILE`, None where none is given."""
    if not given:
        return None
    who, _, file = given.partition(":")
    user, _, own = who.partition("@")
    if not user or not file:
        raise Failure(f"--account {given}: user and a file with the password, {EXAMPLE}")
    if not (own or domain):
        raise Failure(f"--account {given}: this deployment has no domain, so name the phone's, {EXAMPLE}")
    return Account(user, own or domain, read_password(given, Path(file).expanduser()), number)


def read_password(given: str, path: Path) -> str:
    """Read a password from a file that nobody else reads."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise Failure(f"--account {given}: {path} is readable for others. Next: chmod 600 {path}")
        password = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"--account {given}: {path} has no password that can be read: {explain(error)}; {EXAMPLE}") from error
    if len(password.splitlines()) != 1:
        raise Failure(f"--account {given}: {path} has to have the password as its only line, {EXAMPLE}")
    return password


def check_call(world: World) -> Iterable[Finding]:
    """Register and call, where an account was given."""
    account = world.account
    if account is None:
        yield Finding("", None, "no --account was given")
        return
    for node, address in world.outside(SIP.name):
        target = f"{account.user}@{account.domain} by {address}"
        if not world.seen_as or not world.admits(node, SIP.name, SIP.listener("sip")):
            yield Finding(target, None, "this machine is no phone of the settings: name its address in webitel:phones")
            continue
        phone = Phone((address, world.port(SIP.name, "sip")), world.seen_as, account.user, account.domain, account.password)
        try:
            yield from call(phone, target, account.number, SECONDS)
        except (CallProblem, OSError) as problem:
            yield Finding(target, False, str(problem))
        finally:
            phone.close()


def call(phone: Phone, target: str, number: str, seconds: float) -> Iterable[Finding]:
    """Register, call, talk, hang up, and end the registration."""
    said = phone.register()
    yield Finding(target, said.status == 200, f"REGISTER: {said.start.removeprefix('SIP/2.0 ')}")
    if said.status != 200:
        return
    try:
        if number:
            set_up = phone.invite(number)
            heard, back = talk(phone, seconds)
            phone.hang_up()
            yield judge(f"{target} to {number}", set_up, heard, back, phone.audio.number)
    finally:
        phone.register(0)


def talk(phone: Phone, seconds: float) -> tuple[Stream, set[int]]:
    """Send and hear for a while; what was heard by its own numbers, and which of ours came back."""
    heard, back = Stream(), set[int]()
    phone.audio.sock.setblocking(False)
    begun = next_packet = time.monotonic()
    while (now := time.monotonic()) < begun + seconds + TAIL_SECONDS and not phone.ended:
        if now >= next_packet and now < begun + seconds:
            phone.audio.send(now)
            next_packet += PACKET_SECONDS
        phone.hear(0.001)
        while (data := phone.audio.take()) is not None:
            take_packet(data, phone.audio, heard, back)
    if heard.numbers:
        heard.first, heard.sent = min(heard.numbers), max(heard.numbers) + 1
    return heard, back


def take_packet(data: bytes, end: End, heard: Stream, back: set[int]) -> None:
    """Take a packet by its own number, and note whether it is one of ours that came back."""
    if len(data) <= HEADER_BYTES or data[0] >> 6 != RTP_VERSION:
        return
    stamp = int.from_bytes(data[4:8], "big")
    heard.take(int.from_bytes(data[2:4], "big"), stamp / CLOCK_HERTZ, time.monotonic())
    ours = int.from_bytes(data[HEADER_BYTES : HEADER_BYTES + 4], "big")
    if ours in end.begun:
        back.add(ours)


def judge(target: str, set_up: float, heard: Stream, back: set[int], sent: int) -> Finding:
    """Judge a call. Where the other side sends back what it hears, what is lost on the way there is known as well."""
    if not heard.numbers:
        return Finding(target, False, f"answered in {1000 * set_up:.0f} ms, and nothing was heard of it")
    mos = estimate_mos(heard.loss, 2 * heard.jitter + PACKET_SECONDS)
    figures = {
        "ms": round(1000 * set_up),
        "sent": sent,
        "received": len(heard.numbers),
        "lost": heard.lost,
        "jitter_ms": round(1000 * heard.jitter, 1),
        "mos": mos,
    }
    found = (
        f"answered in {figures['ms']} ms, {heard.lost} of {heard.sent - heard.first} packets lost on the way here, "
        f"jitter {figures['jitter_ms']} ms, MOS {mos}"
    )
    right = heard.loss <= MOST_LOSS and mos >= LEAST_MOS
    if len(back) > SWALLOWED:
        # It sends back what it hears, so it has to until the end.
        gone = sent - min(back) - len(back)
        figures["echoed"] = len(back)
        found += f"; of {sent} sent {len(back)} came back"
        right = right and gone <= sent * MOST_LOSS + SWALLOWED
    return Finding(target, right, found, figures=figures)
