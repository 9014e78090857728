"""SIP and media. What their loss stops: `docs/operate/availability.md`; how one of two nodes stands by:
`components/model/catalogue/standby.py`."""

from components.model.catalogue.service import (
    Audience,
    Bind,
    Egress,
    Front,
    Look,
    OnChange,
    Placement,
    Ports,
    Probe,
    Service,
    tcp,
    udp,
)

SIP_ADDRESS = Service(
    "sip-address",
    "SIP address",
    placement=Placement.NOWHERE,
    on_change=OnChange.RELOAD,
    probes=(Probe("sip_address", "this node does not have the address of SIP, or its Redis takes no calls"),),
)

REDIS = Service(
    "redis",
    "Redis",
    packages=("redis-server",),
    units=("redis-server",),
    listeners=(tcp("calls", 6379, Audience.NODE, bind=Bind.LOOPBACK, authenticated=False),),
    probes=(Probe("redis", "Redis does not take calls: those in progress would end with rtpengine", {"listener": "calls"}),),
    restarts_when_deaf=True,
)

RTPENGINE = Service(
    "rtpengine",
    "rtpengine",
    packages=("rtpengine-daemon",),
    units=("rtpengine-daemon",),
    listeners=(
        udp("rtp", 10000, Audience.INTERNET, Audience.CALLERS, last=19999, tracked=False),
        udp("ng", 60000, Audience.NODE, bind=Bind.LOOPBACK, authenticated=False),
        tcp("cli", 2224, Audience.NODE, bind=Bind.LOOPBACK, authenticated=False),
    ),
    calls=("freeswitch.rtp", "redis.calls"),
    egress=(Egress("media", "udp", Ports(1024, 65535), tracked=False),),
    probes=(Probe("rtpengine", "rtpengine does not answer, or cannot open media ports on its address", {"listener": "ng"}),),
    # The restart of the whole machine empties Redis too.
    on_change=OnChange.REVIVE,
    kept_by="redis",
    drops_calls="audio of calls in progress stops until the next re-INVITE",
    sends_audio=True,
)

OPENSIPS = Service(
    "opensips",
    "OpenSIPS",
    stand_in=True,
    units=("opensips",),
    repositories=("opensips",),
    front=Front.SIP,
    looks=(Look("sip", "sip-tcp"),),
    has_standby=False,
    packages=(
        "opensips",
        "opensips-http-modules",
        "opensips-rabbitmq-modules",
        "opensips-auth-modules",
        "opensips-postgres-module",
        "opensips-wss-module",
        "opensips-tls-module",
        "opensips-tlsmgm-module",
        "opensips-tls-openssl-module",
    ),
    listeners=(
        udp("sip", 5060, Audience.CARRIERS, Audience.PHONES),
        tcp("sip-tcp", 5060, Audience.CARRIERS, Audience.PHONES, Audience.CALLERS),
        tcp("sip-tls", 5061, Audience.CARRIERS, Audience.PHONES),
        udp("inner", 5062),
        tcp("ws", 5070, Audience.NODE),
        tcp("mi", 8000, Audience.NODE, bind=Bind.LOOPBACK, authenticated=False),
    ),
    calls=("postgresql", "rabbitmq", "rtpengine.ng", "freeswitch.sip"),
    secrets=("database_password", "broker_password", "web_certificate"),
    egress=(
        Egress("SIP to trunks", "udp", Ports(5060, 5061), Audience.CARRIERS),
        Egress("SIP to trunks", "tcp", Ports(5060, 5061), Audience.CARRIERS),
        Egress("SIP to phones", "udp", Ports(1024, 65535), Audience.PHONES),
        Egress("SIP to phones", "tcp", Ports(1024, 65535), Audience.PHONES),
    ),
    probes=(
        Probe("sip", "OPTIONS is not answered on the SIP socket", {"method": "OPTIONS", "listener": "sip", "status": 200}),
        Probe(
            "sip",
            "REGISTER with a password gets no verdict: OpenSIPS has lost its database, or cannot read accounts",
            {"method": "REGISTER", "listener": "sip", "status": 401, "credentials": "made up"},
        ),
        Probe("opensips_rtpengine", "OpenSIPS considers rtpengine disabled", {"listener": "mi"}),
    ),
    drops_calls="calls being set up fail; calls in progress continue",
    speaks_outside="registers with carriers, and every call goes through it",
)

SIP_WEBSOCKET = Service(
    "sip-websocket",
    "SIP by web socket",
    packages=("nginx",),
    units=("sip-websocket",),
    on_change=OnChange.RELOAD,
    # Who connects says which address it connects for: nginx of the web is believed, and nobody else gets here.
    listeners=(tcp("http", 5071, authenticated=False),),
    calls=("opensips.ws",),
    web_socket="/sip",
    probes=(Probe("web_socket", "a browser's web socket does not reach OpenSIPS", {"listener": "http"}),),
)

FREESWITCH = Service(
    "freeswitch",
    "FreeSWITCH",
    stand_in=True,
    units=("freeswitch",),
    consul_name="freeswitch",
    repositories=("freeswitch", "webitel"),
    carries_calls=True,
    knows_one_address=True,
    packages=(
        "freeswitch",
        "freeswitch-systemd",
        "freeswitch-music-default",
        "freeswitch-mod-av",
        "freeswitch-mod-opus",
        "freeswitch-mod-opusfile",
        "freeswitch-mod-sndfile",
        "freeswitch-mod-shout",
        "freeswitch-mod-sofia",
        "freeswitch-mod-dialplan-xml",
        "freeswitch-mod-valet-parking",
        "freeswitch-mod-conference",
        "freeswitch-mod-console",
        "freeswitch-mod-event-socket",
        "freeswitch-mod-loopback",
        "freeswitch-mod-commands",
        "freeswitch-mod-db",
        "freeswitch-mod-dptools",
        "freeswitch-mod-expr",
        "freeswitch-mod-hash",
        "freeswitch-mod-spandsp",
        "freeswitch-mod-imagick",
        "freeswitch-mod-png",
        "freeswitch-mod-native-file",
        "freeswitch-mod-logfile",
        "freeswitch-mod-local-stream",
        "freeswitch-mod-tone-stream",
        "freeswitch-mod-lua",
        "freeswitch-mod-http-cache",
        "freeswitch-mod-spy",
        "freeswitch-mod-amd",
        "freeswitch-mod-amqp",
        "freeswitch-mod-grpc",
        "freeswitch-mod-google-transcribe",
    ),
    listeners=(
        udp("sip", 5080),
        tcp("sip-tcp", 5080),
        tcp("grpc", 50051, authenticated=False),
        udp("rtp", 20000, last=39999, tracked=False),
        tcp("esl", 8021, Audience.NODE, bind=Bind.LOOPBACK),
    ),
    calls=("rabbitmq", "opensips.inner", "rtpengine.rtp", "storage.internal", "flow_manager.esl"),
    secrets=("broker_password", "esl_password"),
    egress=(Egress("speech services", "tcp", Ports(443, 443)),),
    probes=(
        Probe(
            "sip",
            "FreeSWITCH does not answer OPTIONS (503 = full or paused)",
            {"method": "OPTIONS", "listener": "sip", "status": 200, "accept": "503"},
        ),
        Probe("freeswitch", "FreeSWITCH is not ready for calls", {"listener": "esl"}),
        # Engine starts only where this is answered, and has no limit for it.
        Probe("freeswitch_calls", "FreeSWITCH accepts connections but answers no call on its gRPC", {"listener": "grpc"}),
        # mod_grpc makes it at its start only (facts/services-real.md 2); the seconds are those of its configuration.
        Probe(
            "consul_entry",
            "Consul has no entry of FreeSWITCH with this node's address",
            {"name": "freeswitch", "id": "{hostname}", "listener": "grpc", "ttl": 60, "deregister": 120},
        ),
    ),
    on_change=OnChange.DRAIN,
    drops_calls="calls in progress end",
)

FAIL2BAN = Service(
    "fail2ban",
    "fail2ban",
    packages=("fail2ban", "python3-systemd"),
    units=("fail2ban",),
    on_change=OnChange.RELOAD,
)

SERVICES = (SIP_ADDRESS, REDIS, RTPENGINE, OPENSIPS, SIP_WEBSOCKET, FAIL2BAN, FREESWITCH)
