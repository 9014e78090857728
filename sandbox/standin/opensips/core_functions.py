"""Functions of the core, of signaling, sl and maxfwd, and the caches of cachedb_local."""

from __future__ import annotations

from . import sending
from .assignments import set_uri_part
from .context import Context, function
from .message import write_reply
from .uri import parse_uri

LEVELS = ("L_ALERT", "L_CRIT", "L_ERR", "L_WARN", "L_NOTICE", "L_INFO", "L_DBG")
SHOWN = {name: number - 3 for number, name in enumerate(LEVELS)}
LEVEL_NAMES = {"L_WARNING": "L_WARN"}


@function("xlog")
def xlog(context: Context, first: str, second: str | None) -> int:
    """A line in the journal, if its level is shown; without a level it is an error's."""
    level, text = (first, second) if second is not None else ("L_ERR", first)
    limit = int(context.core.config.setting("xlog_level") or context.core.config.setting("log_level"))
    if SHOWN.get(LEVEL_NAMES.get(level, level), 0) <= limit:
        context.say(text)
    return 1


@function("is_myself")
def is_myself(context: Context, host: str, port: int | None) -> int:
    """Whether an address means this program."""
    return 1 if context.core.is_own(host, port or 0) else -1


@function("setflag")
def set_flag(context: Context, name: str) -> int:
    """A flag of the message."""
    context.flags.add(name)
    return 1


@function("resetflag")
def reset_flag(context: Context, name: str) -> int:
    """Takes it away."""
    context.flags.discard(name)
    return 1


@function("isflagset")
def is_flag_set(context: Context, name: str) -> int:
    """Asks for it."""
    return 1 if name in context.flags else -1


@function("setbflag")
def set_branch_flag(context: Context, name: str, branch: int | None) -> int:
    """A flag of the branch."""
    branch_flags(context, branch).add(name)
    return 1


@function("resetbflag")
def reset_branch_flag(context: Context, name: str, branch: int | None) -> int:
    """Takes it away."""
    branch_flags(context, branch).discard(name)
    return 1


@function("isbflagset")
def is_branch_flag_set(context: Context, name: str, branch: int | None) -> int:
    """Asks for it."""
    return 1 if name in branch_flags(context, branch) else -1


def branch_flags(context: Context, number: int | None) -> set[str]:
    """Those of the branch with that number, or of the one that is being worked on."""
    if number and 0 < number <= len(context.message.branches):
        return context.message.branches[number - 1][2]
    return context.branch_flags


@function("force_rport")
def force_rport(context: Context) -> int:
    """Answers go to the port the request came from."""
    context.message.force_rport = True
    sending.fix_via(context.message)
    return 1


@function("append_branch")
def append_branch(context: Context, uri: str | None, quality: str | None) -> int:
    """Another way for the request."""
    del quality
    message = context.message
    message.branches.append((uri or message.target, message.destination, set(context.branch_flags), message.socket, message.path))
    return 1


@function("setdsturi")
def set_destination(context: Context, uri: str) -> int:
    """The next hop."""
    context.message.destination = uri
    return 1


@function("resetdsturi")
def reset_destination(context: Context) -> int:
    """No next hop."""
    context.message.destination = ""
    return 1


@function("isdsturiset")
def is_destination_set(context: Context) -> int:
    """Whether there is a next hop."""
    return 1 if context.message.destination else -1


@function("seturi")
def set_request_uri(context: Context, uri: str) -> int:
    """Another request URI."""
    context.message.new_uri = uri
    return 1


@function("revert_uri")
def revert_uri(context: Context) -> int:
    """The request URI as it came in."""
    context.message.new_uri = ""
    return 1


@function("setuser")
def set_user(context: Context, user: str) -> int:
    """Another user in the request's URI."""
    set_uri_part(context.message, "rU", user)
    return 1


@function("sethost")
def set_host(context: Context, host: str) -> int:
    """Another host."""
    set_uri_part(context.message, "rd", host)
    return 1


@function("sethostport")
def set_host_port(context: Context, text: str) -> int:
    """Another host and port."""
    host, _, port = text.partition(":")
    set_uri_part(context.message, "rd", host)
    set_uri_part(context.message, "rp", int(port or 0))
    return 1


@function("prefix")
def prefix(context: Context, text: str) -> int:
    """Before the user."""
    uri = parse_uri(context.message.target)
    set_uri_part(context.message, "rU", text + (uri.user if uri else ""))
    return 1


@function("strip")
def strip(context: Context, count: int) -> int:
    """Off the user's front."""
    uri = parse_uri(context.message.target)
    set_uri_part(context.message, "rU", uri.user[count:] if uri else "")
    return 1


@function("sl_send_reply")
def send_stateless(context: Context, code: int, reason: str) -> int:
    """An answer without a transaction; an ACK gets none."""
    request = context.message
    if request.method == "ACK":
        return -1
    core = context.core
    tag = core.make_tag(request) if code > 100 else ""
    data = write_reply(request, code, reason, tag, core.server_header, request.reply_headers)
    return 1 if sending.send_reply(core, request, data) else -1


@function("send_reply")
def send_reply(context: Context, code: int, reason: str) -> int:
    """By the transaction if there is one."""
    if context.transaction:
        context.transaction.answer(code, reason)
        return 1
    return send_stateless(context, code, reason)


@function("sl_reply_error")
def reply_error(context: Context) -> int:
    """The answer to the last internal error."""
    return send_stateless(context, 500, "I'm terribly sorry, server error occurred (1/SL)")


@function("mf_process_maxfwd_header")
def process_max_forwards(context: Context, limit: int) -> int:
    """One less; the number where none was there, -1 when it has run out."""
    message = context.message
    places = message.places("max-forwards")
    limit = min(limit, context.core.config.number("maxfwd", "max_limit"))
    if not places:
        message.edits.after.append(f"Max-Forwards: {limit}")
        return 2
    text = message.headers[places[0]].value
    if not text.isdigit() or int(text) == 0:
        return -1
    message.set_header(places[0], str(min(int(text) - 1, limit)))
    return 1
