"""What the file asks of a database: every table and column, of the script's statements and of the modules' own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .reader import Config

WORDS = frozenset(
    (
        "select",
        "from",
        "where",
        "and",
        "or",
        "not",
        "in",
        "is",
        "null",
        "join",
        "on",
        "using",
        "order",
        "by",
        "desc",
        "asc",
        "limit",
        "case",
        "when",
        "then",
        "else",
        "end",
        "exists",
        "false",
        "true",
        "as",
        "between",
        "like",
        "left",
        "inner",
        "outer",
        "distinct",
        "union",
        "all",
        "count",
        "coalesce",
        "nullif",
        "length",
        "split_part",
        "substr",
        "starts_with",
        "now",
        "lower",
        "upper",
        "inet",
        "int8",
        "int4",
        "text",
        "varchar",
        "numeric",
    )
)
"""Keywords, functions and types of the statements in use; every other word is a table, an alias or a column."""

TABLES = {
    "auth_db": ("", ()),
    "uac_registrant": ("table_name", ()),
    "permissions": ("address_table", ()),
    "dispatcher": ("table_name", ()),
    "domain": ("domain_table", ()),
    "usrloc": ("", ("location",)),
}
"""Module -> the parameter that names its table, or the table's fixed name; auth_db's stands in the calls."""

UNUSED = {
    "auth_db": ("hash_column_sha256", "hash_column_sha512t256", "uri_domain_column", "uri_uriuser_column", "uri_user_column"),
}
"""Columns that a module asks for only with functions or algorithms of their own."""


def split_tables(statement: str) -> tuple[dict[str, str], str]:
    """Alias -> table of a statement, and the statement without texts and table names."""
    text = re.sub(r"'(?:[^']|'')*'", "''", statement)
    aliases: dict[str, str] = {}

    def note(found: re.Match[str]) -> str:
        alias = found[3] if found[3] and found[3].lower() not in WORDS else ""
        aliases[alias or found[2]] = found[2]
        return f"{found[1]} {found[3] if found[3] and not alias else ''}"

    rest = re.sub(r"(?i)\b(from|join)\s+([a-z_][\w.]*)(?:\s+(?:as\s+)?([a-z_]\w*))?", note, text)
    return aliases, rest


def columns_of(statement: str) -> set[tuple[str, str]]:
    """Table and column of every column that a statement names; the table is empty where any of the statement's may have it."""
    aliases, rest = split_tables(statement)
    rest = re.sub(r"::\s*\w+|\$\(.*?\)|\$\w+(?:\([^)]*\))?", "", rest)
    found = set()
    for name in re.findall(r"(?i)[a-z_][\w.]*", rest):
        table, dot, column = name.rpartition(".")
        if dot and table in aliases:
            found.add((aliases[table], column))
        elif not dot and name.lower() not in WORDS and name not in aliases:
            found.add(("", name))
    return found


def asked_of_tables(config: Config) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Where it stands, the tables that may have it, and the column."""
    for call in config.calls_of("avp_db_query"):
        aliases, _ = split_tables(call.arguments[0])
        for table, column in sorted(columns_of(call.arguments[0])):
            yield f"{call.route}, line {call.line}", (table,) if table else tuple(aliases.values()), column
    for module, (parameter, fixed) in TABLES.items():
        if module not in config.modules or not config.text(module, "db_url"):
            continue
        tables = fixed or (
            (config.text(module, parameter),)
            if parameter
            else tuple({call.arguments[1] for call in config.calls if call.name in ("www_authorize", "proxy_authorize")})
        )
        for table in tables:
            for name, column in module_columns(config, module):
                yield f"module {module}, {name}", (table,), column


def module_columns(config: Config, module: str) -> Iterator[tuple[str, str]]:
    """Parameter and column of everything that a module selects."""
    from . import words

    for name in words.read_table()[module].parameters:
        if not name.endswith(("_column", "_col")) or name in UNUSED.get(module, ()):
            continue
        if name == "domain_column" and not config.number(module, "use_domain"):
            continue
        yield name, re.sub(r"::\w+$", "", config.text(module, name)).lower()
    if module == "auth_db":
        for part in config.text(module, "load_credentials").split(";"):
            if part.strip():
                yield "load_credentials", part.rpartition("=")[2].strip()
        if any(call.name in ("db_is_to_authorized", "db_is_from_authorized") for call in config.calls):
            for name in ("uri_user_column", "uri_domain_column", "uri_uriuser_column"):
                yield name, re.sub(r"::\w+$", "", config.text(module, name))


def read_schema(text: str) -> dict[str, set[str]]:
    """Table -> columns of a file of SQL; a table of the schema `public` or of the search path also without that."""
    tables: dict[str, set[str]] = {}
    for name, body in re.findall(r"(?is)create table ([\w.\"]+) \((.*?)\n?\);", text):
        words = (re.match(r"\s*\"?([a-z_]\w*)", part, re.IGNORECASE) for part in re.split(r",(?![^(]*\))", body))
        columns = {word[1].lower() for word in words if word} - {"unique", "primary", "foreign", "constraint"}
        tables[name] = columns
        tables[name.rpartition(".")[2]] = columns
    return tables


def missing_columns(config: Config, schema: str) -> list[str]:
    """What the file asks for and no table has."""
    tables = read_schema(schema)
    wrong = []
    for where, candidates, column in asked_of_tables(config):
        unknown = [table for table in candidates if table not in tables]
        if unknown:
            wrong.append(f"{where}: no table {unknown[0]}")
        elif not any(column in tables[table] for table in candidates):
            wrong.append(f"{where}: no column {column} in {' or '.join(candidates)}")
    return wrong
