"""The vendor's services of release 25.08 (`facts/webitel.md` 1.7 to 1.13, `facts/observed.md` 1 to 5, `facts/services-real.md`).

gRPC ports that the vendor leaves to chance are pinned, so that firewalls can be derived.
"""

from components.model.catalogue.service import (
    Account,
    Audience,
    Bind,
    DataDirectory,
    Egress,
    Placement,
    Ports,
    Probe,
    Service,
    tcp,
)

DATABASE = "postgresql"
BROKER = "rabbitmq"
VENDOR = ("webitel",)
ACCOUNT = Account("webitel", 640)
"""The number is between what adduser gives a system's users, from 100 up, and systemd, from 999 down. The vendor's packages of
26.4 have a user of this name."""


def sessions(application: str, minimum: int = 1) -> Probe:
    """Ask for the service's own sessions in PostgreSQL; `application` is what its data source sets. Only for who asks
    the database by itself every few seconds: the others have a session while somebody uses them, and none after an outage."""
    return Probe(
        "database_sessions",
        "it has no session in the database: deaf, although the process is alive",
        {"application": application, "minimum": minimum},
    )


def registered(name: str, identifier: str, listener: str = "grpc") -> Probe:
    """Ask for its Consul entry, with this node's address and the pinned port."""
    return Probe(
        "consul_entry",
        "Consul has no passing entry with its address and port",
        {"name": name, "id": identifier, "listener": listener},
    )


def consumes(queue: str) -> Probe:
    """Ask for a consumer on its queue in RabbitMQ."""
    return Probe("queue", "its queue has no consumer: it has lost the broker", {"queue": queue})


def bound(source: str, destination: str, key: str, kind: str = "topic", to: str = "queue") -> Probe:
    """Ask for a binding that it makes at its start only; `kind` is the type of the exchange it comes from."""
    return Probe(
        "binding",
        f"a binding to the exchange `{source}` is gone: it gets nothing from there",
        {"source": source, "destination": destination, "key": key, "type": kind, "to": to},
    )


def own_queues(least: int, most: int) -> Probe:
    """Ask for the queues of a messages program on the exchange `chat`; by their number the two programs are told apart."""
    return Probe("own_queues", "its queues on the exchange `chat` are gone", {"exchange": "chat", "least": least, "most": most})


def schema(unit: str, application: str = "") -> Probe:
    """Ask whether no query of it fails for a table or column that the database lacks; it runs on and looks well all the same.
    Asked before what fails for that reason too: a restart would not cure it. `application`: its name in the data source, where
    its errors look the same while the database is away."""
    asked = {"unit": unit, "application": application} if application else {"unit": unit}
    return Probe("schema", "the database's schema is not the one of its release", asked, restart_cures=False)


WEBITEL_APP = Service(
    "webitel-app",
    "Applications",
    packages=("webitel-core", "webitel-common"),
    units=("webitel-app",),
    stand_in=True,
    repositories=VENDOR,
    listeners=(tcp("grpc", 10045),),
    calls=(DATABASE, BROKER, "consul"),
    consul_name="go.webitel.app",
    secrets=("database_password", "broker_password", "cookie_keys"),
    restarts_when_deaf=True,
    probes=(registered("go.webitel.app", "prefix"),),
)

WEBITEL_API = Service(
    "webitel-api",
    "API Gateway",
    packages=("webitel-core", "webitel-common", "curl"),
    units=("webitel-api",),
    stand_in=True,
    repositories=VENDOR,
    listeners=(tcp("http", 8080), tcp("grpc", 10044)),
    consul_name="go.webitel.api",
    calls=(
        DATABASE,
        BROKER,
        "consul",
        "webitel-app",
        "webitel-uac",
        "engine.grpc",
        "storage.grpc",
        "call_center.grpc",
        "flow_manager.grpc",
        "messages-srv.grpc",
        "messages-bot.grpc",
        "logger",
        "cases",
    ),
    secrets=("database_password", "broker_password", "cookie_keys"),
    restarts_when_deaf=True,
    probes=(
        registered("go.webitel.api", "prefix"),
        Probe("http", "the API gateway does not answer /srvinfo", {"listener": "http", "path": "/srvinfo", "status": 200}),
    ),
)

WEBITEL_UAC = Service(
    "webitel-uac",
    "UAC",
    packages=("webitel-core", "webitel-common"),
    units=("webitel-uac",),
    stand_in=True,
    repositories=VENDOR,
    listeners=(tcp("grpc", 10046),),
    calls=(DATABASE, BROKER, "consul", "opensips.mi", "webitel-app"),
    consul_name="webitel.uac",
    secrets=("database_password", "broker_password", "cookie_keys"),
    restarts_when_deaf=True,
    # No public source says under which name it registers: its address and port are its own.
    probes=(registered("*", "prefix"),),
    speaks_outside="has OpenSIPS register with carriers",
)

MESSAGES_SRV = Service(
    "messages-srv",
    "Messages Worker",
    packages=("webitel-messages", "webitel-common"),
    units=("messages-srv",),
    stand_in=True,
    account=ACCOUNT,
    repositories=VENDOR,
    listeners=(tcp("grpc", 10039), tcp("pprof", 6060, Audience.NODE, bind=Bind.LOOPBACK, authenticated=False)),
    calls=(DATABASE, BROKER, "consul", "webitel-app", "flow_manager.grpc", "messages-bot.grpc", "storage.grpc"),
    consul_name="webitel.chat.server",
    secrets=("database_password", "broker_password"),
    restarts_when_deaf=True,
    probes=(registered("webitel.chat.server", "prefix"), own_queues(2, 99)),
    speaks_outside="answers chats and sends messages",
)

MESSAGES_BOT = Service(
    "messages-bot",
    "Messages Bot",
    packages=("webitel-messages", "webitel-common"),
    units=("messages-bot",),
    stand_in=True,
    account=ACCOUNT,
    repositories=VENDOR,
    listeners=(tcp("http", 10031), tcp("grpc", 10048)),
    calls=(DATABASE, BROKER, "consul", "webitel-app", "messages-srv.grpc", "storage.grpc", "flow_manager.grpc"),
    egress=(Egress("messengers", "tcp", Ports(443, 443)),),
    placement=Placement.FIRST,
    placement_reason="sessions with messengers must not be open twice",
    moves=True,
    consul_name="webitel.chat.bot",
    secrets=("database_password", "broker_password"),
    restarts_when_deaf=True,
    probes=(
        schema("messages-bot"),
        registered("webitel.chat.bot", "prefix"),
        Probe("http", "it does not answer or cannot query the database", {"listener": "http", "path": "/", "not_status": 502}),
        own_queues(1, 1),
    ),
    speaks_outside="takes and sends messages at Telegram, WhatsApp and others",
)

ENGINE = Service(
    "engine",
    "Engine",
    packages=("webitel-engine", "webitel-common"),
    units=("engine",),
    stand_in=True,
    account=ACCOUNT,
    repositories=VENDOR,
    listeners=(tcp("grpc", 10040), tcp("websocket", 10022)),
    calls=(
        DATABASE,
        BROKER,
        "consul",
        "webitel-app",
        "messages-srv.grpc",
        "flow_manager.grpc",
        "call_center.grpc",
        "freeswitch.grpc",
        "storage.grpc",
    ),
    consul_name="engine",
    web_socket="/websocket",
    secrets=("database_password", "broker_password", "storage_key"),
    restarts_when_deaf=True,
    egress=(Egress("push, mail, web hooks", "tcp", Ports(443, 443)),),
    probes=(
        schema("engine"),
        registered("engine", "engine-{id}"),
        # A name that nobody gives: 404 when the database was asked, 500 when that failed. /websocket logs an error each time.
        Probe(
            "http",
            "the WebSocket listener does not answer or cannot query the database",
            {
                "listener": "websocket",
                "path": "/appointments/webitel-node",
                "status": 404,
                "contains": "store.sql_member.appointment.widget.app_error",
            },
        ),
        consumes("engine.trigger"),
        bound("cases", "engine.trigger", "#"),
    ),
)

STORAGE = Service(
    "storage",
    "Storage",
    packages=("webitel-storage", "webitel-common"),
    units=("storage",),
    stand_in=True,
    account=ACCOUNT,
    repositories=VENDOR,
    listeners=(
        tcp("public", 10023),
        tcp("internal", 10021, authenticated=False),
        tcp("grpc", 10036),
        tcp("pprof", 8090, Audience.NODE, bind=Bind.ANY, authenticated=False),
    ),
    calls=(DATABASE, BROKER, "consul", "webitel-app"),
    egress=(Egress("object storage, speech services", "tcp", Ports(443, 443)),),
    placement=Placement.FIRST,
    placement_reason="its files are on one node's disk unless webitel:recordings_share is set",
    data=(
        DataDirectory(
            "/var/lib/webitel/recordings/storage", "recordings", f"{ACCOUNT.name}:{ACCOUNT.name}", "0750", changed_owner=True
        ),
    ),
    consul_name="storage",
    secrets=("database_password", "broker_password", "storage_key"),
    restarts_when_deaf=True,
    probes=(
        schema("storage"),
        registered("storage", "storage-{id}"),
        sessions("storage"),
        Probe(
            "http",
            "the public interface does not answer",
            {"listener": "public", "path": "/", "status": 404, "contains": "api.context.404.app_error"},
        ),
        Probe(
            "http",
            "the internal interface does not answer",
            {"listener": "internal", "path": "/", "status": 404, "contains": "api.context.404.app_error"},
        ),
        Probe(
            "disk_space",
            "the recordings disk is nearly full",
            {"path": "/var/lib/webitel/recordings", "percent": 90},
            restart_cures=False,
        ),
    ),
    # Of its own accord, every second (`synchronizer/` and `uploader/` of webitel/storage).
    speaks_outside="uploads files to other companies' stores, deletes there what is old, has speech turned into text",
)

CALL_CENTER = Service(
    "call_center",
    "CallCenter",
    packages=("webitel-call-center", "webitel-common"),
    units=("call_center",),
    stand_in=True,
    account=ACCOUNT,
    repositories=VENDOR,
    listeners=(tcp("grpc", 10032),),
    consul_name="call_center",
    calls=(DATABASE, BROKER, "consul", "webitel-app", "freeswitch.grpc", "engine.grpc", "flow_manager.grpc", "messages-srv.grpc"),
    secrets=("database_password", "broker_password"),
    restarts_when_deaf=True,
    probes=(
        schema("call_center"),
        registered("call_center", "call_center-{id}"),
        sessions("call_center"),
        consumes("callcenter.call_center-{id}"),
        bound("chat", "callcenter.call_center-{id}", "#"),
        bound("call", "callcenter.call_center-{id}", "events.*.call_center-{id}.*.*"),
    ),
    speaks_outside="dials the members of queues",
)

FLOW_MANAGER = Service(
    "flow_manager",
    "Flow Manager",
    packages=("webitel-flow-manager", "webitel-common"),
    units=("flow_manager",),
    stand_in=True,
    account=ACCOUNT,
    repositories=VENDOR,
    listeners=(
        tcp("grpc", 10033),
        tcp("web", 5689, Audience.NODE, bind=Bind.LOOPBACK),
        tcp("esl", 10030, Audience.NODE, bind=Bind.LOOPBACK, authenticated=False),
        tcp("pprof", 8092, Audience.NODE, bind=Bind.ANY, authenticated=False),
    ),
    calls=(
        DATABASE,
        BROKER,
        "consul",
        "webitel-app",
        "storage.internal",
        "storage.grpc",
        "cases",
        "engine.grpc",
        "call_center.grpc",
        "messages-srv.grpc",
        "logger",
    ),
    egress=(
        Egress("mail", "tcp", Ports(587, 587)),
        Egress("mail", "tcp", Ports(465, 465)),
        Egress("mail", "tcp", Ports(993, 993)),
        Egress("web hooks", "tcp", Ports(443, 443)),
    ),
    consul_name="workflow",
    secrets=("database_password", "broker_password", "storage_key"),
    probes=(
        schema("flow_manager"),
        registered("workflow", "workflow-workflow-{id}"),
        sessions("flow_manager"),
        Probe("listens", "the event socket for FreeSWITCH is closed", {"listener": "esl"}),
        consumes("workflow-call"),
        consumes("workflow-exec"),
        bound("call", "workflow-call", "events.#"),
        bound("flow", "workflow-exec", "exec", kind="direct"),
    ),
    # Killed in mid-call, one that waits for it gets 503 at once (facts/telephony.md).
    interrupts="calls that wait in a flow (a menu, a queue) end",
    speaks_outside="fetches and sends mail, calls web hooks, runs what is due",
)

LOGGER = Service(
    "logger",
    "Logger",
    packages=("webitel-logger", "webitel-common"),
    units=("webitel-logger",),
    stand_in=True,
    account=ACCOUNT,
    repositories=VENDOR,
    listeners=(tcp("grpc", 10011),),
    calls=(DATABASE, BROKER, "consul", "webitel-app", "storage.grpc"),
    placement=Placement.FIRST,
    placement_reason="its cleaners run in every instance without a lock",
    moves=True,
    consul_name="logger",
    secrets=("database_password", "broker_password"),
    restarts_when_deaf=True,
    probes=(
        registered("logger", "{id}"),
        consumes("logger.service"),
        consumes("logger.login"),
        bound("webitel", "logger", "logger.#", to="exchange"),
        bound("logger", "logger.service", "logger.#"),
        bound("webitel", "logger.login", "login.#"),
        bound("logger", "logger.populate", "populate_configs"),
    ),
)

CASES = Service(
    "cases",
    "Cases",
    packages=("webitel-cases", "webitel-common"),
    units=("webitel-cases",),
    stand_in=True,
    account=ACCOUNT,
    repositories=VENDOR,
    listeners=(tcp("grpc", 22103),),
    calls=(DATABASE, BROKER, "consul", "webitel-app", "storage.grpc", "engine.grpc", "flow_manager.grpc", "logger"),
    consul_name="webitel.cases",
    secrets=("database_password", "broker_password"),
    restarts_when_deaf=True,
    probes=(
        registered("webitel.cases", "cases-{id}"),
        sessions("cases"),
        consumes("custom-cases-{id}"),
        bound("webitel", "custom-cases-{id}", "custom.dataset.#"),
        schema("webitel-cases", "cases"),
    ),
)

SERVICES = (
    WEBITEL_APP,
    WEBITEL_API,
    STORAGE,
    ENGINE,
    FLOW_MANAGER,
    CALL_CENTER,
    MESSAGES_SRV,
    MESSAGES_BOT,
    CASES,
    LOGGER,
    WEBITEL_UAC,
)
