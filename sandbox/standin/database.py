"""Real sessions in PostgreSQL, reopened as the real drivers do: silently, for ever."""

import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import psycopg2

LIBPQ = {
    "application_name", "sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout", "options", "target_session_attrs",
    "client_encoding",
}
"""Parameters of a data source that libpq knows; Go's drivers send every other one as a setting of the session."""


class DatabaseError(Exception):
    """No session could be opened: nobody listens, or the password is wrong."""


def connection_arguments(url: str) -> dict[str, Any]:
    """psycopg2's arguments for a data source name in URL form."""
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query))
    settings = " ".join(f"-c {name}={value}" for name, value in given.items() if name not in LIBPQ)
    arguments: dict[str, Any] = {name: value for name, value in given.items() if name in LIBPQ}
    arguments |= {
        "host": parts.hostname or "127.0.0.1", "port": str(parts.port or 5432), "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""), "dbname": parts.path.lstrip("/"),
    }
    arguments.setdefault("connect_timeout", "10")
    if settings:
        arguments["options"] = f"{arguments.get('options', '')} {settings}".strip()
    return arguments


class Database:
    """`count` sessions of one service. `relations` are what it reads; `every` is how often each session is used, seconds."""

    def __init__(self, url: str, count: int, relations: tuple[str, ...], say: Callable[[str], None],
                 every: float = 3.0, complains: float = 0.0) -> None:
        self.arguments, self.relations, self.say = connection_arguments(url), relations, say
        self.every, self.complains = every, complains
        self.sessions: list[psycopg2.extensions.connection | None] = [None] * count
        self.absent: list[str] = list(relations)

    def open(self) -> None:
        """Opens every session that is closed; raises DatabaseError with the driver's words, which hold no password."""
        if not self.arguments["user"]:
            raise DatabaseError("no data source is set")
        for index, session in enumerate(self.sessions):
            if session is None or session.closed:
                try:
                    fresh = psycopg2.connect(**self.arguments)
                except psycopg2.Error as error:
                    raise DatabaseError(" ".join(str(error).split())) from error
                fresh.autocommit = True
                self.sessions[index] = fresh

    def query(self, text: str, *values: str, session: int = 0) -> list[tuple[object, ...]]:
        """The rows of a query; a lost session is dropped and DatabaseError raised."""
        connection = self.sessions[session]
        if connection is None:
            raise DatabaseError("no session")
        try:
            with connection.cursor() as cursor:
                cursor.execute(text, values)
                return list(cursor.fetchall())
        except psycopg2.Error as error:
            if connection.closed or isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)):
                self.sessions[session] = None
            raise DatabaseError(" ".join(str(error).split())) from error

    def execute(self, text: str) -> None:
        """A statement without rows; raises DatabaseError."""
        self.query(f"do $statement$ begin {text}; end $statement$; select 1")

    def close(self) -> None:
        """Ends every session."""
        for session in self.sessions:
            if session is not None:
                session.close()

    def missing(self) -> list[str]:
        """The relations that the search path does not lead to, asked anew."""
        names = "{" + ",".join(self.relations) + "}"
        rows = self.query("select name from unnest(%s::text[]) as name where to_regclass(name) is null", names)
        self.absent = [str(row[0]) for row in rows]
        return self.absent

    def start(self) -> None:
        """Uses and reopens the sessions in a thread of its own."""
        threading.Thread(target=self._keep, daemon=True).start()

    def _keep(self) -> None:
        complained = 0.0
        while True:
            try:
                self.open()
                for index in range(len(self.sessions)):
                    self.query("select 1", session=index)
                if self.relations and self.missing() and self.complains and time.monotonic() - complained > self.complains:
                    complained = time.monotonic()
                    self.say(f'internal server error: pq: relation "{self.absent[0]}" does not exist')
            except DatabaseError:
                # As the real ones: no word, no exit, no change in Consul.
                self.absent = list(self.relations)
            time.sleep(self.every)
