"""From the files to the operator's log server: syslog over TLS (RFC 5425), in order, from where the last run stopped.

Syslog answers nothing. So a record counts as sent once the connection has lived on for a while after it; what was sent shortly
before a connection broke is sent again: a record may arrive twice, none is left out while the files have it.
"""

import json
import pathlib
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

from ..system import write_private
from .keep import FOLDER, list_files

SENT = pathlib.Path("/var/lib/webitel-records/sent.json")
STATE = pathlib.Path("/var/lib/webitel-records/target.json")
"""Whether the target takes records: `{"since": seconds, "why": ""}`, which `status` reads."""

SETTLED_SECONDS = 20.0
CONNECT_SECONDS = 10.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 300.0


class Place(NamedTuple):
    """How far the files were sent."""

    file: str
    offset: int


def load_place() -> Place:
    """Return how far the last run came; the start where nobody knows."""
    try:
        return Place(*json.loads(SENT.read_text()))
    except (OSError, ValueError, TypeError):
        return Place("", 0)


def read_from(folder: pathlib.Path, place: Place) -> Iterator[tuple[bytes, Place]]:
    """Return whole lines behind a place, each with the place behind it."""
    for path in list_files(folder):
        if path.name < place.file:
            continue
        offset = place.offset if path.name == place.file else 0
        with path.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # it is being written
                offset += len(line)
                yield line[:-1], Place(path.name, offset)


def connect(target: str, authority: str) -> ssl.SSLSocket:
    """Connect to `host:port`, whose certificate is of the authority in a file, or of a public one, and for that name."""
    host, _, port = target.rpartition(":")
    context = ssl.create_default_context(cafile=authority or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    host = host.strip("[]")
    raw = socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS)
    try:
        return context.wrap_socket(raw, server_hostname=host)
    except OSError:
        raw.close()
        raise


class Sender:
    """Sends files of records over one connection after the other."""

    def __init__(self, target: str, authority: str, folder: pathlib.Path = FOLDER) -> None:
        self.target, self.authority, self.folder = target, authority, folder
        self.place = load_place()
        self.ended = threading.Event()
        """Set by who wants it to stop."""
        self.on_the_way: list[tuple[float, Place]] = []

    def send_all(self, connection: ssl.SSLSocket) -> None:
        """Send whatever is there."""
        place = self.on_the_way[-1][1] if self.on_the_way else self.place
        for line, after in read_from(self.folder, place):
            self.look(connection)
            connection.sendall(b"%d %s" % (len(line), line))
            self.on_the_way.append((time.monotonic(), after))

    def look(self, connection: ssl.SSLSocket) -> None:
        """Raise ConnectionError where the other side has ended it; a log server says nothing else."""
        connection.settimeout(0)
        try:
            ended = not connection.recv(4096)
        except ssl.SSLWantReadError:
            ended = False
        finally:
            connection.settimeout(CONNECT_SECONDS)
        if ended:
            raise ConnectionError("the log server has ended the connection")

    def settle(self, now: float) -> None:
        """Remember what was sent long enough ago."""
        settled = [place for at, place in self.on_the_way if now - at >= SETTLED_SECONDS]
        if settled:
            self.place = settled[-1]
            self.on_the_way = self.on_the_way[len(settled) :]
            write_private(SENT, json.dumps(self.place))

    def serve(self, written: threading.Event) -> None:
        """Send over one connection until it breaks."""
        with connect(self.target, self.authority) as connection:
            tell("")
            while not self.ended.is_set():
                written.clear()
                self.send_all(connection)
                self.settle(time.monotonic())
                if not written.wait(1.0):
                    self.look(connection)


def tell(why: str) -> None:
    """Say why records wait, once: for `status`, and in the journal."""
    before = STATE.read_text() if STATE.exists() else ""
    known = json.loads(before)["why"] if before else None
    if known != why:
        write_private(STATE, json.dumps({"since": round(time.time()), "why": why}))
        print(f"records wait: {why}" if why else "records are sent", file=sys.stderr, flush=True)


def run(sender: Sender, written: threading.Event) -> None:
    """Send for ever; what the target refuses waits in the files."""
    pause = FIRST_PAUSE_SECONDS
    while not sender.ended.is_set():
        begun = time.monotonic()
        try:
            sender.serve(written)
        except (OSError, ValueError) as error:
            sender.on_the_way.clear()
            tell(f"{sender.target}: {error}")
        pause = FIRST_PAUSE_SECONDS if time.monotonic() - begun > SETTLED_SECONDS else min(2 * pause, LONGEST_PAUSE_SECONDS)
        sender.ended.wait(pause)
