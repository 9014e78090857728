"""The program that has a cloud move the address of SIP, as the unit that nodes on Hetzner get, under real systemd.

What Hetzner answers is a stand-in's, over TLS on this machine; `tests/unit/node/test_hcloud.py` has what it does where that
refuses, fails or hangs.
"""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloud_init.node.clusters import hcloud
from cloud_init.node.clusters.address_move import TOLD
from cloud_init.node.clusters.sip_address import HELD
from provider.certificates import make_authority, sign_server
from tests.local.deployment import Deployment, wait_until
from tests.plans import compose_configuration, load_stack, make_plan
from tests.unit.node.hetzner_standin import ADDRESS, FLOATING, PUBLIC, TOKEN, Cloud, serve

pytestmark = pytest.mark.local

UNIT = "webitel-address"
FOLDER = "/run/webitel-test"
INPUTS = f"""[Service]
BindReadOnlyPaths={FOLDER}/node.json:/etc/webitel/node.json {FOLDER}/token:{hcloud.TOKEN} {FOLDER}/hosts:/etc/hosts
Environment=SSL_CERT_FILE={FOLDER}/authority.pem
"""
"""What the test gives it in place of a server's own on Hetzner."""


@contextmanager
def hetzner(place: str, folder: Path) -> Iterator[tuple[Cloud, str]]:
    """The stand-in at the port of HTTPS, and the authority by which it is believed."""
    (authority, shown), key = make_authority(), folder / "server.pem"
    key.write_text(sign_server(authority, hcloud.HOST))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(key)
    cloud = Cloud()
    with serve(cloud, (place, 443), tls):
        yield cloud, shown


def read_unit() -> dict[str, str]:
    """The files of the unit, as the first of two nodes for SIP on Hetzner gets them."""
    settings = load_stack("hetzner-basic").settings.model_copy(update={"counts": {"edge": 2}, "address_token": "a-token"})
    plan = make_plan(settings, "hetzner-basic")
    files = compose_configuration(plan, plan.node("edge-1"), settings).files
    found = {path: text for path, text in files.items() if f"/{UNIT}.service" in path}
    assert len(found) == 2, "the unit, and what shuts it in"
    return found


@pytest.fixture
def unit(healthy: Deployment) -> Iterator[dict[str, str]]:
    """They are on the node, with the inputs of a server of Hetzner's, and the address on an interface; all goes at the end."""
    files = read_unit() | {f"/etc/systemd/system/{UNIT}.service.d/test.conf": INPUTS}
    manifest = json.loads(healthy.on_node("cat /etc/webitel/node.json"))
    moved = {"by": "hetzner", "public": PUBLIC, "handle": str(FLOATING), "beside": healthy.address}
    manifest |= {"node": "s-edge-1", "key": "edge-1", "stack": "s", "address": "10.0.0.1", "sip_address": ADDRESS}
    files |= {f"{FOLDER}/node.json": json.dumps(manifest | {"address_move": moved}), f"{FOLDER}/token": TOKEN}
    files |= {f"{FOLDER}/hosts": f"{healthy.gateway} {hcloud.HOST}\n"}
    try:
        for path, text in files.items():
            healthy.on_node(f"mkdir -p $(dirname {path}) && cat >{path} && chmod 600 {path}", text=text)
        healthy.on_node(f"touch {hcloud.TOKEN}; ip address add {ADDRESS}/32 dev lo; systemctl daemon-reload")
        yield files
    finally:
        healthy.on_node(
            f"systemctl stop {UNIT}; ip address delete {ADDRESS}/32 dev lo; rm -f {HELD} {TOLD} {hcloud.TOKEN}", check=False
        )
        healthy.on_node(f"rm -rf {FOLDER} /etc/systemd/system/{UNIT}.service*; systemctl daemon-reload", check=False)


def test_it_moves_the_address_shut_in_as_it_is(healthy: Deployment, unit: dict[str, str], tmp_path: Path) -> None:
    def tell() -> str:
        return healthy.on_node(f"cat {TOLD} || true", check=False)

    with hetzner(healthy.gateway, tmp_path) as (cloud, authority):
        healthy.on_node(f"cat >{FOLDER}/authority.pem; chmod 644 {FOLDER}/authority.pem", text=authority)
        healthy.on_node(f"systemctl start {UNIT}")
        wait_until(lambda: "" if '"wrong": ""' in tell() else tell() or "it has told nothing", 20)
        assert cloud.asked == 0, "the keeper does not have the address"
        healthy.on_node(f"touch {HELD}")
        wait_until(lambda: "" if cloud.leads_to == 11 and cloud.aliases[11] == [ADDRESS] else tell(), 20)
        healthy.on_node(f"rm {HELD}")
        cloud.token, asked = "another", cloud.asked
        healthy.on_node(f"sleep 6; touch {HELD}")
        wait_until(lambda: "" if "unauthorized: what Hetzner says" in tell() else tell(), 20)
        assert cloud.asked > asked
        shown = healthy.on_node(f"systemctl show -P NRestarts -P NoNewPrivileges -P CapabilityBoundingSet {UNIT}")
        assert shown.splitlines()[0] == "0", healthy.on_node(f"journalctl -u {UNIT} -n 30 -o cat")
        process = healthy.on_node(f"systemctl show -P MainPID {UNIT}")
        assert "NoNewPrivs:\t1" in healthy.on_node(f"cat /proc/{process}/status")
