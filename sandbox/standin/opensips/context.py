"""What a script sees while it runs, and the registry of functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .message import Message
from .tree import Value

if TYPE_CHECKING:
    from .branches import Branch
    from .core import Core
    from .dialogs import Dialog
    from .transactions import Transaction

Handler = Callable[..., int]
FUNCTIONS: dict[str, Handler] = {}
"""Name -> what it does; a result above zero is true, below false, zero ends the script."""


def function(name: str) -> Callable[[Handler], Handler]:
    """Enters a function under its name in the script."""

    def enter(handler: Handler) -> Handler:
        FUNCTIONS[name] = handler
        return handler

    return enter


@dataclass
class Context:
    """One run of a route: the message, the transaction if there is one, and the script's variables."""

    core: Core
    message: Message
    kind: str
    avps: dict[str, list[Value]] = field(default_factory=dict)
    transaction: Transaction | None = None
    branch: Branch | None = None
    reply: Message | None = None
    retcode: int = 1
    parameters: list[dict[str, Value]] = field(default_factory=list)
    dialog: Dialog | None = None
    hooks: dict[str, str] = field(default_factory=dict)
    """`branch`, `reply` and `failure`: the routes set before there is a transaction."""
    timeouts: dict[str, int] = field(default_factory=dict)
    """`fr_timeout` and `fr_inv_timeout` where the script set them, seconds."""
    route_parameters: str = ""
    """The parameters of our own Route that loose_route took off."""

    @property
    def flags(self) -> set[str]:
        """Flags of the message or its transaction."""
        return self.transaction.flags if self.transaction else self.message.flags

    @property
    def branch_flags(self) -> set[str]:
        """Flags of this branch."""
        return self.branch.flags if self.branch else self.message.branch_flags

    @property
    def current(self) -> Message:
        """The message that headers are read from and changed in."""
        return self.reply or self.message

    def say(self, text: str) -> None:
        """A line in the journal."""
        self.core.say(text)

    def store(self, target: Any, value: Value) -> None:
        """Puts a value into the variable that a function was given."""
        from .assignments import set_variable

        set_variable(self, target, "=", value)
