"""Settings from environment and flags; names that the program does not know are refused."""

import sys
from collections.abc import Mapping, Sequence

from .words import Behaviour

BOOLEANS = {"dev", "sql_trace", "cloudflare", "log_json", "log_otel", "log_console", "wait_channel_close", "enable_omnichannel"}

SYSTEM = (
    "PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "LOGNAME",
    "USER",
    "SHELL",
    "TERM",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
    "TZ",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "SYSTEMD_*",
    "MEMORY_PRESSURE_*",
    "NOTIFY_SOCKET",
    "WATCHDOG_*",
    "LISTEN_*",
    "MANAGERPID",
    "*_DIRECTORY",
    "SSL_CERT_*",
    "GO*",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "CONSUL_HTTP_TOKEN",
    "OTEL_*",
    "SANDBOX_*",
    "CONTAINER",
    "container",
)
"""What systemd, a shell or Go's libraries put into or take from every program's environment."""


class ArgumentError(Exception):
    """A flag or a name that the program does not know; `status` is what it exits with."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name is in a list in which `*` stands for the rest."""
    return any(
        name == pattern
        or (pattern.endswith("*") and name.startswith(pattern[:-1]))
        or (pattern.startswith("*") and name.endswith(pattern[1:]))
        for pattern in patterns
    )


def known_names(row: Behaviour) -> list[str]:
    """The environment names a service reads; `PUSH_*` for a family."""
    return [*row.environment, *(name for name in row.flags.values() if name)]


def read_flags(row: Behaviour, arguments: Sequence[str]) -> dict[str, str]:
    """Environment name -> value (a flag without such a name keeps its own); one or two dashes, `=` or the next argument."""
    found: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.lstrip("-").partition("=")
        if flag in ("help", "h") and word.startswith("-"):
            raise ArgumentError(f"usage of {row.binary}: {' '.join(sorted(row.flags))}", 2 if row.name == "cases" else 0)
        dashes = "--" if row.name == "cases" else "-"
        if not word.startswith(dashes) or not matches(flag, list(row.flags)):
            raise ArgumentError(f"flag provided but not defined: {word}", row.unknown_flag)
        if not equals:
            value = "true" if flag in BOOLEANS else rest.pop(0) if rest else ""
            if not value:
                raise ArgumentError(f"flag needs an argument: -{flag}", row.unknown_flag)
        found[row.flags.get(flag) or flag.upper().replace("-", "_")] = value
    return found


def read_settings(row: Behaviour, arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Every setting by its environment name. The real programs pass over an unknown environment name; here it is an error."""
    known = known_names(row)
    for name in environment:
        if not matches(name, SYSTEM) and not matches(name, known):
            reads = " ".join(sorted(known))
            raise ArgumentError(f"{row.name} does not read the environment name {name}; it reads {reads}", row.unknown_flag)
    given = {name: value for name, value in environment.items() if matches(name, known) and value}
    flags = read_flags(row, arguments)
    return {**row.defaults, **given, **flags} if row.flag_beats_environment else {**row.defaults, **flags, **given}


def say(row: Behaviour, text: str) -> None:
    """A line in the journal; the logger prints none while it works."""
    if not row.silent:
        print(f"{row.name}: {text}", file=sys.stderr, flush=True)
