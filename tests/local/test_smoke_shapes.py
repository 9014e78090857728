"""`smoke` by its command against each shape of a deployment: as a stranger, with a phone that calls, and with a load.

OpenSIPS and FreeSWITCH are stand-ins on these nodes, rtpengine, nginx and what is behind them are real. `basic` is enough for
whoever is in a hurry: `-k basic`.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.local.conftest import FIGURES, Figure
from tests.local.deployment import Deployment
from tests.local.telephony import ADMIN_SQL, Telephony
from tests.long_form import only_long

pytestmark = [
    pytest.mark.nodes,
    only_long("four deployments, up to seven nodes"),
]

LIMIT_SECONDS = 60
PHONE, REALM, PASSWORD = "1001", "webitel", "phone-password"
CALLS = 20
RULE = "udp dport 10000-19999 numgen inc mod 50 0 drop;"
LOSSY = f"nft 'table inet lossy {{ chain input {{ type filter hook input priority -200; {RULE} }}; }}'"
"""One in fifty packets of audio that come in."""
SHAPES: dict[str, dict[str, Any]] = {
    "single": {"tier": "single"},
    "basic": {"tier": "basic"},
    "extended": {"tier": "extended"},
    "translated": {"tier": "basic", "local_network": "nat"},
}


@pytest.fixture(scope="module", params=SHAPES)
def shape(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """A deployment that knows nobody outside."""
    settings, folder = SHAPES[request.param], tmp_path_factory.mktemp(request.param)
    name = f"t{os.getpid()}-{request.param[:6]}"
    made: Deployment
    if "local_network" in settings:
        made = Telephony(folder, name, settings | {"carriers": [], "phones": []})
    else:
        made = Deployment(folder, name, settings)
    made.make_checkout()
    try:
        request.config.stash[FIGURES].append((f"up for smoke, {request.param}", made.up().seconds, "s"))
        yield made
    finally:
        made.end()


def smoke(deployment: Deployment, *arguments: str, status: int = 0) -> dict[str, Any]:
    """What it found."""
    found: dict[str, Any] = json.loads(deployment.webitel("smoke", deployment.name, "--json", *arguments, status=status).output)
    return found


def add_phone(deployment: Deployment, trunk: str) -> str:
    """A phone and a trunk, as Webitel's own program writes them; `--account` for it."""
    database, edge = deployment.with_service("postgresql")[0], deployment.with_service("opensips")[0]
    digest = hashlib.md5(f"{PHONE}:{REALM}:{PASSWORD}".encode(), usedforsecurity=False).hexdigest()
    address = next(iter(node["address"] for key, node in read_nodes(deployment).items() if key == edge.key))
    domain = "(select min(dc) from directory.wbt_domain)"
    database.on_node(f"""cd / && {ADMIN_SQL} -c "
        insert into sip_subscriber (uid, dc, realm, user_id, auth_id, digest_ha1, extension)
            values (1, {domain}, '{REALM}', '{PHONE}', '{PHONE}', '{digest}', '{PHONE}') on conflict do nothing;
        insert into sip_address_allow (dc, name, host, ip) values ({domain}, 'outside', '{address}:5060', '{trunk}')" """)
    edge.on_node("/usr/lib/webitel/setup/opensips.sh address_reload")
    file = deployment.folder / "phone-password"
    file.write_text(f"{PASSWORD}\n")
    file.chmod(0o600)
    return f"{PHONE}@{REALM}:{file}"


def read_nodes(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """What the deployment says of each node, by key."""
    (stack,) = [resource for resource in deployment.resources() if resource["type"] == "pulumi:pulumi:Stack"]
    found: dict[str, dict[str, Any]] = stack["outputs"]["nodes"]
    return found


@pytest.fixture(scope="module")
def stranger(shape: Deployment) -> dict[str, Any]:
    """What smoke finds from a machine that the settings do not name."""
    return smoke(shape)


@pytest.fixture(scope="module")
def account(shape: Deployment, stranger: dict[str, Any]) -> str:
    """This machine as a phone and a trunk."""
    here = [f"{stranger['seen_as']}/32"]
    shape.set(phones=here, carriers=here)
    shape.up()
    return add_phone(shape, stranger["seen_as"])


def test_all_is_right_for_a_stranger(shape: Deployment, stranger: dict[str, Any], figure: Figure) -> None:
    assert stranger["passed"], stranger
    assert stranger["seconds"] < LIMIT_SECONDS
    shut = [row["found"] for row in stranger["checks"] if row["check"] == "sip" and not row["target"].startswith("wss:")]
    assert len(shut) == 3 and all(one.startswith("closed, as planned") for one in shut), shut
    figure(f"smoke of {shape.name.partition('-')[2]}, {len(stranger['checks'])} questions", stranger["seconds"])


def test_a_phone_registers_calls_and_is_gone(shape: Deployment, account: str, figure: Figure) -> None:
    found = smoke(shape, "--account", account, "--call", "echo")
    assert found["passed"], found
    assert found["seconds"] < LIMIT_SECONDS
    doors = {row["target"].partition(":")[0]: row["found"] for row in found["checks"] if row["check"] == "sip"}
    assert all(doors[name].startswith("200 OK") for name in ("udp", "tcp", "tls", "wss")), doors
    registered, called = [row for row in found["checks"] if row["check"] == "call"]
    assert registered["found"] == "REGISTER: 200 OK"
    assert called["figures"]["lost"] == 0 and called["figures"]["echoed"] > 480, called
    figure("a call of smoke: set-up", called["figures"]["ms"], "ms")
    (edge,) = shape.with_service("opensips")
    assert PHONE not in edge.on_node("/usr/lib/webitel/setup/opensips.sh ul_dump")


def test_a_wrong_password_and_a_number_that_nobody_answers_fail(shape: Deployment, account: str) -> None:
    wrong = shape.folder / "wrong-password"
    wrong.write_text("wrong\n")
    wrong.chmod(0o600)
    found = smoke(shape, "--account", f"{account.partition(':')[0]}:{wrong}", "--call", "echo", status=1)
    (refused,) = [row for row in found["checks"] if row["check"] == "call"]
    assert refused["state"] == "fail" and refused["found"].startswith("REGISTER: 40"), refused
    media = shape.with_service("freeswitch")
    for node in media:
        node.on_node("fs_cli -x 'fsctl pause inbound'")
    try:
        found = smoke(shape, "--account", account, "--call", "echo", status=1)
    finally:
        for node in media:
            node.on_node("fs_cli -x 'fsctl resume inbound'")
    registered, refused = [row for row in found["checks"] if row["check"] == "call"]
    assert (registered["state"], refused["state"]) == ("pass", "fail"), refused
    assert refused["found"].startswith("INVITE: 50"), refused


def test_a_load_is_carried_and_drawn(shape: Deployment, account: str, figure: Figure) -> None:
    for node in shape.nodes():
        node.wait_healthy(60)
    drawn = shape.folder / "load.svg"
    load = smoke(shape, "--load", str(CALLS), "--call", "echo", "--plot", str(drawn))["load"]
    assert (load["calls"], load["lost"], load["ended"]) == (CALLS, 0, ""), load
    assert load["mos"] > 4
    assert all(load["calls_per_core"][name] > CALLS for name in ("rtpengine", "freeswitch")), load
    figure(f"load of {CALLS} calls: set-up, median", load["set_up_ms"]["median"], "ms")
    figure(f"load of {CALLS} calls: set-up, 99th percentile", load["set_up_ms"]["p99"], "ms")
    for name, calls in load["calls_per_core"].items():
        figure(f"load of {CALLS} calls: {name}{' (stand-in)' * (name == 'freeswitch')}, calls a core", calls, "")
    assert ElementTree.parse(drawn).getroot().tag.endswith("svg")


def test_a_load_ends_with_the_first_loss(shape: Deployment, account: str) -> None:
    (edge,) = shape.with_service("rtpengine")
    edge.on_node(LOSSY)
    begun = time.monotonic()
    try:
        load = smoke(shape, "--load", str(CALLS), "--call", "echo", status=1)["load"]
    finally:
        edge.on_node("nft delete table inet lossy")
    assert "packets lost with" in load["ended"], load
    assert load["calls"] < CALLS
    assert time.monotonic() - begun < 30


def test_more_calls_than_the_tier_is_made_for_are_refused(shape: Deployment, account: str) -> None:
    done = shape.webitel("smoke", shape.name, "--load", "1000", "--call", "echo", status=1)
    assert "is made for" in done.said and "--beyond" in done.said


def test_nothing_is_left_of_it_on_the_nodes(shape: Deployment, tmp_path: Path) -> None:
    for node in shape.with_service("freeswitch"):
        assert node.on_node("fs_cli -x 'show calls count'").startswith("0 ")
