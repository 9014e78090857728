"""Pseudo-variables and texts with such in them."""

import re
from functools import cache

from .tokens import ConfigError
from .tree import Format, Variable

PLAIN = re.compile(r"\$\$|\$\(|\$[A-Za-z_][A-Za-z0-9_.]*")

NAMES = (
    "ua",
    "si",
    "sp",
    "fd",
    "fU",
    "fu",
    "ft",
    "fn",
    "td",
    "tU",
    "tu",
    "tt",
    "tn",
    "au",
    "ar",
    "ad",
    "aU",
    "adu",
    "an",
    "rU",
    "rd",
    "ru",
    "rp",
    "rP",
    "rr",
    "rs",
    "ci",
    "cs",
    "rm",
    "rc",
    "retcode",
    "Ts",
    "Tsm",
    "TS",
    "du",
    "dd",
    "dp",
    "dP",
    "ct",
    "cT",
    "cl",
    "rb",
    "rt",
    "ml",
    "mi",
    "mb",
    "pp",
    "ai",
    "ou",
    "oU",
    "od",
    "op",
    "bf",
    "mf",
    "fs",
    "Ri",
    "Rp",
    "pr",
    "proto",
    "T_fr_timeout",
    "T_fr_inv_timeout",
    "T_branch_idx",
    "T_ruri",
    "T_id",
    "DLG_count",
    "DLG_status",
    "DLG_lifetime",
    "DLG_did",
    "DLG_dir",
    "DLG_end_reason",
    "rtpstat",
    "rtpquery",
    "socket_out",
    "socket_in",
    "err.class",
    "err.level",
    "err.info",
    "err.rcode",
    "err.rreason",
    "cfg_line",
    "cfg_file",
    "xlog_level",
    "hdr",
    "avp",
    "branch",
    "br",
    "route",
    "auth.resp",
    "auth.nonce",
    "auth.opaque",
    "auth.algorithm",
    "auth.qop",
    "tls_version",
)
"""Pseudo-variables without an argument."""

FAMILIES = (
    "avp",
    "var",
    "hdr",
    "hdrcnt",
    "hdr_name",
    "param",
    "socket_in",
    "socket_out",
    "rtpstat",
    "dlg_val",
    "json",
    "branch",
    "ct.fields",
    "time",
    "bavp",
    "stat",
    "shv",
    "path",
    "expires",
    "env",
    "DLG_count",
    "ctime",
    "reply",
    "request",
    "tls_peer_subject",
    "sdp",
    "msg",
    "log_level",
    "branch.uri",
    "branch.flag",
)
"""Pseudo-variables with an argument, `$avp(name)`."""

TRANSFORMATIONS = ("s", "uri", "via", "csv", "param", "val", "nameaddr", "ip", "re", "sdp", "json", "nums")


def closing(text: str, start: int) -> int:
    """Where the bracket that opens at `start` is closed; -1 when it is not."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return -1


@cache
def read_variable(text: str, line: int) -> Variable:
    """`$name`, `$name(argument)` or `$(name(argument)[index]{transformation})`; a ConfigError when there is none such."""
    inner, index, transformations = text[1:], "", ""
    if text.startswith("$("):
        inner = text[2:-1]
        brace = inner.find("{")
        if brace >= 0:
            inner, transformations = inner[:brace], inner[brace:]
        if inner.endswith("]"):
            inner, _, index = inner[:-1].partition("[")
    name, bracket, argument = inner.partition("(")
    argument = argument[:-1] if bracket else ""
    if not ((bracket and name in FAMILIES) or (not bracket and name in NAMES)):
        raise ConfigError(f"line {line}: no pseudo-variable {text}")
    steps = tuple(re.findall(r"\{((?:[^{}]|\{[^{}]*\})*)\}", transformations))
    for step in steps:
        if step.partition(".")[0] not in TRANSFORMATIONS:
            raise ConfigError(f"line {line}: no transformation {step} in {text}")
    return Variable(
        text, name, read_format(argument, line) if bracket else None, read_format(index, line) if index else None, steps
    )


@cache
def read_format(text: str, line: int) -> Format:
    """A text in pieces; `$$` is a dollar sign."""
    parts: list[str | Variable] = []
    place = 0
    while match := PLAIN.search(text, place):
        parts.append(text[place : match.start()])
        end = match.end()
        if match[0] == "$$":
            parts.append("$")
        elif match[0] == "$(":
            end = closing(text, match.end() - 1) + 1
            if end == 0:
                raise ConfigError(f"line {line}: no end of {text[match.start() :]}")
            parts.append(read_variable(text[match.start() : end], line))
        else:
            name = match[0]
            if text[end : end + 1] == "(" and name[1:] in FAMILIES:
                end = closing(text, end) + 1
                name = text[match.start() : end]
            while name[1:] not in NAMES and "(" not in name and "." in name:
                name = name.rpartition(".")[0]
                end = match.start() + len(name)
            parts.append(read_variable(name, line))
        place = end
    parts.append(text[place:])
    return Format(text, tuple(part for part in parts if part != ""))
