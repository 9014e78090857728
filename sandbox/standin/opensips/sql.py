"""A process's connection to the database, as db_postgres and db_virtual hold it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg2

from .tree import Value

VIRTUAL = "virtual://"


class SqlError(Exception):
    """The query failed, or there is no connection to ask with."""


def convert(value: Any) -> Value:
    """A column's value as a module sees it; text keeps its bytes."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value).encode().decode("latin-1")


class Probe:
    """db_virtual's timer: which databases answered at its last look."""

    def __init__(self, urls: list[str], every: float, timeout: int) -> None:
        self.urls, self.every, self.timeout = urls, every, timeout
        self.looked = time.monotonic()
        self.answers: list[float] = [self.looked] * len(urls)
        """When each was last seen to answer."""
        self.wanted = threading.Event()
        threading.Thread(target=self._run, daemon=True, name="db_virtual").start()

    def _run(self) -> None:
        while True:
            time.sleep(self.every)
            if not self.wanted.is_set():
                continue
            self.wanted.clear()
            for place, url in enumerate(self.urls):
                try:
                    psycopg2.connect(url, connect_timeout=self.timeout).close()
                except psycopg2.Error:
                    self.wanted.set()
                else:
                    self.answers[place] = time.monotonic()


class Handle:
    """The connection of one process to one set of databases.

    Behind db_virtual a failed query, whatever it was, closes the connection, and until the probe has seen the database answer
    every further query of this process fails at once. db_postgres alone connects anew within the next query.
    """

    def __init__(self, urls: list[str], probe: Probe | None, timeout: int, say: Callable[[str], None]) -> None:
        self.urls, self.probe, self.timeout, self.say = urls, probe, timeout, say
        self.connections: list[Any] = [None] * len(urls)
        self.failed: list[float] = [0.0] * len(urls)
        self.lock = threading.RLock()

    def connect(self) -> None:
        """At a process's start: the first database that answers."""
        for place in range(len(self.urls)):
            try:
                self._open(place)
            except SqlError as error:
                self.say(f"ERROR:db_postgres:db_postgres_new_connection: {error}")
            else:
                return

    def _open(self, place: int) -> None:
        if self.connections[place] is not None:
            return
        try:
            connection = psycopg2.connect(self.urls[place], connect_timeout=self.timeout)
            connection.autocommit = True
        except psycopg2.Error as error:
            self._fail(place)
            raise SqlError(" ".join(str(error).split())) from error
        self.connections[place] = connection

    def _fail(self, place: int) -> None:
        connection, self.connections[place] = self.connections[place], None
        self.failed[place] = time.monotonic()
        if connection is not None:
            connection.close()
        if self.probe:
            self.probe.wanted.set()

    def query(self, statement: str) -> list[tuple[Value, ...]]:
        """The rows; a SqlError when no database gave an answer."""
        with self.lock:
            for place in range(len(self.urls)):
                if self.probe and self.failed[place] and self.probe.answers[place] <= self.failed[place]:
                    continue
                try:
                    return self._ask(place, statement)
                except SqlError as error:
                    self.say(f"ERROR:db_postgres:db_postgres_store_result: {error}")
            if self.probe:
                self.say("ERROR:db_virtual:db_virtual_raw_query: All databases failed!! No hope for you!")
            raise SqlError("no database answers")

    def _ask(self, place: int, statement: str) -> list[tuple[Value, ...]]:
        for attempt in (1, 2):
            self._open(place)
            connection = self.connections[place]
            try:
                with connection.cursor() as cursor:
                    cursor.execute(statement.encode("latin-1", "replace"))
                    rows = cursor.fetchall() if cursor.description else []
            except psycopg2.Error as error:
                lost = bool(connection.closed)
                if self.probe or lost:
                    self._fail(place)
                if lost and not self.probe and attempt == 1:
                    continue
                raise SqlError(" ".join(str(error).split())) from error
            self.failed[place] = 0.0
            return [tuple(convert(value) for value in row) for row in rows]
        raise SqlError("the connection is lost")


class Databases:
    """What the file says about databases; every process gets handles of its own."""

    def __init__(self, config: Any, say: Callable[[str], None]) -> None:
        self.config, self.say = config, say
        self.sets: dict[str, list[str]] = {}
        self.probes: dict[str, Probe] = {}
        self.local = threading.local()
        self.lock = threading.Lock()
        self.timeout = int(config.parameter("db_postgres", "timeout")) if "db_postgres" in config.modules else 5
        name = ""
        for value in config.parameters.get(("db_virtual", "db_urls"), []):
            if str(value).startswith("define "):
                name = str(value).split()[1]
                self.sets[VIRTUAL + name] = []
            elif name:
                self.sets[VIRTUAL + name].append(str(value))

    def urls(self, url: str) -> list[str]:
        """The real addresses behind a module's `db_url`."""
        return self.sets[url] if url.startswith(VIRTUAL) else [url]

    def handle(self, url: str) -> Handle:
        """This process's handle."""
        handles: dict[str, Handle] = self.local.__dict__.setdefault("handles", {})
        if url not in handles:
            probe = None
            if url.startswith(VIRTUAL):
                every = self.config.number("db_virtual", "db_probe_time")
                with self.lock:
                    if url not in self.probes:
                        self.probes[url] = Probe(self.urls(url), every, self.timeout)
                probe = self.probes[url]
            handles[url] = Handle(self.urls(url), probe, self.timeout, self.say)
        return handles[url]

    def query(self, url: str, statement: str) -> list[tuple[Value, ...]]:
        """Rows of one statement with this process's handle."""
        return self.handle(url).query(statement)


def quote(value: Value) -> str:
    """A value as a module writes it into a statement: escaped, not checked."""
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("'", "''") + "'"
