"""Audio through the advertised address: two ends on this machine that rtpengine joins as it joins the ends of a call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from functools import partial

import asyncssh

from cli.console import Failure
from cli.nodes.access import NodeAccess, connect
from cli.nodes.journal import OLD
from cli.smoke.audio import End, begin_measuring, run_ends
from cli.smoke.check import Finding, World, ask_many, explain, start
from cloud_init.node_command import node_command
from components.model.catalogue.services import CATALOGUE
from components.model.plan import Node

SECONDS = 10.0
WARM_UP_SECONDS = 4.0
"""rtpengine learns for three seconds where an end really is, behind a translated address (`endpoint-learning`)."""
ANSWER_SECONDS = 15.0
MOST_LOSS = 0.01
LEAST_MOS = 3.6
"""Where callers begin to complain (ITU-T G.107, `facts/telephony.md`)."""


def check_audio(world: World) -> Iterable[Finding]:
    """Send audio both ways through every relay that is reached from outside."""
    relays = [service.name for service in CATALOGUE.values() if service.sends_audio]
    for findings in ask_many(lambda one: ask_relay(world, *one), [one for name in relays for one in world.outside(name)]):
        yield from findings


def ask_relay(world: World, node: Node, address: str) -> list[Finding]:
    """Send audio through one relay."""
    if not world.seen_as:
        return [Finding(address, None, "the address that nodes see this machine by is not known: give it as --from")]
    # Of two that take turns whichever has its rtpengine running.
    turns = [one for one in world.plan.nodes if one.role == node.role] if world.plan.sip_address else [node]
    findings: list[Finding] = []
    for one in turns:
        try:
            findings = asyncio.run(stream(world, world.access.nodes[one.key], SECONDS))
        except (OSError, asyncssh.Error, Failure) as error:
            findings = [Finding(address, False, explain(error))]
        if all(finding.right for finding in findings):
            break
    return findings


async def stream(world: World, node: NodeAccess, seconds: float) -> list[Finding]:
    """Join two ends on a node and send audio between them."""
    ends = (End(), End())
    try:
        async with await connect(world.access, node) as session:
            command = node_command("media", world.seen_as, *(str(end.port) for end in ends))
            process = await session.start(command)
            line = await asyncio.wait_for(process.stdout.readline(), ANSWER_SECONDS)
            if not line:
                errors = await asyncio.wait_for(process.stderr.read(), ANSWER_SECONDS)
                return [Finding(node.address, False, explain_program(errors.decode(errors="replace")))]
            said = json.loads(line)
            if "error" in said:
                return [Finding(node.address, False, said["error"])]
            for end, (address, port) in zip(ends, said["media"], strict=True):
                end.target = address, port
            await asyncio.wrap_future(start(partial(measure, ends, seconds)))
            process.stdin.write_eof()
            await asyncio.wait_for(process.wait_closed(), ANSWER_SECONDS)
        ways = (ends[1], ends[0]), (ends[0], ends[1])
        return [judge(f"{show(one.target)} to {show(other.target)}", other) for other, one in ways]
    finally:
        for end in ends:
            end.close()


def explain_program(errors: str) -> str:
    """Say why a node's program did not answer."""
    if OLD.search(errors):
        return "its program does not know the question yet. Next: ./webitel up"
    return "".join(errors.strip().splitlines()[-1:]) or "its program ended without an answer"


def show(target: tuple[str, int] | None) -> str:
    """Write an address and port."""
    return "{}:{}".format(*target) if target else ""


def measure(ends: tuple[End, ...], seconds: float) -> None:
    """Send until each end is known, then measure."""
    run_ends(ends, ends[::-1], WARM_UP_SECONDS)
    begin_measuring(ends, ends[::-1])
    run_ends(ends, ends[::-1], seconds)


def judge(target: str, end: End) -> Finding:
    """Judge what one end heard."""
    heard = end.heard
    figures = {
        "sent": heard.sent - heard.first,
        "lost": heard.lost,
        "jitter_ms": round(1000 * heard.jitter, 1),
        "delay_ms": round(1000 * heard.delay, 1),
        "mos": heard.mos,
    }
    if not heard.numbers:
        return Finding(target, False, f"none of {figures['sent']} packets arrived", figures=figures)
    found = (
        f"{heard.lost} of {figures['sent']} packets lost, jitter {figures['jitter_ms']} ms, delay {figures['delay_ms']} ms, "
        f"MOS {heard.mos}"
    )
    return Finding(target, heard.loss <= MOST_LOSS and heard.mos >= LEAST_MOS, found, figures=figures)
