"""rtpengine's, OpenSIPS' and FreeSWITCH's files on every stack: options exist, variables are defined, readers accept."""

import re
import subprocess
from collections.abc import Callable
from functools import cache
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from cloud_init.bundles import bundle_folder
from sandbox.standin.opensips import checks as opensips
from sandbox.standin.opensips.tokens import ConfigError
from stacks.settings import list_stacks
from tests.plans import compose_configuration, compose_stack, load_stack, make_plan
from tests.unit.cloud_init.opensips_files import CONFIGURATION, read_once, with_bundle

FILES = Path(__file__).parents[3] / "cloud_init" / "files"
PRIVATE, PUBLIC = "10.20.0.10", "203.0.113.9"

RTPENGINE_OPTIONS = {
    "table",
    "interface",
    "listen-ng",
    "listen-cli",
    "port-min",
    "port-max",
    "timeout",
    "silent-timeout",
    "tos",
    "log-level",
    "log-stderr",
    "delete-delay",
    "endpoint-learning",
    "redis",
    "no-redis-required",
    "redis-connect-timeout",
    "redis-cmd-timeout",
    "redis-allowed-errors",
    "redis-disable-time",
}
"""Of rtpengine 10.5 (`rtpengine --help`); the program passes over an option it does not know."""

Files = dict[str, str]


def files_with(stack: str, service: str, **changes: object) -> Files:
    """The filled files of the first node of a stack, with changed settings, that carries a service."""
    settings = load_stack(stack).settings.model_copy(update=changes)
    plan = make_plan(settings, stack) if changes else load_stack(stack).plan
    node = plan.nodes_with(service)[0]
    if not changes:
        return dict(filled(stack, node.key))
    return {path: fill(text) for path, text in compose_configuration(plan, node, settings).files.items()}


@cache
def filled(stack: str, key: str) -> Files:
    """The filled files of a committed stack's node: most tests look at these."""
    return {path: fill(text) for path, text in compose_stack(stack)[key].files.items()}


def fill(text: str) -> str:
    """A text with values in place of its placeholders."""
    text = re.sub(r"\{\{address:[^}]*\.public\}\}", PUBLIC, text)
    return re.sub(r"\{\{secret:[^}]*\}\}", "secret", re.sub(r"\{\{address:[^}]*\}\}", PRIVATE, text))


STACKS = list_stacks()
TRANSLATED, OWN, TRIAL = "aws-basic", "hetzner-extended", "local-single"


def read_options(text: str) -> dict[str, str]:
    """The options of an rtpengine.conf."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("#", "["))]
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


@pytest.mark.parametrize("stack", STACKS)
def test_rtpengine_gets_only_options_that_it_knows(stack: str) -> None:
    files = files_with(stack, "rtpengine")
    text = files["/etc/rtpengine/rtpengine.conf"]
    assert text.startswith("[rtpengine]\n")
    options = read_options(text)
    assert set(options) == RTPENGINE_OPTIONS
    assert options["listen-ng"] == "127.0.0.1:60000"
    assert (options["redis"], options["redis-cmd-timeout"]) == ("127.0.0.1:6379/1", "1000"), (
        "without a limit no call outlives Redis"
    )
    assert "set rediscmdtimeout 100" in files["/usr/lib/webitel/setup/rtpengine.sh"], "a call does not wait that long"
    assert (
        "ExecStartPost=-/usr/lib/webitel/setup/rtpengine.sh limit"
        in files["/etc/systemd/system/rtpengine-daemon.service.d/webitel.conf"]
    )
    assert (int(options["port-min"]), int(options["port-max"]), options["table"]) == (10000, 19999, "-1")


SIDES = {
    "translated": (f"ext/{PRIVATE}!{PUBLIC};int/{PRIVATE}", [f"udp:{PRIVATE}:5060 as {PUBLIC}", f"udp:{PRIVATE}:5062"], PUBLIC),
    "own": (f"ext/{PUBLIC};int/{PRIVATE}", [f"udp:{PUBLIC}:5060", f"udp:{PRIVATE}:5060", f"udp:{PRIVATE}:5062"], PUBLIC),
    "private": (f"ext/{PRIVATE};int/{PRIVATE}", [f"udp:{PRIVATE}:5060", f"udp:{PRIVATE}:5062"], PRIVATE),
}
"""What rtpengine and OpenSIPS bind, and where carriers are told to send calls (`facts/calls-observed.md` 1, V3)."""


@pytest.mark.parametrize(
    ("stack", "network", "sides"),
    [
        *((f"{cloud}-basic", "bridged", "translated") for cloud in ("aws", "gcp", "azure")),
        *((f"{cloud}-extended", "bridged", "own") for cloud in ("digitalocean", "hetzner")),
        ("local-basic", "nat", "translated"),
        ("local-basic", "late_address", "own"),
        ("local-single", "late_network", "own"),
        (TRIAL, "bridged", "private"),
    ],
)
def test_the_outer_side_says_the_public_address_and_the_inner_one_never(stack: str, network: str, sides: str) -> None:
    interface, sockets, contact = SIDES[sides]
    files = files_with(stack, "opensips", local_network=network)
    assert read_options(files["/etc/rtpengine/rtpengine.conf"])["interface"] == interface
    assert re.findall(r"^socket = (udp:.*)$", files["/etc/opensips/opensips.cfg"], re.MULTILINE) == sockets
    assert f"OPENSIPS_SIP_ADDRESS={contact}\n" in next(text for path, text in files.items() if path.endswith("webitel-uac.env"))


@pytest.mark.parametrize("stack", STACKS)
def test_opensips_file_is_accepted(stack: str) -> None:
    files = with_bundle(files_with(stack, "opensips"))
    config = read_once(files)
    assert all(socket.address != "*" for socket in config.sockets)
    assert {socket.protocol for socket in config.sockets} == {"udp", "tcp", "tls", "ws"}
    assert config.parameter("tm", "fr_timeout") == 5
    assert config.parameter("httpd", "ip") == "127.0.0.1"
    assert config.parameter("rtpengine", "rtpengine_sock") == "udp:127.0.0.1:60000"
    assert [call.arguments[1].partition("@")[2] for call in config.calls_of("subscribe_event")] == [
        "127.0.0.1:5672/exchange=opensips?sip.register",
        "127.0.0.1:5672/exchange=opensips?sip.register",
        "127.0.0.1:5672/exchange=webitel?hotdesk",
    ]


ROUTES = (bundle_folder("opensips") / "routes.cfg").read_text()


def route(name: str) -> str:
    """The text of a route that is the same on every node."""
    return re.split(r"\n}\n", ROUTES.partition(f"\n{name} {{\n")[2])[0]


def test_only_offers_name_the_sides_and_their_result_is_looked_at() -> None:
    assert route("onreply_route[answer]").count("in-iface") == route("onreply_route[answer]").count("LATE_OFFER") * 2 == 2
    assert route("branch_route[media]").count("in-iface=int out-iface=ext") == 1
    assert route("branch_route[media]").count("in-iface=ext out-iface=int") == 1
    assert ROUTES.count("rtpengine_offer(") == ROUTES.count("if (!rtpengine_offer(") == 2
    assert ROUTES.count("t_on_failure(") == route("route[relay]").count("t_on_failure(") + route("failure_route[failed]").count(
        "t_on_failure("
    )


def test_a_refused_change_of_a_running_call_ends_no_audio() -> None:
    assert re.match(r"    #[^\n]*\n    if \(has_totag\(\)\)\s+exit;", route("failure_route[failed]"))


def test_trunks_freeswitch_and_the_ends_of_calls_are_exempt_before_anything_is_counted() -> None:
    flood = route("route[flood]")
    exempt = flood.index("return;")
    assert all(flood.index(name) < exempt for name in ("FROM_MEDIA", "FROM_TRUNK", "FROM_NODE", "ACK|BYE|CANCEL"))
    assert exempt < flood.index("cache_add(") < flood.index("pike_check_req")


def test_whoever_comes_by_the_web_socket_is_a_trunk_never() -> None:
    files = files_with(TRIAL, "opensips", carriers=(IPv4Network("198.51.100.0/24"),))
    source = files["/etc/opensips/routes.cfg"].partition("\nroute[source] {\n")[2]
    web_socket = source.index('setflag("FROM_WS")')
    assert web_socket < source.index("return;", web_socket) < source.index('setflag("FROM_TRUNK")')


LIMITS: list[tuple[dict[str, object], list[str]]] = [
    ({}, ["^(112|911)$", "$var(calls) >= 10)", "$var(minute) > 60)"]),
    ({"account_limits": {"calls": 3}, "trunk_limits": {"per_minute": 7}}, ["$var(calls) >= 3)", "$var(minute) > 7)"]),
    ({"destinations": ("+49", "*31#")}, ['!($rU =~ "^([+]49|[*]31#)")']),
    (
        {"outgoing_hours": {"mon-fri": "07:00-20:00", "sat": "09:00-14:00"}},
        ['($time(%u) =~ "[12345]" && $var(now) >= "07:00" && $var(now) < "20:00") || ($time(%u) =~ "[6]"'],
    ),
    ({"srtp": "required"}, ['$var(srtp) = "required";']),
    ({"trunk_transfers": True}, ["$var(trunk_transfers) = 1;"]),
    ({"phones": (IPv4Network("192.0.2.0/24"),)}, ["$(si{ip.matches,192.0.2.0/24}) == 1)\n        $var(named) = 1;"]),
]


@pytest.mark.parametrize(("changes", "texts"), LIMITS)
def test_settings_of_calls_reach_the_routes(changes: dict[str, object], texts: list[str]) -> None:
    files = with_bundle(files_with(TRIAL, "opensips", **changes))
    opensips.read_config(files[CONFIGURATION], files)
    assert all(text in files["/etc/opensips/routes.cfg"] for text in texts)


def test_a_change_of_routes_is_read_while_calls_go_on() -> None:
    configuration = compose_stack(TRIAL)[load_stack(TRIAL).plan.nodes_with("opensips")[0].key]
    reload = ["/usr/lib/webitel/setup/opensips.sh reload_routes"]
    assert configuration.attributes["/etc/opensips/routes.cfg"]["actions"] == reload
    assert configuration.manifest["bundle_actions"]["opensips"] == reload
    assert configuration.attributes["/etc/opensips/opensips.cfg"]["actions"] == ["restart opensips"]


MISTAKES: dict[str, Callable[[str], str]] = {
    "no parameter ds_probing_treshold": lambda t: t.replace("ds_probing_threshhold", "ds_probing_treshold"),
    "no core setting udp_worker": lambda t: t.replace("udp_workers", "udp_worker"),
    "no module nathlper": lambda t: t.replace('"nathelper.so"', '"nathlper.so"'),
    "modparam of pike, which is not loaded": lambda t: t.replace('loadmodule "pike.so"', ""),
    "no failure_route[gone]": lambda t: t.replace('t_on_failure("failed")', 't_on_failure("gone")', 1),
    "no function rtpengine_ofer": lambda t: t.replace("rtpengine_offer(", "rtpengine_ofer("),
    "expected ;": lambda t: t.replace("route(source);", "route(source)", 1),
    "fr_timeout is a number": lambda t: t.replace('"fr_timeout", 5', '"fr_timeout", "5"'),
    "needs its module": lambda t: t.replace('loadmodule "proto_ws.so"', ""),
    "no pseudo-variable $sockin": lambda t: t.replace("$socket_in(port)", "$sockin", 1),
}


@pytest.mark.parametrize("says", MISTAKES)
def test_a_mistake_in_opensips_file_is_named(says: str) -> None:
    files = with_bundle(files_with(TRIAL, "opensips"))
    wrong = {path: MISTAKES[says](text) for path, text in files.items()}
    assert wrong != files
    with pytest.raises(ConfigError, match=re.escape(says)):
        opensips.read_config(wrong[CONFIGURATION], wrong)


@pytest.mark.parametrize("stack", STACKS)
def test_every_freeswitch_is_in_the_dispatcher_with_the_inner_socket(stack: str) -> None:
    plan = load_stack(stack).plan
    node = plan.nodes_with("opensips")[0]
    text = compose_stack(stack)[node.key].files["/etc/opensips/dispatcher.sql"]
    rows = re.findall(r"^        \('\{\{address:([^}]*)\}\}', '([^']*)'\)", text, re.MULTILINE)
    assert rows == [(media.key, media.key) for media in plan.nodes_with("freeswitch")]
    assert "format('sip:%s:5080', n.address)" in text
    assert f"'udp:{{{{address:{node.key}}}}}:5062'::text as socket" in text


def bans_after(folder: Path, name: str, *lines: str) -> list[str]:
    """The addresses that fail2ban's own reader finds in lines of the journal with a filter of ours."""
    (folder / "lines").write_text("".join(f"Nov 28 17:12:{n:02} edge-1 {line}\n" for n, line in enumerate(lines)))
    done = subprocess.run(
        ["fail2ban-regex", "-o", "ip", str(folder / "lines"), str(FILES / "fail2ban" / name)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_a_guessers_ban_leaves_the_web_sockets_of_the_address_open() -> None:
    jail = files_with(TRIAL, "opensips")["/etc/fail2ban/jail.d/webitel.conf"].partition("\n[opensips]\n")[2]
    assert re.findall(r"(?m)^port = (.*)$", jail)[0] == "5060,5061"


OPENSIPS = "/usr/sbin/opensips[77]: "


def test_fail2ban_believes_only_what_opensips_itself_says(tmp_path: Path) -> None:
    logged = re.findall(r'xlog\("L_NOTICE", "(Auth error for .*?)\\n"\)', ROUTES)
    assert len(logged) >= 3
    lines = [
        f"{OPENSIPS}NOTICE:"
        + re.sub(r"\$(fU|au)", "from 192.0.2.1 (relay) cause -2", line)
        .replace("$si", f"198.51.100.{n}")
        .replace("$var(why)", "password")
        for n, line in enumerate(logged, 1)
    ]
    found = bans_after(
        tmp_path,
        "opensips.conf",
        f"{OPENSIPS}WARNING:PIKE - BLOCKing ip 203.0.113.12, node=0x7f",
        "opensips[7]: nothing from 192.0.2.9",
        *lines,
    )
    # Not pike's line, which says not by what: by UDP it may be forged.
    assert found == [f"198.51.100.{n}" for n in range(1, len(logged) + 1)]


@pytest.mark.parametrize("forged", ["PIKE - BLOCKing ip 192.0.2.1, x", "Auth error for x from 192.0.2.1 (relay) cause -2"])
def test_nobody_has_another_banned_by_words_that_opensips_prints(forged: str, tmp_path: Path) -> None:
    """Seen: what the real program cannot parse it prints whole, 35 such packets were 35 bans of another."""
    assert (
        bans_after(
            tmp_path,
            "opensips.conf",
            f"{OPENSIPS}ERROR:core:parse_msg_opt: message=<{forged}>",
            f"{OPENSIPS}ERROR:core:x: {forged}",
            f"{OPENSIPS}NOTICE:refused: INVITE of {forged}",
            f"nginx[7]: {forged}",
        )
        == []
    )


def test_fail2ban_believes_only_nginx_own_lines_of_refusals(tmp_path: Path) -> None:
    assert bans_after(
        tmp_path,
        "web.conf",
        "nginx_refused: refused sip 429 from 198.51.100.1",
        "nginx: refused sip 429 from 198.51.100.2",
        "nginx_refused: refused login 401 from 198.51.100.3",
        "x nginx_refused: refused sip 429 from 198.51.100.4",
    ) == ["198.51.100.1", "198.51.100.3"]
