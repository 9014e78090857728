"""Bugs that an adapter might have, planted in what it registers: each has to be found by the checks or refused."""

from __future__ import annotations

from tests.simulator.bugs import NEIGHBOUR, Bug, Draft, update
from tests.simulator.case import load_case


def unprotect(draft: Draft) -> None:
    draft.protect = False


def forget_ignoring(draft: Draft) -> None:
    draft.ignore_changes = draft.ignore_changes[1:]


def successor_first(draft: Draft) -> None:
    draft.delete_before_replace = False


def leak(draft: Draft) -> None:
    draft.inputs["files"]["/etc/motd"] = draft.inputs["private_key"]


def common(cloud: str) -> list[Bug]:
    """Bugs of every adapter."""
    types = load_case(cloud).types
    return [
        Bug("data disk not protected", types.disk, unprotect, types.resource_of("data-1-database")),
        Bug("input of creation not ignored", types.machine, forget_ignoring, "app-1"),
        Bug("machine replaced before it is gone", types.machine, successor_first, "app-1"),
        Bug("secrets not protected", ":Secrets", unprotect),
        Bug("a secret in a file's text", ":NodeConfiguration", leak, "app-1"),
        Bug("address of another node", ":NodeConfiguration", update(address=NEIGHBOUR), "app-1"),
        Bug("no device for the database", ":NodeConfiguration", update(devices={}), "data-1"),
        *([Bug("public address not protected", types.addresses, unprotect, "edge-1")] if types.addresses else []),
        *(
            [Bug("SSH key with a fixed name", types.keys, update(**{"keyName" if cloud == "aws" else "name": "webitel"}))]
            if types.keys
            else []
        ),
        *(
            [Bug("an attachment that outlives its successor", types.attachments, successor_first, "data-1-database")]
            if types.attachments
            else []
        ),
    ]
