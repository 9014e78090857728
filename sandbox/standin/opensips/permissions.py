"""permissions and domain: addresses loaded at the start, and domains asked for at every question."""

from __future__ import annotations

import fnmatch
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .context import Context, function
from .sql import SqlError, quote
from .tree import Value, Variable

if TYPE_CHECKING:
    from .core import Core


@dataclass(frozen=True)
class Address:
    """One row of the address table."""

    group: int
    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    port: int
    protocol: str
    pattern: str
    info: Value


class Addresses:
    """The address table in memory."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.rows: list[Address] = []

    def load(self) -> None:
        """Reads the table; a SqlError when it cannot be read."""
        config = self.core.config
        names = ("grp", "ip", "mask", "port", "proto", "pattern", "info")
        columns = [config.text("permissions", f"{name}_col") for name in names]
        table = config.text("permissions", "address_table")
        rows = self.core.databases.query("permissions", f"select {','.join(columns)} from {table}")
        found = []
        for group, address, mask, port, protocol, pattern, info in rows:
            try:
                network = ipaddress.ip_network(f"{address}/{mask}", strict=False)
            except ValueError:
                self.core.say(f"ERROR:permissions:reload_address_table: bad address {address}/{mask}")
                continue
            kind = str(protocol or "any").lower()
            found.append(Address(int(group or 0), network, int(port or 0), kind, str(pattern or ""), info))
        self.rows = found

    def find(self, group: int, address: str, port: int, protocol: str, pattern: str) -> Address | None:
        """The row that fits; group 0, port 0 and `any` fit everything."""
        try:
            mine = ipaddress.ip_address(address)
        except ValueError:
            return None
        for row in self.rows:
            if (
                (group in (0, row.group) or row.group == 0)
                and mine in row.network
                and (row.port in (0, port) or port == 0)
                and ("any" in (row.protocol, protocol) or row.protocol == protocol)
                and (not row.pattern or not pattern or fnmatch.fnmatch(pattern, row.pattern))
            ):
                return row
        return None


def start(core: Core) -> None:
    """Loads the addresses; hooks the self check when module domain is there, which is what that module does."""
    if core.has("permissions") and core.config.text("permissions", "db_url"):
        core.addresses.load()

        def reload(partition: str = "") -> str:
            del partition
            core.addresses.load()
            return "OK"

        core.commands["address_reload"] = reload
    if core.has("domain"):
        core.self_checks.append(lambda host: is_domain(core, host) > 0)


def is_domain(core: Core, name: str) -> int:
    """One question to the database (`db_mode` 0); with `db_mode` 1 the real one keeps a copy, which nobody here wants."""
    config = core.config
    column, attributes = config.text("domain", "domain_col"), config.text("domain", "attrs_col")
    try:
        rows = core.databases.query(
            "domain", f"select {column},{attributes} from {config.text('domain', 'domain_table')} where {column}={quote(name)}"
        )
    except SqlError as error:
        core.say(f"ERROR:domain:is_domain_local: {error}")
        return -1
    return 1 if rows else -1


@function("check_address")
def check_address(
    context: Context,
    group: int,
    address: str,
    port: int,
    protocol: str,
    info: Variable | None,
    pattern: str | None,
    partition: str | None,
) -> int:
    """Whether an address stands in the table."""
    del partition
    row = context.core.addresses.find(group, address, port, protocol.lower(), pattern or "")
    if row is None:
        return -1
    if info:
        context.store(info, row.info)
    return 1


@function("check_source_address")
def check_source_address(context: Context, group: int, info: Variable | None, pattern: str | None, partition: str | None) -> int:
    """The same for the message's source."""
    here = context.current.here
    return check_address(context, group, here.address, here.port, here.protocol, info, pattern, partition)


@function("is_from_local")
def is_from_local(context: Context, attributes: Variable | None) -> int:
    """The domain of From."""
    del attributes
    uri = context.current.address("from")[1]
    return is_domain(context.core, uri.host) if uri else -1


@function("is_uri_host_local")
def is_uri_host_local(context: Context, attributes: Variable | None) -> int:
    """The host of the request's URI."""
    from .uri import parse_uri

    del attributes
    uri = parse_uri(context.message.target)
    return is_domain(context.core, uri.host) if uri else -1


@function("is_domain_local")
def is_domain_local(context: Context, name: str, attributes: Variable | None) -> int:
    """A domain by name."""
    del attributes
    return is_domain(context.core, name)
