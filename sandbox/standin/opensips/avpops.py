"""avpops: statements of the script, and its variables by name."""

from __future__ import annotations

from .context import Context, function
from .sql import SqlError
from .variables import NULL_TEXT


@function("avp_db_query")
def avp_db_query(context: Context, statement: str, targets: str | None, database: int | None) -> int:
    """1 with rows, -2 without, -1 when the database does not answer; NULL becomes the text of NULL."""
    del database
    core = context.core
    try:
        rows = core.databases.query("avpops", statement)
    except SqlError as error:
        core.say(f"ERROR:avpops:db_query_avp: raw_query failed: {statement[:40]}... ({error})")
        return -1
    if not rows or not rows[0]:
        return -2
    names = [name.strip().removeprefix("$avp(").rstrip(")") for name in (targets or "").split(";") if name.strip()]
    for row in reversed(rows):
        for place, value in enumerate(row):
            if names and place >= len(names):
                break
            name = names[place] if names else str(place + 1)
            context.avps.setdefault(name, []).insert(0, NULL_TEXT if value is None else value)
    return 1


@function("avp_delete")
def avp_delete(context: Context, name: str) -> int:
    """Drops the latest value, or with `/g` all."""
    plain, _, flags = name.partition("/")
    values = context.avps.get(plain.removeprefix("$avp(").rstrip(")"), [])
    if not values:
        return -1
    del values[: None if "g" in flags else 1]
    return 1


@function("is_avp_set")
def is_avp_set(context: Context, name: str) -> int:
    """Whether there is a value."""
    return 1 if context.avps.get(name.partition("/")[0].removeprefix("$avp(").rstrip(")")) else -1
