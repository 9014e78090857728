"""One program for every stand-in: the row of its binary says what it does, step by step."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

from .arguments import ArgumentError, read_settings, say
from .behaviour import find_behaviour
from .broker import Broker, BrokerError, ExchangeError
from .consul import ConsulError, Entry, call_http
from .database import Database, DatabaseError
from .freeswitch_calls import wait_for_calls
from .keys import KeyProblem, check_key
from .listeners import ListenError, Server, first_private_address
from .words import VERSION, Behaviour, Step

Problem = (DatabaseError, BrokerError, ExchangeError, ConsulError, ListenError, KeyProblem, OSError)


class Stop(Exception):
    """The program ends with `status`."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class StandIn:
    """A running stand-in: its row, its settings and its connections."""

    def __init__(self, row: Behaviour, settings: dict[str, str]) -> None:
        self.row, self.settings = row, settings
        # Only for tests: retries and losses in less than their real time; how often the logger ends by itself.
        self.speed = float(os.environ.get("SANDBOX_SPEED", "1"))
        self.flaps = float(os.environ.get("SANDBOX_FLAPS", str(row.flaps)))
        self.stopping = threading.Event()
        relations = row.relations + tuple(listener.needs for listener in row.listeners if listener.needs)
        self.database = Database(
            settings.get(row.data_source, ""), row.pool, relations, self.say, row.complains, row.hides_cause, self.speed
        )
        self.broker = Broker(settings.get(row.broker_url, ""), row.topology, settings, row.after_broker, self.speed, self.say)
        self.server = Server(row.binary, self.lacks, {"srvinfo": self.server_info, "appointment": self.appointment})
        self.entry: Entry | None = None

    def say(self, text: str) -> None:
        """A line in the journal."""
        say(self.row, text)

    def lacks(self, relation: str) -> bool:
        """Whether a listener's relation cannot be read, which every request asks anew."""
        try:
            return self.database.lacks(relation)
        except DatabaseError:
            return True

    def appointment(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, str]:
        """The engine's widget of that name: there is none, which only the database knows."""
        status, name = 404, "Not Found"
        try:
            self.database.query("select 1")
        except DatabaseError as error:
            self.say(f"error: store.sql_member.appointment.widget.app_error, {error}")
            status, name = 500, "Internal Server Error"
        return (
            status,
            "application/json",
            (f'{{"id":"store.sql_member.appointment.widget.app_error","code":{status},"status":"{name}"}}'),
        )

    def server_info(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, str]:
        """The identifier a licence is ordered for; it stands in the database, so every node gives the same one."""
        try:
            rows = self.database.query("select id::text from directory.sandbox_server")
        except DatabaseError as error:
            return 503, "application/json", f'{{"code":503,"detail":"{str(error).replace(chr(34), chr(39))}"}}'
        return 200, "application/json", f'{{"id":"{rows[0][0]}","version":"{VERSION}","build":"sandbox stand-in"}}'

    def start(self) -> None:
        """Takes every step of the row; raises Stop where the real program ends."""
        for step in self.row.steps:
            self._try(step)
        if not any(step.what == "database" for step in self.row.steps):
            self.database.start()
        if self.row.asks in self.settings:
            threading.Thread(target=self._ask, daemon=True).start()

    def _ask(self) -> None:
        """Talks to OpenSIPS' management interface; nobody knows what the real one does when that is silent."""
        place, _, path = self.settings[self.row.asks].removeprefix("http://").partition("/")
        while True:
            try:
                status, _ = call_http(place, "POST", f"/{path}", {"jsonrpc": "2.0", "id": 1, "method": "version"})
                if status != 200:
                    self.say(f"{self.row.asks}: HTTP {status}")
            except ConsulError as error:
                self.say(str(error))
            time.sleep(30 / self.speed)

    def _try(self, step: Step) -> None:
        failure = step.failure
        for attempt in range(1, failure.tries + 1):
            try:
                self._take(step.what)
                return
            except Problem as error:
                print(f"{self.row.name}: {error}", file=sys.stderr, flush=True)
                if attempt < failure.tries and not isinstance(error, ExchangeError):
                    time.sleep(failure.pause / self.speed)
                    continue
                if failure.deregisters and self.entry:
                    self.entry.deregister()
                status = failure.exit
                if isinstance(error, ExchangeError):
                    time.sleep(self.row.topology.missing_after)
                    status = self.row.topology.missing
                if isinstance(error, KeyProblem) and self.row.key:
                    status = self.row.key[error.kind]
                if status is not None:
                    raise Stop(status) from error
                return

    def _take(self, what: str) -> None:
        if what == "key":
            check_key(Path(self.settings["PRESIGNED_CERT"]))
        elif what == "folder":
            Path(self.settings["WEB_ROOT"]).stat()
        elif what == "database":
            self.database.open()
            self.database.start()
        elif what == "tables":
            if missing := self.database.missing():
                time.sleep(0.2)
                raise DatabaseError(f'pq: relation "{missing[0]}" does not exist')
        elif what == "broker":
            self._open_broker()
        elif what == "freeswitch":
            wait_for_calls(self.settings[self.row.consul])
        elif what == "consul":
            self._register()
        else:
            listener = next(listener for listener in self.row.listeners if what == f"listen {listener.name}")
            self.server.listen(listener, listener.address.format(**self.settings))

    def _open_broker(self) -> None:
        try:
            self.broker.open()
        except ExchangeError:
            if self.row.topology.missing is not None:
                raise
            # The real call_center reconnects without pause for as long as the exchange is missing.
        if self.broker.connection.is_open:
            self.broker.start()
        else:
            threading.Thread(target=self._reconnect, daemon=True).start()

    def _reconnect(self) -> None:
        while True:
            try:
                self.broker.open()
                break
            except (BrokerError, ExchangeError) as error:
                self.say(f"reconnect: {error}")
                time.sleep(self.row.topology.missing_after)
        self.broker.start()

    def _register(self) -> None:
        registration = self.row.registration
        if registration is None:
            return
        host, port = self.server.ports[registration.address]
        if host == "0.0.0.0" and registration.empty_host == "none":
            self.say("waits for an address to register")
            return
        if not host:
            host = first_private_address() if registration.empty_host == "private" else ""
        uuid = Path("/proc/sys/kernel/random/uuid").read_text().strip()
        identifier = registration.identifier.format(**self.settings, UUID=uuid)
        entry = Entry(self.settings[self.row.consul], registration, identifier, host, port, self.speed, self.say)
        self.entry = entry
        try:
            entry.register()
        finally:
            if entry.registered or registration.retries:
                entry.start()

    def run(self) -> int:
        """Serves until SIGTERM; returns the exit status."""
        try:
            self.start()
        except Stop as stop:
            return stop.status
        if os.urandom(1)[0] < self.flaps * 256:
            time.sleep(0.7)
            print('bind queue: Exception (503) Reason: "unexpected command received"', file=sys.stderr, flush=True)
            return 0
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        self.say(
            f"{VERSION} stand-in is up: "
            + ", ".join(f"{name} {host or '*'}:{port}" for name, (host, port) in self.server.ports.items())
        )
        self.stopping.wait()
        if self.entry and self.row.registration and self.row.registration.leaves:
            self.entry.deregister()
        time.sleep(self.row.stops / self.speed)
        while self.row.stops_with_broker and not self.broker.connection.is_open:
            time.sleep(0.1)
        return 0

    def _on_stop(self, number: int, frame: object) -> None:
        if self.row.stuck_unregistered and not (self.entry and self.entry.registered):
            return
        self.stopping.set()


def main(binary: str) -> int:
    """The stand-in of a binary of the vendor; the exit status is the observed one."""
    arguments = sys.argv[1:]
    row = find_behaviour(binary, arguments[0] if arguments else "")
    if row is None:
        print(f"{binary}: no command {' '.join(arguments[:1]) or '(none)'}", file=sys.stderr)
        return 1
    if "--version" in arguments:
        print(f"{binary} {VERSION}: a stand-in of the sandbox, not the vendor's program")
        return 0
    try:
        settings = read_settings(row, arguments[1:] if row.command else arguments, os.environ)
    except ArgumentError as error:
        print(f"{row.name}: {error}", file=sys.stderr)
        return error.status
    status = StandIn(row, settings).run()
    sys.stderr.flush()
    # Threads may hang in a driver: the process ends without asking them.
    os._exit(status)
