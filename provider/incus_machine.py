"""The resource type of a local machine: an unprivileged system container of Incus."""

import hashlib
import json
import uuid
from ipaddress import IPv4Interface
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from provider.handler import Changes, Failure, Handler, PartialFailure, ProviderError, Request, changed_inputs
from provider.incus import LocalInputs, find_failures, show_refusals
from provider.values import Properties
from tools.incus import api
from tools.incus.network import describe_interface

_DIGEST_KEY = "user.webitel.inputs"
_MACHINE_KEY = "user.webitel.machine"
_IN_PLACE = {"vcpus", "memory_gib", "disks", "labels"}
_AT_CREATION = {"image", "user_data", "ssh_public_key"}
"""What counts when a machine is made and changes none that runs. The program's `ignore_changes` would not do: a
replacement would then get the image of back then, which may be gone."""


class AttachedDisk(BaseModel):
    """A LocalDisk by name, and the directory at which the machine finds it mounted."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    purpose: str
    path: str = Field(pattern=r"^/")


class MachineInputs(LocalInputs):
    """`image` is an alias of Incus, `network` a LocalNetwork by name, `user_data` what cloud-init gets,
    `ssh_public_key` one line as in authorized_keys. The key and the user data count at the first boot only."""

    image: str
    network: str
    address: str
    vcpus: int = Field(ge=1)
    memory_gib: float = Field(gt=0)
    user_data: str
    ssh_public_key: str
    disks: tuple[AttachedDisk, ...] = ()

    def digest(self) -> str:
        """Equal for inputs that give the same machine, whatever its limits and disks."""
        fixed = self.model_dump(exclude=_IN_PLACE)
        return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()

    def live_config(self) -> dict[str, str]:
        """The configuration keys that change in a running container."""
        memory = f"{round(self.memory_gib * 1024)}MiB"
        return self.label_config() | {"limits.cpu": str(self.vcpus), "limits.memory": memory}

    def devices(self) -> dict[str, dict[str, str]]:
        """All devices; the volumes are mounted before the machine's systemd starts."""
        disks = {disk.purpose: {"type": "disk", "pool": api.POOL, "source": disk.name, "path": disk.path} for disk in self.disks}
        return disks | {
            "root": {"type": "disk", "pool": api.POOL, "path": "/"},
            "eth0": {"type": "nic", "network": self.network, "name": "eth0"},
        }


class LocalMachine(Handler):
    """Inputs: MachineInputs. Outputs: address, name, and machine_id, new with every machine: it is the resource's id
    too, and inside the machine cloud-init's instance id (/var/lib/cloud/data/instance-id)."""

    type = "webitel:index:LocalMachine"

    def check(self, request: Request, old: Properties | None, new: Properties) -> tuple[Properties, list[Failure]]:
        return new, find_failures(MachineInputs, new)

    def diff(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Changes:
        changed = [key for key in changed_inputs(old, new) if key not in _AT_CREATION]
        return Changes(changed, [key for key in changed if key not in _IN_PLACE], delete_before_replace=True)

    def preview_create(self, request: Request, inputs: Properties) -> Properties:
        return {"name": inputs["name"], "address": inputs["address"]}

    @show_refusals
    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        wanted = MachineInputs.model_validate(inputs)
        found = api.find(api.instance_path(wanted.name))
        if found is None:
            id = self._create_container(request, wanted)
        else:
            id = self._adopt(found, wanted)
            request.progress(f"found container {wanted.name} as an earlier run left it")
        outputs = {"machine_id": id, "address": wanted.address, "name": wanted.name}
        try:
            self._apply(request, wanted)
        except api.IncusError as error:
            message = f"container {wanted.name}: {error}; more: incus info --show-log {wanted.name}"
            raise PartialFailure(message, id, outputs) from error
        return id, outputs

    def _create_container(self, request: Request, wanted: MachineInputs) -> str:
        network = api.find(api.network_path(wanted.network))
        if network is None:
            raise ProviderError(f"container {wanted.name}: there is no network {wanted.network}")
        id = str(uuid.uuid4())
        request.progress(f"creating container from image {wanted.image}")
        body = {
            "name": wanted.name,
            "type": "container",
            "source": {"type": "image", "alias": wanted.image},
            "profiles": [],
            "config": self._first_config(wanted, id, IPv4Interface(network["config"]["ipv4.address"])),
            "devices": wanted.devices(),
        }
        try:
            api.call("POST", "/instances", body, pause=request.sleep)
        except api.IncusError as error:
            raise ProviderError(f"container {wanted.name} was not created: {error}") from error
        return id

    def _first_config(self, wanted: MachineInputs, id: str, gateway: IPv4Interface) -> dict[str, str]:
        """Configuration that counts at creation. JSON is YAML: no text of an input can break out of its place."""
        # The image's template appends these lines to its own; the last instance-id counts.
        meta_data = f"instance-id: {id}\npublic-keys: {json.dumps([wanted.ssh_public_key])}\n"
        return wanted.live_config() | {
            _MACHINE_KEY: id,
            _DIGEST_KEY: wanted.digest(),
            "security.nesting": "true",  # systemd's own sandboxing of units mounts file systems
            "cloud-init.network-config": json.dumps(describe_interface(wanted.address, gateway)),
            "cloud-init.user-data": wanted.user_data,
            "user.meta-data": meta_data,
        }

    def _adopt(self, found: dict[str, Any], wanted: MachineInputs) -> str:
        config: dict[str, str] = found["config"]
        if not wanted.owns(config) or config.get(_DIGEST_KEY) != wanted.digest():
            whose = "of this stack but with other inputs" if wanted.owns(config) else "of somebody else"
            raise ProviderError(
                f"a container {wanted.name} {whose} exists already; if nobody needs it: incus delete --force {wanted.name}"
            )
        return config[_MACHINE_KEY]

    def _apply(self, request: Request, wanted: MachineInputs) -> None:
        """Gives the container its limits and disks as wanted now, and starts it where it does not run."""
        path = api.instance_path(wanted.name)
        found = api.call("GET", path)
        config = {**found["config"], **wanted.live_config()}
        if config != found["config"] or wanted.devices() != found["devices"]:
            request.progress(f"setting {wanted.vcpus} vCPU, {wanted.memory_gib:g} GiB and {len(wanted.disks)} disks")
            body = {key: found[key] for key in ("architecture", "description", "ephemeral", "profiles")}
            api.call("PUT", path, body | {"config": config, "devices": wanted.devices()}, pause=request.sleep)
            found = api.call("GET", path)  # the call above waits for the end of a failed start, which looks like running
        if found["status"] != "Running":
            request.progress("starting container")
            api.change_state(wanted.name, "start", pause=request.sleep)

    @show_refusals
    def read(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> tuple[Properties, Properties] | None:
        found = self._find(id, outputs)
        if found is None:
            return None
        limits = {
            "vcpus": int(found["config"].get("limits.cpu", 0)),
            "memory_gib": _read_gib(found["config"].get("limits.memory", "0MiB")),
        }
        disks = [disk for disk in inputs.get("disks", []) if disk["purpose"] in found["devices"]]
        return inputs | limits | ({"disks": disks} if "disks" in inputs else {}), outputs

    @show_refusals
    def update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        if self._find(id, outputs) is None:
            raise ProviderError(f"container {new['name']} is gone or another one; run: pulumi refresh")
        self._apply(request, MachineInputs.model_validate(new))
        return outputs

    def preview_update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        return outputs

    @show_refusals
    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        if self._find(id, outputs):
            request.progress("stopping and deleting container")
            api.delete_instance(outputs["name"], pause=request.sleep)

    def _find(self, id: str, outputs: Properties) -> dict[str, Any] | None:
        """Returns the very machine, not another one of its name."""
        found = api.find(api.instance_path(outputs["name"]))
        return found if found and found["config"].get(_MACHINE_KEY) == id else None


def _read_gib(memory: str) -> float | int:
    gib = int(memory.removesuffix("MiB")) / 1024 if memory.endswith("MiB") else 0
    return int(gib) if gib == int(gib) else gib
