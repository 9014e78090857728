"""auth and auth_db: who a phone says it is, asked of the database by the columns that the file names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .context import Context, function
from .core_functions import send_reply
from .digest import challenge, compute, read_credentials
from .sql import SqlError, quote
from .tree import Value
from .uri import parse_uri

if TYPE_CHECKING:
    from .core import Core

GOOD, UNKNOWN_USER, WRONG_PASSWORD, STALE, NO_CREDENTIALS = 1, -1, -2, -3, -4


class Accounts:
    """The queries of auth_db."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def column(self, name: str) -> str:
        """The name of a column."""
        return self.core.config.text("auth_db", name)

    def query(self, columns: list[str], table: str, keys: dict[str, Value]) -> list[tuple[Value, ...]]:
        """Rows of one table."""
        where = " AND ".join(f"{key}={quote(value)}" for key, value in keys.items())
        return self.core.databases.query("auth_db", f"select {','.join(columns)} from {table} where {where}")

    def find(self, user: str, realm: str, table: str) -> tuple[Value, ...] | None:
        """Password and further columns of an account."""
        keys: dict[str, Value] = {self.column("user_column"): user}
        if self.core.config.number("auth_db", "use_domain"):
            keys[self.column("domain_column")] = realm
        rows = self.query([self.column("password_column"), *self.loaded().values()], table, keys)
        return rows[0] if rows else None

    def loaded(self) -> dict[str, str]:
        """Variable -> column of `load_credentials`; by default a column `rpid`."""
        found = {}
        for part in self.column("load_credentials").replace(" ", "").split(";"):
            if part:
                variable, equals, column = part.partition("=")
                found[variable] = column if equals else variable.removeprefix("$avp(").rstrip(")")
        return found

    def check_tables(self, tables: dict[str, int], versions: dict[str, int]) -> None:
        """auth_db checks its table's version only for functions that name one; `skip_version_check` ends that."""
        if not self.core.config.number("auth_db", "skip_version_check"):
            for call in self.core.config.calls:
                if call.name in ("www_authorize", "proxy_authorize"):
                    tables[call.arguments[1]] = 8
        del versions


def authorize(context: Context, realm: str, table: str, proxy: bool) -> int:
    """1, or what is wrong; 0 after an answer of its own."""
    core, message = context.core, context.message
    if message.method in ("ACK", "CANCEL"):
        return GOOD
    realm = realm or realm_of(context)
    fields = read_credentials(message, proxy)
    if not fields or fields.get("realm", "").lower() != realm.lower():
        return NO_CREDENTIALS
    if not all(fields.get(name) for name in ("username", "nonce", "uri", "response")):
        send_reply(context, 400, "Bad Request")
        return 0
    if core.nonces.is_stale(fields["nonce"]):
        return STALE
    user = fields["username"]
    try:
        row = core.accounts.find(user.partition("@")[0], realm, table)
    except SqlError as error:
        core.say(f"ERROR:auth_db:get_ha1: failed to query database: {error}")
        send_reply(context, 500, "Server Internal Error")
        return 0
    if row is None:
        return UNKNOWN_USER
    stored = str(row[0])
    if core.config.number("auth_db", "calculate_ha1"):
        from .digest import md5

        stored = md5(user, realm, stored)
    if compute(fields, message.method, stored, message.body) != fields["response"].lower():
        return WRONG_PASSWORD
    for variable, value in zip(core.accounts.loaded(), row[1:], strict=False):
        if value is not None:
            context.avps.setdefault(variable.removeprefix("$avp(").rstrip(")"), []).insert(0, value)
    message.routing += f" authorized:{'proxy' if proxy else 'www'}"
    return GOOD


def realm_of(context: Context) -> str:
    """REGISTER: the host of To; everything else: that of From."""
    _, uri, _ = context.message.address("to" if context.message.method == "REGISTER" else "from")
    return uri.host if uri else ""


@function("www_authorize")
def www_authorize(context: Context, realm: str, table: str) -> int:
    """By Authorization."""
    return authorize(context, realm, table, False)


@function("proxy_authorize")
def proxy_authorize(context: Context, realm: str, table: str) -> int:
    """By Proxy-Authorization."""
    return authorize(context, realm, table, True)


def send_challenge(context: Context, realm: str, quality: str, proxy: bool) -> int:
    """401 or 407 with a fresh nonce; the script ends."""
    name, code, reason = (
        ("Proxy-Authenticate", 407, "Proxy Authentication Required") if proxy else ("WWW-Authenticate", 401, "Unauthorized")
    )
    fields = read_credentials(context.message, proxy)
    text = challenge(context.core, realm or realm_of(context), quality, bool(fields) and context.retcode == STALE)
    context.message.reply_headers.append(f"{name}: {text}")
    send_reply(context, code, reason)
    return 0


@function("www_challenge")
def www_challenge(context: Context, realm: str, quality: str | None, algorithms: str | None) -> int:
    """401."""
    del algorithms
    return send_challenge(context, realm, quality or "", False)


@function("proxy_challenge")
def proxy_challenge(context: Context, realm: str, quality: str | None, algorithms: str | None) -> int:
    """407."""
    del algorithms
    return send_challenge(context, realm, quality or "", True)


@function("consume_credentials")
def consume_credentials(context: Context) -> int:
    """Takes the credentials off that were good."""
    message = context.message
    for name in ("authorization", "proxy-authorization"):
        message.edits.removed.update(message.places(name)[:1])
    return 1


def check_identity(context: Context, key: str, table: str) -> int:
    """Whether the account may use the name in From or To."""
    core, message = context.core, context.message
    fields = read_credentials(message)
    uri = parse_uri(message.address(key)[0])
    if "authorized:" not in message.routing:
        core.say("ERROR:auth_db:check_username: Call {www,proxy}_authorize before calling check_* functions!")
        return -3
    if uri is None or not uri.user:
        return -4
    accounts = core.accounts
    try:
        rows = accounts.query(
            [accounts.column("uri_user_column")],
            table,
            {
                accounts.column("uri_user_column"): fields["username"].partition("@")[0],
                accounts.column("uri_domain_column"): fields["realm"],
                accounts.column("uri_uriuser_column"): uri.user,
            },
        )
    except SqlError as error:
        core.say(f"ERROR:auth_db:check_username: {error}")
        return -5
    return 1 if rows else -6


@function("db_is_to_authorized")
def db_is_to_authorized(context: Context, table: str) -> int:
    """The name in To."""
    return check_identity(context, "to", table)


@function("db_is_from_authorized")
def db_is_from_authorized(context: Context, table: str) -> int:
    """The name in From."""
    return check_identity(context, "from", table)
