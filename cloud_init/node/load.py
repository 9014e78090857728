"""A steady load for drills: numbered rows and confirmed messages; each acknowledged one is reported with its time.

Rows go through a session of psql as a service's do through its driver: no timeout around a commit, and a new session when the
old one is lost. Messages go to a quorum queue with publisher confirms.
"""

import json
import os
import subprocess
import sys
import threading
import time
from typing import Protocol

from .ask import amqp
from .ask.view import View, query, reach_database
from .clusters import encryption
from .manifest import load_manifest
from .system import POSTGRESQL_BIN, Unhealthy

TABLE = "webitel_drill.rows"
QUEUE = "webitel-drill"
PAUSE_SECONDS = 0.02
RETRY_SECONDS = 0.2
CONFIRM_SECONDS = 10.0
CONNECT_SECONDS = 3.0
READ_SECONDS = 30.0


class Say(Protocol):
    """Tell what happened to a row or a message."""

    def __call__(self, kind: str, **more: object) -> None: ...


def run(writer: str, direct: bool) -> int:
    """Write until standard input ends, row n and message n as `writer`; `direct`: to this node's own database and broker.

    Prints JSON lines: {"t": time, "kind": "row" | "message", "n": number} or {"t", "kind", "error"}.
    """
    view = View(load_manifest())
    ended = threading.Event()
    tell_lock = threading.Lock()

    def tell(kind: str, **more: object) -> None:
        with tell_lock:
            print(json.dumps({"t": time.time(), "kind": kind, **more}), flush=True)

    tell("start")
    writers = [
        threading.Thread(target=write, args=(view, writer, direct, ended, tell), daemon=True)
        for write in (write_rows, write_messages)
    ]
    for thread in writers:
        thread.start()
    sys.stdin.read()
    ended.set()
    for thread in writers:
        thread.join(2)
    tell("end")
    os._exit(0)


def write_rows(view: View, writer: str, direct: bool, ended: threading.Event, tell: Say) -> None:
    """Insert rows one after the other."""
    place = f"{reach_database(view, own=direct)} connect_timeout=2"
    command = [
        str(POSTGRESQL_BIN / "psql"),
        "-XAtq",
        "-v",
        "ON_ERROR_STOP=1",
        f"{place} dbname=webitel user=opensips application_name=webitel-drill",
    ]
    number = 0
    while not ended.is_set():
        session = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, **encryption.list_environment(), "PGPASSWORD": view.secrets.get("database_password", "")},
        )
        assert session.stdin and session.stdout and session.stderr
        try:
            while not ended.is_set():
                number += 1
                session.stdin.write(f"insert into {TABLE} values ('{writer}', {number}) returning n;\n")
                if session.stdout.readline().strip() != str(number):
                    break
                tell("row", n=number)
                time.sleep(PAUSE_SECONDS)
        except BrokenPipeError:
            pass  # the session has ended; the reason is on its standard error
        session.kill()
        if not ended.is_set():
            tell("row", error=" ".join(session.stderr.read().split())[-200:] or "the session ended")
            time.sleep(RETRY_SECONDS)


def write_messages(view: View, writer: str, direct: bool, ended: threading.Event, tell: Say) -> None:
    """Publish messages one after the other, each confirmed before the next."""
    number = 0
    while not ended.is_set():
        try:
            with open_broker(view, direct) as connection:
                connection.open_queue(QUEUE)
                connection.confirm()
                connection.socket.settimeout(CONFIRM_SECONDS)
                while not ended.is_set():
                    number += 1
                    connection.publish(QUEUE, f"{writer} {number}".encode())
                    tell("message", n=number)
                    time.sleep(PAUSE_SECONDS)
        except (OSError, ValueError) as error:
            tell("message", error=str(error) or type(error).__name__)
            time.sleep(RETRY_SECONDS)


def open_broker(view: View, direct: bool) -> amqp.Connection:
    """Connect through HAProxy, or to this node's own broker."""
    place = (view.address, view.ports["rabbitmq_amqp"]) if direct else ("127.0.0.1", view.ports["haproxy_amqp"])
    return amqp.Connection(*place, "webitel", view.secrets.get("broker_password", ""), CONNECT_SECONDS)


def prepare() -> int:
    """Create an empty table and an empty queue."""
    clean()
    view = View(load_manifest())
    try:
        query(view, f"create schema webitel_drill; create table {TABLE} (writer text, n bigint, primary key (writer, n))")
    except Unhealthy as error:
        raise SystemExit(f"cannot create the drill's table: {error}") from error
    with open_broker(view, direct=False) as connection:
        connection.open_queue(QUEUE)
    return 0


def collect() -> int:
    """Print what was written: {"rows": {writer: [n]}, "messages": {writer: [n]}}."""
    view = View(load_manifest())
    try:
        found = query(
            view,
            f"select coalesce(json_object_agg(writer, ns), '{{}}') from "
            f"(select writer, json_agg(n) ns from {TABLE} group by 1) s",
        )
    except Unhealthy as error:
        raise SystemExit(f"cannot read the rows: {error}") from error
    messages: dict[str, list[int]] = {}
    with open_broker(view, direct=False) as connection:
        connection.socket.settimeout(READ_SECONDS)
        connection.open_queue(QUEUE)
        while (body := connection.take(QUEUE)) is not None:
            writer, _, number = body.decode().partition(" ")
            messages.setdefault(writer, []).append(int(number))
    print(json.dumps({"rows": json.loads(found), "messages": messages}))
    return 0


def clean() -> int:
    """Remove the table and the queue."""
    view = View(load_manifest())
    try:
        query(view, "set client_min_messages = warning; drop schema if exists webitel_drill cascade")
    except Unhealthy as error:
        raise SystemExit(f"cannot remove the drill's table: {error}") from error
    with open_broker(view, direct=False) as connection:
        connection.socket.settimeout(READ_SECONDS)
        connection.open_queue(QUEUE)
        connection.delete_queue(QUEUE)
    return 0
