"""All hosts at the same time: asked, judged, mended where that is wished, and the ways between them measured."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import asyncssh

from cli.hosts.across import judge_across, judge_lines, judge_offsets
from cli.hosts.ask import Answer, Conversation
from cli.hosts.finding import ACROSS, Finding, Verdict, make_finding
from cli.hosts.judge import judge_host
from cli.hosts.wish import Wish, audio_rate, list_wishes
from cloud_init.host.facts import Line
from components.model.plan import Plan
from components.model.settings import Settings

NETWORK_SECONDS = 60.0
"""For all pairs of hosts together."""
PORT = 29_987
"""None of the catalogue's, and none that the kernel gives away by itself."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class How:
    """How hosts are checked. `only` are keys of nodes, none = all; `find_keys` has the
    deployment's, for hosts that take no other."""

    apply: bool = False
    network: bool = False
    seconds: float = NETWORK_SECONDS
    only: Collection[str] = ()
    find_keys: Callable[[], Sequence[asyncssh.SSHKey]] = tuple


def check_hosts(plan: Plan, settings: Settings, how: How, tell: Tell) -> list[Finding]:
    """Check the hosts; nothing is changed on them but with `how.apply`, and of that only what is said to be harmless."""
    wishes = [wish for wish in list_wishes(plan, settings) if not how.only or wish.key in how.only]
    return asyncio.run(check_all(wishes, plan, settings, how, tell))


async def check_all(wishes: Sequence[Wish], plan: Plan, settings: Settings, how: How, tell: Tell) -> list[Finding]:
    """Ask all hosts at once and judge what they say."""
    conversations = [Conversation(wish, settings) for wish in wishes]
    try:
        answers = await asyncio.gather(*(one.ask(measure=True, mend=how.apply) for one in conversations))
        silent = [place for place, answer in enumerate(answers) if answer.not_let_in]
        if silent and (keys := how.find_keys()):
            for place in silent:
                conversations[place] = Conversation(wishes[place], settings, keys)
                answers[place] = await conversations[place].ask(measure=True, mend=how.apply)
        if how.apply:
            apart = find_apart(wishes, answers)
            await asyncio.gather(*(mend(conversations[place], answers, place, apart, tell) for place in range(len(wishes))))
        findings = judge_answers(wishes, answers)
        if how.network:
            findings += await measure_lines(conversations, answers, audio_rate(plan), how.seconds, tell)
    finally:
        await asyncio.gather(*(one.close() for one in conversations))
    return findings


def judge_answers(wishes: Sequence[Wish], answers: Sequence[Answer]) -> list[Finding]:
    """Judge each host, then what they have in common."""
    told = {wish.key: (wish, answer) for wish, answer in zip(wishes, answers, strict=True)}
    found = []
    for key, (wish, answer) in told.items():
        found += [make_finding(verdict, key, wish.host.accepts) for verdict in answer.verdicts]
        found += judge_host(wish, answer.facts) if answer.facts else []
    facts = {key: answer.facts for key, (_, answer) in told.items() if answer.facts}
    offsets = {key: answer.offset for key, (_, answer) in told.items() if answer.offset}
    return [*found, *judge_across(wishes, facts, offsets)]


def find_apart(wishes: Sequence[Wish], answers: Sequence[Answer]) -> set[str]:
    """Return the hosts whose clocks are not together: which of two is wrong only a time server knows."""
    offsets = {wish.key: answer.offset for wish, answer in zip(wishes, answers, strict=True) if answer.offset}
    return {key for keys, verdict in judge_offsets(offsets) if verdict.state != "pass" for key in keys}


async def mend(conversation: Conversation, answers: list[Answer], place: int, apart: Collection[str], tell: Tell) -> None:
    """Mend what may be mended on one host, one of those whose clocks are `apart` perhaps, and ask it again."""
    wish, facts = conversation.wish, answers[place].facts
    if not facts:
        return
    wanted = dict.fromkeys(one.check for one in judge_host(wish, facts) if one.mends)
    if wish.key in apart:
        wanted["time"] = None
    for check in wanted:
        problem = await conversation.mend(check)
        tell(f"  {wish.key}: {check}: {f'not mended: {problem}' if problem else 'mended'}")
    if wanted:
        answers[place] = await conversation.ask(measure=True)


async def measure_lines(
    conversations: Sequence[Conversation], answers: Sequence[Answer], rate: int, seconds: float, tell: Tell
) -> list[Finding]:
    """Have each two hosts send each other audio at the tier's rate, every host with one other at a time."""
    free = [
        one for one, answer in zip(conversations, answers, strict=True)
        if answer.facts and answer.facts.system and not answer.facts.system.ours_stack
    ]  # fmt: skip
    if len(free) < 2:
        why = "not measured: it takes two hosts that answer and run nothing of ours yet, whose firewall would be in the way"
        return [make_finding(Verdict("audio lost", "warn", why, remedy="look at the deployment's own calls: smoke"), ACROSS)]
    rounds = list_rounds(len(free))
    each = seconds / len(rounds)
    tell(f"Sending {rate} packets a second between {len(free)} hosts: {seconds:.0f} s.")
    lines: dict[tuple[str, str], tuple[int, Line]] = {}
    problems = []
    for pairs in rounds:
        asked = [(free[one], free[other]) for one, other in pairs]
        both = [way for one, other in asked for way in ((one, other), (other, one))]
        said = await asyncio.gather(*(one.measure_line(other.wish, PORT, rate, each) for one, other in both))
        by_way = {(one.wish.key, other.wish.key): told for (one, other), told in zip(both, said, strict=True)}
        for (sender, receiver), told in by_way.items():
            heard = by_way[receiver, sender]
            if isinstance(told, str) or isinstance(heard, str):
                problems.append(f"{sender} to {receiver}: {told if isinstance(told, str) else heard}")
            else:
                lines[sender, receiver] = told.sent, heard.line
    failed = [make_finding(Verdict("audio lost", "fail", f"not measured, {why}"), ACROSS) for why in problems]
    return [*failed, *judge_lines(lines, each)]


def list_rounds(count: int) -> list[list[tuple[int, int]]]:
    """Return rounds in which everybody meets everybody once, and nobody two at a time (as in a tournament)."""
    players: list[int | None] = [*range(count), *([None] if count % 2 else [])]
    rounds = []
    for _ in range(len(players) - 1):
        half = len(players) // 2
        pairs = zip(players[:half], reversed(players[half:]), strict=True)
        rounds.append([(one, other) for one, other in pairs if one is not None and other is not None])
        players = [players[0], players[-1], *players[1:-1]]
    return rounds
