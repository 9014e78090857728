"""User data and configuration of every stack: sizes, determinism, secrets, and that what is wrong is refused."""

import dataclasses
import gzip
import json
import random
import re
from email import message_from_string
from pathlib import Path

import pytest
import yaml

from cloud_init.compose import compose_user_data, dump_yaml
from cloud_init.merge import merge_documents
from cloud_init.sent import encode_user_data, measure_sent
from components.clouds.registry import CLOUDS
from components.model.catalogue.repositories import CREDENTIALS
from components.model.plan import Plan
from components.model.secret_specs import SECRETS
from components.model.settings import Settings
from tests.plans import compose_configuration, compose_stack, load_stack, load_yaml, make_plan

STACKS = sorted(path.name.split(".")[1] for path in Path("stacks").glob("Pulumi.*.yaml"))
PLACEHOLDER = re.compile(r"\{\{(address|secret):([a-z0-9_.-]+)\}\}")


def plan_of(stack: str) -> tuple[Settings, Plan]:
    deployment = load_stack(stack)
    return deployment.settings, deployment.plan


@pytest.mark.parametrize("stack", STACKS)
def test_user_data_is_small_ascii_and_the_same_twice(stack: str) -> None:
    settings, plan = plan_of(stack)
    for node in plan.nodes:
        first, second = (compose_user_data(plan, node, settings) for _ in range(2))
        assert first == second
        assert first.sent.isascii() and first.decoded.startswith("#cloud-config\n")
        assert measure_sent(first.sent, plan.facts) <= 16384
        assert not PLACEHOLDER.search(first.decoded)
        assert node.private_address is None or node.private_address not in first.decoded
        others = [other.private_address for other in plan.nodes if other.private_address]
        assert not [address for address in others if re.search(rf"{re.escape(address)}\b", first.decoded)]


@pytest.mark.parametrize("stack", ["aws-basic", "digitalocean-basic", "gcp-basic", "hetzner-basic", "local-basic"])
def test_operators_keys_stand_where_the_configuration_takes_them_out_again(stack: str) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJt7YqKq1vYwBG0p6c3Yy3a9n8l2Qb3l0lq8m2t1oCx1 second@office"
    settings, plan = plan_of(stack)
    settings = settings.model_copy(update={"operator_keys": (key,)})
    path = f"/etc/ssh/authorized_keys.d/{plan.facts.login_user}"
    for node in plan.nodes:
        document = load_yaml(compose_user_data(plan, node, settings).decoded)
        files = {entry["path"]: entry for entry in document["write_files"]}
        configuration = compose_configuration(plan, node, settings)
        assert files[path]["content"] == configuration.files[path]
        assert files[path]["permissions"] == configuration.attributes[path]["mode"]
        del files[path]
        assert key not in str({**document, "write_files": files})


@pytest.mark.parametrize("stack", STACKS)
def test_what_looks_at_a_file_is_told_which(stack: str) -> None:
    for configuration in compose_stack(stack).values():
        entries = configuration.attributes
        assert [path for path, entry in entries.items() if entry.get("check") and "{path}" not in entry["check"]] == []


@pytest.mark.parametrize("stack", STACKS)
def test_every_placeholder_has_a_value(stack: str) -> None:
    settings, plan = plan_of(stack)
    keys = {node.key for node in plan.nodes}
    for node in plan.nodes:
        configuration = compose_stack(stack)[node.key]
        assert configuration.files == compose_configuration(plan, node, settings).files
        for text in (*configuration.files.values(), json.dumps(configuration.manifest)):
            for kind, name in PLACEHOLDER.findall(text):
                if kind == "address":
                    assert name.removesuffix(".public").removesuffix(".name" if plan.facts.given else "") in keys
                else:
                    assert name in configuration.secrets and (name in SECRETS or name in CREDENTIALS)
        # Every node's texts stand in the state, so they are bounded where nodes can be many.
        most = 65_536 if len(plan.nodes) > 1 else 131_072
        assert sum(map(len, configuration.files.values())) < most


def test_a_unit_waits_for_what_its_service_calls() -> None:
    for stack, configuration in ((name, one) for name in STACKS for one in compose_stack(name).values()):
        for unit in configuration.units:
            where = f"{stack}: {unit['name']}"
            drop_in = configuration.files[f"/etc/systemd/system/{unit['name']}.service.d/webitel.conf"]
            assert "StartLimitIntervalSec=0" in drop_in and ("Restart=always" in drop_in or unit["oneshot"]), where
            for name in unit["waits"]:
                assert name in drop_in, where
            for mount in unit["mounts"]:
                assert f"RequiresMountsFor={mount}" in drop_in and f"wait disk:{mount}" in drop_in, where


def test_mime_parts_come_out_as_they_went_in() -> None:
    text = "#cloud-config\n" + json.dumps({"a": list(range(500))})
    parts = list(message_from_string(encode_user_data(text, CLOUDS["local"])).walk())
    packed = parts[1].get_payload(decode=True)
    assert isinstance(packed, bytes) and gzip.decompress(packed).decode() == text


def test_user_data_over_the_limit_says_by_how_much() -> None:
    noise = random.Random(1).randbytes(20000).hex()
    with pytest.raises(ValueError, match=r"over the limit on"):
        encode_user_data(noise, CLOUDS["local"])


def test_other_characters_than_ascii_are_named() -> None:
    with pytest.raises(ValueError, match="must be ASCII, found \u00fc"):
        encode_user_data("#cloud-config\nhostname: m\u00fcnchen\n", CLOUDS["local"])


def test_a_document_is_as_it_was_written_whatever_became_of_it_before() -> None:
    load_yaml("files: [{path: /etc/a}]")["files"].append("more")
    assert load_yaml("files: [{path: /etc/a}]") == {"files": [{"path": "/etc/a"}]}


def test_the_same_scalar_twice_names_both_documents() -> None:
    joined = merge_documents({"a": {"x": [1], "m": {"k": 1}}, "b": {"x": [2], "m": {"l": 2}}})
    assert joined == {"x": [1, 2], "m": {"k": 1, "l": 2}}
    with pytest.raises(ValueError, match=r"one\.yaml and two\.yaml both set ssh\.port: 22 and 23"):
        merge_documents({"one.yaml": {"ssh": {"port": 22}}, "two.yaml": {"ssh": {"port": 23}}})


def test_a_missing_template_value_names_the_template(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, plan = plan_of("local-single")
    broken = dataclasses.replace(plan.nodes[0], services=("rabbitmq",))
    from cloud_init import context

    variables = context.Context(plan, broken, settings).variables
    monkeypatch.setattr(context.Context, "variables", {name: value for name, value in variables.items() if name != "port"})
    with pytest.raises(ValueError, match=r"rabbitmq\.conf.*'port' is undefined"):
        compose_configuration(plan, broken, settings)


def test_cloud_config_is_valid_yaml_with_the_programs_in_it() -> None:
    settings, plan = plan_of("aws-basic")
    document = load_yaml(compose_user_data(plan, plan.nodes[0], settings).decoded)
    files = {entry["path"]: entry["content"] for entry in document["write_files"]}
    compile(files["/usr/lib/webitel/node/install.py"], "install.py", "exec")
    assert json.loads(files["/etc/webitel/packages.json"])["packages"]


def test_user_data_has_the_same_bytes_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, plan = plan_of("aws-extended")
    documents = [load_yaml(compose_user_data(plan, node, settings).decoded) for node in plan.nodes]
    fast = [dump_yaml(document) for document in documents]
    assert yaml.__with_libyaml__
    monkeypatch.delattr(yaml, "CSafeDumper")
    assert [dump_yaml(document) for document in documents] == fast


def test_what_moves_is_bound_to_its_lock_where_there_are_several_nodes() -> None:
    alone = Settings.model_validate({"cloud": "local", "tier": "basic"})
    settings = alone.model_copy(update={"counts": {"app": 2}, "leaving": ("app-2",)})
    plan = make_plan(settings, "s")
    assert "locks" not in make_plan(alone, "s").node("app-1").services
    for key in ("app-1", "app-2"):
        made = compose_configuration(plan, plan.node(key), settings)
        moving = {unit["name"] for unit in made.units if unit.get("moves")}
        assert moving == {"webitel-logger", "messages-bot"}
        for unit in made.units:
            drop_in = made.files[f"/etc/systemd/system/{unit['name']}.service.d/webitel.conf"]
            assert ("BindsTo=webitel-locks.service" in drop_in) is (unit["name"] in moving)
        candidates = {service["name"]: service["candidates"] for service in made.manifest["services"] if "candidates" in service}
        assert set(candidates) == {"logger", "messages-bot"}
        assert candidates["logger"] == [
            {"key": "app-1", "address": "{{address:app-1}}"},
            {"key": "app-2", "address": "{{address:app-2}}", "leaving": True},
        ]
    site = compose_configuration(plan, plan.node("edge-1"), settings).files["/etc/nginx/sites-enabled/default"]
    assert "{{address:app-1}}:10031" in site and "{{address:app-2}}:10031" in site, "it runs there until it has moved"
    assert "{{address:app-1}}:8080" in site and "{{address:app-2}}:8080" not in site


def test_a_unit_of_two_services_has_what_the_fragments_say_on_every_node() -> None:
    for key, configuration in compose_stack("local-basic").items():
        drop_in = configuration.files["/etc/systemd/system/consul.service.d/webitel.conf"]
        assert "LimitNOFILE=65536" in drop_in and "TimeoutStopSec=30" in drop_in, key


@pytest.mark.parametrize(
    ("stack", "most"), [("gcp-single", 1460), ("hetzner-single", 1450), ("aws-single", None), ("local-single", None)]
)
def test_a_node_knows_how_large_packets_may_be_where_dhcp_has_to_tell(stack: str, most: int | None) -> None:
    settings, plan = plan_of(stack)
    assert compose_configuration(plan, plan.nodes[0], settings).manifest.get("largest_packet") == most


def test_a_company_s_network_may_carry_larger_packets() -> None:
    subnet = "projects/company/regions/europe-west3/subnetworks/telephony"
    given = {"id": "projects/company/global/networks/main", "subnets": {subnet: {"range": "10.40.0.0/24"}}}
    settings = Settings.model_validate({"cloud": "gcp", "tier": "single", "region": "europe-west3", "existing_network": given})
    plan = make_plan(settings, "test")
    assert "largest_packet" not in compose_configuration(plan, plan.nodes[0], settings).manifest
