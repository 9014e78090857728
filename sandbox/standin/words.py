"""What the table of behaviour is made of. `{NAME}` in a text is a setting by its environment name."""

from collections.abc import Mapping
from typing import NamedTuple

VERSION = "25.08+sandbox1"
"""Version of every stand-in for a Webitel package: it says what it is."""


class Failure(NamedTuple):
    """What a failing step does: `tries` attempts with `pause` seconds after each, then `exit`, or on without it if None."""

    exit: int | None
    tries: int = 1
    pause: float = 0.0
    deregisters: bool = False


class Step(NamedTuple):
    """One step of a start: `database`, `broker`, `consul`, `tables`, `key`, `folder`, `freeswitch`, or `listen NAME`."""

    what: str
    failure: Failure


class Answer(NamedTuple):
    """An HTTP answer. `path` is a prefix, the longest wins; with `*` for one segment it is a whole path, which wins over all
    prefixes. `methods`: the others are answered 405; empty = any. `upgrades`: a web socket is opened where one is asked for,
    before any log-in, whatever page asks."""

    path: str
    status: int
    body: str = ""
    kind: str = "text/plain; charset=utf-8"
    methods: tuple[str, ...] = ()
    upgrades: bool = False


class Listener(NamedTuple):
    """A socket: `address` is `host:port`, an empty host is every address, port 0 any. `kind`: grpc, http, pprof or esl.

    `needs`: a relation without which every path is answered 502.
    """

    name: str
    address: str
    kind: str = "grpc"
    answers: tuple[Answer, ...] = ()
    needs: str = ""


class Registration(NamedTuple):
    """The Consul entry (`facts/observed.md` 4). `address` is a listener's name.

    `empty_host`: what an empty host registers: `private` (the first private address), `none` (an empty Address).
    `check`: identifier of the check, empty for Consul's own `service:<id>`. `recovers`: makes its entry anew when Consul lost
    it. `retries`: seconds between attempts while Consul refuses at start, None = no retry. `leaves`: deregisters at SIGTERM.
    """

    name: str
    identifier: str
    address: str
    ttl: float
    passes: float
    deregister: int
    tags: tuple[str, ...] = ()
    check: str = ""
    output: str = ""
    empty_host: str = "private"
    recovers: bool = True
    retries: float | None = None
    leaves: bool = True


class Queue(NamedTuple):
    """A queue; an empty name is chosen by the broker. `kind`: quorum, or empty for the virtual host's own."""

    name: str
    kind: str = ""
    expires: int = 0
    durable: bool = True
    exclusive: bool = False
    auto_delete: bool = False
    exclusive_consumer: bool = False


class Binding(NamedTuple):
    """From an exchange to a queue, or with `to_exchange` to another exchange."""

    exchange: str
    key: str
    queue: str
    to_exchange: bool = False


class Topology(NamedTuple):
    """What a service has in RabbitMQ (`facts/observed.md` 5). `declares`: exchange and type, all durable.

    `missing`: exit status after `missing_after` seconds when an exchange in `needs` is not there; None = it tries again
    without end, with that pause.
    """

    declares: tuple[tuple[str, str], ...] = ()
    needs: tuple[str, ...] = ()
    queues: tuple[Queue, ...] = ()
    bindings: tuple[Binding, ...] = ()
    missing: int | None = None
    missing_after: float = 0.2


class Pool(NamedTuple):
    """The sessions of a service in PostgreSQL. None is opened before a query needs it, and what broke is noticed by the next
    query only (Go's database/sql and pgxpool).

    `size`: sessions that its own queries use at once; `polls`: seconds between those, 0 = it asks nothing by itself;
    `lifetime`, `idle`: seconds after which the pool closes one, 0 = never.
    """

    size: int = 1
    polls: float = 0.0
    lifetime: float = 0.0
    idle: float = 0.0


class Behaviour(NamedTuple):
    """One service. `flags`: flag -> environment name; `defaults`: environment name -> value; `assumed`: nobody saw it run.

    `environment`: names without a flag. `data_source` and `broker_url` are the environment names of the connections.
    `after_broker`: once a lost broker is back: `reconnect`, `exit 112 5` (status, seconds) or `deaf` (declares nothing).
    `stops`: seconds from SIGTERM to the end; with `stops_with_broker` it does not end while there is no broker.
    `flaps`: share of starts that end by themselves. `complains`: seconds between errors while its relations are missing;
    `hides_cause`: they say no cause, and come without a database too. `asks`: the setting with an address it sends JSON-RPC
    `version` to, now and then.
    """

    name: str
    package: str
    binary: str
    unit: str
    steps: tuple[Step, ...]
    listeners: tuple[Listener, ...]
    registration: Registration | None
    topology: Topology
    flags: Mapping[str, str]
    defaults: Mapping[str, str]
    environment: tuple[str, ...] = ()
    data_source: str = "DATA_SOURCE"
    broker_url: str = "AMQP"
    consul: str = "CONSUL"
    command: str = ""
    pool: Pool = Pool()
    relations: tuple[str, ...] = ()
    after_broker: str = "reconnect"
    unknown_flag: int = 2
    flag_beats_environment: bool = False
    stops: float = 0.0
    stops_with_broker: bool = False
    stuck_unregistered: bool = False
    silent: bool = False
    flaps: float = 0.0
    complains: float = 0.0
    hides_cause: bool = False
    key: Mapping[str, int] | None = None
    assumed: bool = False
    asks: str = ""
