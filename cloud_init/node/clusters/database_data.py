"""What a PostgreSQL member's data is worth before it starts: who may begin the cluster with it, and what is discarded.

Patroni itself does not ask: with Consul empty, the first member to start begins the cluster with what it has, be it nothing, be
it years old. And it never gets a member further whose leader has thrown away what that one lacks.
"""

import datetime
import functools
import json
import pathlib
import re
import shutil
from collections.abc import Iterable

from ..ask.consul import Session, call, find_key, list_keys
from ..ask.view import View
from ..manifest import Manifest, ProbeEntry
from ..system import POSTGRESQL_BIN, Unhealthy, run, write_private

CONFIG = pathlib.Path("/etc/patroni/config.yml")
CONTROL, WALDUMP = (str(POSTGRESQL_BIN / name) for name in ("pg_controldata", "pg_waldump"))
SEGMENT = re.compile("[0-9A-F]{24}")
"""A file of the log: eight digits of its timeline, sixteen of its number."""
BLANK = "webitel/postgresql/blank/"
ENDS = "webitel/postgresql/ends/"
LEFT_OUT = "webitel/postgresql/left-out/"
"""By member the time to which the database was restored without it: until it has been here again."""
NOWHERE = ""
"""What discarded data is worth."""
SCOPE = "service/webitel/"
"""Where Patroni keeps its cluster in Consul (`namespace` and `scope` in its configuration)."""
END = "end"
"""Instead of a time to which a database is restored: all that the bucket has of it."""
PLACING = "placing"
"""The stage of a restore at which the database and the restored one change places."""
_blank = Session("webitel: a database without data")
_ends = Session("webitel: a database with data")


def list_logins() -> dict[str, str]:
    """Return the passwords of the roles that Patroni itself logs in as, by role: it makes them once, when a database begins."""
    found = re.findall(r'^ *\w+: \{username: (\w+), password: "([^"]*)"', CONFIG.read_text(), re.MULTILINE)
    assert found, f"{CONFIG} names no roles"
    return dict(found)


def data_folder() -> pathlib.Path:
    """Return where the member's data is."""
    found = re.search(r"^ *data_dir: *(\S+)", CONFIG.read_text(), re.MULTILINE)
    assert found, f"{CONFIG} names no data_dir"
    return pathlib.Path(found[1])


def left_mark(data: pathlib.Path) -> pathlib.Path:
    """Return the file beside data whose member has left its cluster."""
    return data.with_name(f"{data.name}.left")


def restore_mark(data: pathlib.Path) -> pathlib.Path:
    """Return the file beside data that says how far a restore has come (`backups/marks.py`)."""
    return data.with_name(f"{data.name}.restore.json")


def given_up(data: pathlib.Path) -> pathlib.Path:
    """Return the folder in which data is deleted."""
    return data.with_name(f"{data.name}.gone")


def mark_left(manifest: Manifest) -> None:
    """Note beside the data that its member has left, for whoever gets the disk later."""
    write_private(left_mark(data_folder()), f"{manifest['key']} {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC\n")


def may_start(_: ProbeEntry, view: View) -> None:
    """Check whether the member may start with the data that it has.

    A member without data begins a cluster only as the first one, when all the others are known to be without data too; one
    with data when it has the newest. Data of a member that had left, or that a restore left out, is given up as soon as there is
    a leader of the same database to copy from, never before.
    """
    data = data_folder()
    wait_for_restore(data)
    mark = left_mark(data)
    shutil.rmtree(given_up(data), ignore_errors=True)  # from a run that was cut off
    if not (data / "PG_VERSION").exists():
        mark.unlink(missing_ok=True)
        may_begin(view.manifest)
        come_back(view.manifest)
    elif mark.exists() or was_left_out(view.manifest):
        if not mark.exists():
            mark_left(view.manifest)
        _ends.hold(ENDS + view.manifest["key"], NOWHERE)
        give_up(data, mark)
        come_back(view.manifest)
    else:
        may_go_on(view.manifest, data)


def wait_for_restore(data: pathlib.Path) -> None:
    """Refuse a start while a restored database and the former one change places: none is in the place, or nobody knows which."""
    try:
        found = json.loads(restore_mark(data).read_text())
    except (OSError, ValueError):
        return
    if found["stage"] == PLACING:
        how = f"--from {url}" if (url := found.get("source", "").partition(" ")[0]) else f"--at '{found['at']}'"
        raise Unhealthy(f"a restore was cut off while the databases changed places; it goes on with ./webitel restore {how}")


def leave_out(keys: Iterable[str], at: str, *, leads: bool) -> None:
    """Note that the database is restored to that time without these members, whose data is of before. Raises Unhealthy where one
    of them is at work: it would lead with what is to be discarded as soon as the leader stops. Where the restored database
    `leads` already, such a one follows it."""
    alive = list_keys(f"{SCOPE}members/")
    if (working := [key for key in keys if key in alive]) and not leads:
        raise Unhealthy(
            f"the database on {' and '.join(working)} is at work, or was within the last minute: switch that machine off first, "
            "and try again in a minute"
        )
    for key in keys:
        if key not in alive:
            call("PUT", f"/v1/kv/{LEFT_OUT}{key}", at)


def was_left_out(manifest: Manifest) -> bool:
    """Tell whether a restore left this member out, and it has not been here since."""
    others = [member for member in manifest["clusters"]["postgresql"] if member["key"] != manifest["key"]]
    # The only member has nobody to be left out by, and starts without Consul.
    return bool(others and find_key(LEFT_OUT + manifest["key"])["holder"])


def come_back(manifest: Manifest) -> None:
    """End that a restore left this member out: it has no data of before any more."""
    if was_left_out(manifest):
        call("DELETE", f"/v1/kv/{LEFT_OUT}{manifest['key']}")


def lead_mark(data: pathlib.Path) -> pathlib.Path:
    """Return the file by which a person makes a member begin the cluster with what it has."""
    return data.with_name(f"{data.name}.lead")


def may_go_on(manifest: Manifest, data: pathlib.Path) -> None:
    """Check whether a member with data may start. Where Consul knows the cluster, its keys say who may lead;
    where it does not, as after a `destroy` that kept the disks, the one begins whose log ends last."""
    members = [member["key"] for member in manifest["clusters"]["postgresql"]]
    others = [key for key in members if key != manifest["key"]]
    if not others or manifest["key"] not in members or find_key(f"{SCOPE}initialize")["holder"]:
        lead_mark(data).unlink(missing_ok=True)  # it was meant for the time when nobody knew
        return
    if lead_mark(data).exists():
        lead_mark(data).unlink()
        return
    anyway = f"to begin with this member's data: touch {lead_mark(data)}"
    try:
        end = find_end(data)
    except ValueError as error:
        # The others are not told: they could not tell it apart from worthless data.
        raise Unhealthy(f"no member has begun the database, and {error}; {anyway}") from error
    _ends.hold(ENDS + manifest["key"], end)
    ends = {key: row["Value"] for key, row in list_keys(ENDS).items()}
    rank = {key: (place, -members.index(key)) for key, place in {**ends, manifest["key"]: end}.items() if key in members}
    if later := [key for key in others if key in rank and rank[key] > rank[manifest["key"]]]:
        raise Unhealthy(f"the data of {' and '.join(later)} is newer than this member's, so the database begins there")
    if unknown := sorted(set(others) - ends.keys() - list_keys(BLANK).keys()):
        raise Unhealthy(
            f"no member has begun the database, and it is unknown whether the data of {' and '.join(unknown)} is newer than this "
            f"member's; {anyway}"
        )


@functools.cache
def find_end(data: pathlib.Path) -> str:
    """Find where a stopped database's log ends: timeline and position, as text that sorts. Raises ValueError with the reason."""
    control = run([CONTROL, str(data)], 30)
    found = re.search(r"^Latest checkpoint's REDO WAL file: *(\S+)", control.stdout, re.MULTILINE)
    files = sorted(name for file in (data / "pg_wal").glob("*") if SEGMENT.fullmatch(name := file.name))
    if not found or not files:
        raise ValueError(f"{data} has no readable log: {control.stderr.strip() or f'{len(files)} files in pg_wal'}")
    # On a new timeline the log starts over in the file where it left the old one.
    line = files[-1][:8]
    first = next((name for name in files if name[:8] == line and name[8:] >= found[1][8:]), files[-1])
    said = run(
        ["sh", "-c", f'{WALDUMP} "$1" 2>&1 | grep -o "lsn: [0-9A-F]*/[0-9A-F]*" | tail -n 1', "sh", str(data / "pg_wal" / first)],
        600,
    )
    place = re.search("lsn: ([0-9A-F]+)/([0-9A-F]+)", said.stdout)
    if not place:
        raise ValueError(f"{WALDUMP} cannot read {data / 'pg_wal' / first}: {said.stderr.strip()}")
    return f"{line}/{int(place[1], 16):08X}{int(place[2], 16):08X}"


def read_number(data: pathlib.Path) -> str:
    """Return the number of a database, which is another one for each that begins; what is wrong where it has none."""
    said = run([CONTROL, str(data)], 30)
    own = re.search(r"^Database system identifier: *(\d+)", said.stdout, re.MULTILINE)
    return own[1] if own else said.stderr.strip()


def give_up(data: pathlib.Path, mark: pathlib.Path) -> None:
    """Delete data from before its member left, if a leader has the same database. Raises Unhealthy where none has."""
    leader = find_key(f"{SCOPE}leader")["holder"]
    if not leader:
        raise Unhealthy(
            f"{data} is from before this member left its cluster, and there is no leader to copy from; to use it, delete {mark}"
        )
    database = find_key(f"{SCOPE}initialize")["holder"]
    if (own := read_number(data)) != database:
        raise Unhealthy(f"{data} belongs to another database ({own}) than the one that {leader} leads ({database}): move it away")
    print(f"{leader} leads the database: its copy replaces {data}, left {mark.read_text().strip()}", flush=True)
    # Atomically: half of a data folder would be neither data nor none.
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
        raise Unhealthy(f"this member has no data, and it is unknown whether {' and '.join(unknown)} have some")
