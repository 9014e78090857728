"""What nodes of the committed stacks are made of, as reviewed files in `tests/golden/nodes/`: user data, files, units and
probes of one node of each role, with placeholders for addresses and secrets. `golden.py` writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from cloud_init.compose import Configuration, compose_user_data
from stacks.load import load_deployment
from tests.plans import compose_configuration

NODES = Path(__file__).resolve().parents[2] / "golden" / "nodes"

STACKS = ("local-single", "aws-basic", "aws-extended")
"""One of each tier: what differs between clouds is the previews' matter."""

HEAD = "=========="


def render() -> dict[str, str]:
    """Name of a golden file -> its text. A file that an earlier one shows already is only named: each change is seen once."""
    found: dict[str, str] = {}
    shown: dict[tuple[str, str], str] = {}
    for stack in STACKS:
        deployment = load_deployment(stack)
        plan, settings = deployment.plan, deployment.settings
        for role in dict.fromkeys(node.role for node in plan.nodes):
            node = next(node for node in plan.nodes if node.role == role)
            configuration = compose_configuration(plan, node, settings)
            parts = {"user data": compose_user_data(plan, node, settings).decoded, **configuration.files}
            name = f"{stack}.{node.key}.txt"
            lines = [*tell_units(configuration), *tell_probes(configuration)]
            for path in sorted(parts):
                text = parts[path]
                known = shown.setdefault((path, text), name)
                lines.append(f"{HEAD} {path}{tell_attributes(configuration, path)}")
                lines.append(text.rstrip("\n") if known == name else f"as in {known}")
            found[name] = "\n".join(lines) + "\n"
    return found


def tell_attributes(configuration: Configuration, path: str) -> str:
    """Mode, owner and what a change of a file does."""
    one = configuration.attributes.get(path)
    if one is None:
        return ""
    words = [one["mode"], one["owner"], *([f"check: {one['check']}"] if one.get("check") else []), *one["actions"]]
    return f" ({', '.join(words)})"


def tell_units(configuration: Configuration) -> Iterator[str]:
    """The units in the order of their start, a line each."""
    yield f"{HEAD} units"
    for unit in configuration.units:
        more = {name: value for name, value in unit.items() if name != "name" and value}
        yield f"{unit['name']} {json.dumps(more, sort_keys=True)}"


def tell_probes(configuration: Configuration) -> Iterator[str]:
    """Yield the questions of the health check, a line each."""
    yield f"{HEAD} probes"
    for service in configuration.manifest["services"]:
        for probe in service["probes"]:
            more = {name: value for name, value in probe.items() if name not in ("kind", "says")}
            yield f"{service['name']} {probe['kind']} {json.dumps(more, sort_keys=True)}: {probe['says']}"


def write() -> list[Path]:
    """Write what changed, delete what no node is made of any more; returns their places."""
    NODES.mkdir(parents=True, exist_ok=True)
    texts, changed = render(), []
    for file in NODES.iterdir():
        if file.name not in texts:
            file.unlink()
            changed.append(file)
    for name, text in texts.items():
        file = NODES / name
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
            changed.append(file)
    return changed
