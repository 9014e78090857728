"""Catalogue and fragments of the Webitel services against the facts of release 25.08."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud_init.compose import Configuration, compose_user_data
from cloud_init.node.health.probes import QUERY_GAP_SECONDS
from components.model.catalogue.service import Audience, Bind
from components.model.catalogue.services import CATALOGUE
from components.model.plan import Node
from tests.plans import compose_stack, load_stack, load_yaml

FACTS = load_yaml((Path(__file__).parents[2] / "facts" / "webitel-25.08.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = FACTS["services"]
SECRET = re.compile(r"\{\{secret:([a-z_]+)\}\}")
PROFILERS = {"storage", "flow_manager", "messages-srv"}


def flatten(names: list[Any]) -> Iterator[str]:
    """The names of a list with lists in it."""
    for name in names:
        if isinstance(name, list):
            yield from flatten(name)
        else:
            yield name


def configurations(stack: str) -> list[tuple[Node, Configuration]]:
    return [(node, compose_stack(stack)[node.key]) for node in load_stack(stack).plan.nodes]


@pytest.fixture(scope="module")
def local() -> Configuration:
    return configurations("local-single")[0][1]


def settings_of(configuration: Configuration, service: str) -> dict[str, str]:
    lines = configuration.files[f"/etc/webitel/{service}.env"].splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("name", SERVICES)
def test_the_catalogue_says_what_the_facts_say(name: str) -> None:
    facts, service = SERVICES[name], CATALOGUE[name]
    assert facts["package"] in service.packages
    assert service.units == (facts["unit"],)
    assert service.consul_name == facts["consul"]["name"]
    assert service.stand_in
    ports = {listener.name: listener.port for listener in service.listeners}
    assert ports == {**facts["ports"], **facts.get("pinned", {})}
    entry = next(probe for probe in service.probes if probe.kind == "consul_entry")
    # A name that nobody saw is none to be called deaf for.
    assert entry.arguments["name"] == ("*" if facts["consul"].get("known") is False else facts["consul"]["name"])
    expected = facts["consul"].get("id", "prefix")
    assert entry.arguments["id"] == ("prefix" if "{uuid}" in expected else expected)
    consumed = [probe.arguments["queue"] for probe in service.probes if probe.kind == "queue"]
    assert set(consumed) <= set(facts.get("queues", {}))
    assert bool(consumed) == bool(facts.get("queues"))


@pytest.mark.parametrize("name", SERVICES)
def test_health_asks_for_what_an_idle_one_shows_too(name: str) -> None:
    facts, service = SERVICES[name], CATALOGUE[name]
    asked = [probe for probe in service.probes if probe.kind == "database_sessions"]
    assert bool(asked) == bool(facts.get("pool", {}).get("polls")), "only who asks by itself always has a session"
    assert all(probe.arguments["application"] == name for probe in asked)
    if asked:
        assert facts["pool"]["polls"] < QUERY_GAP_SECONDS
    # /websocket has Engine log an error each time, and so does a connection to Flow Manager's event socket.
    assert not [probe for probe in service.probes if probe.arguments.get("path") == "/websocket" or probe.kind == "tcp"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_binding_is_asked_for(name: str) -> None:
    facts, service = SERVICES[name], CATALOGUE[name]
    asked = {
        tuple(probe.arguments[key] for key in ("source", "destination", "key"))
        for probe in service.probes
        if probe.kind == "binding"
    }
    named = {tuple(binding) for binding in facts.get("bindings", []) if binding[1]}
    assert asked == named
    for probe in service.probes:
        if probe.kind == "binding":
            known = [
                other["exchanges"][probe.arguments["source"]]
                for other in SERVICES.values()
                if probe.arguments["source"] in other.get("exchanges", {})
            ]
            assert set(known) <= {probe.arguments["type"]}
            assert (probe.arguments["to"] == "queue") == (probe.arguments["destination"] in facts["queues"])
    counts = [probe.arguments for probe in service.probes if probe.kind == "own_queues"]
    if "queue_count" in facts:
        assert [int(one["least"]) <= facts["queue_count"] <= int(one["most"]) for one in counts] == [True]
        others = [other["queue_count"] for other in SERVICES.values() if "queue_count" in other and other is not facts]
        assert not [one for one in counts for other in others if int(one["least"]) <= other <= int(one["most"])]


@pytest.mark.parametrize("name", SERVICES)
def test_what_the_vendor_sets_is_set(name: str, local: Configuration) -> None:
    facts = SERVICES[name]
    wanted = set(facts.get("vendor_sets", ()))
    assert set(facts.get("without_effect", ())) <= wanted
    assert wanted - set(facts.get("without_effect", ())) <= set(settings_of(local, name))


def test_what_hangs_at_its_end_is_bounded_and_ends_before_what_it_needs() -> None:
    for node, configuration in configurations("local-single"):
        for name, facts in SERVICES.items():
            unit = CATALOGUE[name].units[0]
            drop_in = configuration.files[f"/etc/systemd/system/{unit}.service.d/webitel.conf"]
            text = configuration.files[f"/etc/systemd/system/{unit}.service"]
            (order,) = [line.split() for line in text.splitlines() if line.startswith("After=")]
            assert {"haproxy.service", "rabbitmq-server.service", "patroni.service"} <= set(order), f"{node.key} {name}"
            assert ("TimeoutStopSec=15" in drop_in.splitlines()) == facts.get("stops_with_broker", False), name


@pytest.mark.parametrize("name", SERVICES)
def test_settings_use_names_the_program_reads(name: str, local: Configuration) -> None:
    known = list(flatten(SERVICES[name]["environment"]))
    families = tuple(known_name[:-1] for known_name in known if known_name.endswith("*"))
    used = settings_of(local, name)
    assert used
    for setting in used:
        assert setting in known or (families and setting.startswith(families)), f"{name} does not read {setting}"


@pytest.mark.parametrize("name", SERVICES)
def test_the_pinned_ports_and_the_private_address_are_set(name: str, local: Configuration) -> None:
    service = CATALOGUE[name]
    everything = "\n".join([*settings_of(local, name).values(), local.files[f"/etc/systemd/system/{service.units[0]}.service"]])
    for listener in service.listeners:
        if listener.name != "pprof":
            assert re.search(rf"(^|:){listener.port}$", everything, re.MULTILINE), f"{name} {listener.name} {listener.port}"
            if listener.bind == Bind.PRIVATE:
                assert "{{address:all-1}}" in everything
    assert "0.0.0.0" not in everything
    assert not re.search(r"=:\d", everything)


@pytest.mark.parametrize("name", SERVICES)
def test_each_session_and_entry_is_the_services_own(name: str, local: Configuration) -> None:
    used = settings_of(local, name)
    source = next(value for value in used.values() if value.startswith("postgres://"))
    assert source.startswith("postgres://opensips:{{secret:database_password}}@127.0.0.1:5432/webitel?")
    assert f"application_name={name}&" in source
    broker = next(value for value in used.values() if value.startswith("amqp://"))
    assert broker.startswith("amqp://webitel:{{secret:broker_password}}@127.0.0.1:5672")
    assert "127.0.0.1:8500" in used.values()


def test_identifiers_are_unique_on_a_node_and_in_a_deployment() -> None:
    for stack in ("local-single", "local-basic", "local-extended"):
        seen: set[str] = set()
        for _, configuration in configurations(stack):
            for name, facts in SERVICES.items():
                if f"/etc/webitel/{name}.env" not in configuration.files or "{id}" not in facts["consul"].get("id", ""):
                    continue
                used = settings_of(configuration, name)
                number = used.get("ID") or used.get("SERVICE_ID") or used["CONSUL_ID"].removeprefix("cases-")
                identifier = facts["consul"]["id"].replace("{id}", number)
                assert identifier not in seen, f"{stack}: {identifier} twice"
                seen.add(identifier)


@pytest.mark.parametrize("stack", ["local-single", "aws-basic", "hetzner-extended"])
def test_no_secret_outside_private_files(stack: str) -> None:
    settings, plan = load_stack(stack).settings, load_stack(stack).plan
    for node in plan.nodes:
        configuration = compose_stack(stack)[node.key]
        for path, text in configuration.files.items():
            # A certificate without its key hides nothing.
            if set(SECRET.findall(text)) - {"nodes_root"}:
                assert configuration.attributes[path]["mode"][-1] == "0", f"{path} is readable by everybody"
                assert not path.startswith("/etc/systemd/"), f"{path} would show a secret in `systemctl show`"
            for word in FACTS["default_passwords"]:
                assert word not in text, f"{path} holds the vendor's {word}"
            for word in FACTS["placeholders"]:
                assert word not in text, f"{path} holds the vendor's placeholder {word}"
        for name in SERVICES:
            if name in node.services:
                assert configuration.attributes[f"/etc/webitel/{name}.env"] == {
                    "mode": "0600",
                    "owner": "root:root",
                    "actions": [f"restart {CATALOGUE[name].units[0]}"],
                }
                unit = configuration.files[f"/etc/systemd/system/{CATALOGUE[name].units[0]}.service"]
                assert f"\nExecStart=/usr/local/bin/{SERVICES[name]['program']}" in unit
                assert f"\nEnvironmentFile=/etc/webitel/{name}.env\n" in unit
        assert not SECRET.search(compose_user_data(plan, node, settings).decoded)


def test_the_storage_key_reaches_every_reader_and_restarts_them(local: Configuration) -> None:
    readers = {name for name in SERVICES if settings_of(local, name).get("PRESIGNED_CERT")}
    assert readers == {"engine", "storage", "flow_manager"}
    assert {name for name in SERVICES if "storage_key" in CATALOGUE[name].secrets} == readers
    key = local.attributes["/opt/storage/key.pem"]
    assert (key["mode"], key["owner"]) == ("0640", "root:webitel")
    assert sorted(key["actions"]) == [f"restart {name}" for name in sorted(readers)]
    assert local.files["/opt/storage/key.pem"] == "{{secret:storage_key}}"


def test_every_unit_restarts_always_and_waits_for_what_it_calls(local: Configuration) -> None:
    for name in SERVICES:
        drop_in = local.files[f"/etc/systemd/system/{CATALOGUE[name].units[0]}.service.d/webitel.conf"]
        assert "Restart=always" in drop_in and "StartLimitIntervalSec=0" in drop_in
        assert re.search(r"ExecStartPre=\+\S+ wait consul postgresql rabbitmq\n", drop_in)


def test_media_are_on_the_recordings_disk(local: Configuration) -> None:
    used = settings_of(local, "storage")
    for setting in ("MEDIA_DIRECTORY", "TEMP_DIRECTORY", "FILE_STORE_PROPS"):
        assert "/var/lib/webitel/recordings/storage/" in used[setting]
    props = load_yaml(used["FILE_STORE_PROPS"].strip("'"))
    assert props["path_pattern"] == "$DOMAIN/$Y/$M/$D/$H"
    drop_in = local.files["/etc/systemd/system/storage.service.d/webitel.conf"]
    assert "RequiresMountsFor=/var/lib/webitel/recordings" in drop_in
    # The directories are made only after the disk was seen.
    assert drop_in.index("wait disk:") < drop_in.index("mkdir")


def test_engine_has_a_unit_before_its_package_is_installed() -> None:
    settings, plan = load_stack("aws-basic").settings, load_stack("aws-basic").plan
    node = next(node for node in plan.nodes if "engine" in node.services)
    written = load_yaml(compose_user_data(plan, node, settings).decoded)["write_files"]
    assert "/etc/systemd/system/engine.service" in [entry["path"] for entry in written]


def test_the_other_packages_and_grafana() -> None:
    for name, packages in FACTS["packages"].items():
        assert list(CATALOGUE[name].packages) == packages
    assert CATALOGUE["grafana"].units == (FACTS["grafana"]["unit"],)
    assert CATALOGUE["grafana"].listener("http").port == FACTS["grafana"]["port"]
    files = configurations("local-single")[0][1].files
    assert "admin_password = {{secret:grafana_password}}\n" in files["/etc/grafana/grafana.ini"]
    assert "password = {{secret:grafana_store_password}}\n" in files["/etc/grafana/grafana.ini"]
    source = load_yaml(files["/etc/grafana/provisioning/datasources/webitel.yaml"])["datasources"][0]
    assert source["user"] == "grafana" and source["url"] == "127.0.0.1:5432"
    assert source["secureJsonData"] == {"password": "{{secret:grafana_database_password}}"}


def test_profilers_are_never_open_beyond_their_node() -> None:
    for name in PROFILERS:
        assert CATALOGUE[name].listener("pprof").audiences == (Audience.NODE,)
