"""dialog: calls that stand, their pings, profiles and values."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .context import Context
from .message import Message
from .requests import send_request
from .transport import Listener
from .tree import Value
from .uri import parse_address

if TYPE_CHECKING:
    from .core import Core
    from .transactions import Transaction

DEAD = (408, 481)
"""What a ping's answer must be for a side to be held for gone."""


@dataclass
class Leg:
    """One side of a call."""

    tag: str = ""
    uri: str = ""
    contact: str = ""
    routes: tuple[str, ...] = ()
    sequence: int = 0
    socket: Listener | None = None
    waiting: bool = False


@dataclass(eq=False)
class Dialog:
    """A call: `state` 1 unanswered, 3 answered, 4 with its ACK, 5 over."""

    identifier: str
    call_id: str
    flags: str
    caller: Leg
    callee: Leg
    state: int = 1
    began: float = field(default_factory=time.monotonic)
    values: dict[str, Value] = field(default_factory=dict)
    profiles: set[tuple[str, str]] = field(default_factory=set)
    next_ping: float = 0.0


class Dialogs:
    """Every call."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.lock = threading.RLock()
        self.by_id: dict[str, Dialog] = {}

    def number(self, name: str) -> int:
        """One of the module's numbers."""
        return self.core.config.number("dialog", name)

    def create(self, context: Context, flags: str) -> int:
        """A dialog for the request that is being worked on."""
        if context.dialog:
            return 1
        message = context.message
        caller = Leg(
            message.tag("from"),
            parse_address(message.one("from"))[1],
            parse_address(message.one("contact"))[1],
            tuple(message.values("record-route")),
            message.sequence[0],
            message.here.listener,
        )
        callee = Leg("", parse_address(message.one("to"))[1], sequence=message.sequence[0])
        made = Dialog(f"{secrets.randbelow(4096):x}.{secrets.token_hex(4)}", message.one("call-id"), flags, caller, callee)
        context.dialog = made
        message.edits.record_parameters += ""
        with self.lock:
            self.by_id[made.identifier] = made
        if context.transaction:
            self.watch(context)
        return 1

    def route_parameter(self, transaction: Transaction) -> str:
        """What a dialog adds to our Record-Route."""
        dialog = next(
            (
                one
                for one in self.by_id.values()
                if one.call_id == transaction.request.one("call-id")
                and one.caller.tag == transaction.request.tag("from")
                and one.state < 3
            ),
            None,
        )
        if dialog is None or transaction.request.tag("to"):
            return ""
        return f";{self.core.config.text('dialog', 'rr_param')}={dialog.identifier}"

    def watch(self, context: Context) -> None:
        """Follows the transaction of a call's first request."""
        dialog, transaction = context.dialog, context.transaction
        if dialog is None or transaction is None:
            return

        def told(what: str, reply: Message) -> None:
            if what == "answer" and 200 <= reply.status < 300 and dialog.state < 3:
                branch = transaction.branches[transaction.answered_by]
                dialog.callee = Leg(
                    reply.tag("to"),
                    dialog.callee.uri,
                    parse_address(reply.one("contact"))[1],
                    self.beyond_us(reply),
                    dialog.callee.sequence,
                    branch.listener,
                )
                dialog.state, dialog.began = 3, time.monotonic()
                dialog.next_ping = time.monotonic() + self.number("options_ping_interval")

        transaction.watchers.append(told)
        self.core.timers.after(self.core.config.number("tm", "fr_inv_timeout") + 60, lambda: self.give_up(dialog))
        self.check_end(dialog, transaction)

    def check_end(self, dialog: Dialog, transaction: Transaction) -> None:
        """Ends a dialog whose call was refused."""
        if transaction.status >= 300:
            self.end(dialog)
        elif dialog.state < 3:
            self.core.timers.after(0.5, lambda: self.check_end(dialog, transaction))

    def give_up(self, dialog: Dialog) -> None:
        """A call that was never answered."""
        if dialog.state < 3:
            self.end(dialog)

    def beyond_us(self, reply: Message) -> tuple[str, ...]:
        """The callee's recorded routes behind ours, as we go to them."""
        found = []
        for value in reversed(reply.values("record-route")):
            uri = parse_address(value)[1]
            from .uri import parse_uri

            parsed = parse_uri(uri)
            if parsed and not self.core.transport.is_own(parsed.host, parsed.port or 5060):
                found.append(value)
        ours = [value for value in reply.values("record-route") if value not in found]
        before = reply.values("record-route")[: reply.values("record-route").index(ours[0])] if ours else []
        return tuple(reversed(before))

    def in_dialog(self, context: Context) -> None:
        """A request inside a call: by the parameter of its Route, else by its tags."""
        message = context.message
        name = self.core.config.text("dialog", "rr_param") if self.core.has("dialog") else ""
        if not name:
            return
        from .uri import parse_parameters

        identifier = parse_parameters(context.route_parameters).get(name, "")
        dialog = self.by_id.get(identifier)
        if dialog is None and self.number("dlg_match_mode"):
            dialog = next(
                (
                    one
                    for one in list(self.by_id.values())
                    if one.call_id == message.one("call-id")
                    and {one.caller.tag, one.callee.tag} == {message.tag("from"), message.tag("to")}
                ),
                None,
            )
        if dialog is None or dialog.call_id != message.one("call-id"):
            return
        context.dialog = dialog
        side = dialog.caller if message.tag("from") == dialog.caller.tag else dialog.callee
        side.sequence = max(side.sequence, message.sequence[0])
        if message.method == "ACK" and dialog.state == 3:
            dialog.state = 4
        if message.method == "BYE":
            self.end(dialog)

    def unclaimed(self, context: Context) -> None:
        """The script ended without sending a call on: its dialog is not one."""
        dialog = context.dialog
        if dialog and dialog.state == 1 and (context.transaction is None or context.transaction.status >= 300):
            self.end(dialog)

    def end(self, dialog: Dialog) -> None:
        """It is over."""
        with self.lock:
            dialog.state = 5
            self.by_id.pop(dialog.identifier, None)

    # Pings.

    def look(self) -> None:
        """Once a second: pings that are due, and calls that lasted too long."""
        now = time.monotonic()
        for dialog in list(self.by_id.values()):
            if dialog.state in (3, 4) and now - dialog.began > self.number("default_timeout"):
                self.hang_up(dialog, "B" in dialog.flags)
            elif dialog.state in (3, 4) and dialog.next_ping and now >= dialog.next_ping:
                dialog.next_ping = now + self.number("options_ping_interval")
                for letter, leg in (("P", dialog.caller), ("p", dialog.callee)):
                    if letter in dialog.flags and not leg.waiting:
                        self.ping(dialog, leg)

    def ping(self, dialog: Dialog, leg: Leg) -> None:
        """OPTIONS to one side; 408 or 481 ends the call on both."""
        leg.waiting = True

        def done(status: int, reply: Message | None) -> None:
            del reply
            leg.waiting = False
            if status in DEAD and dialog.state in (3, 4):
                self.core.say(f"ERROR:dialog: a ping of {dialog.call_id} got {status}")
                self.hang_up(dialog, True)

        self.send(dialog, leg, "OPTIONS", done)

    def send(self, dialog: Dialog, leg: Leg, method: str, done: Any) -> None:
        """A request to one side in the other's name."""
        other = dialog.callee if leg is dialog.caller else dialog.caller
        other.sequence += 1
        first = parse_address(leg.routes[0])[1] if leg.routes else ""
        send_request(
            self.core,
            method,
            leg.contact,
            other.uri,
            leg.uri,
            callback=done,
            socket=leg.socket,
            destination=first,
            call_id=dialog.call_id,
            sequence=other.sequence,
            tags=(other.tag, leg.tag),
            routes=leg.routes,
        )

    def hang_up(self, dialog: Dialog, both: bool) -> None:
        """BYE to both sides."""
        self.end(dialog)
        for leg in (dialog.caller, dialog.callee):
            if both:
                self.send(dialog, leg, "BYE", lambda status, reply: None)

    # What the script asks.

    def set_value(self, context: Context, name: str, value: Value) -> None:
        """`$dlg_val(name) = value`."""
        if context.dialog:
            context.dialog.values[name] = value

    def variable(self, context: Context, name: str, argument: str) -> Value:
        """`$dlg_val` and `$DLG_*`."""
        if name == "DLG_count":
            return len(self.by_id)
        dialog = context.dialog
        if dialog is None:
            return None
        return {
            "dlg_val": dialog.values.get(argument),
            "DLG_did": dialog.identifier,
            "DLG_status": dialog.state,
            "DLG_lifetime": int(time.monotonic() - dialog.began),
        }.get(name)

    def count(self, profile: str, value: str | None) -> int:
        """How many calls are in a profile."""
        with self.lock:
            return sum(
                any(name == profile and value in (None, own) for name, own in dialog.profiles) for dialog in self.by_id.values()
            )


def start(core: Core) -> None:
    """Begins to look after calls."""
    if core.has("dialog"):
        core.timers.every(1.0, core.dialogs.look)
        core.commands["dlg_list"] = lambda: {
            "count": len(core.dialogs.by_id),
            "Dialogs": [{"ID": one.identifier, "state": one.state, "callid": one.call_id} for one in core.dialogs.by_id.values()],
        }
