"""What a first preview of each cloud's `basic` registers, as reviewed files in `tests/golden/`.

`python -m tests.clouds.conformance.golden` writes them anew, and the nodes' files beside them (`node_files.py`): read
`git diff tests/golden` before you commit it. It writes the table of the simulators' rules too.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.clouds.registry import CLOUDS
from provider.values import UNKNOWN
from tests.clouds.conformance import node_files
from tests.clouds.conformance.checks import CONFIGURATION, HEALTH
from tests.clouds.conformance.program import CLOUD_CONFIG, Registration, run_program
from tests.simulator import rules, webitel
from tests.simulator.case import ZONE, load_case
from tests.simulator.faults import Faults
from tests.simulator.simulators import make_provider
from tests.simulator.world import World

GOLDEN = Path(__file__).resolve().parents[2] / "golden"

ZONED = "dns"
"""In place of a tier: only the records of the domain, with a zone of the user's."""

REVIEWED = "basic"
"""The tier that shows every kind of resource; `conformance` compares all of them with their plans."""

STACKS = [
    f"{cloud}-{tier}" for cloud in CLOUDS if CLOUDS[cloud].real for tier in (REVIEWED, *([ZONED] if CLOUDS[cloud].dns else []))
]

LONGEST = 200
"""A longer text is told by its length only: user data and files are `node_files.py`'s."""


GENERATED = re.compile(r"(?<=[a-z])-[0-9a-f]{7}$")
"""The end of a name that a provider makes up."""


def preview(stack: str) -> list[dict[str, Any]]:
    """The resources of a first preview with their inputs, by place in the tree; what is not known yet is `(unknown)`."""
    cloud, _, tier = stack.partition("-")
    changes = {}
    if tier == ZONED:
        stack = f"{cloud}-{REVIEWED}"
        changes = {"domain": f"voice.{ZONE}", "dns_zone": load_case(cloud).zone.format(id="Z0123456789ABCDEFGHIJ")}
    with tempfile.TemporaryDirectory() as folder:
        world, faults = World(Path(folder) / "world.jsonl"), Faults(None)
        providers = [make_provider(cloud, world, faults), webitel.make_provider(world, faults)]
        registrations, _ = run_program(stack, providers, changes, cloud_config=CLOUD_CONFIG, preview=True)
    chosen = [one for one in registrations if tier != ZONED or one.type in load_case(cloud).records]
    return [describe(one) for one in sorted(chosen, key=lambda one: (one.type, one.name))]


def describe(one: Registration) -> dict[str, Any]:
    """A registration without what changes with every edit of a text."""
    given = one.given
    if one.type == CONFIGURATION:
        # The texts, and which placeholders, probes and settings they have, are no matter of a cloud.
        given = {name: given[name] for name in ("address", "devices", "machine_id", "user", "via")}
    if one.type == HEALTH:
        given = {name: value for name, value in given.items() if name not in ("nodes", "private_key")}
    options = {
        "parent": one.parent.rpartition("::")[2] if one.parent else "",
        "protect": one.protect,
        "ignore_changes": list(one.ignore_changes),
        "delete_before_replace": one.delete_before_replace,
    }
    told = {name: value for name, value in options.items() if value}
    return {"type": one.type, "name": one.name, **told, "inputs": shorten(given, one.secret_paths)}


def shorten(value: Any, secret: frozenset[tuple[str | int, ...]], path: tuple[str | int, ...] = ()) -> Any:
    """A value for a file that people read."""
    if path in secret:
        return "(secret)"
    if value is UNKNOWN:
        return "(unknown)"
    if isinstance(value, str):
        return GENERATED.sub("-(random)", value) if len(value) <= LONGEST else "(text)"
    if isinstance(value, Mapping):
        return {name: shorten(value[name], secret, (*path, name)) for name in sorted(value)}
    if isinstance(value, list):
        return [shorten(item, secret, (*path, index)) for index, item in enumerate(value)]
    return value


def to_text(resources: list[dict[str, Any]]) -> str:
    """One resource a paragraph, one input a line: a diff shows what changed of what."""
    lines = []
    for one in resources:
        head = {name: value for name, value in one.items() if name != "inputs"}
        inputs = [f"   {json.dumps(name)}: {write_value(value)}" for name, value in one["inputs"].items()]
        body = "{\n" + ",\n".join(inputs) + "\n  }" if inputs else "{}"
        lines.append(f'{json.dumps(head)[:-1]}, "inputs": {body}}}')
    return "[\n" + ",\n".join(lines) + "\n]\n"


def write_value(value: Any) -> str:
    """A list of objects (rules) has a line an element."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return "[\n" + ",\n".join(f"    {json.dumps(item)}" for item in value) + "]"
    return json.dumps(value)


def golden_file(stack: str) -> Path:
    """Where the reviewed preview of a stack stands."""
    return GOLDEN / f"{stack}.json"


def main() -> None:
    """Write every golden file whose text changed, and delete what is none any more."""
    for file in [file for file in GOLDEN.glob("*.json") if file.stem not in STACKS]:
        file.unlink()
        print(f"{file.relative_to(Path.cwd())}: deleted")
    for file in node_files.write():
        print(f"{file.relative_to(Path.cwd())}: {'written' if file.exists() else 'deleted'}")
    for stack in STACKS:
        text = to_text(preview(stack))
        file = golden_file(stack)
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
            print(f"{file.relative_to(Path.cwd())}: written")
    rules.main()


if __name__ == "__main__":
    main()
