"""The public certificate from a real ACME server (Pebble), by Debian's lego, the rendered nginx and a real Consul."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloud_init.node.apply import certificate
from cloud_init.node.ask import certificate as asked
from cloud_init.node.ask import consul
from cloud_init.node.health import machine
from cloud_init.node.manifest import DiskEntry, Manifest, OrderEntry, empty_manifest
from components.model.settings import Settings
from provider.certificates import make_account_key, make_authority, sign_server, thumbprint
from provider.secrets import make_password
from stacks.load import load_deployment
from tests.plans import compose_configuration, make_plan
from tests.sandbox.consul_agent import running_agent
from tests.sandbox.pebble import Pebble, run_pebble
from tests.sandbox.test_nginx import NAME, OTHER_NAME, Site
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

ELSEWHERE = "127.0.77.1"
RELOADED = "reload nginx"


@dataclass
class Node:
    """A node that shows the certificate: its folder, and what was done to its services. Nothing of it is another node's but
    account and password."""

    folder: Path
    account: str
    password: str
    done: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def become(self, patch: pytest.MonkeyPatch) -> Node:
        """Have the node program run as on this node."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "account.key").write_text(self.account)
        (self.folder / "password").write_text(self.password)
        for module in (certificate, asked):
            patch.setattr(module, "FOLDER", self.folder)
            patch.setattr(module, "MEMORY", self.folder / "memory.json")
            patch.setattr(module, "SHOWN", self.folder / "webitel.pem")
        patch.setattr(machine, "SHOWN", self.folder / "webitel.pem")
        patch.setattr(certificate, "ACCOUNT", self.folder / "account.key")
        patch.setattr(certificate, "PASSWORD", self.folder / "password")
        patch.setattr(certificate, "perform", lambda verb, unit, update: self.done.append(f"{verb} {unit}"))
        return self

    def look(self, order: OrderEntry) -> bool:
        """Run what the timer runs."""
        self.folder.mkdir(exist_ok=True)
        disks: list[DiskEntry] = [{"purpose": "database", "mount": str(self.folder / "disk"), "size_gib": 1}]
        manifest = empty_manifest() | Manifest(order=order, disks=disks)  # type: ignore[typeddict-item]
        return certificate.renew(manifest, lambda _, text: self.said.append(text))

    @property
    def shown(self) -> str:
        return (self.folder / "webitel.pem").read_text()

    def serial(self) -> str:
        return asked.ask_openssl(self.shown, "-serial")


@dataclass
class World:
    """A site, an issuer whose DNS leads to it, and the account of the deployment."""

    site: Site
    pebble: Pebble
    account: str
    password: str
    order: OrderEntry

    def node(self, name: str) -> Node:
        """A node with the deployment's own certificate, as `up` leaves it."""
        node = Node(self.site.folder.parent / name, self.account, self.password)
        node.folder.mkdir()
        (node.folder / "webitel.pem").write_text(sign_server(make_authority()[0], NAME))
        return node


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("certificate")
    (folder / "site").mkdir()
    settings = Settings.model_validate(
        load_deployment("local-single").settings.model_dump(exclude_unset=True)
        | {
            "certificate": "letsencrypt",
            "certificate_email": "admin@example.com",
            "certificate_server": "https://acme.example.com/directory",
            "web_names": (OTHER_NAME,),
        }
    )
    plan = make_plan(settings, "local-single")
    configuration = compose_configuration(plan, plan.nodes[0], settings)
    account = make_account_key()[0]
    files = {path: text.replace("{{secret:acme_thumbprint}}", thumbprint(account)) for path, text in configuration.files.items()}
    site = Site(folder / "site", files)
    order = configuration.manifest["order"]
    assert set(order["actions"]) == {RELOADED, "/usr/lib/webitel/setup/certificate.sh reload"}
    try:
        with (
            run_pebble(folder / "pebble", site.http) as pebble,
            running_agent(folder) as agent,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr(consul, "find_agent", lambda: agent)
            patch.setenv("LEGO_CA_CERTIFICATES", str(pebble.authority))
            yield World(site, pebble, account, make_password(), {**order, "server": pebble.url, "actions": [RELOADED]})
    finally:
        site.close()


def test_a_name_that_leads_elsewhere_is_said_and_nothing_changes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    node = world.node("early").become(monkeypatch)
    before = node.shown
    world.pebble.lead(OTHER_NAME, ELSEWHERE)
    assert not node.look(world.order)
    assert node.shown == before
    assert node.done == []
    row = machine.certificate(node.shown, world.order)
    assert row["healthy"]
    assert row["warning"]
    assert OTHER_NAME in row["why"]
    assert "localhost" in row["why"]
    world.pebble.lead(OTHER_NAME, "127.0.0.1")


def test_one_is_ordered_for_all_names_and_taken_up_with_a_web_socket_held(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    node = world.node("first").become(monkeypatch)
    status, held = world.site.open_socket("/sip", "127.0.0.1")
    assert status == 101
    assert node.look(world.order), node.said
    assert node.done == [RELOADED]
    (world.site.folder / "webitel.pem").write_text(node.shown)
    world.site.process.send_signal(signal.SIGHUP)
    trusted = ssl.create_default_context(cadata=world.pebble.root())

    def served() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", world.site.https), 5) as raw:
                trusted.wrap_socket(raw, server_hostname=OTHER_NAME).close()
        except ssl.SSLCertVerificationError:
            return False
        return True

    wait_until(served, 10, "the new certificate")
    held.settimeout(0.3)
    with pytest.raises(TimeoutError):
        held.recv(1)  # neither data nor an end
    held.close()
    row = machine.certificate(node.shown, world.order)
    assert "warning" not in row
    assert 89 < (row["days"] or 0) < 91
    serial = node.serial()
    assert node.look(world.order)
    assert node.serial() == serial
    assert node.done == [RELOADED]


def test_other_nodes_and_new_machines_take_the_same_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Node(world.site.folder.parent / "first", world.account, world.password).become(monkeypatch)
    serial = first.serial()
    other = world.node("second").become(monkeypatch)
    assert other.look(world.order)
    assert other.serial() == serial
    assert not any(text.startswith("order one") for text in other.said)
    kept = consul.find_key(certificate.KEPT)["holder"]
    assert "PRIVATE KEY" not in kept
    assert "BEGIN" not in kept


def test_what_strangers_put_into_consul_is_not_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = json.loads(consul.find_key(certificate.KEPT)["holder"])
    strange = Node(world.site.folder.parent / "strange", world.account, make_password()).become(monkeypatch)
    certificate.keep(world.order, (world.site.folder.parent / "first" / "webitel.pem").read_text())
    assert certificate.find_kept(world.order) != "", strange
    world.node("third").become(monkeypatch)
    assert certificate.find_kept(world.order) == ""
    for changed in ({**kept, "text": kept["text"][:-9] + "AAAAAAA=\n"}, {"for": kept["for"]}, ["x"], "x"):
        consul.call("PUT", f"/v1/kv/{certificate.KEPT}", json.dumps(changed))
        assert certificate.find_kept(world.order) == ""
    consul.call("PUT", f"/v1/kv/{certificate.KEPT}", json.dumps(kept))
    assert certificate.find_kept(world.order) != ""


def test_consul_that_lost_its_data_gets_it_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Node(world.site.folder.parent / "first", world.account, world.password).become(monkeypatch)
    consul.call("DELETE", f"/v1/kv/{certificate.KEPT}")
    serial = first.serial()
    assert first.look(world.order)
    assert certificate.find_kept(world.order) == first.shown
    assert first.serial() == serial


def test_a_new_machine_with_the_data_disk_of_the_old_one_and_an_empty_consul_orders_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Node(world.site.folder.parent / "first", world.account, world.password).become(monkeypatch)
    serial = first.serial()
    consul.call("DELETE", f"/v1/kv/{certificate.KEPT}")
    machine_again = world.node("again").become(monkeypatch)
    shutil.copytree(first.folder / "disk", machine_again.folder / "disk")
    assert machine_again.look(world.order)
    assert machine_again.serial() == serial
    assert not any(text.startswith("order one") for text in machine_again.said)


def test_one_node_orders_and_the_others_take_it_up_as_soon_as_it_is_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    node = world.node("late").become(monkeypatch)
    kept = consul.find_key(certificate.KEPT)["holder"]
    consul.call("DELETE", f"/v1/kv/{certificate.KEPT}")
    other = consul.Session("another node", ttl=60)
    assert other.hold(certificate.LOCK, "order")

    def have_it() -> None:
        """The other node ends its order."""
        consul.call("PUT", f"/v1/kv/{certificate.KEPT}", kept)
        other.end()

    later = threading.Timer(2, have_it)
    later.start()
    try:
        assert node.look(world.order), node.said
    finally:
        later.join()
    assert not any(text.startswith("order one") for text in node.said)
    assert node.done == [RELOADED]


def test_only_known_names_are_answered_for(world: World) -> None:
    for host, status in ((NAME, 200), ("evil.example.net", 421)):
        connection = http.client.HTTPConnection("127.0.0.1", world.site.http, timeout=5)
        connection.request("GET", "/.well-known/acme-challenge/to-ken_1", headers={"Host": host})
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status == status
        assert (text == f"to-ken_1.{thumbprint(world.account)}") == (status == 200)
        connection.close()
