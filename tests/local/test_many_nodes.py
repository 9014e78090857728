"""Several nodes: who reaches whom, what a lost one stops, changes one at a time, more and fewer of them."""

import json
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.local.conftest import FIGURES, Figure
from tests.local.deployment import Deployment, wait_until
from tests.local.ports import check_tcp_ports, check_udp_ports, nodes_of
from tests.local.power import HEALTHY_SECONDS, incus, switch_off_and_on, wait_all_healthy, wait_sick

pytestmark = pytest.mark.nodes

ADMIN_SQL = "runuser -u postgres -- psql -XAtq webitel -c"


@pytest.fixture(scope="module")
def basic(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """`basic` with two app nodes, up and healthy."""
    deployment = Deployment(tmp_path_factory.mktemp("many"), f"t{os.getpid()}-many", {"tier": "basic", "counts": {"app": 2}})
    deployment.make_checkout()
    try:
        done = deployment.up()
        request.config.stash[FIGURES].append(("up of four nodes", done.seconds, "s"))
        yield deployment
    finally:
        deployment.end()


def test_tcp_ports_between_nodes_are_those_of_the_plan(basic: Deployment) -> None:
    check_tcp_ports(basic)


def test_udp_ports_between_nodes_are_those_of_the_plan(basic: Deployment) -> None:
    check_udp_ports(basic)


def test_each_node_is_known_once_by_its_own_id(basic: Deployment) -> None:
    select = "select destination from dispatcher where setid = 1 order by 1"
    rows = basic.at("data-1").on_node(f"cd / && {ADMIN_SQL} '{select}'").split()
    nodes = nodes_of(basic)
    assert rows == [f"sip:{nodes[key]['private_address']}:5080" for key in ("app-1", "app-2")]
    ids = [json.loads(basic.at(key).on_node("cat /etc/webitel/node.json"))["id"] for key in nodes]
    assert len(set(ids)) == len(ids)
    site = basic.at("edge-1").on_node("nginx -T 2>/dev/null")
    assert all(site.count(f"server {nodes[key]['private_address']}:8080 ") == 1 for key in ("app-1", "app-2"))
    found = json.loads(basic.at("edge-1").on_node("curl -sS 127.0.0.1:8500/v1/catalog/service/engine"))
    assert len({entry["ServiceID"] for entry in found}) == 2


def test_a_change_that_fails_leaves_the_nodes_behind_it_alone(basic: Deployment) -> None:
    before = basic.at("app-2").units()
    file = "/etc/freeswitch/freeswitch.xml"
    was = basic.at("app-2").on_node(f"sha256sum {file}")
    with basic.edit("cloud_init/files/freeswitch/freeswitch.xml", "</document>", "</documen>"):
        failed = basic.up(status=1)
    assert "app-1" in failed.said and "was rejected by its own program" in failed.said
    assert "app-2  " not in failed.errors
    assert basic.at("app-2").units() == before
    assert basic.at("app-2").on_node(f"sha256sum {file}") == was
    basic.up()
    assert basic.at("app-2").units() == before


def test_a_patch_rolls_one_node_at_a_time_and_stops_at_the_first_failure(basic: Deployment, figure: Figure) -> None:
    nodes = [basic.at(key) for key in ("app-1", "app-2")]
    before, was = [node.units() for node in nodes], [node.versions("webitel-engine") for node in nodes]
    version = was[0]["webitel-engine"][0]
    basic.set(package_versions={"webitel-engine": f"{version}+9"})
    failed = basic.up(status=1)
    assert f"webitel:package_versions.webitel-engine = {version}+9: {nodes[0].node}: its repositories have" in failed.said
    assert f"{nodes[1].node}:" not in failed.said
    assert [node.units() for node in nodes] == before
    basic.set(package_versions={"webitel-engine": f"{version}+1"})
    done = basic.up()
    figure("up with a patch version of a service on two nodes", done.seconds)
    assert [node.versions("webitel-engine") for node in nodes] == [{"webitel-engine": (f"{version}+1", True)}] * 2
    starts = []
    for node, units in zip(nodes, before, strict=True):
        after = node.units()
        assert {name for name in units if after[name] != units[name]} == {"engine"}
        starts.append(float(node.on_node("systemctl show -p ActiveEnterTimestamp --value engine --timestamp=unix").lstrip("@")))
    assert starts[0] < starts[1]


MOVING = {"logger": "webitel-logger", "messages-bot": "messages-bot"}
"""By service that moves, its unit."""


def find_runners(deployment: Deployment, keys: Sequence[str] = ("app-1", "app-2")) -> dict[str, set[str]]:
    """By service that moves, the app nodes that run it, past `status`: by their units."""
    units = {key: deployment.at(key).units() for key in keys}
    found = {service: {key for key in keys if units[key][unit]["ActiveState"] == "active"} for service, unit in MOVING.items()}
    return {service: runners for service, runners in found.items() if runners}


def test_one_node_runs_what_moves_and_the_other_is_ready(basic: Deployment) -> None:
    assert find_runners(basic) == {service: {"app-1"} for service in MOVING}, "the first one has a head start"
    rows = {row["name"]: row for row in basic.status()["nodes"]["app-2"]["services"]}
    assert {rows[service]["standby"] for service in MOVING} == {"app-1"} and all(rows[service]["healthy"] for service in MOVING)
    assert basic.webitel("drift", basic.name).status == 0
    basic.at("app-2").on_node("systemctl start webitel-logger")
    wait_until(lambda: "" if find_runners(basic).get("logger") == {"app-1"} else "two of them run", 30)
    before = basic.at("app-1").units()["webitel-logger"]["MainPID"]
    basic.at("app-1").on_node("systemctl kill -s KILL webitel-locks")
    wait_until(lambda: "" if find_runners(basic).get("logger") == {"app-1"} else "app-1 does not run it again", 30)
    assert basic.at("app-1").units()["webitel-logger"]["MainPID"] != before, "without its lock's keeper it does not run"
    wait_all_healthy(basic, 120)


def test_a_lost_app_node_stops_only_what_runs_on_it(basic: Deployment, figure: Figure) -> None:
    started = time.monotonic()
    incus("stop", "--force", f"{basic.name}-app-1")
    try:
        fetch = "curl -sk -o /dev/null -w '%{http_code}' https://" + nodes_of(basic)["edge-1"]["private_address"]

        def ask(path: str, wanted: bool, status: str) -> str:
            said = basic.at("edge-1").on_node(fetch + path, check=False)
            return "" if (said == status) is wanted else f"{path}: {said}"

        figure("node app-1 lost: seconds without the API", wait_until(lambda: ask("/api/srvinfo", True, "200"), 60))
        wait_until(lambda: "" if set(find_runners(basic, ("app-2",))) == set(MOVING) else "app-2 does not run it yet", 120)
        figure("node app-1 lost: seconds until app-2 runs what moves", time.monotonic() - started)
        wait_until(lambda: ask("/chat/", False, "502"), 60)

        wait_sick(basic, {"app-1"}, 60)
    finally:
        incus("start", f"{basic.name}-app-1")
    figure("node app-1 back: seconds until all healthy", wait_all_healthy(basic, HEALTHY_SECONDS))
    assert find_runners(basic) == {service: {"app-2"} for service in MOVING}, "who has it keeps it"


def test_a_drained_node_hands_over_what_moves(basic: Deployment, figure: Figure) -> None:
    started = time.monotonic()
    basic.at("app-2").on_node("webitel-node drain && webitel-node resume", seconds=120)
    figure("node app-2 drained: seconds until app-1 has what moves", time.monotonic() - started)
    wait_all_healthy(basic, 120)
    assert find_runners(basic) == {service: {"app-1"} for service in MOVING}


def test_all_off_and_on_in_any_order(basic: Deployment, figure: Figure) -> None:
    figure("four nodes off and on: seconds until all healthy", switch_off_and_on(basic))


def test_dump_holds_everything_and_no_secret(basic: Deployment, tmp_path: Path) -> None:
    target = tmp_path / "dump.tar.gz"
    basic.webitel("dump", basic.name, str(target))
    with tarfile.open(target) as archive:
        texts = {entry.name: (archive.extractfile(entry) or pytest.fail(entry.name)).read().decode() for entry in archive}
    for key in nodes_of(basic):
        own = {name for name in texts if f"/{basic.name}-{key}/" in name}
        assert any(name.endswith("/logs/consul.log") for name in own)
        assert any(name.endswith("/etc/webitel/node.json") for name in own)
    secrets = basic.read_secrets()
    shown = {
        (name, secret)
        for name, text in texts.items()
        for secret, value in secrets.items()
        for line in (value.strip().splitlines() if "-----" in value else [value])
        if len(line) >= 16 and "-----" not in line and "CERTIFICATE" not in value and line in text
    }
    assert not shown


def test_a_replaced_machine_keeps_its_data_and_no_other_is_touched(basic: Deployment, figure: Figure) -> None:
    basic.at("data-1").on_node(f"cd / && {ADMIN_SQL} \"create table kept as select 'kept'::text as value; checkpoint\"")
    before = {key: basic.at(key).on_node("cat /var/lib/cloud/data/instance-id") for key in nodes_of(basic)}
    starts = basic.at("edge-1").units()["nginx"]["ActiveEnterTimestampMonotonic"]
    done = basic.webitel("replace", "data-1", "--stack", basic.name, "--yes")
    figure("data-1 replaced until healthy", done.seconds)
    after = {key: basic.at(key).on_node("cat /var/lib/cloud/data/instance-id") for key in before}
    assert {key for key in before if before[key] != after[key]} == {"data-1"}
    assert basic.at("data-1").on_node(f"cd / && {ADMIN_SQL} 'select value from kept'") == "kept"
    assert basic.at("edge-1").units()["nginx"]["ActiveEnterTimestampMonotonic"] == starts
    assert "Nothing to change." in basic.up().output


def test_scaled_down_it_leaves_first(basic: Deployment, figure: Figure) -> None:
    untouched = basic.at("app-1").units()
    refused = basic.webitel("scale", "edge", "3", basic.name, "--yes", status=1)
    assert "OpenSIPS cannot run twice yet" in refused.said
    done = basic.webitel("scale", "app", "1", basic.name, "--yes")
    figure("an app node taken out", done.seconds)
    basic.settings["counts"] = {"app": 1}
    assert (
        f"{basic.name}-app-2"
        not in subprocess.run(
            ["incus", "list", "-f", "csv", "-c", "n"], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    rows = basic.at("data-1").on_node(f"cd / && {ADMIN_SQL} 'select count(*) from dispatcher where setid = 1'")
    assert rows == "1"
    members = basic.at("edge-1").on_node("curl -sS 127.0.0.1:8500/v1/catalog/nodes")
    assert "app-2" not in members
    assert basic.at("app-1").units()["freeswitch"] == untouched["freeswitch"]
    ask = "systemctl is-active {0}; systemctl is-enabled {0} 2>/dev/null"
    alone = {
        unit: basic.at("app-1").on_node(ask.format(unit), check=False).split() for unit in (*MOVING.values(), "webitel-locks")
    }
    assert alone == {unit: ["active", "enabled"] for unit in MOVING.values()} | {"webitel-locks": ["inactive"]}
    assert "Nothing to change." in basic.up().output
