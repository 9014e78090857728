"""Drift of a node: what was changed on it outside `webitel`, found over SSH."""

import json
import os

import asyncssh

from cloud_init.node.apply.drift import MARK
from cloud_init.node.report import Finding
from cloud_init.node_command import node_command
from components.ssh import Pins, connect, explain, read_key
from provider.cancel import run_cancellable
from provider.handler import ProviderError, Request
from provider.node_inputs import NodeInputs
from provider.values import Properties

_ASKED = "WEBITEL_ASK_NODES"
_CONNECT_SECONDS = 15
_ANSWER_SECONDS = 60


def is_asked() -> bool:
    """Tell whether a refresh may open SSH: only when a person runs `webitel drift` or `up --repair`. A preview in a
    pull request cannot reach the nodes, and has no business there."""
    return os.environ.get(_ASKED) == "yes"


def read_node(request: Request, inputs: Properties, outputs: Properties) -> Properties:
    """Return the inputs as they are on the node: without the files that were changed there, and with every finding in the
    manifest, so that the next `up` sees a difference and restores everything. A node that cannot be asked counts as
    unchanged, with a warning that says so."""
    wanted = NodeInputs.model_validate(inputs)
    pins = dict(outputs["host_keys"])
    try:
        found = run_cancellable(request, _ask(request, wanted, pins))
    except ProviderError as error:
        request.warn(f"{wanted.node} could not be asked, so its files, units and packages were not checked: {error}")
        return inputs
    changed = {finding["name"] for finding in found if finding["kind"] == "file"}
    lines = [f"{finding['kind']} {finding['name']}: {finding['what']}" for finding in found]
    if not lines:
        return inputs
    files = {path: text for path, text in inputs["files"].items() if path not in changed}
    return {**inputs, "files": files, "manifest": {**inputs["manifest"], MARK: lines}}


async def _ask(request: Request, wanted: NodeInputs, pins: Pins) -> list[Finding]:
    session = await connect(
        wanted.target(), [read_key(wanted.private_key)], pins, seconds=_CONNECT_SECONDS, pin_new=True, progress=request.progress
    )
    try:
        done = await session.run(node_command("drift"), seconds=_ANSWER_SECONDS)
    except (asyncssh.Error, OSError, TimeoutError) as error:
        raise ProviderError(explain(error)) from error
    finally:
        session.close()
    try:
        answer = json.loads(done.output)
    except ValueError as error:
        raise ProviderError(f"the node program failed with exit status {done.status}: {done.last_lines(2)}") from error
    if "error" in answer:
        raise ProviderError(answer["error"])
    found: list[Finding] = answer["drift"]
    return found
