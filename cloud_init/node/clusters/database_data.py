"""What the data of a PostgreSQL member is worth before it starts: whose cluster may begin with it, and what it has to give up.

Patroni itself asks nobody: with Consul empty, the first member to start begins the cluster with what it has, be it nothing, be
it years old. And it never gets a member further whose leader has thrown away what that one lacks.
"""

import datetime
import functools
import pathlib
import re
import shutil

from ..ask.consul import Session, find_key, list_keys
from ..ask.view import View
from ..manifest import Manifest, ProbeEntry
from ..system import Unhealthy, run

CONFIG = pathlib.Path("/etc/patroni/config.yml")
CONTROL, WALDUMP = (f"/usr/lib/postgresql/15/bin/{name}" for name in ("pg_controldata", "pg_waldump"))
SEGMENT = re.compile("[0-9A-F]{24}")
"""A file of the log: eight digits of its time line, sixteen of its number."""
BLANK = "webitel/postgresql/blank/"
ENDS = "webitel/postgresql/ends/"
NOWHERE = ""
"""What data that is given up is worth."""
SCOPE = "service/webitel/"
"""Where Patroni keeps its cluster in Consul (`namespace` and `scope` of its configuration)."""
_blank = Session("webitel: a database without data")
_ends = Session("webitel: a database with data")


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


def mark_left(manifest: Manifest) -> None:
    """Note beside the data that its member has left, for whoever is given the disk later."""
    left_mark(data_folder()).write_text(f"{manifest['key']} {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC\n")


def may_start(_: ProbeEntry, view: View) -> None:
    """Check whether the member may start with the data that it has.

    A member without data begins a cluster only as the first one, when all the others are known to be without data too; one
    with data when it has the newest. Data of a member that had left is given up as soon as there is a leader of the same
    database to copy from, never before.
    """
    data = data_folder()
    mark = left_mark(data)
    shutil.rmtree(given_up(data), ignore_errors=True)  # of a run that was cut off
    if not (data / "PG_VERSION").exists():
        mark.unlink(missing_ok=True)
        may_begin(view.manifest)
    elif mark.exists():
        _ends.hold(ENDS + view.manifest["key"], NOWHERE)
        give_up(data, mark)
    else:
        may_go_on(view.manifest, data)


def lead_mark(data: pathlib.Path) -> pathlib.Path:
    """The file by which a person says that a member begins the cluster with what it has."""
    return data.with_name(f"{data.name}.lead")


def may_go_on(manifest: Manifest, data: pathlib.Path) -> None:
    """Check whether a member with data may start. Where Consul knows the cluster, its keys say who may lead;
    where it does not, as after a `destroy` that kept the disks, the one begins whose log ends last."""
    members = [member["key"] for member in manifest["clusters"]["postgresql"]]
    others = [key for key in members if key != manifest["key"]]
    if not others or manifest["key"] not in members or find_key(f"{SCOPE}initialize")["holder"]:
        lead_mark(data).unlink(missing_ok=True)  # it was for the time when nobody knew
        return
    if lead_mark(data).exists():
        lead_mark(data).unlink()
        return
    anyway = f"to begin with this member's data: touch {lead_mark(data)}"
    try:
        end = find_end(data)
    except ValueError as error:
        # The others hear nothing of it: they could not tell it from data that is worth nothing.
        raise Unhealthy(f"nobody has begun the database, and {error}; {anyway}") from error
    _ends.hold(ENDS + manifest["key"], end)
    ends = {key: row["Value"] for key, row in list_keys(ENDS).items()}
    rank = {key: (place, -members.index(key)) for key, place in {**ends, manifest["key"]: end}.items() if key in members}
    if later := [key for key in others if key in rank and rank[key] > rank[manifest["key"]]]:
        raise Unhealthy(f"the data of {' and '.join(later)} ends later than this member's, so the database begins there")
    if unknown := sorted(set(others) - ends.keys() - list_keys(BLANK).keys()):
        raise Unhealthy(
            f"nobody has begun the database, and whether the data of {' and '.join(unknown)} is newer than this "
            f"member's is not known; {anyway}"
        )


@functools.cache
def find_end(data: pathlib.Path) -> str:
    """Where the log of a database that does not run ends: time line and place, as text that sorts. A ValueError says why not."""
    control = run([CONTROL, str(data)], 30)
    found = re.search(r"^Latest checkpoint's REDO WAL file: *(\S+)", control.stdout, re.MULTILINE)
    files = sorted(name for file in (data / "pg_wal").glob("*") if SEGMENT.fullmatch(name := file.name))
    if not found or not files:
        raise ValueError(f"{data} has no log that can be read: {control.stderr.strip() or f'{len(files)} files in pg_wal'}")
    # On a new time line the log begins anew in the file where it left the old one.
    line = files[-1][:8]
    first = next((name for name in files if name[:8] == line and name[8:] >= found[1][8:]), files[-1])
    said = run(
        ["sh", "-c", f'{WALDUMP} "$1" 2>&1 | grep -o "lsn: [0-9A-F]*/[0-9A-F]*" | tail -n 1', "sh", str(data / "pg_wal" / first)],
        600,
    )
    place = re.search("lsn: ([0-9A-F]+)/([0-9A-F]+)", said.stdout)
    if not place:
        raise ValueError(f"{data / 'pg_wal' / first} holds nothing that {WALDUMP} can read: {said.stderr.strip()}")
    return f"{line}/{int(place[1], 16):08X}{int(place[2], 16):08X}"


def give_up(data: pathlib.Path, mark: pathlib.Path) -> None:
    """Delete data of before its member left, where a leader has the same database. Raises Unhealthy where none has."""
    leader = find_key(f"{SCOPE}leader")["holder"]
    if not leader:
        raise Unhealthy(
            f"{data} is of before this member left its cluster, and there is no leader to copy from; to use it, delete {mark}"
        )
    database = find_key(f"{SCOPE}initialize")["holder"]
    said = run([CONTROL, str(data)], 30)
    own = re.search(r"^Database system identifier: *(\d+)", said.stdout, re.MULTILINE)
    if not own or own[1] != database:
        raise Unhealthy(
            f"{data} is of another database ({own[1] if own else said.stderr.strip()}) than the one that {leader} "
            f"leads ({database}): move it away"
        )
    print(f"{leader} leads the database: its copy takes the place of {data}, left {mark.read_text().strip()}", flush=True)
    # In one step: half of a data folder would be neither data nor none.
    data.rename(given_up(data))
    mark.unlink()
    shutil.rmtree(given_up(data))


def may_begin(manifest: Manifest) -> None:
    """Check whether a member without data may start."""
    members = [member["key"] for member in manifest["clusters"]["postgresql"]]
    others = [key for key in members if key != manifest["key"]]
    if not others or find_key(f"{SCOPE}initialize")["holder"]:
        return  # Patroni copies from the leader, and waits for one
    _blank.hold(BLANK + manifest["key"], manifest["node"])
    if manifest["key"] != members[0]:
        raise Unhealthy(f"this member has no data yet, and none of {' and '.join(others)} has begun the database")
    if unknown := sorted(set(others) - list_keys(BLANK).keys()):
        raise Unhealthy(f"this member has no data, and whether {' and '.join(unknown)} have some is not known")
