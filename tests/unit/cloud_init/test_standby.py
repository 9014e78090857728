"""Two nodes for SIP: what stands in their files, and in those of nodes that speak with them."""

from functools import cache

from cloud_init.compose import Configuration
from cloud_init.node.clusters import sip_address
from components.model.catalogue.standby import FOLLOWING
from components.model.settings import Settings
from tests.plans import compose_configuration, make_plan, with_hosts

ADDRESS = "10.77.1.39"
NFTABLES, RTPENGINE, OPENSIPS = "/etc/nftables.conf", "/etc/rtpengine/rtpengine.conf", "/etc/opensips/opensips.cfg"


@cache
def configure(key: str) -> Configuration:
    settings = Settings.model_validate({"cloud": "local", "tier": "basic", "counts": {"edge": 2}})
    plan = make_plan(settings, "s")
    return compose_configuration(plan, plan.node(key), settings)


def lines(key: str, path: str) -> list[str]:
    return [line.strip() for line in configure(key).files[path].splitlines()]


def test_both_nodes_say_the_same_of_the_calls_they_may_have() -> None:
    """What one has promised a phone or FreeSWITCH holds for the other."""
    for path in (RTPENGINE, "/etc/opensips/routes.cfg", "/etc/webitel/webitel-uac.env"):
        first, second = (
            configure(key).files[path].replace(f"address:{key}", "own").replace(f"s-{key}", "own") for key in ("edge-1", "edge-2")
        )
        assert first == second
    assert f"interface = ext/{ADDRESS};int/{ADDRESS}" in lines("edge-1", RTPENGINE)
    for socket in (f"udp:{ADDRESS}:5060", f"tcp:{ADDRESS}:5060", f"udp:{ADDRESS}:5062", f"tls:{ADDRESS}:5061"):
        assert f"socket = {socket}" in lines("edge-2", OPENSIPS)
    assert 'modparam("dispatcher", "persistent_state", 0)' in lines("edge-1", OPENSIPS)
    assert f"'udp:{ADDRESS}:5062'::text as socket" in configure("edge-1").files["/etc/opensips/dispatcher.sql"]
    assert f"OPENSIPS_SIP_ADDRESS={ADDRESS}" in lines("edge-1", "/etc/webitel/webitel-uac.env")


def test_freeswitch_knows_one_address_and_lets_it_in() -> None:
    assert f'data="outbound_sip_proxy={ADDRESS}:5062"' in configure("app-1").files["/etc/freeswitch/vars.xml"]
    let_in = {line.rpartition("comment ")[2]: line for line in lines("app-1", NFTABLES) if ADDRESS in line}
    assert set(let_in) == {'"freeswitch sip"', '"freeswitch rtp"'}
    assert not [line for line in lines("data-1", NFTABLES) if ADDRESS in line]
    assert f'targets: ["{ADDRESS}:5060"]' in configure("data-1").files["/etc/prometheus/prometheus.yml"]


def test_redis_begins_as_a_copy_of_the_other_node_and_only_that_one_gets_to_it() -> None:
    redis = lines("edge-1", "/etc/redis/redis.conf")
    assert "replicaof {{address:edge-2}} 6379" in redis and "bind 127.0.0.1 {{address:edge-1}}" in redis
    opened = [line for line in lines("edge-1", NFTABLES) if "redis copy" in line]
    assert opened == ['ip saddr { $edge_nodes } tcp dport 6379 counter accept comment "redis copy"']
    assert "define edge_nodes = { {{address:edge-2}} }" in lines("edge-1", NFTABLES)


def test_what_moves_with_the_address_goes_with_the_keeper() -> None:
    manifest = configure("edge-1").manifest
    assert manifest["sip_address"] == ADDRESS
    moving = {
        service["name"]: service.get("lock", service["name"]) for service in manifest["services"] if "candidates" in service
    }
    assert moving == dict.fromkeys((sip_address.SERVICE, *FOLLOWING), sip_address.SERVICE)
    units = {unit["name"]: unit["waits"] for unit in manifest["units"] if unit.get("moves")}
    assert units.keys() == {"rtpengine-daemon", "opensips", "webitel-uac", "sip-websocket"}
    assert units["rtpengine-daemon"] == units["opensips"] == [], "a program that waits takes seconds to begin"
    media = lines("edge-1", "/etc/systemd/system/rtpengine-daemon.service.d/webitel.conf")
    begins = [line for line in media if line.startswith(("ExecStartPre=", "ExecStopPost="))]
    assert begins[:2] == ["ExecStartPre=", "ExecStopPost="] and len(begins) == 3, "Debian's own are left out, ours stay"
    for name in units:
        assert "BindsTo=webitel-locks.service" in lines("edge-1", f"/etc/systemd/system/{name}.service.d/webitel.conf")
    keeper = lines("edge-1", "/etc/systemd/system/webitel-locks.service.d/sip-address.conf")
    assert "CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW" in keeper
    assert any(line.startswith("ExecStopPost=") and f"ip addr del {ADDRESS}/32 dev $$link" in line for line in keeper)


def test_where_a_cloud_moves_the_address_one_program_asks_it_and_no_other_gets_to_the_metadata() -> None:
    settings = Settings.model_validate({"cloud": "aws", "tier": "basic", "counts": {"edge": 2}, "carriers": ["198.51.100.0/24"]})
    plan = make_plan(settings, "s")
    edge = compose_configuration(plan, plan.node("edge-2"), settings)
    assert edge.manifest["address_move"] == {"by": "aws", "public": "{{address:sip.public}}", "handle": "{{address:sip.handle}}"}
    assert "interface = ext/10.20.128.39!{{address:sip.public}};int/10.20.128.39" in edge.files[RTPENGINE]
    assert "socket = udp:10.20.128.39:5060 as {{address:sip.public}}" in edge.files[OPENSIPS]
    units = "/etc/systemd/system"
    mover, keeper = (edge.files[f"{units}/webitel-{name}.service.d/hardening.conf"] for name in ("address", "locks"))
    assert "IPAddressDeny" not in mover and "CapabilityBoundingSet=\n" in mover
    assert "IPAddressDeny=169.254.169.254" in keeper
    assert f"ExecStopPost=-/bin/rm -f {sip_address.HELD}" in edge.files[f"{units}/webitel-locks.service.d/sip-address.conf"]
    alone = Settings.model_validate({"cloud": "aws", "tier": "basic"})
    plan = make_plan(alone, "s")
    single = compose_configuration(plan, plan.node("edge-1"), alone)
    assert "address_move" not in single.manifest and not [path for path in single.files if "webitel-address" in path]


def test_where_no_cloud_translates_the_public_address_is_the_nodes_own_for_that_time() -> None:
    values = {"counts": {"edge": 2}, "address_token": "a secret", "carriers": ["198.51.100.0/24"], "phones": ["192.168.7.0/24"]}
    settings = Settings.model_validate({"cloud": "hetzner", "tier": "basic", **values})
    plan = make_plan(settings, "s")
    edge = compose_configuration(plan, plan.node("edge-2"), settings)
    outer, inner = "{{address:sip.public}}", "10.20.0.39"
    assert edge.manifest["address_move"] == {
        "by": "hetzner",
        "public": outer,
        "handle": "{{address:sip.handle}}",
        "beside": "{{address:edge-2.public}}",
    }
    assert f"interface = ext/{outer};int/{inner}" in edge.files[RTPENGINE]
    assert f"socket = udp:{outer}:5060\n" in edge.files[OPENSIPS] and f"socket = udp:{inner}:5062" in edge.files[OPENSIPS]
    assert "edge-2.public" not in edge.files[OPENSIPS]
    rules = edge.files[NFTABLES]
    assert f"ip daddr {{ {inner}, {outer} }} tcp dport {{ 80, 443 }} redirect" in rules
    assert f"ip saddr {{ {{{{address:edge-2.public}}}}, {outer} }} ip daddr {{ 10.0.0.0/8" in rules
    assert f"ip saddr {{ {{{{address:edge-2.public}}}}, {outer} }} ip daddr 192.168.7.0/24 accept" in rules
    unit = edge.files["/etc/systemd/system/webitel-locks.service.d/sip-address.conf"]
    assert f"addr show to {inner} |" in unit and f"addr show to {outer} |" in unit
    assert edge.files["/etc/webitel/address-token"] == "{{secret:address_token}}\n"
    assert edge.attributes["/etc/webitel/address-token"]["mode"] == "0600"
    app = compose_configuration(plan, plan.node("app-1"), settings)
    assert "address_token" not in str((app.files, app.manifest)), "no other node gets it"


def test_where_a_cloud_forwards_the_public_address_the_node_translates_it_packet_by_packet() -> None:
    settings = Settings.model_validate({"cloud": "gcp", "tier": "basic", "counts": {"edge": 2}})
    plan = make_plan(settings, "s")
    edge, app = (compose_configuration(plan, plan.node(key), settings) for key in ("edge-1", "app-1"))
    assert edge.manifest["address_move"] == {"by": "gcp", "public": "{{address:sip.public}}", "handle": "{{address:sip.handle}}"}
    text = edge.files[NFTABLES]
    assert "ip daddr {{address:sip.public}} ip daddr set 10.20.0.39" in text
    assert "ip saddr 10.20.0.39 ip saddr set {{address:sip.public}}" in text
    assert text.index("ip daddr 10.20.0.0/16 accept") < text.index("ip saddr 10.20.0.39 ip saddr set"), "not inside the network"
    assert "interface = ext/10.20.0.39!{{address:sip.public}};int/10.20.0.39" in edge.files[RTPENGINE]
    assert "ip_forwarding = false" in edge.files["/etc/default/instance_configs.cfg"], "the keeper has the address, nobody else"
    assert "sip.public" not in app.files[NFTABLES]
    other = Settings.model_validate({"cloud": "aws", "tier": "basic", "counts": {"edge": 2}})
    plan = make_plan(other, "s")
    assert "sip.public" not in compose_configuration(plan, plan.node("edge-1"), other).files[NFTABLES], "AWS translates"


def test_web_is_ready_on_both() -> None:
    assert f"ip daddr {ADDRESS} tcp dport {{ 80, 443 }} redirect" in lines("edge-2", NFTABLES)
    upstream = configure("edge-2").files["/etc/nginx/sites-enabled/default"]
    assert upstream.count(":5071 max_fails=2") == 2, "to the node where OpenSIPS is"


def configure_given(key: str, edges: int) -> Configuration:
    """One of the nodes for SIP, or two, on given hosts: the address is the one that their owner gave."""
    values = {"cloud": "onprem", "tier": "basic", "counts": {"edge": edges}, "sip_address": "10.20.0.200"}
    settings = with_hosts(Settings.model_validate(values))
    plan = make_plan(settings, "s")
    return compose_configuration(plan, plan.node(key), settings)


def test_a_second_node_changes_nothing_that_carries_calls() -> None:
    alone, pair = configure_given("edge-1", 1), configure_given("edge-1", 2)
    assert alone.files.keys() == pair.files.keys()
    changed = {path for path in pair.files if alone.files[path] != pair.files[path]}
    assert changed == {
        "/etc/hosts",
        NFTABLES,
        "/etc/nginx/sip-websocket.conf",
        "/etc/nginx/sites-enabled/default",
        "/etc/redis/redis.conf",
        "/etc/systemd/system/redis-server.service.d/webitel.conf",
    }
    app = configure_given("app-1", 1).files, configure_given("app-1", 2).files
    assert {path for path in app[1] if app[0][path] != app[1][path]} == {"/etc/hosts", NFTABLES}
    assert alone.units == pair.units or [one["name"] for one in alone.units] == [one["name"] for one in pair.units]


def test_one_node_alone_has_the_address_by_its_lock_and_copies_from_nobody() -> None:
    alone = configure_given("edge-1", 1)
    assert alone.manifest["sip_address"] == "10.20.0.200"
    candidates = {one["name"]: one["candidates"] for one in alone.manifest["services"] if "candidates" in one}
    assert candidates.keys() == {sip_address.SERVICE, *FOLLOWING}
    assert all([one["key"] for one in found] == ["edge-1"] for found in candidates.values())
    assert "replicaof" not in alone.files["/etc/redis/redis.conf"].replace("+replicaof", "")
    assert "ip saddr {  }" not in alone.files[NFTABLES]


def test_a_browser_that_comes_by_the_address_is_no_stranger() -> None:
    names = [line for line in lines("edge-2", "/etc/nginx/sites-enabled/default") if line.startswith("server_name")]
    assert names and all(line.rstrip(";").split()[-1] == ADDRESS for line in names)


def test_where_the_web_is_on_other_nodes_the_address_leads_to_sip_alone() -> None:
    settings = Settings.model_validate({"cloud": "local", "tier": "extended", "counts": {"sip": 2}})
    plan = make_plan(settings, "s")
    files = {node.key: compose_configuration(plan, node, settings).files for node in plan.nodes}
    address = plan.sip_address
    assert f"socket = udp:{address}:5060" in files["sip-2"][OPENSIPS]
    assert "redirect" not in files["sip-1"][NFTABLES] and "/etc/nginx/sites-enabled/default" not in files["sip-1"]
    web = files["web-1"]["/etc/nginx/sites-enabled/default"]
    assert web.count(":5071 max_fails=2") == 2 and address not in web
    assert f'data="outbound_sip_proxy={address}:5062"' in files["media-2"]["/etc/freeswitch/vars.xml"]
    assert [address in files[key][NFTABLES] for key in ("media-1", "web-1", "db-1")] == [True, False, False]
    first, second = (files[key]["/etc/opensips/routes.cfg"] for key in ("sip-1", "sip-2"))
    assert first.replace("sip-1", "own") == second.replace("sip-2", "own")


def test_outside_a_router_both_say_the_address_that_is_translated_to_theirs() -> None:
    settings = Settings.model_validate({"cloud": "local", "tier": "basic", "counts": {"edge": 2}, "local_network": "nat"})
    plan = make_plan(settings, "s")
    files = compose_configuration(plan, plan.node("edge-2"), settings).files
    outside = plan.sip_outside
    assert f"socket = udp:{ADDRESS}:5060 as {outside}" in files[OPENSIPS]
    assert f"interface = ext/{ADDRESS}!{outside};int/{ADDRESS}" in files[RTPENGINE]
    assert f"OPENSIPS_SIP_ADDRESS={outside}" in files["/etc/webitel/webitel-uac.env"]
    assert f"@{outside}:5060;media=" in files["/etc/opensips/routes.cfg"]
    assert outside in files["/etc/nginx/sites-enabled/default"]
