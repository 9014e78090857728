"""Every transaction by what its messages say."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .branches import COOKIE, Branch
from .message import Message
from .transactions import Transaction

if TYPE_CHECKING:
    from .core import Core


class Transactions:
    """Every transaction by what its messages say."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.lock = threading.RLock()
        self.by_key: dict[str, Transaction] = {}
        self.by_branch: dict[str, Transaction] = {}

    @staticmethod
    def key_of(message: Message, method: str = "") -> str:
        """What repetitions of a request have in common; an ACK belongs to its INVITE."""
        _, sent_by, parameters = message.via()
        method = method or ("INVITE" if message.method == "ACK" else message.method)
        branch = parameters.get("branch", "")
        if not branch.startswith(COOKIE):
            branch = f"{message.tag('from')}|{message.uri}"
        return f"{branch}|{sent_by.lower()}|{method}|{message.one('call-id')}|{message.sequence[0]}"

    def find(self, message: Message) -> Transaction | None:
        """The transaction that a request repeats, or whose refusal an ACK acknowledges."""
        with self.lock:
            return self.by_key.get(self.key_of(message))

    def find_invite(self, cancel: Message) -> Transaction | None:
        """The transaction that a CANCEL means."""
        with self.lock:
            return self.by_key.get(self.key_of(cancel, "INVITE"))

    def add(self, transaction: Transaction) -> None:
        """A new one."""
        with self.lock:
            self.by_key[transaction.key] = transaction
            self.by_branch[f"{COOKIE}{transaction.label[:4]}.{transaction.label[4:]}"] = transaction

    def find_branch(self, reply: Message) -> tuple[Transaction, Branch] | None:
        """Whose reply it is."""
        head, _, number = reply.via()[2].get("branch", "").rpartition(".")
        with self.lock:
            transaction = self.by_branch.get(head)
        if transaction is None or not number.isdigit() or int(number) >= len(transaction.branches):
            return None
        return transaction, transaction.branches[int(number)]

    def forget_later(self, transaction: Transaction, more: float) -> None:
        """A finished transaction stays for repetitions."""
        self.core.timers.after(self.core.config.number("tm", "wt_timer") + more, lambda: self.forget(transaction))

    def forget(self, transaction: Transaction) -> None:
        """Drops one."""
        with self.lock:
            if self.by_key.get(transaction.key) is transaction:
                del self.by_key[transaction.key]
            self.by_branch.pop(f"{COOKIE}{transaction.label[:4]}.{transaction.label[4:]}", None)
        for branch in transaction.branches:
            branch.stop("repeat", "final")
