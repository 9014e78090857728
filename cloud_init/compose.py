"""From a plan to what a node boots with (user data) and what it must have (configuration). Pure and deterministic."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NotRequired, TypedDict, cast

import yaml

from cloud_init.bundles import SANDBOX, StandIns, bundle_digest
from cloud_init.context import Context
from cloud_init.manifest import UnitSettings, actions, at_next_start, list_actions, list_units, make_manifest
from cloud_init.merge import Document, merge_documents
from cloud_init.node.manifest import CERTIFICATE, FileEntry, Manifest, UnitEntry
from cloud_init.sent import encode_user_data
from cloud_init.templates import has_template, load_template, template_environment
from components.model.acme import read_order
from components.model.catalogue.hardening import HARDENED
from components.model.catalogue.service import PackageSource, Service
from components.model.plan import Node, Plan
from components.model.settings import Settings
from components.model.user_data import UserData

HERE = Path(__file__).parent


class FileSpec(TypedDict):
    """A file of a fragment: its `text`, or the template `file`; `on_change` where it differs from the catalogue's."""

    path: str
    text: NotRequired[str]
    file: NotRequired[str]
    mode: NotRequired[str]
    owner: NotRequired[str]
    check: NotRequired[str]
    seed: NotRequired[bool]
    on_change: NotRequired[str | list[str]]


class BundleSpec(TypedDict):
    """A bundle of a fragment."""

    name: str
    on_change: NotRequired[str | list[str]]


class Fragment(TypedDict):
    """What `services/<service>.yaml.j2` says."""

    user_data: NotRequired[Document]
    files: NotRequired[list[FileSpec]]
    bundles: NotRequired[list[BundleSpec]]
    units: NotRequired[dict[str, UnitSettings]]


@dataclass(frozen=True)
class Configuration:
    """What a node must have. `files`: path -> text with `{{address:...}}` and `{{secret:...}}` placeholders.

    `manifest` is kept by the node program. `bundles`: name -> digest of what never varies.
    """

    files: dict[str, str]
    attributes: dict[str, FileEntry]
    manifest: Manifest
    secrets: tuple[str, ...]
    bundles: dict[str, str] = field(default_factory=dict)

    @property
    def units(self) -> list[UnitEntry]:
        """Return the units in start order with what each waits for."""
        return self.manifest["units"]


def load_yaml(text: str) -> object:
    """Load a YAML document; each time a new one, although most nodes' fragments are alike and parsed once."""
    return pickle.loads(_parse_yaml(text))


@lru_cache(maxsize=1000)
def _parse_yaml(text: str) -> bytes:
    """Parse with libyaml where PyYAML has it, which is ten times as fast; pickled, which is copied sooner than parsed again."""
    return pickle.dumps(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def dump_yaml(document: object) -> str:
    """Write a document with sorted keys; with libyaml too, and the same bytes: the two differ only in breaking lines."""
    text: str = yaml.dump(
        document, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=True, width=2**30, default_flow_style=False
    )
    return text


def render_template(name: str, context: Context, **more: object) -> str:
    """Render a template; an error names the template and what is missing."""
    try:
        template = load_template(name)
        # `render` copies all names one by one, which takes longer than most templates: here they are handed over as they are.
        names = template.new_context({**template_environment().globals, **context.variables, **more}, shared=True)
        return "".join(template.root_render_func(names))
    except Exception as error:
        raise ValueError(f"cloud_init template {name} for {context.node.name}: {error}") from error


def load_fragment(service: Service, context: Context) -> Fragment:
    """Load the service's fragment; a service without one has nothing beyond what the catalogue says."""
    name = f"services/{service.name}.yaml.j2"
    if not has_template(name):
        return {}
    return cast(Fragment, load_yaml(render_template(name, context, service=service)) or {})


def compose_user_data(plan: Plan, node: Node, settings: Settings) -> UserData:
    """Compose the node's user data: equal input gives equal bytes; no peer address, no secret, ASCII."""
    context = Context(plan, node, settings)
    documents = {"base.yaml.j2": cast(Document, load_yaml(render_template("base.yaml.j2", context)))}
    for name in node.services:
        fragment = load_fragment(context.catalogue[name], context)
        documents[f"services/{name}.yaml.j2"] = fragment.get("user_data", {})
    merged = merge_documents(documents)
    decoded = "#cloud-config\n" + dump_yaml(merged)
    return UserData(encode_user_data(decoded, context.cloud), decoded)


def compose_configuration(plan: Plan, node: Node, settings: Settings, sandbox: StandIns) -> Configuration:
    """Compose every file, package, unit, disk and probe of the node."""
    context = Context(plan, node, settings)
    files: dict[str, str] = {}
    attributes: dict[str, FileEntry] = {}
    bundles = {"node": bundle_digest("node")}
    if context.source == PackageSource.SANDBOX and context.packages.list_later():
        bundles[SANDBOX] = sandbox.source_digest()
    origin: dict[str, str] = {}

    def add(spec: FileSpec, text: str, where: str, actions: list[str]) -> None:
        path = spec["path"]
        wanted: FileEntry = {"mode": spec.get("mode", "0644"), "owner": spec.get("owner", "root:root"), "actions": actions}
        if "check" in spec:
            wanted["check"] = spec["check"]
        if spec.get("seed"):
            wanted["seed"] = True
        if path in files:
            # Several services may need one file (the storage key): then a change concerns each of them.
            known = attributes[path]
            if files[path] != text or {**known, "actions": []} != {**wanted, "actions": []}:
                raise ValueError(f"{node.name}: {origin[path]} and {where} write different things to {path}")
            known["actions"] += [action for action in wanted["actions"] if action not in known["actions"]]
            return
        origin[path] = where
        files[path] = text
        attributes[path] = wanted

    def harden(unit: str, does: list[str], service: Service | None = None) -> None:
        if hardening := HARDENED.get(unit):
            text = render_template("hardening.conf.j2", context, hardening=hardening, service=service)
            path = f"/etc/systemd/system/{unit}.service.d/hardening.conf"
            add({"path": path}, text, "hardening.conf.j2", [f"restart {unit}"] if hardening.restarts else does)

    for spec in cast(Fragment, load_yaml(render_template("configuration.yaml.j2", context)))["files"]:
        text = spec["text"] if "text" in spec else render_template(spec["file"], context)
        add(spec, text, "configuration.yaml.j2", list_actions(spec.get("on_change", [])))
    # The node program restarts it by itself.
    harden("webitel-watch", [])
    units: list[UnitEntry] = []
    bundle_actions: dict[str, list[str]] = {}
    for name in node.services:
        service = context.catalogue[name]
        fragment = load_fragment(service, context)
        for spec in fragment.get("files", []):
            text = spec["text"] if "text" in spec else render_template(spec["file"], context, service=service)
            add(spec, text, f"services/{name}.yaml.j2", actions(context, service, spec.get("on_change")))
        for bundle in fragment.get("bundles", []):
            bundles[bundle["name"]] = bundle_digest(bundle["name"])
            bundle_actions.setdefault(bundle["name"], []).extend(actions(context, service, bundle.get("on_change")))
        for unit in list_units(context, service, fragment.get("units", {})):
            if unit["name"] in (known["name"] for known in units):
                continue
            units.append(unit)
            drop_in = render_template("unit.conf.j2", context, service=service, unit=unit)
            add(
                {"path": f"/etc/systemd/system/{unit['name']}.service.d/webitel.conf"},
                drop_in,
                "unit.conf.j2",
                [f"{at_next_start(service)} {unit['name']}"],
            )
            harden(unit["name"], [f"refresh {unit['name']}"], service)
    manifest = make_manifest(context, units, bundle_actions, sandbox)
    if (order := read_order(settings)) and CERTIFICATE in files:
        manifest["order"] = {
            "names": list(order.names),
            "server": order.server,
            "email": order.email,
            "actions": attributes[CERTIFICATE]["actions"],
        }
    return Configuration(files, attributes, manifest, context.secrets(), bundles)
