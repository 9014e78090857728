"""Functions of module tm."""

from __future__ import annotations

from . import sending
from .context import Context, function
from .patterns import compiled
from .transactions import Transaction

SEND_FAILED = 477, "Send failed (477/TM)"
REASONS = {-478: (478, "Unresolvable destination (478/TM)"), sending.SEND_FAILED: SEND_FAILED}
SERVER_ERROR = 500, "Server error occurred (1/TM)"


def new_transaction(context: Context) -> int:
    """1 for a new one, 0 for a repetition (the script ends), below zero for an error."""
    core, message = context.core, context.message
    found = core.transactions.find(message)
    if found is not None:
        if message.method == "ACK":
            found.acknowledged = True
        elif found.last_answer:
            sending.send_reply(core, message, found.last_answer)
        return 0
    if message.method == "ACK":
        return 1
    made = Transaction(core, core.transactions.key_of(message), message, avps=context.avps, hooks=context.hooks)
    made.timeouts = context.timeouts
    core.transactions.add(made)
    context.transaction = made
    if core.config.number("tm", "auto_100trying") and message.method == "INVITE":
        made.answer(100, "Giving it a try")
    core.dialogs.watch(context)
    return 1


@function("t_newtran")
def t_newtran(context: Context) -> int:
    """A transaction before anything is sent on."""
    if context.transaction:
        return -1
    return new_transaction(context)


@function("t_relay")
def t_relay(context: Context, flags: str | None, proxy: str | None) -> int:
    """Sends the request on; where it makes the transaction itself, it answers its own failure, and the script ends."""
    del flags, proxy
    message = context.message
    transaction = context.transaction
    if transaction is None:
        code = new_transaction(context)
        if code <= 0:
            return code
        if message.method == "ACK":
            return 1 if sending.forward_stateless(context.core, message) > 0 else -1
        made = context.transaction
        assert made
        code = made.forward(context)
        if code <= 0:
            context.say("ERROR:tm:t_forward_nonack: failure to add branches")
            made.answer(*REASONS.get(code, SERVER_ERROR))
            return 0
        return 1
    if message.method == "ACK":
        transaction.acknowledged = True
        return 1
    with transaction.lock:
        code = transaction.forward(context)
    if code <= 0:
        context.say("ERROR:tm:w_t_relay: t_forward_nonack failed")
    return code if code > 0 else {-478: -4, sending.SEND_FAILED: -6}.get(code, -1)


@function("t_reply")
def t_reply(context: Context, code: int, reason: str) -> int:
    """An answer of our own."""
    if context.transaction is None:
        return -1
    context.transaction.answer(code, reason)
    return 1


@function("t_check_trans")
def t_check_trans(context: Context) -> int:
    """Whether there is a transaction; a repetition is answered again, and the script ends."""
    core, message = context.core, context.message
    if message.method == "CANCEL":
        return 1 if core.transactions.find_invite(message) else -1
    if context.transaction:
        return 1
    found = core.transactions.find(message)
    if found is None:
        return -1
    if message.method == "ACK":
        if 200 <= found.status < 300 and found.answered_by != -2:
            return -2
        found.acknowledged = True
        context.transaction = found
        return 1
    if found.last_answer:
        sending.send_reply(core, message, found.last_answer)
    return 0


def set_hook(context: Context, kind: str, name: str) -> int:
    """The route that is run later; the last one set counts."""
    hooks = context.transaction.hooks if context.transaction else context.hooks
    hooks[kind] = name
    return 1


@function("t_on_branch")
def t_on_branch(context: Context, name: str) -> int:
    """The branch route."""
    return set_hook(context, "branch", name)


@function("t_on_reply")
def t_on_reply(context: Context, name: str) -> int:
    """The onreply route."""
    return set_hook(context, "reply", name)


@function("t_on_failure")
def t_on_failure(context: Context, name: str) -> int:
    """The failure route, of the next failure only."""
    return set_hook(context, "failure", name)


@function("t_check_status")
def t_check_status(context: Context, pattern: str) -> int:
    """The status of the reply, of the winning branch or of the last answer."""
    transaction = context.transaction
    if transaction is None:
        context.say("ERROR:tm:t_check_status: no transaction")
        return -1
    if context.kind == "onreply" and context.reply:
        status = context.reply.status
    elif context.kind == "failure" and transaction.picked:
        status = transaction.picked.last
    else:
        status = transaction.status
    return 1 if compiled(pattern).search(str(status)) else -1


@function("t_local_replied")
def t_local_replied(context: Context, which: str) -> int:
    """Whether nothing was heard: of any branch (`all`), of the winning one (`branch`), or in the last answer (`last`)."""
    transaction = context.transaction
    if transaction is None:
        return -1
    if which == "all":
        return -1 if any(branch.received for branch in transaction.branches[transaction.first :]) else 1
    picked = transaction.picked
    if context.kind == "failure" and picked is not None:
        local = not picked.received if which == "branch" else picked.reply is None
        return 1 if local else -1
    if which == "branch":
        return -1
    return 1 if transaction.answered_by == -2 else -1


@function("t_was_cancelled")
def t_was_cancelled(context: Context) -> int:
    """Whether the caller gave up."""
    return 1 if context.transaction and context.transaction.cancelled else -1


@function("t_flush_flags")
def t_flush_flags(context: Context) -> int:
    """The message's flags are the transaction's here."""
    del context
    return 1


@function("t_cancel_branch")
def t_cancel_branch(context: Context, which: str | None) -> int:
    """CANCEL on this branch, or on all."""
    if context.transaction is None:
        return -1
    for branch in context.transaction.branches:
        if (branch is context.branch) != (which == "o") or which == "a":
            context.transaction.cancel_branch(branch)
    return 1
