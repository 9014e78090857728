"""An engine that is a script: what the command line starts in place of `pulumi`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cli.engine.engine import Engine

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
