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


class Link:
    """A process's connection to one database."""

    def __init__(self, url: str, timeout: int) -> None:
        self.url, self.timeout = url, timeout
        self.connection: Any = None

    def open(self) -> None:
        """Connects, unless it is connected."""
        if self.connection is not None and not self.connection.closed:
            return
        try:
            self.connection = psycopg2.connect(self.url, connect_timeout=self.timeout)
            self.connection.autocommit = True
        except psycopg2.Error as error:
            self.connection = None
            raise SqlError(" ".join(str(error).split())) from error

    def ask(self, statement: str) -> list[tuple[Value, ...]]:
        """The rows; a connection that was lost is opened anew, once."""
        for attempt in (1, 2):
            self.open()
            try:
                with self.connection.cursor() as cursor:
                    cursor.execute(statement.encode("latin-1", "replace"))
                    rows = cursor.fetchall() if cursor.description else []
            except psycopg2.Error as error:
                if self.connection.closed and attempt == 1:
                    continue
                raise SqlError(" ".join(str(error).split())) from error
            return [tuple(convert(value) for value in row) for row in rows]
        raise SqlError("the connection is lost")


class Handle:
    """What one process holds of a set of databases; its modules share it.

    Behind db_virtual a query that failed, whatever was wrong with it, puts the database away: until the probe has seen it answer,
    every further query of this process fails at once. db_postgres alone asks again with the next query.
    """

    def __init__(self, links: list[Link], probe: Probe | None, retries: int, say: Callable[[str], None]) -> None:
        self.links, self.probe, self.retries, self.say = links, probe, retries, say
        self.failed = [0.0] * len(links)
        self.left = [retries] * len(links)
        """How often each may still be tried anew before the probe has to see it once more."""

    def connect(self) -> None:
        """At a process's start: the first database that answers."""
        for link in self.links:
            try:
                link.open()
            except SqlError as error:
                self.say(f"ERROR:db_postgres:db_postgres_new_connection: {error}")
            else:
                return

    def query(self, statement: str) -> list[tuple[Value, ...]]:
        """The rows; a SqlError when no database gave an answer."""
        for place, link in enumerate(self.links):
            if self.probe and self.failed[place] and self.probe.answers[place] <= self.failed[place]:
                continue
            try:
                rows = link.ask(statement)
            except SqlError as error:
                self.say(f"ERROR:db_postgres:db_postgres_store_result: {error}")
                if not self.probe:
                    raise
                self.probe.wanted.set()
                self.left[place] -= 1
                if link.connection is not None or not self.failed[place] or self.left[place] <= 0:
                    self.failed[place], self.left[place] = time.monotonic(), self.retries
            else:
                self.failed[place], self.left[place] = 0.0, self.retries
                return rows
        self.say("ERROR:db_virtual:db_virtual_raw_query: All databases failed!! No hope for you!")
        raise SqlError("no database answers")


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
        links: dict[str, Link] = self.local.__dict__.setdefault("links", {})
        handles: dict[str, Handle] = self.local.__dict__.setdefault("handles", {})
        if url not in handles:
            probe = None
            if url.startswith(VIRTUAL):
                every = self.config.number("db_virtual", "db_probe_time")
                with self.lock:
                    if url not in self.probes:
                        self.probes[url] = Probe(self.urls(url), every, self.timeout)
                probe = self.probes[url]
            mine = [links.setdefault(real, Link(real, self.timeout)) for real in self.urls(url)]
            retries = self.config.number("db_virtual", "db_max_consec_retrys") if probe else 0
            handles[url] = Handle(mine, probe, retries, self.say)
        return handles[url]

    def query(self, module: str, statement: str) -> list[tuple[Value, ...]]:
        """Rows of one statement of a module, by its `db_url` and this process's handle."""
        return self.handle(self.config.text(module, "db_url")).query(statement)


def quote(value: Value) -> str:
    """A value as a module writes it into a statement: escaped, not checked."""
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("'", "''") + "'"
