"""The resource type of a local machine: an unprivileged system container of Incus."""

import json
import secrets
import threading
import uuid
from ipaddress import IPv4Interface
from typing import Any

from components.model import resource_types
from provider.handler import Changes, Failure, Handler, PartialFailure, ProviderError, Request, changed_inputs
from provider.incus import find_failures, show_refusals
from provider.incus_machine_inputs import IN_PLACE, MachineInputs
from provider.values import Properties
from tools.incus import api
from tools.incus.network import describe_interface, read_gateway

_DIGEST_KEY = "user.webitel.inputs"
_MACHINE_KEY = "user.webitel.machine"
_ADDRESS_KEY = "user.webitel.address"
_AT_CREATION = {"image", "user_data", "ssh_public_key"}
"""What counts when a machine is created and changes none that runs. The program's `ignore_changes` would not do: a
replacement would then get the image of that time, which may be gone."""

_FIRST_CHOSEN = 10
_choosing = threading.Lock()
_reserved: set[str] = set()
"""Addresses given in this run to machines that Incus does not show yet."""


class LocalMachine(Handler):
    """Inputs: MachineInputs. Outputs: address, name, and machine_id, new with every machine: it is the resource's id
    too, and inside the machine cloud-init's instance id (/var/lib/cloud/data/instance-id)."""

    type = resource_types.LOCAL_MACHINE

    def check(self, request: Request, old: Properties | None, new: Properties) -> tuple[Properties, list[Failure]]:
        return new, find_failures(MachineInputs, new)

    def diff(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Changes:
        changed = [key for key in changed_inputs(old, new) if key not in _AT_CREATION]
        return Changes(changed, [key for key in changed if key not in IN_PLACE], delete_before_replace=True)

    def preview_create(self, request: Request, inputs: Properties) -> Properties:
        return {"name": inputs["name"]} | ({"address": inputs["address"]} if inputs["address"] else {})

    @show_refusals
    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        wanted = MachineInputs.model_validate(inputs)
        found = api.find(api.instance_path(wanted.name))
        if found is None:
            id, address = self._create_container(request, wanted)
        else:
            id = self._adopt(found, wanted)
            address = wanted.address or found["config"][_ADDRESS_KEY]
            request.progress(f"found container {wanted.name} from an earlier run")
        outputs = {"machine_id": id, "address": address, "name": wanted.name}
        try:
            if wanted.late:
                self._start(request, wanted)
            self._apply(request, wanted)
        except api.IncusError as error:
            message = f"container {wanted.name}: {error}; more: incus info --show-log {wanted.name}"
            raise PartialFailure(message, id, outputs) from error
        return id, outputs

    def _create_container(self, request: Request, wanted: MachineInputs) -> tuple[str, str]:
        gateway = self._find_gateway(wanted, wanted.network)
        id = str(uuid.uuid4())
        address = wanted.address or choose_address(gateway, wanted.network)
        if wanted.public_network:
            private = f"{address}/{gateway.network.prefixlen}"
            interfaces = describe_interface(
                wanted.public_address, self._find_gateway(wanted, wanted.public_network), {"eth1": private}
            )
        else:
            interfaces = describe_interface(address, gateway)
        request.progress(f"creating container from image {wanted.image}")
        body = {
            "name": wanted.name,
            "type": "container",
            "source": {"type": "image", "alias": wanted.image},
            "profiles": [],
            "config": self._first_config(wanted, id)
            | {_ADDRESS_KEY: address, "cloud-init.network-config": json.dumps(interfaces)},
            "devices": wanted.first_devices(),
        }
        try:
            api.call("POST", "/instances", body, pause=request.sleep)
        except api.IncusError as error:
            raise ProviderError(f"container {wanted.name} was not created: {error}") from error
        return id, address

    def _find_gateway(self, wanted: MachineInputs, name: str) -> IPv4Interface:
        network = api.find(api.network_path(name))
        if network is None:
            raise ProviderError(f"container {wanted.name}: network {name} does not exist")
        return IPv4Interface(read_gateway(network["config"]))

    def _first_config(self, wanted: MachineInputs, id: str) -> dict[str, str]:
        """Return the configuration that counts at creation. JSON is YAML: no text of an input can break out of its place."""
        # The image's template appends these lines to its own; the last instance-id counts.
        meta_data = f"instance-id: {id}\npublic-keys: {json.dumps([wanted.ssh_public_key])}\n"
        return wanted.live_config() | {
            _MACHINE_KEY: id,
            _DIGEST_KEY: wanted.digest(),
            "security.nesting": "true",  # systemd's own sandboxing of units mounts file systems
            "cloud-init.user-data": wanted.user_data,
            "user.meta-data": meta_data,
        }

    def _adopt(self, found: dict[str, Any], wanted: MachineInputs) -> str:
        config: dict[str, str] = found["config"]
        if wanted.owns(config) and wanted.ssh_public_key not in config.get("user.meta-data", ""):
            volumes = "".join(f"; incus storage volume delete {api.POOL} {disk.name}" for disk in wanted.disks)
            raise ProviderError(
                f"container {wanted.name} was created with another SSH key than this deployment has now, by a run whose state "
                "and secrets are lost. Restore that state (PULUMI_BACKEND_URL or ~/.local/share/webitel); or, if nobody needs "
                f"its data, which cannot be read without them: incus delete --force {wanted.name}{volumes}"
            )
        if not wanted.owns(config) or config.get(_DIGEST_KEY) != wanted.digest():
            whose = "of this stack, but with other inputs," if wanted.owns(config) else "that is not this stack's"
            raise ProviderError(
                f"a container {wanted.name} {whose} already exists; if nobody needs it: incus delete --force {wanted.name}"
            )
        return config[_MACHINE_KEY]

    def _apply(self, request: Request, wanted: MachineInputs) -> None:
        """Give the container its limits and disks as wanted now, and start it where it does not run."""
        path = api.instance_path(wanted.name)
        found = api.call("GET", path)
        config = {**found["config"], **wanted.live_config()}
        if config != found["config"] or wanted.devices() != found["devices"]:
            request.progress(f"setting {wanted.vcpus} vCPU, {wanted.memory_gib:g} GiB and {len(wanted.disks)} disks")
            body = {key: found[key] for key in ("architecture", "description", "ephemeral", "profiles")}
            api.call("PUT", path, body | {"config": config, "devices": wanted.devices()}, pause=request.sleep)
        self._start(request, wanted)

    def _start(self, request: Request, wanted: MachineInputs) -> None:
        # Asked again: the earlier call waits for the end of a failed start, which looks like running.
        if api.call("GET", api.instance_path(wanted.name))["status"] != "Running":
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
            raise ProviderError(f"container {new['name']} no longer exists, or is another one; run: pulumi refresh")
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
        """Return this very machine, not another one of its name."""
        found = api.find(api.instance_path(outputs["name"]))
        return found if found and found["config"].get(_MACHINE_KEY) == id else None


def choose_address(gateway: IPv4Interface, network: str) -> str:
    """Choose a free address of the network at random: nothing may rely on an order."""
    with _choosing:
        used = {
            machine["config"].get(_ADDRESS_KEY)
            for machine in api.list_objects("/instances")
            if any(device.get("network") == network for device in machine["devices"].values())
        }
        free = [str(host) for host in list(gateway.network.hosts())[_FIRST_CHOSEN:] if str(host) not in used | _reserved]
        if not free:
            raise ProviderError(f"no free address left in {gateway.network}")
        chosen = secrets.choice(free)
        _reserved.add(chosen)
        return chosen


def _read_gib(memory: str) -> float | int:
    gib = int(memory.removesuffix("MiB")) / 1024 if memory.endswith("MiB") else 0
    return int(gib) if gib == int(gib) else gib
