"""From settings to a healthy deployment: the one place where the plan meets Pulumi's outputs."""

from __future__ import annotations

import importlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pulumi
from pulumi import Input, Output, ResourceOptions

from cloud_init.boot import compose_boot_texts
from cloud_init.compose import Configuration, compose_configuration
from cloud_init.node.apply.files import PLACEHOLDER
from components.clouds.base import Cloud
from components.mesh_keys import private_key, public_key
from components.model.backup import BUCKET_KEY, list_own_buckets, refuse_to_lose_buckets
from components.model.catalogue.service import Front
from components.model.catalogue.services import find_front
from components.model.catalogue.standby import ADDRESS
from components.model.mesh import KEY, PUBLIC, has_mesh, refuse_sudden_end
from components.model.plan import Node, Plan
from components.model.planning.dns import list_records
from components.model.planning.existing import refuse_other_network
from components.model.planning.lowering import refuse_lowering
from components.model.planning.outline import outline
from components.model.planning.readiness import missing_secrets, refused_plain_http
from components.model.planning.standing import OUTPUT, describe, keep_standing, refuse_moves
from components.model.problems import PlanError
from components.model.settings import Settings
from components.resources import Health, NodeConfiguration, Secrets
from sandbox import build
from stacks.first_contact import OUTPUT as BOOT_KEY
from stacks.first_contact import find_boot_keys, make_user_data
from stacks.load import load_program, make_deployment
from stacks.problems import SettingsError
from stacks.settings import recovered_secrets, secret_settings
from stacks.standing import find_standing, read_outputs

BUCKETS = "backup_buckets"
"""The output with the buckets that the deployment made."""

APPLY_SECONDS = 3600
"""For packages, files and units of one node; a drain adds its own time."""

Values = Mapping[str, Input[str]]


def deploy() -> None:
    """Declare every resource of the stack. Raises RunError with all that is wrong with its settings."""
    try:
        deployment = load_program()
        settings, plan = deployment.settings, deployment.plan
        if lacking := [*missing_secrets(settings, plan.facts), *refused_plain_http(settings, plan.facts)]:
            raise SettingsError(lacking)
        told = read_outputs()
        running = told.get("nodes") or {}
        standing = find_standing(deployment, told)
        if (kept := keep_standing(settings, plan.facts, standing)) != settings:
            settings, plan = kept, make_deployment(kept, plan.stack).plan
        refuse_lowering(plan, running)
        refuse_moves(plan, standing)
        refuse_sudden_end(settings, told.get(OUTPUT) or {})
        refuse_to_lose_buckets(settings, told.get(BUCKETS) or ())
        refuse_other_network(plan, standing.existing, standing.own_network, standing.given)
    except (SettingsError, PlanError) as error:
        raise pulumi.RunError(str(error)) from error
    # All texts before the first resource: a template that fails must not leave half a deployment.
    boot = compose_boot_texts(plan, settings)
    texts = {node.key: compose_configuration(plan, node, settings, build) for node in plan.nodes}
    secrets = Secrets(
        "secrets",
        names=plan.secrets,
        generations={name: number for name, number in settings.rotate.items() if name != BUCKET_KEY},
        domain=plan.domain,
        certificate=secret_settings()["certificate_pem"] if settings.certificate == "provided" else None,
        web_names=settings.web_names,
        recovered=recovered_secrets(),
        opts=ResourceOptions(protect=plan.facts.in_earnest),
    )
    boot_keys = frozenset() if plan.facts.given else find_boot_keys(plan, running)
    keys = secrets.public["ssh_public_key"], secrets.values["ssh_key"]
    user_data = make_user_data(plan, boot, boot_keys, secrets.values["host_key_seed"], keys[0])
    cloud = load_adapter(plan.cloud)(plan, settings, boot, user_data, *keys)
    configurations = configure_nodes(plan, settings, secrets, cloud, texts, running, boot_keys)
    check_health(plan, settings, secrets, cloud, configurations)
    export(plan, settings, secrets, cloud, configurations, boot_keys)


def load_adapter(name: str) -> type[Cloud]:
    """Return the adapter of a cloud; only its module, and so only its SDK, is imported."""
    module = f"components.clouds.{name}.adapter"
    try:
        adapter: type[Cloud] = importlib.import_module(module).Adapter
    except ModuleNotFoundError as error:
        if error.name in (module, module.rpartition(".")[0]):
            raise pulumi.RunError(f"webitel:cloud = {name}: it has no adapter in this version; use local") from error
        raise pulumi.RunError(
            f"webitel:cloud = {name} needs {error.name}, which ./webitel preview {pulumi.get_stack()} installs"
        ) from error
    return adapter


def configure_nodes(
    plan: Plan,
    settings: Settings,
    secrets: Secrets,
    cloud: Cloud,
    texts: Mapping[str, Configuration],
    running: Collection[str],
    boot_keys: Collection[str],
) -> dict[str, NodeConfiguration]:
    """Configure every node. Nodes that were up before are changed one after the other, in the order of the plan, the
    leaving ones last, when nobody sends them work any more; a failure stops everything behind it. New ones interrupt
    nobody: they come up at the same time.
    """
    addresses = {**cloud.addresses(), **(make_public_keys(plan, secrets) if has_mesh(settings) else {})}
    values: dict[str, Input[str]] = {name: secrets.values[name] for name in plan.secrets}
    values |= {**secret_settings(), **cloud.backup_login}
    configurations: dict[str, NodeConfiguration] = {}
    for node in sorted(plan.nodes, key=lambda node: node.leaving):
        configuration = texts[node.key]
        machine = cloud.machines[node.key]
        inputs = {
            "node": node.name,
            "key": node.key,
            **describe_way(node, cloud, settings, boot_keys),
            **({"boot_key": node.key} if node.key in boot_keys else {}),
            **({"host_key_seed": secrets.values["host_key_seed"]} if boot_keys else {}),
            "instance_id": machine.instance_id,
            "private_key": secrets.values["ssh_key"],
            "files": configuration.files,
            "attributes": configuration.attributes,
            "manifest": configuration.manifest,
            "bundles": configuration.bundles,
            "addresses": choose_used(configuration, "address", addresses),
            "secrets": Output.secret(
                choose_used(configuration, "secret", {**values, **make_key(node, secrets, settings)})
                | {name: values[name] for name in configuration.secrets}
            ),
            "devices": dict(machine.devices),
            "disruptive": settings.disruptive,
            "limits": {"apply": APPLY_SECONDS + settings.drain_timeout},
        }
        waits = choose_waits(node.key, machine.needs, configurations, running)
        options = ResourceOptions(parent=cloud.groups[node.key], depends_on=waits)
        configurations[node.key] = NodeConfiguration(node.key, inputs, options)
    return configurations


def make_key(node: Node, secrets: Secrets, settings: Settings) -> dict[str, Input[str]]:
    """Return a node's key in the mesh, where there is one: it goes to that node alone."""
    return {KEY: secrets.values["host_key_seed"].apply(lambda seed: private_key(seed, node.key))} if has_mesh(settings) else {}


def make_public_keys(plan: Plan, secrets: Secrets) -> dict[str, Input[str]]:
    """Return what the nodes of a mesh know one another by."""
    known = secrets.values["host_key_seed"].apply(lambda seed: {node.key: public_key(seed, node.key) for node in plan.nodes})
    return {f"{node.key}.{PUBLIC}": Output.unsecret(known[node.key]) for node in plan.nodes}


def choose_waits(
    key: str,
    needs: Sequence[pulumi.Resource],
    earlier: Mapping[str, NodeConfiguration],
    running: Collection[str],
) -> list[pulumi.Resource]:
    """Return what a node's configuration waits for: its machine, and where it was up before, the one before it that was too."""
    before = [configuration for other, configuration in earlier.items() if other in running] if key in running else []
    return [*needs, *before[-1:]]


def describe_way(node: Node, cloud: Cloud, settings: Settings, boot_keys: Collection[str] = ()) -> dict[str, Any]:
    """Describe how SSH reaches a node, and which machine has to answer."""
    hops = [
        {"address": hop.private_address if hop.public_address is None else hop.public_address, "machine_id": hop.machine_id}
        | ({"boot_key": key} if key in boot_keys else {})
        for key, hop in cloud.ssh_hops(node).items()
    ]
    given = {"expected": [cloud.machines[node.key].host_key]} if cloud.facts.given else {}
    return {
        **given,
        "address": cloud.ssh_address(node),
        "machine_id": cloud.machines[node.key].machine_id,
        "user": cloud.facts.login_user,
        "via": hops,
        "ssh_via": settings.ssh_via,
    }


def choose_used(configuration: Configuration, kind: str, values: Values) -> dict[str, Input[str]]:
    """Return the values that the node's texts name: a change of another one does not concern it."""
    texts = [*configuration.files.values(), json.dumps(configuration.manifest)]
    used = {name for text in texts for found, name in PLACEHOLDER.findall(text) if found == kind}
    return {name: values[name] for name in sorted(used) if name in values}


def check_health(
    plan: Plan,
    settings: Settings,
    secrets: Secrets,
    cloud: Cloud,
    configurations: Mapping[str, NodeConfiguration],
) -> None:
    """Wait until every service of every node is healthy: then `up` ends."""
    nodes = {
        node.key: {
            **describe_way(node, cloud, settings),
            "host_keys": configurations[node.key].host_keys,
            "services": 0 if node.leaving else len(node.services),
        }
        for node in plan.nodes
    }
    Health(
        "health",
        nodes=nodes,
        digests={key: one.digest for key, one in configurations.items()},
        private_key=secrets.values["ssh_key"],
        timeout=settings.health_timeout,
        opts=ResourceOptions(parent=cloud, depends_on=list(configurations.values())),
    )


def export(
    plan: Plan,
    settings: Settings,
    secrets: Secrets,
    cloud: Cloud,
    configurations: Mapping[str, NodeConfiguration],
    boot_keys: Collection[str],
) -> None:
    """Export what the command line needs to reach the nodes, and what a person wants to know."""
    nodes = {}
    for node in plan.nodes:
        way = describe_way(node, cloud, settings)
        nodes[node.key] = {
            "name": node.name,
            "address": way["address"],
            "private_address": cloud.machines[node.key].private_address,
            "user": way["user"],
            "via": [settings.ssh_via] if settings.ssh_via else [hop["address"] for hop in way["via"]],
            "host_key": configurations[node.key].host_key,
            "machine_id": way["machine_id"],
            "leaving": node.leaving,
            **({BOOT_KEY: True} if node.key in boot_keys else {}),
            "disks": {disk.purpose: disk.size_gib for disk in node.disks if disk.is_data},
        }
    pulumi.export("nodes", nodes)
    pulumi.export("ssh_private_key", Output.secret(secrets.values["ssh_key"]))
    pulumi.export("authority_certificate", secrets.public["authority_certificate"])
    pulumi.export("url", make_url(plan, cloud))
    pulumi.export("dns_records", list_dns_lines(plan, cloud))
    pulumi.export(OUTPUT, describe(plan, settings))
    if buckets := list_own_buckets(settings):
        pulumi.export(BUCKETS, buckets)
    pulumi.export("plan", outline(plan))  # a later preview compares with it (cli/engine/changes.py)


def list_dns_lines(plan: Plan, cloud: Cloud) -> Output[list[str]]:
    """Return the domain's records as lines of a zone file; none where nobody reaches the machines by a domain."""
    if not cloud.facts.in_earnest:
        return Output.from_input([])

    def write(addresses: Sequence[Sequence[str]]) -> list[str]:
        return [line for record, known in zip(records, addresses, strict=True) for line in record.lines(known)]

    records = list_records(plan)
    return Output.all(*(Output.all(*cloud.public_addresses(record)) for record in records)).apply(write)


def make_url(plan: Plan, cloud: Cloud) -> Output[str]:
    """Return where the web applications answer: the domain, or the address of machines that no domain points to."""
    nodes = plan.nodes_with(find_front(Front.WEB).name)
    if cloud.facts.in_earnest or not nodes:
        return Output.from_input(f"https://{plan.domain}/")
    if ADDRESS in nodes[0].services:
        return Output.from_input(f"https://{plan.sip_outside}/")
    machine = cloud.machines[nodes[0].key]
    return Output.concat("https://", machine.public_address or machine.private_address, "/")
