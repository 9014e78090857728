"""What OpenSIPS 3.4 knows: `modules.tsv` (modules, parameters with their defaults, functions) and the core's own settings."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).with_name("modules.tsv")


class Parameter(NamedTuple):
    """A module's parameter: `kind` is `int` or `str`, `default` what the real program takes where nothing is said."""

    kind: str
    default: str


class Function(NamedTuple):
    """A function: the kind of each argument, how many it needs, and the routes it may stand in (empty: all)."""

    module: str
    kinds: tuple[str, ...]
    needed: int
    routes: frozenset[str]


class Module(NamedTuple):
    """A module with its parameters and functions."""

    parameters: dict[str, Parameter]
    functions: dict[str, Function]


@cache
def read_table() -> dict[str, Module]:
    """Every module of the table; `core` has the functions that need none."""
    modules = {"core": Module({}, {})}
    for line in TABLE.read_text().splitlines():
        if line.startswith("#"):
            continue
        name, kind, entry, first, second = (*line.split("\t"), "", "", "")[:5]
        module = modules.setdefault(name, Module({}, {}))
        if kind == "parameter":
            module.parameters[entry] = Parameter(first, second)
        elif kind == "function":
            kinds = tuple(first.split(",")) if first else ()
            routes = frozenset() if second == "all_routes" else frozenset(second.split(","))
            module.functions[entry] = Function(
                name, tuple(kind.removesuffix("?") for kind in kinds), sum(not kind.endswith("?") for kind in kinds), routes
            )
    return modules


CORE_SETTINGS: Mapping[str, tuple[str, str]] = {
    "log_level": ("number", "3"),
    "xlog_level": ("number", ""),
    "stderror_enabled": ("word", "yes"),
    "syslog_enabled": ("word", "no"),
    "syslog_facility": ("word", "LOG_DAEMON"),
    "udp_workers": ("number", "8"),
    "tcp_workers": ("number", "8"),
    "timer_workers": ("number", "1"),
    "tcp_connection_lifetime": ("number", "120"),
    "tcp_connect_timeout": ("number", "100"),
    "tcp_max_connections": ("number", "2048"),
    "open_files_limit": ("number", "0"),
    "tcp_max_msg_time": ("number", "4"),
    "tcp_keepalive": ("number", "1"),
    "tcp_keepcount": ("number", "9"),
    "tcp_keepidle": ("number", "7200"),
    "tcp_keepinterval": ("number", "75"),
    "tcp_no_new_conn_bflag": ("word", ""),
    "tcp_no_new_conn_rplflag": ("word", ""),
    "tcp_socket_backlog": ("number", "10"),
    "server_header": ("text", "Server: OpenSIPS (3.4.18 (x86_64/linux))"),
    "user_agent_header": ("text", "User-Agent: OpenSIPS (3.4.18 (x86_64/linux))"),
    "mpath": ("text", ""),
    "mhomed": ("number", "0"),
    "dns_try_ipv6": ("word", "no"),
    "disable_core_dump": ("word", "no"),
    "max_while_loops": ("number", "10000"),
    "server_signature": ("word", "yes"),
    "auto_aliases": ("word", "no"),
    "alias": ("text", ""),
    "disable_503_translation": ("word", "no"),
    "disable_dns_failover": ("word", "no"),
    "check_via": ("word", "no"),
    "db_default_url": ("text", ""),
    "tos": ("number", "0"),
    "advertised_address": ("text", ""),
    "advertised_port": ("number", "0"),
    "dns": ("word", "no"),
    "rev_dns": ("word", "no"),
    "sip_warning": ("word", "no"),
    "max_loop": ("number", "10000"),
    "event_pkg_threshold": ("number", "0"),
    "event_shm_threshold": ("number", "0"),
}
"""Name -> the kind of its value and the core's default."""

SOCKET_PROTOCOLS = {"udp": "proto_udp", "tcp": "proto_tcp", "ws": "proto_ws", "tls": "proto_tls", "wss": "proto_wss"}

ROUTE_KINDS = {
    "route": "request",
    "branch_route": "branch",
    "onreply_route": "onreply",
    "failure_route": "failure",
    "local_route": "local",
    "startup_route": "startup",
    "event_route": "event",
    "error_route": "error",
    "timer_route": "timer",
}
"""A block's word -> what the table of functions calls it."""

ROUTE_CALLS = {"route": "route", "t_on_branch": "branch_route", "t_on_reply": "onreply_route", "t_on_failure": "failure_route"}

PACKAGES: Mapping[str, str] = {
    "httpd": "opensips-http-modules",
    "mi_http": "opensips-http-modules",
    "event_rabbitmq": "opensips-rabbitmq-modules",
    "auth": "opensips-auth-modules",
    "uac_auth": "opensips-auth-modules",
    "db_postgres": "opensips-postgres-module",
    "proto_wss": "opensips-wss-module",
    "proto_tls": "opensips-tls-module",
    "tls_mgm": "opensips-tlsmgm-module",
    "tls_openssl": "opensips-tls-openssl-module",
    "tls_wolfssl": "opensips-tls-wolfssl-module",
}
"""Module -> the package it comes in, where that is not `opensips` itself."""

NEEDS: Mapping[str, tuple[str, ...]] = {
    "mi_http": ("httpd",),
    "registrar": ("usrloc", "signaling"),
    "auth_db": ("auth",),
    "uac_registrant": ("uac_auth", "tm"),
    "dialog": ("tm", "rr"),
    "nathelper": ("usrloc",),
    "tm": ("signaling",),
    "auth": ("signaling",),
    "proto_tls": ("tls_mgm",),
    "proto_wss": ("tls_mgm",),
}
"""Modules that must be there for a module; without one the real program does not start."""
