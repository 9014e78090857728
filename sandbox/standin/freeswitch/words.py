"""What FreeSWITCH 1.10 and Webitel's modules know, as far as our configuration may use it (`facts/webitel.md` 1.6)."""

VERSION = "1.10.12+sandbox1"

BUILT_IN = {
    "hostname", "local_ip_v4", "base_dir", "conf_dir", "sounds_dir", "log_dir", "mod_dir", "db_dir", "run_dir", "domain",
    "domain_name",
}
"""`$${...}` that FreeSWITCH sets itself."""

PARAMETERS = {
    "switch.conf": {
        "max-sessions", "sessions-per-second", "rtp-start-port", "rtp-end-port", "rtp-port-usage-robustness", "loglevel",
        "verbose-channel-events", "core-db-dsn", "switchname", "max-db-handles", "sql-buffer-len", "max-sql-buffer-len",
    },
    "event_socket.conf": {"nat-map", "listen-ip", "listen-port", "password", "apply-inbound-acl", "stop-on-bind-error", "debug"},
    "sofia.conf": {
        "log-level", "debug-presence", "sip-ip", "rtp-ip", "sip-port", "user-agent-string", "username", "context", "dialplan",
        "auth-calls",
        "inbound-codec-prefs", "outbound-codec-prefs", "inbound-codec-negotiation", "inbound-late-negotiation",
        "disable-transcoding", "enable-3pcc", "caller-id-type", "rfc2833-pt", "dtmf-duration", "rtp-timer-name",
        "rtp-timeout-sec", "rtp-hold-timeout-sec", "rtp-rewrite-timestamps", "vad", "hold-music", "apply-candidate-acl",
        "manage-presence", "send-display-update", "outbound-use-uuid-as-callid", "inbound-use-callid-as-uuid",
        "watchdog-enabled", "tls",
        "ext-sip-ip", "ext-rtp-ip", "outbound-proxy", "disable-rtp-auto-adjust", "tls-sip-port", "nonce-ttl",
        "sip-options-respond-503-on-busy",
    },
    "grpc.conf": {
        "grpc_host", "grpc_port", "consul_address", "consul_ttl_sec", "consul_deregister_critical_ttl_sec", "amd_ai_address",
        "push_wait_callback", "push_fcm_enabled", "push_apn_enabled", "push_service",
    },
    "amqp.conf": {
        "hostname", "port", "virtualhost", "username", "password", "heartbeat", "exchange-name", "exchange-type",
        "circuit_breaker_ms",
        "reconnect_interval_ms", "send_queue_size", "enable_fallback_format_fields", "format_fields", "event_filter",
    },
    "http_cache.conf": {
        "enable-file-formats", "max-urls", "location", "default-max-age", "prefetch-thread-count", "prefetch-queue-size",
        "ssl-verifypeer", "ssl-verifyhost", "ssl-cacert",
    },
    "console.conf": {"colorize", "loglevel", "uuid"},
    "logfile.conf": {"rotate-on-hup", "logfile", "rollover", "maximum-rotate", "uuid"},
    "amd.conf": {
        "silence_threshold", "maximum_word_length", "maximum_number_of_words", "between_words_silence", "min_word_length",
        "total_analysis_time", "after_greeting_silence", "greeting", "initial_silence",
    },
    "local_stream.conf": {"rate", "shuffle", "channels", "interval", "timer-name", "path", "volume"},
    "conference.conf": {
        "domain", "rate", "interval", "energy-level", "moh-sound", "caller-id-name", "caller-id-number", "muted-sound",
        "alone-sound",
    },
    "spandsp.conf": {"use-ecm", "spool-dir", "file-prefix", "verbose", "ident", "header"},
    "lua.conf": {"module-directory", "script-directory"},
    "acl.conf": set(), "modules.conf": set(), "pre_load_modules.conf": set(), "post_load_modules.conf": set(),
    "db.conf": {"odbc-dsn"}, "shout.conf": {"decoder", "volume", "outscale"}, "avformat.conf": {"colorspace"},
    "msrp.conf": {"listen-ip", "listen-port", "listen-ssl-port", "debug"},
}
"""Configuration -> `param` names that 1.10.12's source reads. FreeSWITCH passes over unknown ones (`facts/calls-observed.md` 5),
the reader does not."""

DEFAULTS = {
    "switch.conf": {
        "max-sessions": "1000", "sessions-per-second": "30", "rtp-start-port": "16384", "rtp-end-port": "32768",
    },
    "event_socket.conf": {
        "listen-ip": "127.0.0.1", "listen-port": "8021", "password": "ClueCon", "apply-inbound-acl": "loopback.auto",
    },
    "sofia.conf": {
        "sip-port": "5060", "context": "default", "dialplan": "XML", "auth-calls": "false", "inbound-codec-prefs": "",
        "enable-3pcc": "false", "user-agent-string": "FreeSWITCH-mod_sofia/1.10.12", "caller-id-type": "rpid",
        "rtp-timeout-sec": "0", "rtp-hold-timeout-sec": "0",
    },
    "amqp.conf": {"heartbeat": "0", "virtualhost": "/", "exchange-type": "topic", "reconnect_interval_ms": "1000"},
    "grpc.conf": {"consul_deregister_critical_ttl_sec": "120"},
}
"""What a parameter is where our file is silent (1.10.12: switch_core.c, switch_core_session.c, switch_rtp.c, sofia.c,
mod_event_socket.c, mod_amqp_producer.c; mod_grpc.cpp)."""

DEPRECATED = {
    "rtp-timeout-sec": "[WARNING] sofia.c:5328 rtp-timeout-sec deprecated use media_timeout variable.",
    "rtp-hold-timeout-sec": "[WARNING] sofia.c:5335 rtp-hold-timeout-sec deprecated use media_hold_timeout variable.",
}
"""Parameters of the SIP profile that still work and say so at each start."""

CONFIGURATIONS = {
    "db.conf": ("mod_db", "[ERR] switch_xml_config.c:78 Could not open db.conf"),
    "shout.conf": ("mod_shout", "[ERR] mod_shout.c:1586 Open of shout.conf failed"),
    "avformat.conf": ("mod_av", "[WARNING] avformat.c:3435 open of avformat.conf failed"),
    "local_stream.conf": ("mod_local_stream", "[ERR] mod_local_stream.c:1337 Open of local_stream.conf failed"),
    "lua.conf": ("mod_lua", "[ERR] mod_lua.cpp:311 open of lua.conf failed"),
    "logfile.conf": ("mod_logfile", "[ERR] mod_logfile.c:449 Open of logfile.conf failed"),
    "console.conf": ("mod_console", "[ERR] mod_console.c:130 Open of console.conf failed"),
    "conference.conf": ("mod_conference", "[ERR] mod_conference.c:3950 Open of conference.conf failed"),
    "msrp.conf": ("", "[WARNING] switch_msrp.c:204 Open of msrp.conf failed"),
    "post_load_modules.conf": ("", "[CONSOLE] switch_loadable_module.c:2283 open of post_load_modules.conf failed"),
}
"""Configurations that a module asks for at its load ("" = the core), and the line in the log where there is none."""

MUST = {
    "switch.conf": ("max-sessions", "sessions-per-second", "rtp-start-port", "rtp-end-port"),
    "event_socket.conf": ("listen-ip", "listen-port", "password", "apply-inbound-acl"),
    "sofia.conf": ("sip-ip", "rtp-ip", "sip-port", "context", "auth-calls", "inbound-codec-prefs"),
    "grpc.conf": ("grpc_host", "grpc_port", "consul_address", "consul_ttl_sec"),
    "amqp.conf": ("hostname", "port", "username", "password", "exchange-name"),
}

VARIABLES_MUST = ("acr_srv", "cdr_url", "outbound_sip_proxy")
"""Read by Webitel's services and dial plan, not by a configuration."""

CORE_MODULES = {"mod_dptools", "mod_event_socket", "mod_sofia", "mod_dialplan_xml", "mod_commands"}
"""Nothing works without these: they must be critical."""
