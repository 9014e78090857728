"""Many calls at once: how many a deployment carries before the first packet is lost, and what each costs.

Calls are set up one after the other by one thread; another one sends and hears the audio of all of them.
"""

from __future__ import annotations

import math
import selectors
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cli.console import Failure
from cli.smoke.account import take_packet
from cli.smoke.audio import PACKET_SECONDS, Stream, estimate_mos
from cli.smoke.check import ask_many
from cli.smoke.phone import CallProblem, Phone
from components.model.catalogue.tiers import TIERS
from components.model.plan import Plan
from components.model.planning.audio import CALLS_AT_ONCE_PER_DAILY

CALLS_PER_SECOND = 5.0
HOLD_SECONDS = 10.0
"""With all calls up: what is lost then is lost under this load."""
LOOK_SECONDS = 0.5
SETTLED_PACKETS = 25
"""Of a call's begin: half a second, in which rtpengine learns where its ends are."""
OVERTAKEN_PACKETS = 5
"""The last ones that were heard: what is missing among these may still be on its way."""
LEARN_SECONDS = 3.0
"""For the first packet of a call: so long rtpengine learns where its ends are."""
SILENT_SECONDS = 2.0
"""A number that sends back what it hears is never silent for so long; a stream that ends altogether has no gap to count."""
LATE_SECONDS = 0.1
"""This machine itself does not keep up where its packets leave so late."""


@dataclass
class Line:
    """A call of the load: what is heard of it."""

    phone: Phone
    set_up: float
    heard: Stream = field(default_factory=Stream)
    back: set[int] = field(default_factory=set)
    begun: float = field(default_factory=time.monotonic)

    def is_silent(self, now: float) -> bool:
        """Return whether nothing has been heard of it for too long."""
        return now - max(self.heard.last, self.begun + LEARN_SECONDS) > SILENT_SECONDS

    @property
    def lost(self) -> int:
        """Return how many packets are missing among those that were heard, once the call has settled; another thread adds."""
        numbers = sorted(self.heard.numbers)[SETTLED_PACKETS:-OVERTAKEN_PACKETS]
        return numbers[-1] - numbers[0] + 1 - len(numbers) if numbers else 0


@dataclass
class Outcome:
    """What a load came to. `moments` are those of each look: seconds, calls, packets lost until then."""

    wanted: int
    calls: int = 0
    ended: str = ""
    set_ups: list[float] = field(default_factory=list)
    received: int = 0
    lost: int = 0
    mos: float = 0.0
    moments: list[tuple[float, int, int]] = field(default_factory=list)
    cores: dict[str, float] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Return whether all calls stood and nothing was lost."""
        return not self.ended and self.calls == self.wanted

    def as_json(self) -> dict[str, object]:
        """Return the figures."""
        return {
            "wanted": self.wanted,
            "calls": self.calls,
            "ended": self.ended,
            "set_up_ms": {"median": quantile(self.set_ups, 0.5), "p99": quantile(self.set_ups, 0.99)},
            "received": self.received,
            "lost": self.lost,
            "mos": self.mos,
            "calls_per_core": {name: round(self.calls / cores) for name, cores in self.cores.items() if cores > 0},
        }


def quantile(seconds: list[float], share: float) -> int:
    """Return that quantile in milliseconds, 0 of nothing."""
    ordered = sorted(seconds)
    return round(1000 * ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]) if ordered else 0


def find_limit(plan: Plan) -> int:
    """Return how many calls at a time the tier is made for."""
    return math.ceil(TIERS[plan.tier].calls_per_day * CALLS_AT_ONCE_PER_DAILY)


def check_limit(plan: Plan, calls: int, beyond: bool) -> None:
    """Refuse more calls than the tier is made for, unless that is wanted."""
    limit = find_limit(plan)
    if calls > limit and not beyond:
        raise Failure(
            f"--load {calls}: the tier {plan.tier} is made for {limit} calls at a time, and callers would notice. "
            f"Take --load {limit}, or add --beyond"
        )


class Audio(threading.Thread):
    """Sends and hears the audio of all lines until it is told to end."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.lines: list[Line] = []
        self.selector = selectors.DefaultSelector()
        self.ended = threading.Event()
        self.late = 0.0
        self.problem = ""

    def add(self, line: Line) -> None:
        """Begin with one more."""
        line.phone.audio.sock.setblocking(False)
        self.selector.register(line.phone.audio.sock, selectors.EVENT_READ, line)
        self.lines = [*self.lines, line]

    def run(self) -> None:
        """Send and hear; what ends it before its time is kept for whoever watches."""
        try:
            self._run()
        except OSError as error:
            self.problem = f"this machine cannot send or hear audio: {error.strerror or error}"

    def _run(self) -> None:
        """Send every 20 ms, and hear meanwhile."""
        next_packet = time.monotonic()
        while not self.ended.is_set():
            now = time.monotonic()
            if now >= next_packet:
                self.late = max(self.late, now - next_packet)
                for line in self.lines:
                    line.phone.audio.send(now)
                next_packet += PACKET_SECONDS
            for key, _ in self.selector.select(max(0.0, next_packet - time.monotonic())):
                line = key.data
                while (data := line.phone.audio.take()) is not None:
                    take_packet(data, line.phone.audio, line.heard, line.back)


def run_load(make_phone: Callable[[], Phone], number: str, wanted: int, measure: Callable[[], dict[str, float]]) -> Outcome:
    """Ramp to that many calls, stop at the first loss, hold, and hang up. `measure` tells the seconds of a processor that each
    program has used."""
    outcome, audio, begun = Outcome(wanted), Audio(), time.monotonic()
    lines: list[Line] = []
    audio.start()
    try:
        while len(lines) < wanted and not outcome.ended:
            due = begun + len(lines) / CALLS_PER_SECOND
            outcome.ended = watch(lines, outcome, audio, begun, max(0.0, due - time.monotonic()))
            if not outcome.ended:
                outcome.ended = add_call(make_phone(), number, lines, audio)
        if not outcome.ended:
            used, since = measure(), time.monotonic()
            outcome.ended = watch(lines, outcome, audio, begun, HOLD_SECONDS)
            took = time.monotonic() - since
            told = measure()
            # Without both counts nothing is known of a program: 0.
            outcome.cores = {
                name: (told[name] - used[name]) / took if name in told and name in used else 0.0 for name in used | told
            }
        judge(outcome, lines)
    finally:
        audio.ended.set()
        audio.join()
        ask_many(hang_up, [line.phone for line in lines])
    return outcome


def add_call(phone: Phone, number: str, lines: list[Line], audio: Audio) -> str:
    """Place one more call; "" or why it did not come about."""
    try:
        line = Line(phone, phone.invite(number))
    except (CallProblem, OSError) as problem:
        phone.close()
        return f"call {len(lines) + 1}: {problem}"
    lines.append(line)
    audio.add(line)
    return ""


def watch(lines: list[Line], outcome: Outcome, audio: Audio, begun: float, seconds: float) -> str:
    """Look at all calls for that long; "" or what went wrong first."""
    until, look = time.monotonic() + seconds, 0.0
    while True:
        for line in lines:
            line.phone.hear(0)
        now = time.monotonic()
        if now >= look:
            look = now + LOOK_SECONDS
            lost = sum(line.lost for line in lines)
            outcome.moments.append((now - begun, len(lines), lost))
            if ended := [line for line in lines if line.phone.ended]:
                return f"the other side hung up {len(ended)} of {len(lines)} calls"
            if audio.late > LATE_SECONDS:
                return f"this machine cannot send the audio of {len(lines)} calls in time ({1000 * audio.late:.0f} ms late)"
            if audio.problem:
                return audio.problem
            if lost:
                return f"{lost} packets lost with {len(lines)} calls"
            if silent := [line for line in lines if line.is_silent(now)]:
                return f"nothing is heard any more of {len(silent)} of {len(lines)} calls"
        if now >= until:
            return ""
        time.sleep(min(0.01, max(0.0, until - now)))


def judge(outcome: Outcome, lines: list[Line]) -> None:
    """Sum up."""
    outcome.calls = len(lines)
    outcome.set_ups = [line.set_up for line in lines]
    outcome.received = sum(len(line.heard.numbers) for line in lines)
    outcome.lost = sum(line.lost for line in lines)
    scores = [
        estimate_mos(line.lost / max(1, len(line.heard.numbers) + line.lost), 2 * line.heard.jitter + PACKET_SECONDS)
        for line in lines
    ]
    outcome.mos = round(statistics.fmean(scores), 2) if scores else 0.0
    if lines and not outcome.received and not outcome.ended:
        outcome.ended = "nothing was heard of any call"


def hang_up(phone: Phone) -> None:
    """End a call as well as it can be ended."""
    try:
        phone.hang_up()
    except (CallProblem, OSError):
        return  # it is over on our side: FreeSWITCH ends what it hears nothing of
    finally:
        phone.close()
