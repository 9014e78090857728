"""The core: sockets and workers, the script run for every message, and what modules share."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import sending
from .branches import Branch
from .context import Context
from .evaluate import run_route
from .message import Message, Source, parse
from .reader import Config
from .sql import Databases
from .streams import Streams
from .timers import Timers
from .transaction_table import Transactions
from .transactions import Transaction
from .transport import Connection, Listener, Transport
from .tree import Value

if TYPE_CHECKING:
    from .authentication import Accounts
    from .dialogs import Dialogs
    from .digest import Nonces
    from .dispatcher import Dispatcher
    from .events import Events
    from .limits import Pike, RateLimit
    from .location import Location
    from .management import Command
    from .nat import Pings
    from .permissions import Addresses
    from .registrant import Registrant
    from .rtpengine import Engines

FEATURES = (
    "core_functions",
    "caches",
    "avpops",
    "authentication",
    "dialogs",
    "dialog_functions",
    "dispatcher",
    "events",
    "headers",
    "limits",
    "nat",
    "permissions",
    "registrant",
    "registrar",
    "replace",
    "routing",
    "rtpengine",
    "tls",
    "tm",
)
"""The files that bring the functions of modules; each may have `start(core)`."""


class Core:
    """One running OpenSIPS; what stands between the modules is made by `make_parts`."""

    nonces: Nonces
    accounts: Accounts
    dialogs: Dialogs
    dispatcher: Dispatcher
    events: Events
    location: Location
    pings: Pings
    addresses: Addresses
    registrant: Registrant
    engines: Engines
    pike: Pike
    rate: RateLimit

    def __init__(self, config: Config) -> None:
        self.config = config
        self.transport = Transport(config)
        self.databases = Databases(config, self.say)
        self.transactions = Transactions(self)
        self.timers = Timers(self.prepare_process, self.say)
        self.streams = Streams(self.transport, self.take_stream, self.prepare_process)
        self.local = threading.local()
        self.shared: dict[str, Value] = {}
        self.statistics: dict[str, int] = {}
        self.counters: Counter[str] = Counter()
        self.self_checks: list[Callable[[str], bool]] = []
        self.before_sending: list[Callable[[Transaction, Branch], None]] = []
        self.commands: dict[str, Command] = {}
        self.at_end: list[Callable[[], None]] = []
        self.started = time.time()
        self.server_header = config.setting("server_header") if config.setting("server_signature") != "no" else ""
        self.user_agent = config.setting("user_agent_header")
        self.workers = 0
        self.cache: dict[str, tuple[Value, float]] = {}
        self.cache_lock = threading.Lock()
        self.make_parts()

    def make_parts(self) -> None:
        """The state of each module."""
        from .authentication import Accounts
        from .dialogs import Dialogs
        from .digest import Nonces
        from .dispatcher import Dispatcher
        from .events import Events
        from .limits import Pike, RateLimit
        from .location import Location
        from .nat import Pings
        from .permissions import Addresses
        from .registrant import Registrant
        from .rtpengine import Engines

        self.nonces, self.accounts, self.dialogs, self.dispatcher = Nonces(self), Accounts(self), Dialogs(self), Dispatcher(self)
        self.events, self.location, self.pings, self.addresses = Events(self), Location(self), Pings(self), Addresses(self)
        self.registrant, self.engines, self.pike, self.rate = Registrant(self), Engines(self), Pike(self), RateLimit(self)

    def has(self, module: str) -> bool:
        """Whether the file loads a module."""
        return module in self.config.modules

    @staticmethod
    def say(text: str) -> None:
        """A line in the journal."""
        # In one piece: print() writes a line's end by itself, and another worker's line would come between.
        sys.stderr.write(text.rstrip("\n") + "\n")
        sys.stderr.flush()

    def prepare_process(self, name: str) -> None:
        """What every process of the real program does at its start: a connection to each database."""
        self.local.name = name
        self.workers += 1
        for url in self.database_urls():
            self.databases.handle(url).connect()

    def database_urls(self) -> set[str]:
        """Every `db_url` that the file sets."""
        return {
            str(values[-1])
            for (module, name), values in self.config.parameters.items()
            if name == "db_url" and not str(values[-1]).startswith("text://") and module in self.config.modules
        }

    def script_variables(self) -> dict[str, Value]:
        """`$var`s of this process; they outlive a message."""
        found: dict[str, Value] = self.local.__dict__.setdefault("variables", {})
        return found

    @staticmethod
    def process_id() -> int:
        """Threads stand for processes."""
        return os.getpid()

    def statistic(self, name: str) -> Value:
        """A statistic that the script counts."""
        return self.statistics.get(name)

    def find_socket(self, text: str) -> Listener | None:
        """The socket of `udp:address:port`."""
        protocol, _, rest = text.partition(":")
        host, _, port = rest.rpartition(":")
        found = self.transport.find(protocol, host, int(port)) if port.isdigit() else None
        if found is None:
            self.say(f"ERROR:core:fix_socket: no socket {text}")
        return found

    def is_own(self, host: str, port: int = 0) -> bool:
        """Whether an address means this program; a module may know more names, and asks the database for them."""
        return self.transport.is_own(host, port) or any(check(host) for check in self.self_checks)

    def connection_of(self, uri: str, branch: Branch) -> Connection | None:
        """The connection that a stream's branch goes out by, if there is one."""
        if branch.listener is None or branch.listener.protocol == "udp":
            return None
        del uri
        with self.transport.lock:
            return self.transport.connections.get((branch.listener.protocol, branch.address, branch.port))

    @staticmethod
    def make_tag(request: Message) -> str:
        """The tag of our own answers: the same for repetitions."""
        text = f"{request.one('via')}{request.one('call-id')}{request.one('cseq')}"
        return hashlib.md5(text.encode("latin-1", "replace"), usedforsecurity=False).hexdigest()

    # Life.

    def start(self) -> None:
        """Modules, sockets, workers; an error means that the real one would not start."""
        for name in FEATURES:
            module = importlib.import_module(f".{name}", __package__)
            begin = getattr(module, "start", None)
            if begin:
                begin(self)
        self.transport.bind()
        run_route(Context(self, Message(), "startup"), "startup_route", "")
        self.timers.start()
        self.streams.start()
        for listener in self.transport.listeners:
            if listener.protocol == "udp":
                for number in range(int(self.config.setting("udp_workers"))):
                    name = f"udp-{listener.port}-{number}"
                    threading.Thread(target=self.serve_datagrams, args=(listener, name), daemon=True, name=name).start()

    def stop(self) -> None:
        """What modules do at the end."""
        for step in self.at_end:
            step()

    def serve_datagrams(self, listener: Listener, name: str) -> None:
        """One UDP worker: while it waits for a database, others take its socket's messages."""
        self.prepare_process(name)
        assert listener.socket
        while True:
            try:
                data, peer = listener.socket.recvfrom(65535)
            except OSError:
                time.sleep(0.05)
                continue
            if len(data) > 8:
                self.take(data, Source(peer[0], peer[1], listener))

    def take_stream(self, data: bytes, connection: Connection) -> None:
        """A message of a connection."""
        self.take(data, Source(connection.peer[0], connection.peer[1], connection.listener, connection))

    def take(self, data: bytes, source: Source) -> None:
        """A message, whatever it is."""
        try:
            message = parse(data)
            if message is None:
                self.say(f"ERROR:core:parse_msg: bad message from {source.address}:{source.port}")
                return
            message.source = source
            if message.status:
                self.take_reply(message)
            else:
                self.take_request(message)
        except Exception as error:
            # A fault of the stand-in costs one message, not the worker; the journal says so.
            import traceback

            where = traceback.extract_tb(error.__traceback__)[-1]
            self.say(f"CRITICAL: {type(error).__name__} in the stand-in at {where.filename}:{where.lineno}: {error}")

    def take_request(self, message: Message) -> None:
        """The main route."""
        self.counters["core:rcv_requests"] += 1
        sending.fix_via(message)
        context = Context(self, message, "request")
        run_route(context, "route", "")
        self.dialogs.unclaimed(context)

    def take_reply(self, reply: Message) -> None:
        """To its transaction, or on its way."""
        found = self.transactions.find_branch(reply)
        if found:
            found[0].take(found[1], reply)
        elif run_route(Context(self, reply, "onreply", reply=reply), "onreply_route", ""):
            sending.forward_reply(self, reply)
