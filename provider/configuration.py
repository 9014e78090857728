"""What the resource type `NodeConfiguration` does: gives one node its files, packages and units over SSH."""

import json
import time
from collections.abc import Callable

import asyncssh

from cloud_init.node.apply import host
from cloud_init.node.manifest import Configuration
from cloud_init.node.report import CONFIRM, Applied
from components.host_keys import own_key
from components.model import resource_types
from components.model.dropped_calls import (
    ANNOUNCED,
    HANDED_OVER,
    INTERRUPTED,
    ONCE_HANDED_OVER,
    REFUSED,
    UNLESS_ALLOWED,
    find_dropped_calls,
    find_handed_over,
    find_interrupted,
    find_put_off,
)
from components.ssh import Pins, connect, explain, read_key, show_public
from components.ssh_session import Session
from provider import drift, upload
from provider.cancel import run_cancellable
from provider.handler import Changes, Failure, Handler, PartialFailure, ProviderError, Request, changed_inputs
from provider.log_in import LogIn
from provider.node_inputs import APPLIED, NodeInputs, find_excess, find_missing
from provider.values import Properties

_BOOTED = f"test -e {host.MARK} || test -e /var/lib/cloud/instance/boot-finished || cloud-init status --wait"
"""A host that was given has come up before, and need not have cloud-init."""
_INSTANCE = "cat /var/lib/cloud/data/instance-id"
_HOST_KEY = "/etc/ssh/webitel_host_ed25519_key"
_HOST_KEY_SETTING = "/etc/ssh/sshd_config.d/10-webitel-host-key.conf"
# A file of its own, which no cloud-init writes: that one puts the throw-away key back where it takes the machine for a new one.
# On the disk before it is in place: a power cut would else leave an empty one, and nobody in.
_TAKE_HOST_KEY = (
    f"sh -c 'umask 077; cat >{_HOST_KEY}.new && sync {_HOST_KEY}.new && mv {_HOST_KEY}.new {_HOST_KEY} && "
    f'echo "HostKey {_HOST_KEY}" >{_HOST_KEY_SETTING}.new && chmod 644 {_HOST_KEY_SETTING}.new && '
    f"sync {_HOST_KEY_SETTING}.new && "
    f"mv {_HOST_KEY_SETTING}.new {_HOST_KEY_SETTING} && "
    f"{{ sshd -t || {{ rm {_HOST_KEY_SETTING}; exit 1; }}; }} && systemctl try-reload-or-restart ssh.service'"
)
_TRIES = 2  # where the connection is lost while applying, and one more for each node on the way


class NodeConfiguration(Handler):
    """Inputs: NodeInputs. Outputs: digest ("" after a failure), machine_id, configured (whether this machine was once
    completely), host_key, host_keys (of the jump hosts too, by machine id), put_off (units whose restart waits for calls to end,
    which `disruptive` does not) and seconds by step.

    Applying twice does no harm, so whatever was interrupted is repeated.
    """

    type = resource_types.CONFIGURATION

    def check(self, request: Request, old: Properties | None, new: Properties) -> tuple[Properties, list[Failure]]:
        return new, [*find_missing(new), *find_excess(new)]

    def diff(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Changes:
        # A new private key has to reach the node as long as the old one still opens it.
        due = ["disruptive"] if new.get("disruptive") and outputs.get("put_off") else []
        return Changes([key for key in changed_inputs(old, new) if key in (*APPLIED, "private_key")] or due)

    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        wanted = NodeInputs.model_validate(inputs)
        return wanted.key, _configure(request, wanted, None, {})

    def preview_update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        if new["machine_id"] != outputs["machine_id"]:
            return {}
        if dropped := find_dropped_calls(old, new) if outputs["configured"] else "":
            request.warn(f"{ANNOUNCED}{dropped}{'' if new.get('disruptive') else UNLESS_ALLOWED}")
        if handed := find_handed_over(old, new) if outputs["configured"] else "":
            request.warn(f"{HANDED_OVER}{handed}{ONCE_HANDED_OVER}")
        if interrupted := find_interrupted(old, new) if outputs["configured"] else "":
            request.warn(f"{INTERRUPTED}{interrupted}")
        if put_off := find_put_off(old, new) if outputs["configured"] and not new.get("disruptive") else "":
            request.warn(put_off)
        return {key: outputs[key] for key in ("machine_id", "host_key", "host_keys")}

    def update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        wanted = NodeInputs.model_validate(new)
        runs = outputs["configured"] and wanted.machine_id == outputs["machine_id"]
        dropped = find_dropped_calls(old, new) if runs else ""
        if dropped and not wanted.disruptive:
            raise ProviderError(
                f"{wanted.node}: {REFUSED}{dropped}\nWhen few calls are in progress, run: ./webitel up --disruptive"
            )
        return _configure(request, wanted, NodeInputs.model_validate(old), outputs)

    def read(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> tuple[Properties, Properties] | None:
        return drift.read_node(request, inputs, outputs) if drift.is_asked() else inputs, outputs

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        """Touches nothing on the node."""


def _configure(request: Request, wanted: NodeInputs, old: NodeInputs | None, outputs: Properties) -> Properties:
    """Apply the configuration; a failure after the first contact keeps the pinned host key."""
    met: dict[str, str] = outputs.get("host_keys", {})
    machines = {wanted.machine_id, *(hop.machine_id for hop in wanted.via)}
    pins: Pins = {machine: key for machine, key in met.items() if machine in machines}
    configured = bool(outputs.get("configured")) and outputs["machine_id"] == wanted.machine_id

    def describe(**more: object) -> Properties:
        known = {"machine_id": wanted.machine_id, "host_key": pins[wanted.machine_id], "host_keys": dict(pins)}
        return known | more

    try:
        applied = run_cancellable(request, _apply(request, wanted, old, pins, update=configured))
    except ProviderError as error:
        if wanted.machine_id not in pins:
            raise  # it was never reached, so nothing was changed
        left = describe(digest="", configured=configured, seconds={})
        raise PartialFailure(str(error), wanted.key, left) from error
    return describe(digest=wanted.digest(), configured=True, **applied)


async def _apply(request: Request, wanted: NodeInputs, old: NodeInputs | None, pins: Pins, *, update: bool) -> Properties:
    """Start over where the connection is lost. `update` makes the node program return only when the node
    does its own duties again; the first time it must not wait, because its peers do not exist yet."""
    keys = [read_key(wanted.private_key)]
    if old and old.private_key != wanted.private_key:
        keys.append(read_key(old.private_key))
    is_new = wanted.machine_id not in pins
    start = time.monotonic()
    # Each node on the way is loading its own firewall meanwhile, and may cut what passes through it.
    tries = _TRIES + len(wanted.via)
    for attempt in range(1, tries + 1):
        session = await connect(wanted.target(), keys, pins, seconds=wanted.limits.ssh, pin_new=True, progress=request.progress)
        answered = time.monotonic()
        try:
            if is_new and wanted.instance_id:
                await _check_instance(session, wanted)
            if len(keys) > 1:
                await _exchange_key(session, keys[1], keys[0])
            await _wait_for_boot(request, session, wanted)
            if wanted.boot_key and wanted.machine_id not in pins:
                pins[wanted.machine_id] = await _give_own_host_key(session, wanted)
            booted = time.monotonic()
            result = await _send_and_apply(request, session, wanted, keys[0], pins, update=update)
            seconds = {"ssh": round(answered - start, 1), "boot": round(booted - answered, 1), **result["seconds"]}
            return {"seconds": seconds} | ({"put_off": result["put_off"]} if "put_off" in result else {})
        except (asyncssh.Error, OSError, TimeoutError) as error:
            if attempt == tries:
                raise ProviderError(f"{wanted.node} at {wanted.address}: {explain(error)}") from error
            request.progress(f"reconnecting: {explain(error)}")
        finally:
            session.close()
    raise AssertionError("the last attempt returns or raises")


async def _check_instance(session: Session, wanted: NodeInputs) -> None:
    """Check the instance id of a machine never met before: another one at its address takes any key, but has another id."""
    shown = await session.run(_INSTANCE, seconds=30)
    found = shown.output.strip()
    if not found:
        # cloud-init wrote it before it let the deployment's key in.
        raise ProviderError(
            f"the machine at {wanted.address} did not show its instance id, so nothing was sent: expected {wanted.instance_id} "
            f"({_INSTANCE}); {shown.last_lines(1) or f'exit status {shown.status}'}"
        )
    if found != wanted.instance_id:
        raise ProviderError(
            f"machine {found} answers at {wanted.address}, not {wanted.instance_id}, so nothing was sent: "
            "the address belongs to another machine"
        )


async def _exchange_key(session: Session, old: asyncssh.SSHKey, new: asyncssh.SSHKey) -> None:
    """Replace the deployment's old key in authorized_keys with its new one."""
    old_line, new_line = (show_public(key).split() for key in (old, new))
    file = "~/.ssh/authorized_keys"
    command = (
        f"umask 077; {{ grep -vF -e '{old_line[1]}' -e '{new_line[1]}' {file}; echo '{' '.join(new_line)} webitel'; }}"
        f" >{file}.new && sync {file}.new && mv {file}.new {file}"
    )
    done = await session.run(command, seconds=30, root=False)
    if done.status:
        raise ProviderError(f"the new SSH key was not written to {file}: {done.last_lines()}")


async def _give_own_host_key(session: Session, wanted: NodeInputs) -> str:
    """Replace the throw-away host key, with which the machine has just proved itself, by its own; return that one's line."""
    own = own_key(wanted.host_key_seed, wanted.machine_id)
    done = await session.run(_TAKE_HOST_KEY, seconds=30, input=own.private.encode())
    if done.status:
        raise ProviderError(f"{wanted.node} could not take its own host key: {done.last_lines(2)}")
    return own.public


async def _wait_for_boot(request: Request, session: Session, wanted: NodeInputs) -> None:
    request.progress("boot: waiting for cloud-init")
    try:
        # Its status "error" is not fatal: a module that failed may not matter, and what matters shows later.
        done = await session.run(f"sh -c '{_BOOTED}'", seconds=wanted.limits.boot)
    except TimeoutError as error:
        raise ProviderError(
            f"{wanted.node}: cloud-init did not finish within {wanted.limits.boot:g} s; "
            "see cloud-init status --long and /var/log/cloud-init-output.log"
        ) from error
    if done.status:
        request.warn(f"cloud-init reported an error; continuing. It said: {done.last_lines(3)}")


async def _send_and_apply(
    request: Request, session: Session, wanted: NodeInputs, key: asyncssh.SSHKey, pins: Pins, *, update: bool
) -> Applied:
    request.progress("sending the configuration")
    configuration: Configuration = {
        "files": wanted.files,
        "attributes": wanted.attributes,
        "manifest": wanted.manifest,
        "bundles": wanted.bundles,
        "devices": wanted.devices,
        "login": {"user": wanted.user, "key": show_public(read_key(wanted.private_key))},
    }
    if wanted.disruptive:
        configuration["disruptive"] = True
    archive = upload.pack(
        wanted.bundles,
        {"configuration.json": configuration, "addresses.json": wanted.addresses, "secrets.json": wanted.secrets},
    )
    folder = upload.name_folder()
    sent = await session.run(upload.receive(folder), seconds=wanted.limits.boot, input=archive)
    if sent.status:
        raise ProviderError(f"{wanted.node} could not receive its configuration: {sent.last_lines()}")
    async with LogIn(wanted.target(), key, pins) as log_in:
        report = _Report(request, log_in.start)
        try:
            done = await session.run(upload.apply(folder, update=update), seconds=wanted.limits.apply, on_line=report.read)
        except TimeoutError as error:
            raise ProviderError(
                f"{wanted.node}: not configured within {wanted.limits.apply:g} s; last step: {report.step or 'none reported'}"
            ) from error
    if done.status or report.result is None:
        why = report.error or done.last_lines() or f"apply ended with {done.status}"
        raise ProviderError(f"{wanted.node}: {why}" + (f"\nThe new log-in failed: {log_in.failure}" if log_in.failure else ""))
    if update and report.result["actions"]:
        request.info(", ".join(report.result["actions"]))
    return report.result


class _Report:
    """What the node program reports: progress, then a result or an error, one JSON object a line."""

    def __init__(self, request: Request, log_in: Callable[[], None]) -> None:
        self._request, self._log_in = request, log_in
        self.step = ""
        self.result: Applied | None = None
        self.error = ""

    def read(self, line: str) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            self.error = f"{self.error}\n{line}".strip()
        elif "result" in said:
            self.result = said["result"]
        elif "error" in said:
            self.error = (f"{said['unit']}: " if said.get("unit") else "") + said["error"]
        else:
            self.step = str(said.get("text") or said.get("step") or "")
            self._request.progress(self.step)
            if said.get("step") == CONFIRM:
                self._log_in()
