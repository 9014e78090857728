"""A SIP call with media as a whole: placed, held or received. Standard library only, as `dialog.py`."""

from __future__ import annotations

import time
from collections.abc import Callable

from sandbox.standin.freeswitch import sip
from tests.tools.dialog import ANSWER_LIMIT, CallError, Dialog, Result

TAIL = 0.6
"""Seconds for the last packets to come back."""

SWALLOWED = 4
"""Packets that FreeSWITCH's `echo` may keep at its begin (`facts/telephony-real.md` 21); none later."""

CHANGES_EVERY = 15.0
"""Seconds between two changes (re-INVITE) of a call that is held."""


class Caller(Dialog):
    """One call and its course."""

    def place(self, seconds: float) -> Result:
        """The whole call."""

        def speak() -> None:
            self.set_up()
            self.talk(seconds / 2)
            self.change()
            self.talk(seconds / 2)
            self.finish()

        return self.carry_out(speak)

    def hold(self, ends: Callable[[], bool], stands: Callable[[], None], every: float = CHANGES_EVERY) -> Result:
        """A call that lasts until `ends` says so, changed every so many seconds; `stands` is told when it stands."""

        def speak() -> None:
            self.set_up()
            self.talk(0.2)
            stands()
            changes = time.monotonic()
            while not ends() and not self.ended:
                self.talk(0.1)
                if time.monotonic() - changes > every:
                    self.change()
                    changes = time.monotonic()
            if self.ended:
                raise CallError("the call ended while it was held")
            self.change()
            self.talk(0.5)
            self.finish()

        return self.carry_out(speak)

    def receive(self, seconds: float, limit: float = 2 * ANSWER_LIMIT) -> Result:
        """A call that FreeSWITCH places to us: as `place`, and the other side may change and end it."""

        def speak() -> None:
            end = time.monotonic() + limit
            while self.offered is None:
                self.step()
                if time.monotonic() > end:
                    raise CallError(f"nobody called within {limit:.0f} s")
            invite = self.offered
            self.call_id, self.to, self.me = invite.one("call-id"), invite.one("from"), sip.uri(invite.one("to"))
            self.routes = [part.strip() for value in invite.all("record-route") for part in value.split(",")]
            self.accept(invite)
            self.result.status, self.result.asked = 200, 0
            # Before it rtpengine need not know yet where our packets go.
            while not self.acknowledged:
                self.step()
                if time.monotonic() > end:
                    raise CallError("no ACK")
            self.next_packet = time.monotonic()
            self.talk(seconds / 2)
            self.change()
            self.talk(seconds / 2)
            self.finish()

        return self.carry_out(speak)

    def carry_out(self, speak: Callable[[], None]) -> Result:
        """The result of a call, whatever became of it."""
        try:
            speak()
        except CallError as error:
            self.result.problem = str(error)
        return self.result

    def set_up(self) -> None:
        """From the INVITE until audio runs."""
        start = time.monotonic()
        answer = self.invite()
        self.result.status, self.result.setup_ms = answer.status, round(1000 * (time.monotonic() - start))
        if answer.status != 200:
            raise CallError(f"INVITE: {answer.start}")
        self.follow(answer)
        self.next_packet = time.monotonic()

    def change(self) -> None:
        """A re-INVITE, unless the call is over."""
        if self.ended:
            return
        changed = self.transact("INVITE", self.sdp())
        self.result.changed = changed.status
        if changed.status != 200:
            raise CallError(f"re-INVITE: {changed.start}")
        self.follow(changed)

    def finish(self) -> None:
        """The end of the call, and the count."""
        result = self.result
        speaks = self.number == "tone"
        if self.number in ("tone", "hangup"):
            end = time.monotonic() + ANSWER_LIMIT
            while not self.ended and time.monotonic() < end:
                self.step()
            if not self.ended:
                raise CallError(f"no BYE from FreeSWITCH within {ANSWER_LIMIT:.0f} s")
            result.hung_up = "freeswitch"
            if speaks and result.received == 0:
                raise CallError("FreeSWITCH was not heard")
            return
        self.listen(TAIL)
        if self.ended:
            raise CallError("FreeSWITCH hung up an echo")
        bye = self.transact("BYE")
        if bye.status != 200:
            raise CallError(f"BYE: {bye.start}")
        result.hung_up = "caller"
        result.swallowed = min(self.numbers, default=result.sent)
        result.lost = result.sent - result.swallowed - len(self.numbers)
        if result.swallowed > SWALLOWED:
            raise CallError(f"the first {result.swallowed} of {result.sent} packets did not come back")
        if result.lost:
            raise CallError(f"{result.lost} of {result.sent} packets lost")
