"""A real pool of sessions in PostgreSQL, as lazy as the real drivers': `words.Pool` says how it is used."""

import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import psycopg2

from .words import Pool

LIBPQ = {
    "application_name",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "connect_timeout",
    "options",
    "target_session_attrs",
    "client_encoding",
}
"""Parameters of a data source that libpq knows; Go's drivers send every other one as a setting of the session."""
TICK = 0.25
"""Seconds between two looks at sessions that are due to be closed."""


class DatabaseError(Exception):
    """No session could be opened, or the query failed."""


def connection_arguments(url: str) -> dict[str, Any]:
    """psycopg2's arguments for a data source name in URL form."""
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query))
    settings = " ".join(f"-c {name}={value}" for name, value in given.items() if name not in LIBPQ)
    arguments: dict[str, Any] = {name: value for name, value in given.items() if name in LIBPQ}
    arguments |= {
        "host": parts.hostname or "127.0.0.1",
        "port": str(parts.port or 5432),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "dbname": parts.path.lstrip("/"),
    }
    arguments.setdefault("connect_timeout", "10")
    if settings:
        arguments["options"] = f"{arguments.get('options', '')} {settings}".strip()
    return arguments


class Session:
    """One session, with the times that the pool looks at."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.opened = self.used = time.monotonic()


class Database:
    """The pool of one service. `relations` are what it reads; `speed` divides the times after which sessions are closed."""

    def __init__(
        self,
        url: str,
        pool: Pool,
        relations: tuple[str, ...],
        say: Callable[[str], None],
        complains: float = 0.0,
        hides_cause: bool = False,
        speed: float = 1.0,
    ) -> None:
        self.arguments, self.pool, self.relations, self.say = connection_arguments(url), pool, relations, say
        self.complains, self.hides_cause, self.speed = complains, hides_cause, speed
        self.free: list[Session] = []
        self.lock = threading.Lock()

    def open(self) -> None:
        """The sessions of the start; raises DatabaseError with the driver's words, which hold no password."""
        self.use(self.pool.size)

    def use(self, count: int) -> None:
        """That many queries at once; raises DatabaseError."""
        taken: list[Session] = []
        try:
            for _ in range(count):
                session, reused = self._take()
                if reused and not self._lives(session):
                    session = self._connect()
                taken.append(session)
        finally:
            for session in taken:
                self._give(session)

    def query(self, text: str, *values: str) -> list[tuple[object, ...]]:
        """The rows of a query. A session that broke unnoticed is replaced by a fresh one, as Go's drivers do."""
        session, reused = self._take()
        if reused and not self._lives(session):
            session = self._connect()
        try:
            with session.connection.cursor() as cursor:
                cursor.execute(text, values)
                rows = list(cursor.fetchall())
        except psycopg2.Error as error:
            if not session.connection.closed:
                self._give(session)
            raise DatabaseError(" ".join(str(error).split())) from error
        self._give(session)
        return rows

    def execute(self, text: str) -> None:
        """A statement without rows; raises DatabaseError."""
        self.query(f"do $statement$ begin {text}; end $statement$; select 1")

    def close(self) -> None:
        """Ends every session."""
        while self.free:
            self.free.pop().connection.close()

    def missing(self) -> list[str]:
        """The relations that the search path does not lead to."""
        return [name for name in self.relations if self.lacks(name)]

    def lacks(self, relation: str) -> bool:
        """Whether the search path leads to no such relation; raises DatabaseError."""
        return bool(self.query("select to_regclass(%s) is null", relation)[0][0])

    def start(self) -> None:
        """Its own queries, and the end of sessions that are due, in a thread of its own."""
        threading.Thread(target=self._keep, daemon=True).start()

    def _connect(self) -> Session:
        if not self.arguments["user"]:
            raise DatabaseError("no data source is set")
        try:
            connection = psycopg2.connect(**self.arguments)
        except psycopg2.Error as error:
            raise DatabaseError(" ".join(str(error).split())) from error
        connection.autocommit = True
        return Session(connection)

    def _take(self) -> tuple[Session, bool]:
        with self.lock:
            if self.free:
                return self.free.pop(), True
        return self._connect(), False

    def _give(self, session: Session) -> None:
        session.used = time.monotonic()
        with self.lock:
            self.free.append(session)

    def _lives(self, session: Session) -> bool:
        try:
            with session.connection.cursor() as cursor:
                cursor.execute("select 1")
        except psycopg2.Error:
            session.connection.close()
            return False
        return True

    def _close_due(self) -> None:
        now, pool = time.monotonic(), self.pool
        with self.lock:
            due = [
                session
                for session in self.free
                if (pool.lifetime and now - session.opened > pool.lifetime / self.speed)
                or (pool.idle and now - session.used > pool.idle / self.speed)
            ]
            self.free = [session for session in self.free if session not in due]
        for session in due:
            session.connection.close()

    def _keep(self) -> None:
        polled = complained = time.monotonic()
        while True:
            time.sleep(TICK)
            self._close_due()
            if not self.pool.polls or time.monotonic() - polled < self.pool.polls:
                continue
            polled = time.monotonic()
            try:
                self.use(self.pool.size)
                absent = self.missing() if self.complains and polled - complained > self.complains else []
                cause = f'pq: relation "{absent[0]}" does not exist' if absent else ""
            except DatabaseError as error:
                # As the real ones: no exit, no change in Consul.
                cause = str(error) if self.hides_cause and polled - complained > self.complains else ""
            if cause:
                complained = polled
                self.say("ERROR internal server error" + ("" if self.hides_cause else f": {cause}"))
