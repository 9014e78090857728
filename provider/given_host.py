"""The resource type of a host that was given: nothing makes it. It is looked at, and taken, over SSH."""

import json
import secrets
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import asyncssh
import yaml
from pydantic import BaseModel, ConfigDict

from cloud_init.node.apply.host import WARNING, Given, Mark
from cloud_init.node_command import node_command
from components.model import resource_types
from components.model.given_hosts import ACCEPT
from components.ssh import NotLetInError, Pins, SshError, Target, connect, explain, read_key, show_public
from components.ssh_first import copy_key
from components.ssh_session import Session
from provider import upload
from provider.cancel import run_cancellable
from provider.handler import Changes, Handler, PartialFailure, ProviderError, Request, changed_inputs
from provider.values import Properties

_RELEASE, _ARCHITECTURE = "12", "amd64"
_LOOK_SECONDS = 30
_TAKE_SECONDS = 900
_LOOK = """
. /etc/os-release
echo "system=$ID"
echo "release=$VERSION_ID"
echo "title=$PRETTY_NAME"
echo "architecture=$(dpkg --print-architecture 2>/dev/null || uname -m)"
echo "machine_id=$(cat /etc/machine-id)"
echo "host_name=$(cat /proc/sys/kernel/hostname)"
echo "python=$(command -v python3)"
echo "first=$(cat /proc/1/comm)"
echo "addresses=$(ip -4 -o address 2>/dev/null | awk '{print $4}' | tr '\\n' ' ')"
echo "mark=$(tr -d '\\n' </var/lib/webitel/host.json 2>/dev/null)"
"""
"""Needs nothing but a shell: it may be any system."""


class HostInputs(BaseModel):
    """`addresses` are those that the host has to have; `user_data` is the text that cloud-init would get, and counts when the
    host is taken; `host_key` is as `webitel:hosts` says it; `private_key` is the deployment's."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    stack: str
    node: str
    address: str
    user: str
    ssh_via: str = ""
    host_key: str
    addresses: tuple[str, ...]
    user_data: str
    private_key: str

    def target(self, machine_id: str, host_key: str = "") -> Target:
        """Return the host as SSH needs it: with the key that is stated, or the one that was met before."""
        stated = " ".join(self.host_key.split()[:2]) if self.host_key != ACCEPT else host_key
        return Target(
            address=self.address,
            machine_id=machine_id,
            user=self.user,
            ssh_via=self.ssh_via,
            expected=(stated,) if stated else (),
        )


class GivenHost(Handler):
    """Inputs: HostInputs. Outputs: machine_id (the host's own, the resource's id too), host_key (as it was met), host_name,
    claim (which taking of the host this is), taken (to its end)."""

    type = resource_types.GIVEN_HOST

    def diff(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Changes:
        changed = [key for key in changed_inputs(old, new) if key != "user_data"]
        return Changes(changed, find_reasons(old, outputs, new), delete_before_replace=True)

    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        wanted = HostInputs.model_validate(inputs)
        found = run_cancellable(request, _take(request, wanted))
        return found["machine_id"], found

    def preview_update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        return outputs

    def update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        changed = changed_inputs(old, new)
        wanted = HostInputs.model_validate(new)
        if not outputs["taken"]:
            return run_cancellable(request, _take(request, wanted))
        if {"address", "host_key", "user", "addresses", "ssh_via"}.isdisjoint(changed):
            return outputs
        return run_cancellable(request, _look_again(wanted, outputs))

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        left = HostInputs.model_validate(inputs)
        try:
            run_cancellable(request, _leave(request, left, outputs))
        except ProviderError as error:
            request.warn(
                f"{left.node} at {left.address} was left as it is, with its services: {error}\n"
                "Where the host is still there, and nobody else's: sudo webitel-node leave-host"
            )


def find_reasons(old: Properties, outputs: Properties, new: Properties) -> list[str]:
    """Return the inputs by which it is another host: its host key tells, and where none is stated, the address."""
    if new["host_key"] != ACCEPT:
        same = " ".join(str(new["host_key"]).split()[:2]) == outputs["host_key"]
        return [] if same else ["host_key"]
    return ["address"] if old["address"] != new["address"] else []


async def _open(wanted: HostInputs, pins: Pins, machine_id: str = "", host_key: str = "") -> Session:
    """Log in by the deployment's key, else, at the first contact, in the owner's own way."""
    key = read_key(wanted.private_key)
    target = wanted.target(machine_id or wanted.address, host_key)
    accepts = wanted.host_key == ACCEPT and not host_key
    try:
        return await connect(target, [key], pins, pin_new=accepts)
    except NotLetInError:
        """Not yet."""
    try:
        return await connect(target, [], pins, pin_new=accepts, own=True)
    except NotLetInError as error:
        raise SshError(
            f"{wanted.user}@{wanted.address.partition(':')[0]} takes none of your SSH keys (those of the agent and of ~/.ssh); "
            f"let one in: {copy_key(target)}"
        ) from error


async def _take(request: Request, wanted: HostInputs) -> Properties:
    """Look whether it is a host that can be taken, and take it."""
    pins: Pins = {}
    request.progress(f"looking at {wanted.address}")
    async with await _open(wanted, pins) as session:
        found = await _look(session, wanted)
        mark = read_mark(found)
        if why := explain_found(found, wanted, mark):
            raise ProviderError(f"{wanted.node} at {wanted.address}: {why}. Nothing was changed there.")
        host_key = pins.get(wanted.address) or " ".join(wanted.host_key.split()[:2])
        claim = secrets.token_hex(8)
        outputs = {
            "machine_id": found["machine_id"],
            "host_key": host_key,
            "host_name": found["host_name"].partition(".")[0],
            "claim": claim,
            "taken": True,
        }
        try:
            await _send(request, session, wanted, claim)
        except (ProviderError, asyncssh.Error, OSError, TimeoutError) as error:
            text = str(error) if isinstance(error, ProviderError) else explain(error)
            raise PartialFailure(
                f"{wanted.node} at {wanted.address}: {text}", found["machine_id"], outputs | {"taken": False}
            ) from error
    return outputs


async def _look_again(wanted: HostInputs, outputs: Properties) -> Properties:
    """Make sure that the known host answers, at another address perhaps."""
    async with await _open(wanted, {}, outputs["machine_id"], outputs["host_key"]) as session:
        found = await _look(session, wanted)
    if found["machine_id"] != outputs["machine_id"]:
        raise ProviderError(f"the host at {wanted.address} is machine {found['machine_id']}, not {outputs['machine_id']}")
    return outputs


async def _look(session: Session, wanted: HostInputs) -> dict[str, str]:
    """Return what the host is. Raises ProviderError where that cannot be asked as root."""
    try:
        asked = await session.run("sh", seconds=_LOOK_SECONDS, input=_LOOK.encode())
    except (asyncssh.Error, OSError, TimeoutError) as error:
        raise ProviderError(f"{wanted.node} at {wanted.address}: {explain(error)}") from error
    if asked.status and wanted.user != "root" and "machine_id=" not in asked.output:
        raise ProviderError(
            f"{wanted.node}: {wanted.user}@{wanted.address} may not use sudo without a password: {asked.last_lines(1)}. As root "
            f"there: apt-get install -y sudo; echo '{wanted.user} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{wanted.user}; or "
            "set webitel:host_user: root"
        )
    return dict(line.split("=", 1) for line in asked.output.splitlines() if "=" in line)


def read_mark(found: Mapping[str, str]) -> Mark | None:
    """Return whose the host says it is, None = nobody's."""
    mark: Mark | None = json.loads(found["mark"]) if found.get("mark") else None
    return mark


def explain_found(found: Mapping[str, str], wanted: HostInputs, mark: Mark | None) -> str:
    """Say why the host cannot be taken, "" = it can."""
    system = found.get("system"), found.get("release", "").partition(".")[0], found.get("architecture")
    if system != ("debian", _RELEASE, _ARCHITECTURE):
        return f"Debian 12 on amd64 is needed, and it has {found.get('title', 'no known system')} on {found.get('architecture')}"
    if found.get("first") != "systemd":
        return f"systemd is needed as its first process, and that is {found.get('first') or 'unknown'}"
    if not found.get("python"):
        return "python3 is not installed; install it: apt-get install -y python3"
    if len(found.get("machine_id", "")) != 32:
        return "it has no machine id in /etc/machine-id; make one: systemd-machine-id-setup"
    if mark and (mark["stack"], mark["node"]) != (wanted.stack, wanted.node):
        return (
            f"it is {mark['node']} of {mark['stack']} already; where that deployment is no more, and nobody needs what runs "
            "there: sudo webitel-node leave-host"
        )
    has = [one.partition("/")[0] for one in found.get("addresses", "").split()]
    if lacking := [address for address in wanted.addresses if address not in has]:
        return f"it does not have the address {' and '.join(lacking)}, but {', '.join(has) or 'none'}"
    return ""


async def _send(request: Request, session: Session, wanted: HostInputs, claim: str) -> None:
    """Have the node program do what cloud-init does elsewhere."""
    user_data: Any = yaml.safe_load(wanted.user_data)
    given: Given = {
        "stack": wanted.stack,
        "node": wanted.node,
        "claim": claim,
        "user": wanted.user,
        "key": show_public(read_key(wanted.private_key)),
        "user_data": user_data,
    }
    folder = upload.name_folder()
    sent = await session.run(upload.receive(folder), seconds=_TAKE_SECONDS, input=upload.pack(["node"], {"given.json": given}))
    if sent.status:
        raise ProviderError(f"it could not receive the node program: {sent.last_lines()}")
    errors: list[str] = []

    def read(line: str) -> None:
        said: Any = json.loads(line) if line.startswith("{") else {"error": line}
        if "error" in said:
            errors.append(said["error"])
        elif said["step"] == WARNING:
            request.warn(f"going on after: {said['text']}")
        else:
            request.progress(said["text"])

    command = node_command("take-host", "--incoming", folder, program=PurePath(folder, "node"))
    done = await session.run(command, seconds=_TAKE_SECONDS, on_line=read)
    if done.status:
        raise ProviderError("\n".join(errors) or done.last_lines() or f"take-host ended with {done.status}")


async def _leave(request: Request, left: HostInputs, outputs: Properties) -> None:
    """Have the host give up what is ours, where this is the last time that it was taken."""
    async with await _open(left, {}, outputs["machine_id"], outputs["host_key"]) as session:
        found = await _look(session, left)
        mark = read_mark(found)
        if found.get("machine_id") != outputs["machine_id"] or not mark or mark["claim"] != outputs["claim"]:
            return
        request.progress("leaving the host")
        folder = upload.name_folder()
        sent = await session.run(upload.receive(folder), seconds=_TAKE_SECONDS, input=upload.pack(["node"], {}))
        if sent.status:
            raise ProviderError(sent.last_lines())
        done = await session.run(node_command("leave-host", program=PurePath(folder, "node")), seconds=_TAKE_SECONDS)
        if done.status:
            raise ProviderError(done.last_lines())
        # As a warning, which is shown to the end: the data of a company is on that host.
        request.warn(f"{left.node} at {left.address}: {done.output.strip()}")
