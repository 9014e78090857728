"""What stands in for the engine, as a script that is started in place of `pulumi`, and for nodes that were met."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cli.engine.engine import Engine
from cli.nodes.access import NodeAccess
from components.ssh import Hop, Target

HEAD = f"""#!{sys.executable}
import json, os, signal, sys, time

def option(name):
    return sys.argv[sys.argv.index(name) + 1]

def say(event, kind="webitel:index:NodeConfiguration", name="data-1", **metadata):
    metadata = dict(urn=f"urn:pulumi:s::webitel::{{kind}}::{{name}}", new=dict(custom=True), **metadata)
    write({{"timestamp": int(time.time()), event: {{"metadata": metadata}}}})

def diagnose(message, severity="info", ephemeral=False, urn="urn:pulumi:s::webitel::webitel:index:NodeConfiguration::data-1"):
    write({{"timestamp": int(time.time()), "diagnosticEvent": dict(
        urn=urn, message=message, severity=severity, ephemeral=ephemeral)}})

def write(event):
    with open(option("--event-log"), "a") as log:
        log.write(json.dumps(event) + "\\n")

"""


def make_engine(folder: Path, body: str, stack: str = "local-basic") -> Engine:
    """An Engine whose `pulumi` runs that Python text after `HEAD`."""
    binary = folder / "pulumi"
    binary.write_text(HEAD + body)
    binary.chmod(0o755)
    run = folder / "run"
    (run / "stacks").mkdir(parents=True)
    return Engine(stack, binary, dict(os.environ), run)


def make_node(
    key: str,
    stack: str = "local-basic",
    *,
    address: str = "127.0.0.1",
    user: str = "root",
    via: tuple[Hop, ...] = (),
    ssh_via: str = "",
) -> NodeAccess:
    """A node as it is reached; the id of its machine is its key."""
    return NodeAccess(key, f"{stack}-{key}", Target(address=address, machine_id=key, user=user, via=via, ssh_via=ssh_via))
