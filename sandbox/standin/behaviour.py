"""The behaviour of every Webitel service of release 25.08, one row each.

Exit statuses, retries and losses: `facts/observed.md` 1 and 2; ports and answers 3; Consul 4; RabbitMQ 5; names 7. Sessions in
PostgreSQL, stops and what an idle one shows: `facts/services-real.md`. The three programs of webitel-core were never seen: their
rows follow `facts/webitel.md` 1.7 and the other go-micro services.
"""

from collections.abc import Mapping

from . import answers
from .words import Answer, Behaviour, Binding, Failure, Listener, Pool, Queue, Registration, Step, Topology

LOOP = Failure(102, tries=18, pause=10.0)
BROKER_LOOP = Failure(1, tries=100, pause=5.0)
PANIC = Failure(2)
QUIET = Failure(0)
GOES_ON = Failure(None)


def environment_names(*flags: str, **other: str) -> dict[str, str]:
    """Flag -> environment name: the flag in capitals, unless `other` says it."""
    return {**{flag: flag.upper() for flag in flags}, **other}


COMMON = (
    "id",
    "consul",
    "data_source",
    "sql_data_source_replicas",
    "sql_max_idle_conns",
    "sql_max_open_conns",
    "sql_trace",
    "grpc_addr",
    "grpc_port",
    "dev",
    "log_lvl",
    "log_json",
    "log_otel",
    "log_file",
    "log_console",
)
LIFETIME = {
    "sql_conn_max_lifetime_milliseconds": "SQL_LIFETIME_MILLISECONDS",
    "sql_query_timeout": "QUERY_TIMEOUT",
}
SQL_LIFETIME = 300.0
"""Default of `sql_conn_max_lifetime_milliseconds` in engine, storage, call_center and flow_manager, seconds (their
model/config.go)."""
PGX_LIFETIME, PGX_IDLE = 3600.0, 1800.0
"""pgxpool's defaults of MaxConnLifetime and MaxConnIdleTime, seconds; MinConns is 0."""
DEFAULTS = {"ID": "1", "CONSUL": "172.0.0.1:8500", "GRPC_ADDR": "", "GRPC_PORT": "0", "PRESIGNED_CERT": "/opt/storage/key.pem"}
GRPC = Listener("grpc", "{GRPC_ADDR}:{GRPC_PORT}")
MICRO_GRPC = Listener("grpc", "{MICRO_SERVICE_ADDRESS}")
MICRO_DEFAULTS = {
    "MICRO_SERVICE_ADDRESS": ":0",
    "MICRO_REGISTRY": "consul",
    "MICRO_REGISTRY_ADDRESS": "127.0.0.1:8500",
    "MICRO_BROKER": "rabbitmq",
}
MICRO = (
    "MICRO_SERVICE_ADDRESS",
    "MICRO_REGISTRY",
    "MICRO_REGISTRY_ADDRESS",
    "MICRO_BROKER",
    "MICRO_BROKER_ADDRESS",
    "MICRO_LOG_LEVEL",
    "MICRO_BROKER_TLS_CA",
    "MICRO_BROKER_TLS_CERT",
    "MICRO_BROKER_TLS_KEY",
    "MICRO_REGISTRY_TLS_CA",
    "MICRO_REGISTRY_TLS_CERT",
    "MICRO_REGISTRY_TLS_KEY",
    "WEBITEL_DBO_ADDRESS",
    "WBTL_LOG_LEVEL",
)
CORE = (
    "MICRO_CLIENT_REQUEST_TIMEOUT",
    "MICRO_API_ADDRESS",
    "WBTL_AUTH_URL",
    "WBTL_LOGIN_URL",
    "WBTL_LOGOUT_URL",
    "WBTL_COOKIE_KEYS",
    "WBTL_COMPETITIVE_TOKEN_TTL",
    "WBTL_SESSION_TTL",
    "WBTL_TOKEN_TTL",
    "OPENSIPS_MI_ADDRESS",
    "OPENSIPS_SIP_ADDRESS",
)


def registered(name: str, identifier: str, deregister: int = 60) -> Registration:
    """The entry of engine, storage, call_center and flow_manager: check and tag carry the entry's own id."""
    return Registration(name, identifier, "grpc", 30.0, 7.5, deregister, (identifier,), identifier, "ready...")


def micro_registered(name: str, tags: int) -> Registration:
    """The entry of a go-micro service: a new id at each start, opaque tags."""
    kinds = ("t", "e", "v")
    return Registration(
        name, name + "-{UUID}", "grpc", 90.0, 30.0, 95, tuple(f"{kinds[n % 3]}-78{n:04x}" for n in range(tags)), retries=30.0
    )


def core(name: str, consul_name: str, extra: tuple[str, ...], listeners: tuple[Listener, ...] = (), asks: str = "") -> Behaviour:
    """A program of webitel-core."""
    return Behaviour(
        f"webitel-{name}",
        "webitel-core",
        "webitel",
        f"webitel-{name}",
        command=name,
        assumed=True,
        asks=asks,
        steps=(
            Step("database", Failure(1)),
            Step("broker", Failure(1)),
            Step("listen grpc", Failure(1)),
            *(Step(f"listen {listener.name}", Failure(1)) for listener in listeners),
            Step("consul", GOES_ON),
        ),
        listeners=(MICRO_GRPC, *listeners),
        registration=micro_registered(consul_name, 8),
        topology=Topology(),
        environment=(*MICRO, *CORE),
        defaults={**MICRO_DEFAULTS, "MICRO_API_ADDRESS": "127.0.0.1:8080"},
        flags={"db-dsn": "WEBITEL_DBO_ADDRESS", "address": "MICRO_API_ADDRESS", **dict.fromkeys(extra, "")},
        data_source="WEBITEL_DBO_ADDRESS",
        broker_url="MICRO_BROKER_ADDRESS",
        consul="MICRO_REGISTRY_ADDRESS",
        unknown_flag=1,
    )


def messages(command: str, name: str, unit: str, tags: int, queues: int, **more: object) -> Behaviour:
    """The two programs of the messages binary."""
    return Behaviour(
        unit,
        "webitel-messages",
        "messages",
        unit,
        command=command,
        registration=micro_registered(name, tags),
        topology=Topology(
            declares=(("chat", "topic"),),
            queues=(Queue("", durable=False, auto_delete=True),) * queues,
            bindings=(Binding("chat", "invalidate.#", ""),),
        ),
        flags={
            "db-dsn": "WEBITEL_DBO_ADDRESS",
            "log_level": "WBTL_LOG_LEVEL",
            "site_url": "WEBITEL_BOT_PROXY",
            "address": "WEBITEL_BOT_ADDRESS",
            "web_root": "WEB_ROOT",
        },
        environment=(*MICRO, "WEBITEL_BOT_PROXY", "WEBITEL_BOT_ADDRESS"),
        data_source="WEBITEL_DBO_ADDRESS",
        broker_url="MICRO_BROKER_ADDRESS",
        consul="MICRO_REGISTRY_ADDRESS",
        unknown_flag=1,
        **more,  # type: ignore[arg-type]
    )


ENGINE = Behaviour(
    "engine",
    "webitel-engine",
    "engine",
    "engine",
    pool=Pool(lifetime=SQL_LIFETIME),
    relations=("cc_trigger_list",),
    stops_with_broker=True,
    # Before it opens its WebSocket it asks each FreeSWITCH in Consul for its version, and waits for the answer for ever.
    steps=(
        Step("key", QUIET),
        Step("database", LOOP),
        Step("broker", BROKER_LOOP),
        Step("listen grpc", PANIC),
        Step("consul", QUIET),
        Step("tables", QUIET),
        Step("freeswitch", GOES_ON),
        Step("listen websocket", QUIET),
    ),
    listeners=(GRPC, Listener("websocket", "{WEBSOCKET}", "http", answers.ENGINE)),
    registration=registered("engine", "engine-{ID}"),
    topology=Topology(
        (("call", "topic"), ("engine", "topic"), ("event", "topic"), ("cases", "topic")),
        queues=(Queue("engine.trigger", "quorum"),),
        bindings=(Binding("cases", "#", "engine.trigger"),),
    ),
    flags=environment_names(
        *COMMON,
        "amqp",
        "websocket",
        "open_sip_addr",
        "sip_proxy_addr",
        "ws_sip_addr",
        "public_host",
        "presigned_cert",
        "ping_client_interval",
        "ping_client_latency",
        "push_*",
        "trigger*",
        "grpc_max_message_size",
        "prefix_number_mask_len",
        "suffix_number_mask_len",
        **LIFETIME,
        translations_directory="TRANSLATION_DIRECTORY",
        min_mask_number_len="MIN_NUMBER_MASK_LEN",
        broker_url="TRIGGER_BROKER_URL",
        cloudflare="",
    ),
    defaults={**DEFAULTS, "WEBSOCKET": ":80"},
    key={"missing": 0, "not PEM": 0, "not RSA": 2},
)

STORAGE = Behaviour(
    # Its synchronizer asks each second (synchronizer/sync.go).
    "storage",
    "webitel-storage",
    "storage",
    "storage",
    relations=("storage.upload_file_jobs",),
    complains=10.0,
    pool=Pool(polls=1.0, lifetime=SQL_LIFETIME),
    steps=(
        Step("key", PANIC),
        Step("database", LOOP),
        Step("listen grpc", PANIC),
        Step("consul", PANIC),
        Step("broker", Failure(2, deregisters=True)),
        Step("listen public", QUIET),
        Step("listen internal", QUIET),
        Step("listen pprof", GOES_ON),
    ),
    listeners=(
        GRPC,
        Listener("public", "{PUBLIC_ADDRESS}", "http", (answers.STORAGE_NOT_FOUND, *answers.STORAGE_FILES)),
        Listener("internal", "{INTERNAL_ADDRESS}", "http", (answers.STORAGE_NOT_FOUND, Answer("/sys/recordings", 405, ""))),
        Listener("pprof", ":8090", "pprof"),
    ),
    registration=registered("storage", "storage-{ID}"),
    topology=Topology((("logger", "topic"), ("cases", "topic"))),
    broker_url="MESSAGE_BROKER_URL",
    flags=environment_names(
        *COMMON,
        "message_broker_url",
        "public_address",
        "internal_address",
        "public_host",
        "presigned_cert",
        "crypto_key",
        "media_directory",
        "file_store_type",
        "file_store_props",
        "file_store_expire_day",
        "max_upload_file_size",
        **LIFETIME,
        translations_directory="TRANSLATION_DIRECTORY",
        temp_dir="TEMP_DIRECTORY",
        thumbnail_force_enabled="THUMBNAIL_FORCE_ENABLE",
    ),
    defaults={**DEFAULTS, "PUBLIC_ADDRESS": ":10023", "INTERNAL_ADDRESS": ":10021"},
    key={"missing": 2, "not PEM": 2, "not RSA": 2},
)

CALL_CENTER = Behaviour(
    "call_center",
    "webitel-call-center",
    "call_center",
    "call_center",
    relations=("cc_cluster",),
    stops=2.5,
    # POLLING_INTERVAL's default (model/config.go).
    pool=Pool(3, polls=0.5, lifetime=SQL_LIFETIME),
    stops_with_broker=True,
    steps=(
        Step("database", Failure(102, tries=150, pause=10.0)),
        Step("broker", BROKER_LOOP),
        Step("tables", PANIC),
        Step("listen grpc", PANIC),
        Step("consul", PANIC),
    ),
    listeners=(GRPC,),
    registration=registered("call_center", "call_center-{ID}", 120),
    topology=Topology(
        (("callcenter", "topic"),),
        ("call", "chat"),
        (Queue("callcenter.call_center-{ID}", "quorum", expires=10000, exclusive_consumer=True),),
        (
            Binding("chat", "#", "callcenter.call_center-{ID}"),
            Binding("call", "events.*.call_center-{ID}.*.*", "callcenter.call_center-{ID}"),
        ),
        missing_after=0.05,
    ),
    flags=environment_names(*COMMON, "amqp", "wait_channel_close", "enable_omnichannel", "polling_interval", **LIFETIME),
    defaults=DEFAULTS,
)

FLOW_MANAGER = Behaviour(
    # It removes expired numbers of lists every five seconds (app/list.go).
    "flow_manager",
    "webitel-flow-manager",
    "flow_manager",
    "flow_manager",
    pool=Pool(polls=5.0, lifetime=SQL_LIFETIME),
    relations=("flow.calendar_timezones",),
    after_broker="exit 112 5",
    steps=(
        Step("database", LOOP),
        Step("listen grpc", PANIC),
        Step("consul", PANIC),
        Step("key", PANIC),
        Step("tables", PANIC),
        Step("broker", BROKER_LOOP),
        Step("listen esl", PANIC),
        Step("listen web", PANIC),
        Step("listen pprof", GOES_ON),
    ),
    listeners=(
        GRPC,
        Listener("esl", "{ESL_HOST}:{ELSE_PORT}", "esl"),
        Listener("web", "{WEB_ADDR}", "http", (answers.NOT_FOUND,)),
        Listener("pprof", ":8092", "pprof"),
    ),
    registration=registered("workflow", "workflow-workflow-{ID}"),
    topology=Topology(
        (("flow", "direct"),),
        ("call",),
        (Queue("workflow-call", "quorum"), Queue("workflow-exec", "quorum")),
        (Binding("call", "events.#", "workflow-call"), Binding("flow", "exec", "workflow-exec")),
        missing=112,
        missing_after=1.0,
    ),
    flags=environment_names(
        *COMMON,
        "amqp",
        "esl_host",
        "web_addr",
        "presigned_cert",
        "external_sql",
        "allow_use_mq",
        "redis_*",
        sql_conn_max_lifetime_milliseconds="SQL_CONN_MAX_LIFETIME_MILLISECONDS",
        sql_query_timeout="QUERY_TIMEOUT",
        esl_port="ELSE_PORT",
        chat_templates_path="CHAT_TEMPLATES_PATCH",
    ),
    defaults={**DEFAULTS, "ESL_HOST": "127.0.0.1", "ELSE_PORT": "10030", "WEB_ADDR": "localhost:5689"},
    key={"missing": 2, "not PEM": 2, "not RSA": 2},
)

LOGGER = Behaviour(
    "logger",
    "webitel-logger",
    "webitel-logger",
    "webitel-logger",
    relations=("logger.object_config",),
    silent=True,
    flaps=2 / 25,
    pool=Pool(lifetime=PGX_LIFETIME, idle=PGX_IDLE),
    steps=(
        Step("database", QUIET),
        Step("tables", QUIET),
        Step("listen grpc", QUIET),
        Step("consul", QUIET),
        Step("broker", QUIET),
    ),
    listeners=(Listener("grpc", "{GRPC_ADDR}"),),
    registration=Registration(
        "logger", "{SERVICE_ID}", "grpc", 5.0, 2.5, 30, output="success", empty_host="none", recovers=False, leaves=False
    ),
    topology=Topology(
        (("logger", "topic"),),
        ("webitel",),
        (Queue("logger.service"), Queue("logger.login"), Queue("logger.populate")),
        (
            Binding("webitel", "logger.#", "logger", to_exchange=True),
            Binding("logger", "logger.#", "logger.service"),
            Binding("logger", "populate_configs", "logger.populate"),
            Binding("webitel", "login.#", "logger.login"),
        ),
        missing=0,
    ),
    data_source="DATASOURCE",
    broker_url="BROKER_ADDRESS",
    flags={
        "id": "SERVICE_ID",
        "consul": "CONSUL",
        "grpc_addr": "GRPC_ADDR",
        "amqp": "BROKER_ADDRESS",
        "data_source": "DATASOURCE",
        "saga_events": "CRUD_EVENTS",
    },
    defaults={"CONSUL": "127.0.0.1:8500", "SERVICE_ID": "1", "GRPC_ADDR": ":0"},
)

CASES = Behaviour(
    "cases",
    "webitel-cases",
    "webitel-cases",
    "webitel-cases",
    relations=("cases.case",),
    complains=5.0,
    hides_cause=True,
    pool=Pool(polls=5.0, lifetime=PGX_LIFETIME, idle=PGX_IDLE),
    after_broker="deaf",
    stuck_unregistered=True,
    flag_beats_environment=True,
    steps=(Step("broker", QUIET), Step("listen grpc", QUIET), Step("consul", GOES_ON)),
    listeners=(Listener("grpc", "{GRPC_ADDR}"),),
    registration=Registration(
        "webitel.cases", "{CONSUL_ID}", "grpc", 60.0, 30.0, 30, output="success", empty_host="none", recovers=False
    ),
    topology=Topology(
        (("cases", "topic"),),
        ("webitel",),
        (Queue("custom-{CONSUL_ID}", durable=False, exclusive=True, auto_delete=True),),
        (Binding("webitel", "custom.dataset.#", "custom-{CONSUL_ID}"),),
        missing=2,
    ),
    broker_url="MICRO_BROKER_ADDRESS",
    flags=environment_names(
        "data_source", "consul", "consul_id", "grpc_addr", "watchers_enabled", rabbitmq_url="MICRO_BROKER_ADDRESS"
    ),
    environment=("MICRO_BROKER_ADDRESS",),
    defaults={"CONSUL": "127.0.0.1:8500", "CONSUL_ID": "cases", "GRPC_ADDR": ":0"},
)

MESSAGES_SRV = messages(
    "app",
    "webitel.chat.server",
    "messages-srv",
    39,
    5,
    steps=(
        Step("database", Failure(1)),
        Step("broker", Failure(1)),
        Step("listen grpc", Failure(1)),
        Step("listen pprof", Failure(1)),
        Step("consul", GOES_ON),
    ),
    listeners=(MICRO_GRPC, Listener("pprof", "127.0.0.1:6060", "pprof")),
    defaults=MICRO_DEFAULTS,
)

MESSAGES_BOT = messages(
    "bot",
    "webitel.chat.bot",
    "messages-bot",
    14,
    1,
    steps=(
        Step("folder", Failure(1)),
        Step("database", Failure(1)),
        Step("broker", Failure(1)),
        Step("listen grpc", Failure(1)),
        Step("listen http", Failure(1)),
        Step("consul", GOES_ON),
    ),
    listeners=(MICRO_GRPC, Listener("http", "{WEBITEL_BOT_ADDRESS}", "http", (answers.NOT_FOUND,), needs="chat.bot")),
    defaults={**MICRO_DEFAULTS, "WEBITEL_BOT_ADDRESS": "127.0.0.1:10031", "WEB_ROOT": "/var/lib/webitel/public-html"},
)

WEBITEL_APP = core("app", "go.webitel.app", ("apr-conf-dir", "apr-boot-dir"))
WEBITEL_UAC = core("uac", "webitel.uac", ("register-max-attempts",), asks="OPENSIPS_MI_ADDRESS")
WEBITEL_API = core("api", "go.webitel.api", (), (Listener("http", "{MICRO_API_ADDRESS}", "http", answers.API),))

BEHAVIOURS: Mapping[str, Behaviour] = {
    behaviour.name: behaviour
    for behaviour in (
        WEBITEL_APP,
        WEBITEL_API,
        WEBITEL_UAC,
        MESSAGES_SRV,
        MESSAGES_BOT,
        ENGINE,
        STORAGE,
        CALL_CENTER,
        FLOW_MANAGER,
        LOGGER,
        CASES,
    )
}


def find_behaviour(binary: str, command: str) -> Behaviour | None:
    """The row of a binary and its sub-command."""
    return next((row for row in BEHAVIOURS.values() if row.binary == binary and row.command in ("", command)), None)
