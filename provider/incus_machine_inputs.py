"""What a local machine is given, and what Incus makes of it."""

import hashlib
import json

from pydantic import BaseModel, ConfigDict, Field

from provider.incus import LocalInputs
from tools.incus import api

IN_PLACE = {"vcpus", "memory_gib", "disks", "labels"}
"""Inputs that change on a running machine."""


class AttachedDisk(BaseModel):
    """A LocalDisk by name, and the directory at which the machine finds it mounted."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    purpose: str
    path: str = Field(pattern=r"^/")


class MachineInputs(LocalInputs):
    """`image` is an alias of Incus, `network` a LocalNetwork by name, `user_data` what cloud-init gets,
    `ssh_public_key` one line as in authorized_keys. The key and the user data count at the first boot only.

    `address` "" = any free one. With `public_address` the machine has that one, on `public_network`, as its
    first interface and way out, and the private one on a second; `late`: the second is attached when it runs already.
    """

    image: str
    network: str
    address: str
    public_network: str = ""
    public_address: str = ""
    late: bool = False
    vcpus: int = Field(ge=1)
    memory_gib: float = Field(gt=0)
    user_data: str
    ssh_public_key: str
    disks: tuple[AttachedDisk, ...] = ()

    def digest(self) -> str:
        """Return a digest that is equal for inputs of the same machine, whatever its limits and disks."""
        fixed = self.model_dump(exclude=IN_PLACE, exclude_defaults=True)
        return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()

    def live_config(self) -> dict[str, str]:
        """Return the configuration keys that change in a running container."""
        memory = f"{round(self.memory_gib * 1024)}MiB"
        return self.label_config() | {"limits.cpu": str(self.vcpus), "limits.memory": memory}

    def devices(self) -> dict[str, dict[str, str]]:
        """Return all devices; the volumes are mounted before the machine's systemd starts."""
        disks = {disk.purpose: {"type": "disk", "pool": api.POOL, "source": disk.name, "path": disk.path} for disk in self.disks}
        networks = [self.public_network, self.network] if self.public_network else [self.network]
        interfaces = {
            f"eth{number}": {"type": "nic", "network": network, "name": f"eth{number}"} for number, network in enumerate(networks)
        }
        return disks | interfaces | {"root": {"type": "disk", "pool": api.POOL, "path": "/"}}

    def first_devices(self) -> dict[str, dict[str, str]]:
        """Return the devices that the machine has at its first boot."""
        return {name: device for name, device in self.devices().items() if not (self.late and name == "eth1")}
