"""Transactions: requests and what became of them, as module tm keeps them."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import sending
from .branches import COOKIE, LOCAL_TIMEOUT, Branch, drop_own_via, priority
from .context import Context
from .evaluate import run_route
from .message import Message, write, write_reply
from .timers import Timer
from .tree import Value

if TYPE_CHECKING:
    from .core import Core


@dataclass(eq=False)
class Transaction:
    """A request that came in, or one of our own (`callback` gets the final status and the reply)."""

    core: Core
    key: str
    request: Message
    label: str = field(default_factory=lambda: secrets.token_hex(6))
    avps: dict[str, list[Value]] = field(default_factory=dict)
    hooks: dict[str, str] = field(default_factory=dict)
    timeouts: dict[str, int] = field(default_factory=dict)
    branches: list[Branch] = field(default_factory=list)
    first: int = 0
    picked: Branch | None = None
    status: int = 0
    answered_by: int = -1
    """Number of the branch whose answer was passed on, -2 for one of our own."""
    last_answer: bytes = b""
    tag: str = ""
    cancelled: bool = False
    acknowledged: bool = False
    in_failure: bool = False
    callback: Callable[[int, Message | None], None] | None = None
    watchers: list[Callable[[str, Message], None]] = field(default_factory=list)
    """Told of every reply that comes in (`reply`) and of every final answer that goes out (`answer`)."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    retransmission: Timer | None = None

    @property
    def flags(self) -> set[str]:
        """The request's flags are the transaction's."""
        return self.request.flags

    @property
    def is_invite(self) -> bool:
        """INVITEs have longer timers and an ACK."""
        return self.request.method == "INVITE"

    def timeout(self, name: str) -> float:
        """A timer's seconds: the script's, else the file's or the program's default."""
        return float(self.timeouts.get(name) or self.core.config.number("tm", name))

    def context(self, kind: str, branch: Branch | None = None, reply: Message | None = None) -> Context:
        """For a route that runs in this transaction."""
        return Context(self.core, self.request, kind, self.avps, self, branch, reply)

    # Towards the caller.

    def answer(self, status: int, reason: str, more: tuple[str, ...] = (), contact: str = "") -> None:
        """An answer of our own."""
        with self.lock:
            if self.status >= 200:
                return
            if status > 100 and not self.tag:
                self.tag = self.core.make_tag(self.request)
            data = write_reply(
                self.request,
                status,
                reason,
                self.tag if status > 100 else "",
                self.core.server_header,
                [*self.request.reply_headers, *more],
                contact,
            )
            self.answered_by = -2
            self.put_out(status, data)

    def put_out(self, status: int, data: bytes, again: bool = False) -> None:
        """Sends an answer to the caller and keeps it for repetitions."""
        if not again:
            self.status, self.last_answer = status, data
        sending.send_reply(self.core, self.request, data)
        if status >= 200 and not again:
            self.core.counters[f"tm:{status // 100}xx_transactions"] += 1
            if self.is_invite and status >= 300 and status not in (401, 407):
                self.repeat_answer(self.core.config.number("tm", "T1_timer") / 1000, 0.0)
            self.core.transactions.forget_later(self, self.timeout("fr_timeout") if self.is_invite else 0.0)

    def repeat_answer(self, pause: float, waited: float) -> None:
        """A refusal of an INVITE goes out again until it is acknowledged."""
        if self.request.here.protocol != "udp" or waited > self.timeout("fr_timeout"):
            return

        def again() -> None:
            if not self.acknowledged:
                sending.send_reply(self.core, self.request, self.last_answer)
                self.repeat_answer(min(2 * pause, self.core.config.number("tm", "T2_timer") / 1000), waited + pause)

        self.retransmission = self.core.timers.after(pause, again)

    def pass_on(self, branch: Branch, reply: Message, again: bool = False) -> None:
        """A reply goes to the caller, without our Via; a 503 becomes a 500 on the way."""
        status, reason = reply.status, reply.reason
        if status == 503 and self.core.config.setting("disable_503_translation") == "no":
            status = 500
        edits = reply.edits.copy()
        drop_own_via(reply, edits)
        data = write(f"SIP/2.0 {status} {reason}", reply, edits, [])
        if not again:
            self.answered_by = branch.number
            for watcher in list(self.watchers):
                watcher("answer", reply)
        self.put_out(status, data, again)

    # Towards the other side.

    def forward(self, context: Context) -> int:
        """Sends the request on every branch; 1, or what the script sees when none could be sent."""
        message = self.request
        if message.method == "CANCEL":
            original = self.core.transactions.find_invite(message)
            if original is not None:
                self.answer(200, "canceling")
                original.cancel()
                return 1
        if self.cancelled:
            if not self.branches:
                self.answer(487, "Request Terminated")
            return -1
        if context.kind in ("request", "failure"):
            self.first = len(self.branches)
        ways = [(message.target, message.destination, set(message.branch_flags), message.socket, message.path), *message.branches]
        message.branches.clear()
        added = []
        error = -1
        for uri, destination, flags, socket, path in ways:
            number = len(self.branches)
            branch = Branch(number, f"{COOKIE}{self.label[:4]}.{self.label[4:]}.{number}", uri, flags=flags)
            code = sending.prepare_branch(self, branch, destination, socket, path)
            if code < 0:
                error = code
                continue
            self.branches.append(branch)
            added.append(branch)
        sent = [branch for branch in added if self.send(branch)]
        return 1 if sent else error if not added else sending.SEND_FAILED

    def send(self, branch: Branch) -> bool:
        """The first sending, and the timers that follow from it."""
        assert branch.listener
        branch.sent = self.core.transport.send(
            branch.data,
            branch.listener,
            branch.address,
            branch.port,
            branch.connection,
            self.core.transport.may_connect("tcp_no_new_conn_bflag", branch.flags),
        )
        if not branch.sent:
            branch.last = 477
            return False
        if branch.listener.protocol == "udp":
            self.repeat(branch, self.core.config.number("tm", "T1_timer") / 1000)
        branch.timers["final"] = self.core.timers.after(self.timeout("fr_timeout"), lambda: self.expire(branch))
        return True

    def repeat(self, branch: Branch, pause: float) -> None:
        """Sends again after a pause, and again after twice that one."""
        limit = self.core.config.number("tm", "T2_timer") / 1000

        def again() -> None:
            if branch.last == 0 or (branch.last < 200 and not self.is_invite):
                assert branch.listener
                self.core.transport.send(branch.data, branch.listener, branch.address, branch.port, branch.connection)
                self.repeat(branch, min(2 * pause, limit))

        branch.timers["repeat"] = self.core.timers.after(pause, again)

    def expire(self, branch: Branch) -> None:
        """No final answer in time: 408, as if it had come from there."""
        with self.lock:
            if branch.last >= 200:
                return
            branch.stop("repeat", "final")
            if self.is_invite and 100 <= branch.last < 200:
                self.cancel_branch(branch)
            branch.last, branch.reply = LOCAL_TIMEOUT, None
            self.conclude()

    def cancel(self) -> None:
        """The caller gives up: CANCEL on every branch that was heard of; the others wait for their first reply."""
        with self.lock:
            self.cancelled = True
            for branch in self.branches[self.first :]:
                if 100 <= branch.last < 200:
                    self.cancel_branch(branch)

    def cancel_branch(self, branch: Branch) -> None:
        """Sends CANCEL on a branch, once."""
        if branch.cancelled or branch.listener is None:
            return
        branch.cancelled = True
        data = sending.write_hop(self, branch, "CANCEL", None)
        assert branch.listener
        self.core.transport.send(data, branch.listener, branch.address, branch.port, branch.connection)

    # What comes back.

    def take(self, branch: Branch, reply: Message) -> None:
        """A reply on one of the branches."""
        status = reply.status
        if reply.sequence[1] == "CANCEL":
            return
        branch.stop("repeat")
        if status >= 200:
            branch.stop("final")
        assert branch.listener
        if self.is_invite and (status >= 300 or (self.callback and status >= 200)):
            data = sending.write_hop(self, branch, "ACK", reply)
            self.core.transport.send(data, branch.listener, branch.address, branch.port, branch.connection)
        with self.lock:
            before = branch.last
            if before >= 200:
                # A good answer that comes too late is passed on only when the caller has one already, or it is that one again.
                late = self.status >= 200 or before < 300
                if self.is_invite and 200 <= status < 300 and self.callback is None and late:
                    self.pass_on(branch, reply, again=True)
                return
            for watcher in list(self.watchers):
                watcher("reply", reply)
            if not self.run_reply_route(branch, reply) and status < 200:
                return
            branch.received, branch.last, branch.reply = True, status, reply
            if status >= 200:
                self.settle(branch, reply)
                return
            if self.cancelled and not branch.cancelled:
                self.cancel_branch(branch)
            if status > 100 and self.status < 200 and self.callback is None:
                self.pass_on(branch, reply)
            self.wait_longer(branch, before, status)

    def run_reply_route(self, branch: Branch, reply: Message) -> bool:
        """Runs the onreply_route; False when it dropped the reply."""
        name = self.hooks.get("reply")
        if not name:
            return True
        context = self.context("onreply", branch, reply)
        if not self.core.config.number("tm", "onreply_avp_mode"):
            context.avps = {}
        return run_route(context, "onreply_route", name)

    def wait_longer(self, branch: Branch, before: int, status: int) -> None:
        """A provisional reply gives an INVITE its longer timer."""
        again = self.core.config.number("tm", "restart_fr_on_each_reply") or (before < status and (status >= 180 or before == 0))
        if not again:
            return
        if self.is_invite:
            branch.stop("final")
            branch.timers["final"] = self.core.timers.after(self.timeout("fr_inv_timeout"), lambda: self.expire(branch))
        elif branch.listener and branch.listener.protocol == "udp":
            self.repeat(branch, self.core.config.number("tm", "T2_timer") / 1000)

    def settle(self, branch: Branch, reply: Message) -> None:
        """A final reply: a good one goes on at once, the others when all are there."""
        if reply.status >= 300:
            self.conclude()
            return
        if self.callback:
            self.finish(reply.status, reply)
            return
        if self.status < 200:
            self.pass_on(branch, reply)
        for other in self.branches:
            if other is not branch and other.last < 200:
                other.stop("repeat", "final")
                self.cancel_branch(other)

    def conclude(self) -> None:
        """When no branch is open any more: the failure route, then the best of the answers."""
        open_ones = self.branches[self.first :]
        if any(branch.last < 200 for branch in open_ones) or self.status >= 200:
            return
        best = min((branch for branch in open_ones if branch.last >= 200), key=lambda branch: priority(branch.last))
        self.picked = best
        if self.callback:
            self.finish(best.last, best.reply)
            return
        name = self.hooks.pop("failure", "")
        if name:
            count = len(self.branches)
            self.in_failure = True
            # As it came: what lookup() or the script made of it was the branch's.
            self.request.new_uri = self.request.destination = ""
            run_route(self.context("failure", None), "failure_route", name)
            self.in_failure = False
            if len(self.branches) > count and any(branch.last < 200 for branch in self.branches[count:]):
                return
        if self.status >= 200:
            return
        if best.reply is not None:
            self.pass_on(best, best.reply)
        else:
            reason = {LOCAL_TIMEOUT: "Request Timeout", 477: "Send failed"}.get(best.last, "Server Internal Error")
            self.answer(best.last, reason)

    def finish(self, status: int, reply: Message | None) -> None:
        """The end of a request of our own."""
        if self.status < 200:
            self.status = status
            self.core.transactions.forget_later(self, 0.0)
            if callback := self.callback:
                callback(status, reply)
