"""KVM by libvirt: volumes and discs (`facts/onprem.md` 6; dmacvicar/terraform-provider-libvirt v0.8.3, its volume and cloud-init
files). Nothing of them changes in place, and a volume that a running machine uses is deleted like any other."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace

from provider.server import Properties, ProviderError, Request
from tests.simulator.call import Call
from tests.simulator.resource import Simulated
from tests.simulator.world import Refused, Thing

ERRORS: Mapping[str, str] = {
    "capacity": "error creating libvirt domain: internal error: process exited while connecting to monitor: "
    "cannot set up guest memory 'pc.ram': Cannot allocate memory",
    "quota": "authentication unavailable: no polkit agent available to authenticate action 'org.libvirt.unix.manage'",
    "rate": "error creating libvirt domain: internal error: pool 'default' has asynchronous jobs running.",
    "error": "internal error: client socket is closed",
}
VOLUME, DISC = "libvirt:index/volume:Volume", "libvirt:index/cloudInitDisk:CloudInitDisk"
DOMAIN = "libvirt:index/domain:Domain"

HOSTS = {f"kvm-{n}": f"qemu+ssh://root@kvm-{n}/system" for n in (1, 2, 3)}
"""Endpoint by host. The first is the one at `libvirt:uri`, or in the environment."""
POOLS = ("default", "fast")
"""Of each host, folders."""
GIB = 1024**3
IMAGES = {"debian-12-genericcloud-amd64.qcow2": 3 * GIB, "debian-13-genericcloud-amd64.qcow2": 3 * GIB}
"""Volumes of the first pool that each host's owner made, and their bytes."""
MOST_BYTES = 8 * 1024**4
"""A file of more is none on the host's file system."""


def check_settings(settings: Properties) -> None:
    """The provider takes the address from the environment where it is not given."""
    uri = settings.get("uri")
    if uri is not None and "://" not in uri and not uri.startswith("qemu:"):
        raise ProviderError(f"failed to dial libvirt: unsupported transport of {uri}")


def key_of(pool: str, name: str) -> str:
    """The key of a volume in a pool that is a folder: its path."""
    if pool not in POOLS:
        raise Refused(f"can't find storage pool '{pool}'")
    return f"/var/lib/libvirt/{pool}/{name}"


def place_of(inputs: Properties) -> str:
    """The key of the volume that these inputs make."""
    return key_of(inputs.get("pool", POOLS[0]), inputs.get("name", ""))


def token_of(key: str) -> str:
    """What the holder of a file holds."""
    return f"file {key}"


def host_of(settings: Properties) -> str:
    """The endpoint to which a provider was told to speak."""
    return str(settings.get("uri") or HOSTS["kvm-1"])


class OnHost(Simulated):
    """What one host has is nobody else's: through the provider of another it is not there, as each has one connection, that of
    its `uri`."""

    def make(self, call: Call) -> Properties:
        return {"host": host_of(call.request.settings)}

    def show(self, thing: Thing) -> Properties:
        return {name: value for name, value in super().show(thing).items() if name != "host"}

    def read(
        self,
        request: Request,
        id: str,
        inputs: Properties,
        outputs: Properties,
    ) -> tuple[Properties, Properties] | None:
        there = self.account.world.find(self.type, id)
        if there and not is_on(there, request):
            return None
        return super().read(request, id, inputs, outputs)

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        there = self.account.world.find(self.type, id)
        if there and not is_on(there, request):
            return  # as of one that is gone already
        super().delete(request, id, inputs, outputs)


def is_on(thing: Thing, request: Request) -> bool:
    """Whether a thing is of the host that a call is made to."""
    return endpoint_of(thing) == host_of(request.settings)


def endpoint_of(thing: Thing) -> str:
    """The endpoint of the host that a thing is of: of the first one where nobody says."""
    return str(thing.outputs.get("host") or HOSTS["kvm-1"])


class Volume(OnHost):
    """One that is there by that name is taken as it is, whatever is in it and however large."""

    type = VOLUME

    def make_id(self, call: Call) -> str:
        return place_of(call.inputs)

    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        pool, name = inputs.get("pool", POOLS[0]), inputs.get("name", "")
        there = self.account.world.find(VOLUME, key_of(pool, name)) if pool in POOLS else None
        if there is None or not is_on(there, request):
            return super().create(request, inputs)
        self.account.faults.before(request, "create", inputs, self.account.errors)
        return there.id, self.show(there)

    def make(self, call: Call) -> Properties:
        inputs, size = call.inputs, call.inputs.get("size")
        call.hold(token_of(call.id))
        if inputs.get("source"):
            if size is not None:
                raise Refused("'size' can't be specified when also 'source' is given")
            return {**super().make(call), "size": 3 * GIB, "format": "qcow2"}
        base = 0
        if name := inputs.get("baseVolumeName"):
            if inputs.get("baseVolumePool", inputs.get("pool")) != POOLS[0] or name not in IMAGES:
                raise Refused(f"can't retrieve base volume with name '{name}': Storage volume not found")
            base = IMAGES[name]
        if size is not None and size < base:
            raise Refused("when 'size' is specified, it shouldn't be smaller than the backing store")
        if not 0 < (size or base) <= MOST_BYTES:
            raise Refused(f"error creating libvirt volume: cannot extend file '{call.id}': File too large")
        if inputs.get("format", "qcow2") not in ("raw", "qcow2"):
            raise Refused(f"error creating libvirt volume: unknown volume format type {inputs['format']}")
        return {**super().make(call), "size": size or base, "format": inputs.get("format") or "qcow2"}


class CloudInitDisk(OnHost):
    """Made on the client and sent; its id has something of its own behind the path, and any such is read."""

    type = DISC

    def make_id(self, call: Call) -> str:
        return f"{place_of(call.inputs)};{uuid.uuid4()}"

    def make(self, call: Call) -> Properties:
        key = call.id.partition(";")[0]
        if call.world.is_held(token_of(key)):
            name = call.inputs["name"]
            raise Refused(f"error creating libvirt volume for cloudinit device {name}: storage volume '{name}' exists already")
        call.hold(token_of(key))
        return super().make(call)

    def read(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> tuple[Properties, Properties] | None:
        known = self.find_real(id)
        if known != id:  # by the new id it goes on
            with self.account.world.change() as world:
                if thing := world.find(DISC, known):
                    world.drop(thing)
                    world.put(replace(thing, id=id))
        return super().read(request, id, inputs, outputs)

    def find_real(self, id: str) -> str:
        """The id that it was made with: the part behind the semicolon is the provider's alone, and no more looked at."""
        return next((one.id for one in self._all() if one.id.partition(";")[0] == id.partition(";")[0]), id)

    def _all(self) -> list[Thing]:
        return self.account.world.all(DISC)


TYPES = (Volume, CloudInitDisk)
