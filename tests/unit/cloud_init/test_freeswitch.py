"""FreeSWITCH's files on every stack: names that exist, values that are stated, a start that leaves nothing in its log."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from cloud_init.bundles import bundle_folder
from sandbox.standin.freeswitch import check, words
from sandbox.standin.freeswitch.reader import Config, ConfigError
from tests.unit.cloud_init.test_telephony_fragments import PRIVATE, STACKS, TRIAL, files_with

STATED: dict[str, dict[str, tuple[str, str]]] = {
    "switch.conf": {
        "max-sessions": ("1000", "1000"),
        "sessions-per-second": ("50", "30"),
        "rtp-start-port": ("20000", "16384"),
        "rtp-end-port": ("39998", "32768"),
        "rtp-port-usage-robustness": ("true", "false"),
        "loglevel": ("warning", "debug"),
        "verbose-channel-events": ("yes", "no"),
        "core-db-dsn": ("sqlite://memory://file:core.db?mode=memory&cache=shared", "a file"),
    },
    "event_socket.conf": {
        "nat-map": ("false", "false"),
        "listen-ip": ("127.0.0.1", "127.0.0.1"),
        "listen-port": ("8021", "8021"),
        "password": ("secret", "ClueCon"),
        "apply-inbound-acl": ("esl", "loopback.auto"),
        "stop-on-bind-error": ("true", "false"),
    },
    "sofia.conf": {
        "log-level": ("0", "0"),
        "debug-presence": ("0", "0"),
        "sip-ip": (PRIVATE, "guessed"),
        "rtp-ip": (PRIVATE, "guessed"),
        "sip-port": ("5080", "5060"),
        "user-agent-string": ("Webitel", "FreeSWITCH with its version"),
        "username": ("Webitel", "FreeSWITCH"),
        "context": ("public", "default"),
        "dialplan": ("XML", "XML"),
        "auth-calls": ("false", "false"),
        "inbound-codec-prefs": ("PCMA", "every codec"),
        "outbound-codec-prefs": ("PCMA", "every codec"),
        "inbound-codec-negotiation": ("generous", "generous"),
        "inbound-late-negotiation": ("false", "false"),
        "enable-3pcc": ("proxy", "false"),
        "disable-transcoding": ("true", "false"),
        "caller-id-type": ("rpid", "rpid"),
        "rfc2833-pt": ("101", "101"),
        "dtmf-duration": ("2000", "100"),
        "rtp-timer-name": ("soft", "none"),
        "rtp-timeout-sec": ("300", "never"),
        "rtp-hold-timeout-sec": ("1800", "never, or ten times the former"),
        "rtp-rewrite-timestamps": ("true", "false"),
        "vad": ("none", "none"),
        "hold-music": ("local_stream://default", "none"),
        "apply-candidate-acl": ("0.0.0.0/0", "wan.auto"),
        "manage-presence": ("false", "false"),
        "send-display-update": ("false", "true"),
        "outbound-use-uuid-as-callid": ("true", "false"),
        "inbound-use-callid-as-uuid": ("false", "false"),
        "watchdog-enabled": ("no", "no"),
        "tls": ("false", "false"),
    },
    "grpc.conf": {
        "grpc_host": (PRIVATE, ""),
        "grpc_port": ("50051", ""),
        "consul_address": ("http://127.0.0.1:8500", ""),
        "consul_ttl_sec": ("60", ""),
        "consul_deregister_critical_ttl_sec": ("120", ""),
        "amd_ai_address": ("", ""),
    },
    "amqp.conf": {
        "hostname": ("127.0.0.1", "localhost"),
        "port": ("5672", "0"),
        "virtualhost": ("/", "/"),
        "username": ("webitel", "guest"),
        "password": ("secret", "guest"),
        "heartbeat": ("10", "0"),
        "exchange-name": ("call", "TAP.Events"),
        "exchange-type": ("topic", "topic"),
        "circuit_breaker_ms": ("10000", "10000"),
        "reconnect_interval_ms": ("1000", "1000"),
        "send_queue_size": ("5000", "5000"),
        "enable_fallback_format_fields": ("3", "0"),
        "format_fields": ("#events,event,cc_app_id,domain_id,user_id", ""),
        "event_filter": ("SWITCH_EVENT_CUSTOM::WEBITEL_CALL", ""),
    },
}
"""Configuration -> parameter -> (ours, what FreeSWITCH takes without it). One that is gone from our files, or comes, is named."""

RIGHT_ALTHOUGH_DEPRECATED = ("rtp-timeout-sec", "rtp-hold-timeout-sec")
"""The variables named instead end calls on hold (`configuration.xml` says how)."""


def write_freeswitch(stack: str, folder: Path) -> Path:
    """FreeSWITCH's folder as on a node, with a file for each module; returns its first file."""
    files = files_with(stack, "freeswitch")
    for name in ("freeswitch.xml", "vars.xml"):
        text = files[f"/etc/freeswitch/{name}"].replace("/usr/share/webitel/bundles/freeswitch", str(folder / "bundle"))
        (folder / name).write_text(text)
    for name in ("bundle", "mod"):
        (folder / name).mkdir()
    for path in bundle_folder("freeswitch").iterdir():
        (folder / "bundle" / path.name).write_text(path.read_text())
    for element in ElementTree.fromstring((folder / "bundle" / "modules.xml").read_text()).iter("load"):
        (folder / "mod" / f"{element.get('module')}.so").touch()
    return folder / "freeswitch.xml"


def read(stack: str, folder: Path) -> Config:
    """The configuration of a stack's first FreeSWITCH."""
    return check.read_config(write_freeswitch(stack, folder), "media-1", folder / "mod")


@pytest.mark.parametrize("stack", STACKS)
def test_the_start_leaves_nothing_in_the_log_that_is_not_known(stack: str, tmp_path: Path) -> None:
    assert read(stack, tmp_path).problems == [words.DEPRECATED[name] for name in RIGHT_ALTHOUGH_DEPRECATED]


@pytest.mark.parametrize("stack", STACKS)
def test_freeswitch_knows_where_everybody_is(stack: str, tmp_path: Path) -> None:
    config = read(stack, tmp_path)
    assert not {"ext-sip-ip", "ext-rtp-ip"} & set(config.parameters["sofia.conf"])
    assert config.variables["outbound_sip_proxy"] == f"{PRIVATE}:5062"
    assert config.variables["cdr_url"] == f"{PRIVATE}:10021"
    assert config.variables["acr_srv"] == "127.0.0.1:10030 async full"
    assert config.lists["esl"] == ["127.0.0.1/32"]


@pytest.mark.parametrize("name", STATED)
def test_every_parameter_is_stated(name: str, tmp_path: Path) -> None:
    found = read("aws-basic", tmp_path).parameters[name]
    assert found == {parameter: ours for parameter, (ours, _) in STATED[name].items()}


def test_no_variable_shortens_the_time_on_hold(tmp_path: Path) -> None:
    config = read(TRIAL, tmp_path)
    assert not {"media_timeout", "media_hold_timeout"} & set(config.variables)
    actions = [action for context in config.dialplan.contexts for action in config.dialplan.actions(context, {})]
    assert not [
        data
        for application, data in actions
        if application in ("set", "export") and "media_" in data.partition("=")[0] and "timeout" in data
    ]


@pytest.mark.parametrize("context", ["default", "public"])
@pytest.mark.parametrize("number", ["1001", "service", "call-from-web"])
def test_a_call_that_flow_manager_does_not_take_is_answered_so_that_another_node_gets_it(
    context: str,
    number: str,
    tmp_path: Path,
) -> None:
    actions = read(TRIAL, tmp_path).dialplan.actions(context, {"destination_number": number})
    place = next(place for place, (application, _) in enumerate(actions) if application == "socket")
    assert actions[place:] == [("socket", "127.0.0.1:10030 async full"), ("respond", "503 Service Unavailable")]


@pytest.mark.parametrize("context", ["default", "public"])
def test_a_late_offer_is_answered_before_the_flow(context: str, tmp_path: Path) -> None:
    dialplan = read(TRIAL, tmp_path).dialplan
    late = dialplan.actions(context, {"destination_number": "1", "endpoint_disposition": "RECEIVED_NOSDP"})
    ordinary = dialplan.actions(context, {"destination_number": "1", "endpoint_disposition": "RECEIVED"})
    assert late[:2] == [("answer", ""), ("export", "nolocal:ignore_early_media=true")] and late[2:] == ordinary
    assert "answer" not in {application for application, _ in ordinary}


def test_a_web_call_says_so_before_the_flow(tmp_path: Path) -> None:
    dialplan = read(TRIAL, tmp_path).dialplan
    for number in ("service", "call-from-web"):
        assert ("set", "wbt_web_call=true") in dialplan.actions("public", {"destination_number": number})
    assert ("set", "wbt_web_call=true") not in dialplan.actions("public", {"destination_number": "services"})


def test_every_module_has_a_package_in_the_catalogue(tmp_path: Path) -> None:
    from components.model.catalogue.services import CATALOGUE

    config = read(TRIAL, tmp_path)
    packages = CATALOGUE["freeswitch"].packages
    for module in config.modules:
        assert f"freeswitch-{module.replace('_', '-')}" in packages, module


MISTAKES: dict[str, tuple[str, str, str]] = {
    "is not defined": ("bundle/configuration.xml", "$${sofia_server_ip}", "$${sofia_ip}"),
    "mismatched tag": ("bundle/configuration.xml", "</settings>", "</setting>"),
    "nothing to include at varz.xml": ("freeswitch.xml", "vars.xml", "varz.xml"),
    "no parameter sip-prot": ("bundle/configuration.xml", '"sip-port"', '"sip-prot"'),
    "no parameter renegotiate-codec-on-reinvite": ("bundle/configuration.xml", '"vad"', '"renegotiate-codec-on-reinvite"'),
    "no configuration sofa.conf": ("bundle/configuration.xml", "sofia.conf", "sofa.conf"),
    "no such list in acl.conf": ("bundle/configuration.xml", 'value="esl"', 'value="ells"'),
    "lacks 127.0.0.1/32": ("bundle/configuration.xml", "127.0.0.1/32", "10.0.0.0/8"),
    "mod_sofia is not loaded as critical": ("bundle/modules.xml", '"mod_sofia" critical="true"', '"mod_sofia"'),
    "is no address": ("vars.xml", f"sofia_server_ip={PRIVATE}", "sofia_server_ip=auto"),
    "no context publick": ("bundle/configuration.xml", 'name="context" value="public"', 'name="context" value="publick"'),
    "${acr_srv} is not defined": ("vars.xml", "acr_srv=", "acl_srv="),
    "stands twice": ("bundle/configuration.xml", 'name="lua.conf"', 'name="acl.conf"'),
    "no application sockets": ("bundle/dialplan.xml", 'application="socket"', 'application="sockets"'),
}


@pytest.mark.parametrize("says", MISTAKES)
def test_a_mistake_in_freeswitch_xml_is_named(says: str, tmp_path: Path) -> None:
    first = write_freeswitch(TRIAL, tmp_path)
    name, old, new = MISTAKES[says]
    path = tmp_path / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=re.escape(says)):
        check.read_config(first, "media-1")


COMPLAINTS: dict[str, tuple[str, str, str]] = {
    "Could not open db.conf": ("configuration", r'<configuration name="db\.conf".*?</configuration>', ""),
    "Open of shout.conf failed": ("configuration", r'<configuration name="shout\.conf".*?</configuration>', ""),
    "open of avformat.conf failed": ("configuration", r'<configuration name="avformat\.conf".*?</configuration>', ""),
    "Open of msrp.conf failed": ("configuration", r'<configuration name="msrp\.conf".*?</configuration>', ""),
    "open of post_load_modules.conf failed": ("modules", r'<configuration name="post_load_modules\.conf".*?</configuration>', ""),
    "Rounding odd end port 39999 to 39998": ("configuration", r"\$\$\{rtp_last_port\}", "39999"),
    "Rounding odd start port 20001 to 20002": ("configuration", r"\$\$\{rtp_first_port\}", "20001"),
}


@pytest.mark.parametrize("says", COMPLAINTS)
def test_what_the_real_program_complains_about_is_a_line_of_the_start(says: str, tmp_path: Path) -> None:
    first = write_freeswitch(TRIAL, tmp_path)
    name, old, new = COMPLAINTS[says]
    path = tmp_path / "bundle" / f"{name}.xml"
    changed = re.sub(old, new, path.read_text(), flags=re.DOTALL)
    assert changed != path.read_text()
    path.write_text(changed)
    known = [words.DEPRECATED[name] for name in RIGHT_ALTHOUGH_DEPRECATED]
    said = [line for line in check.read_config(first, "media-1", tmp_path / "mod").problems if line not in known]
    assert [says in line for line in said] == [True]


def test_a_missing_critical_module_ends_the_start(tmp_path: Path) -> None:
    first, folder = write_freeswitch(TRIAL, tmp_path), tmp_path / "mod"
    (folder / "mod_lua.so").unlink()
    said = check.read_config(first, "media-1", folder).problems[0]
    assert said.startswith(f"[CRIT] switch_loadable_module.c:1754 Error Loading module {folder}/mod_lua.so\n**")
    (folder / "mod_grpc.so").unlink()
    with pytest.raises(ConfigError, match="critical module 'mod_grpc'"):
        check.read_config(first, "media-1", folder)


def test_a_parameter_of_which_our_file_is_silent_has_the_real_default(tmp_path: Path) -> None:
    config = read(TRIAL, tmp_path)
    for name, defaults in words.DEFAULTS.items():
        for parameter, default in defaults.items():
            config.parameters[name].pop(parameter, None)
            assert config.value(name, parameter) == default
