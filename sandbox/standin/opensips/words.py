"""What OpenSIPS 3.4 knows, as far as our configuration may use it (`facts/observed.md` 8.1, the modules' documentation).

A module's parameters: name -> `i` (number) or `s` (text). Its functions: name -> least and most arguments.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Module(NamedTuple):
    """A module: what `modparam` may set, which functions it brings, and the package it comes from."""

    parameters: Mapping[str, str] = {}
    functions: Mapping[str, tuple[int, int]] = {}
    package: str = "opensips"


CORE_SETTINGS = {
    "log_level": "i", "xlog_level": "i", "stderror_enabled": "w", "syslog_enabled": "w", "syslog_facility": "w",
    "udp_workers": "i", "tcp_workers": "i", "timer_workers": "i", "tcp_connection_lifetime": "i", "tcp_connect_timeout": "i",
    "tcp_max_connections": "i", "open_files_limit": "i", "server_header": "s", "user_agent_header": "s", "mpath": "s",
    "mhomed": "i", "dns_try_ipv6": "w", "disable_core_dump": "w", "max_while_loops": "i", "server_signature": "w",
}
"""`i` number, `s` text in quotes, `w` bare word."""

CORE_FUNCTIONS = {
    "xlog": (1, 2), "is_myself": (1, 2), "isflagset": (1, 1), "setflag": (1, 1), "resetflag": (1, 1), "isbflagset": (1, 2),
    "setbflag": (1, 2), "resetbflag": (1, 2), "force_rport": (0, 0), "route": (1, 9), "subscribe_event": (2, 3),
    "raise_event": (1, 3), "append_branch": (0, 2),
}

BODILESS = ("exit", "return", "drop", "break")

SOCKET_PROTOCOLS = {"udp": "proto_udp", "tcp": "proto_tcp", "ws": "proto_ws", "tls": "proto_tls", "wss": "proto_wss"}

ROUTE_KINDS = ("route", "branch_route", "onreply_route", "failure_route", "local_route", "startup_route", "event_route")

ROUTE_CALLS = {"route": "route", "t_on_branch": "branch_route", "t_on_reply": "onreply_route", "t_on_failure": "failure_route"}

DATABASE = {"db_url": "s"}

MODULES: Mapping[str, Module] = {
    "proto_udp": Module(), "proto_tcp": Module(), "proto_ws": Module({"ws_max_msg_chunks": "i"}), "signaling": Module(
        {}, {"send_reply": (2, 2)}),
    "sl": Module({}, {"sl_send_reply": (2, 2), "sl_reply_error": (0, 0)}),
    "tm": Module(
        {"fr_timeout": "i", "fr_inv_timeout": "i", "restart_fr_on_each_reply": "i", "onreply_avp_mode": "i", "wt_timer": "i"},
        {"t_relay": (0, 2), "t_reply": (2, 2), "t_check_trans": (0, 0), "t_on_branch": (1, 1), "t_on_reply": (1, 1),
         "t_on_failure": (1, 1), "t_was_cancelled": (0, 0), "t_check_status": (1, 1), "t_newtran": (0, 0)}),
    "rr": Module(
        {"append_fromtag": "i", "enable_double_rr": "i"},
        {"record_route": (0, 1), "loose_route": (0, 0), "add_rr_param": (1, 1), "check_route_param": (1, 1)}),
    "maxfwd": Module({"max_limit": "i"}, {"mf_process_maxfwd_header": (1, 1)}),
    "sipmsgops": Module({}, {
        "is_method": (1, 1), "has_totag": (0, 0), "append_hf": (1, 2), "remove_hf": (1, 1), "remove_hf_re": (1, 1),
        "is_present_hf": (1, 1), "has_body": (0, 1)}),
    "httpd": Module({"ip": "s", "port": "i", "buf_size": "i"}, package="opensips-http-modules"),
    "mi_http": Module({"root": "s"}, package="opensips-http-modules"),
    "event_route": Module(),
    "event_rabbitmq": Module(
        {"heartbeat": "i", "connect_timeout": "i", "timeout": "i", "use_tls": "i"}, package="opensips-rabbitmq-modules"),
    "db_postgres": Module({"timeout": "i", "use_tls": "i"}, package="opensips-postgres-module"),
    "db_virtual": Module({"db_urls": "s", "db_probe_time": "i", "db_max_consec_retrys": "i"}),
    "avpops": Module(DATABASE, {"avp_db_query": (1, 3)}),
    "usrloc": Module({
        **DATABASE, "nat_bflag": "s", "working_mode_preset": "s", "use_domain": "i", "attr_column": "s", "timer_interval": "i"}),
    "registrar": Module(
        {"tcp_persistent_flag": "s", "attr_avp": "s", "received_avp": "s", "max_contacts": "i", "default_expires": "i",
         "min_expires": "i", "max_expires": "i"},
        {"save": (1, 4), "lookup": (1, 3), "registered": (1, 4)}),
    "auth": Module({"nonce_expire": "i", "secret": "s"}, {
        "www_challenge": (1, 3), "proxy_challenge": (1, 3), "consume_credentials": (0, 0)}, "opensips-auth-modules"),
    "auth_db": Module(
        {**DATABASE, "use_domain": "i", "calculate_ha1": "i", "skip_version_check": "i", "user_column": "s", "domain_column": "s",
         "password_column": "s", "uri_user_column": "s", "uri_uriuser_column": "s", "uri_domain_column": "s",
         "load_credentials": "s"},
        {"www_authorize": (2, 2), "proxy_authorize": (2, 2), "db_is_to_authorized": (1, 1), "db_is_from_authorized": (1, 1)}),
    "uac": Module({"restore_mode": "s"}, {"uac_replace_from": (1, 2), "uac_replace_to": (1, 2)}),
    "uac_auth": Module({}, {}, "opensips-auth-modules"),
    "uac_registrant": Module({
        **DATABASE, "table_name": "s", "expiry_column": "s", "state_column": "s", "hash_size": "i", "timer_interval": "i"}),
    "domain": Module(
        {**DATABASE, "db_mode": "i", "domain_table": "s", "domain_col": "s", "attrs_col": "s"},
        {"is_from_local": (0, 1), "is_uri_host_local": (0, 1), "is_domain_local": (1, 2)}),
    "permissions": Module({**DATABASE, "address_table": "s"}, {"check_address": (4, 7), "check_source_address": (1, 4)}),
    "dialog": Module(
        {"rr_param": "s", "dlg_match_mode": "i", "default_timeout": "i", "db_mode": "i", "options_ping_interval": "i",
         "reinvite_ping_interval": "i", **DATABASE},
        {"create_dialog": (0, 1), "validate_dialog": (0, 0)}),
    "dispatcher": Module(
        {**DATABASE, "ds_ping_method": "s", "ds_ping_interval": "i", "ds_probing_mode": "i", "ds_probing_threshhold": "i",
         "ds_probing_list": "s", "ds_ping_from": "s"},
        {"ds_select_dst": (2, 5), "ds_next_dst": (0, 1), "ds_mark_dst": (0, 2), "ds_is_in_list": (2, 5)}),
    "nathelper": Module(
        {"natping_interval": "i", "natping_tcp": "i", "ping_nated_only": "i", "sipping_bflag": "s", "sipping_method": "s",
         "sipping_from": "s", "remove_on_timeout_bflag": "s", "max_pings_lost": "i", "received_avp": "s"},
        {"nat_uac_test": (1, 1), "fix_nated_contact": (0, 1), "fix_nated_register": (0, 0), "fix_nated_sdp": (1, 3)}),
    "rtpengine": Module(
        {"rtpengine_sock": "s", "rtpengine_disable_tout": "i", "rtpengine_tout": "i", "rtpengine_retr": "i"},
        {"rtpengine_offer": (0, 4), "rtpengine_answer": (0, 4), "rtpengine_delete": (0, 2), "rtpengine_manage": (0, 4)}),
    "pike": Module({"sampling_time_unit": "i", "reqs_density_per_unit": "i", "remove_latency": "i"}, {"pike_check_req": (0, 0)}),
}

NEEDS = {
    "mi_http": ("httpd",), "registrar": ("usrloc", "signaling"), "auth_db": ("auth",), "uac_registrant": ("uac_auth", "tm"),
    "dialog": ("tm", "rr"), "nathelper": ("usrloc",), "tm": ("signaling",), "auth": ("signaling",), "event_route": (),
}
"""Modules that must be there for a module; without one the real program does not start."""

VARIABLES = (
    "ua", "si", "sp", "fd", "fU", "fu", "td", "tU", "tu", "au", "rU", "rd", "ru", "rP", "ci", "rm", "rc", "retcode", "Ts", "Tsm",
    "du", "socket_out",
)
"""Pseudo-variables without an argument."""

VARIABLE_FAMILIES = ("avp", "var", "hdr", "param", "socket_in", "socket_out", "rtpstat", "dlg_val", "json")
"""Pseudo-variables with an argument, `$avp(name)`."""

MUST = {
    ("dispatcher", "ds_probing_mode"): 1, ("dialog", "db_mode"): None, ("usrloc", "working_mode_preset"): None,
    ("rtpengine", "rtpengine_sock"): None, ("httpd", "ip"): None, ("httpd", "port"): None, ("tm", "fr_timeout"): None,
    ("dispatcher", "db_url"): None, ("auth_db", "db_url"): None, ("domain", "domain_table"): None,
}
"""Settings that a working node needs (`facts/calls-observed.md` 6): (module, parameter) -> the value, None = any."""
