"""What the data of a PostgreSQL member is worth before it starts: whose cluster may begin with it, and what it has to give up.

Patroni itself asks nobody: with Consul empty, the first member to start begins the cluster with what it has, be it nothing, be
it years old. And it never gets a member further whose leader has thrown away what that one lacks.
"""

import datetime
import pathlib
import re
import shutil
from typing import Any

from .consul import ConsulError, Session, find_key, list_keys
from .manifest import run
from .view import View

CONFIG = pathlib.Path("/etc/patroni/config.yml")
CONTROL = "/usr/lib/postgresql/15/bin/pg_controldata"
BLANK = "webitel/postgresql/blank/"
SCOPE = "service/webitel/"
"""Where Patroni keeps its cluster in Consul (`namespace` and `scope` of its configuration)."""
_blank = Session("webitel: a database without data")


def data_folder() -> pathlib.Path:
    """Where the member's data is."""
    found = re.search(r"^ *data_dir: *(\S+)", CONFIG.read_text(), re.MULTILINE)
    assert found, f"{CONFIG} names no data_dir"
    return pathlib.Path(found[1])


def left_mark(data: pathlib.Path) -> pathlib.Path:
    """The file beside data whose member has left its cluster."""
    return data.with_name(f"{data.name}.left")


def given_up(data: pathlib.Path) -> pathlib.Path:
    """Where data is deleted."""
    return data.with_name(f"{data.name}.gone")


def mark_left(manifest: dict[str, Any]) -> None:
    """Note beside the data that its member has left, for whoever is given the disk later."""
    left_mark(data_folder()).write_text(f"{manifest['key']} {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC\n")


def may_start(_: dict[str, Any], view: View) -> str:
    """Whether the member may start with the data that it has; "" or what it waits for.

    A member without data begins a cluster only as the first one, when all the others are known to be without data too. Data
    of a member that had left is given up as soon as there is a leader of the same database to copy from, never before.
    """
    data = data_folder()
    mark = left_mark(data)
    shutil.rmtree(given_up(data), ignore_errors=True)  # of a run that was cut off
    try:
        if (data / "PG_VERSION").exists():
            return give_up(data, mark) if mark.exists() else ""
        mark.unlink(missing_ok=True)
        return may_begin(view.manifest)
    except ConsulError as error:
        return str(error)


def give_up(data: pathlib.Path, mark: pathlib.Path) -> str:
    """Delete data of before its member left, where a leader has the same database; "" or why not."""
    leader = find_key(f"{SCOPE}leader")["holder"]
    if not leader:
        return f"{data} is of before this member left its cluster, and there is no leader to copy from; to use it, delete {mark}"
    database = find_key(f"{SCOPE}initialize")["holder"]
    said = run([CONTROL, str(data)], 30)
    own = re.search(r"^Database system identifier: *(\d+)", said.stdout, re.MULTILINE)
    if not own or own[1] != database:
        return (f"{data} is of another database ({own[1] if own else said.stderr.strip()}) than the one that {leader} leads "
                f"({database}): move it away")
    print(f"{leader} leads the database: its copy takes the place of {data}, left {mark.read_text().strip()}", flush=True)
    # In one step: half of a data folder would be neither data nor none.
    data.rename(given_up(data))
    mark.unlink()
    shutil.rmtree(given_up(data))
    return ""


def may_begin(manifest: dict[str, Any]) -> str:
    """Whether a member without data may start; "" or what it waits for."""
    members = [member["key"] for member in manifest["clusters"]["postgresql"]]
    others = [key for key in members if key != manifest["key"]]
    if not others or find_key(f"{SCOPE}initialize")["holder"]:
        return ""  # Patroni copies from the leader, and waits for one
    _blank.hold(BLANK + manifest["key"], manifest["node"])
    if manifest["key"] != members[0]:
        return f"this member has no data yet, and none of {' and '.join(others)} has begun the database"
    unknown = sorted(set(others) - list_keys(BLANK).keys())
    return f"this member has no data, and whether {' and '.join(unknown)} have some is not known" if unknown else ""
