"""Proxmox VE's stores and files (`facts/onprem.md` 2.5). An id is where a file is; what a store allows is its owner's to say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from provider.server import Failure, Properties, ProviderError
from tests.simulator.account import facts_of
from tests.simulator.call import Call
from tests.simulator.resource import Simulated
from tests.simulator.world import Refused, World

PACKAGE = "proxmoxve"
ERRORS: Mapping[str, str] = {
    "capacity": "start failed: QEMU exited with code 1: not enough memory (500)",
    "quota": "403 Permission check failed (/vms/{vmId}, VM.Allocate)",
    "rate": "can't lock file '/var/lock/qemu-server/lock-{vmId}.conf' - got timeout (500)",
    "error": "500 internal error",
}
HOSTS = ("pve", "pve2", "pve3")
VM, SNIPPET, IMAGE = "proxmoxve:index/vmLegacy:VmLegacy", "proxmoxve:index/fileLegacy:FileLegacy", "proxmoxve:download/file:File"
STORES: Mapping[str, tuple[str, ...]] = {
    "local": ("iso", "vztmpl", "backup", "import", "snippets"),
    "local-lvm": ("images", "rootdir"),
    "ceph": ("images", "rootdir"),
}
"""As an owner has them who read our page; `tell(world, "proxmoxve", stores=...)` has others."""
TEMPLATES = (9000, 9001)
"""The numbers of templates that are there, on `pve`."""


def check_settings(settings: Properties) -> None:
    """Refuses an endpoint that is no URL; without one the provider takes PROXMOX_VE_ENDPOINT from the environment."""
    endpoint = settings.get("endpoint")
    if endpoint and not str(endpoint).startswith("https://"):
        raise ProviderError(f"endpoint {endpoint} must be an absolute URL that begins with https://")


def check_host(name: str) -> None:
    """Refuses a host that the cluster does not have."""
    if name not in HOSTS:
        raise Refused(f"500 hostname lookup '{name}' failed - failed to get address info: Name or service not known")


def check_store(world: World, store: str, content: str) -> None:
    """Refuses a store that is not there, or that its owner never opened to that kind of content."""
    stores = facts_of(world, PACKAGE).get("stores") or STORES
    if store not in stores:
        raise Refused(f"500 storage '{store}' does not exist")
    if content not in stores[store]:
        raise Refused(f"500 storage '{store}' is not configured for content-type '{content}'")


class File(Simulated):
    """What both kinds of files share: one of a name in a store of a host."""

    def name_of(self, call: Call) -> str:
        """The name of the file."""
        raise NotImplementedError

    def make_id(self, call: Call) -> str:
        return f"{call.inputs['datastoreId']}:{call.inputs['contentType']}/{self.name_of(call)}"

    def make(self, call: Call) -> Properties:
        check_host(call.inputs["nodeName"])
        check_store(call.world, call.inputs["datastoreId"], call.inputs["contentType"])
        call.hold(f"file {call.id} on {call.inputs['nodeName']}")
        return {}


class FileLegacy(File):
    """A snippet goes to its host by SSH; the interface takes none. The provider writes over what is there."""

    type = SNIPPET
    untold: ClassVar = ("sourceRaw", "overwrite")

    def check_plan(self, inputs: Properties, old: Properties | None) -> Iterator[Failure]:
        if not inputs.get("sourceRaw"):
            yield Failure("sourceRaw", "one of source_file, source_raw must be specified")
        if inputs.get("fileMode"):
            yield Failure("fileMode", "only root@pam may set the mode of a file")

    def overwrites(self, inputs: Properties) -> bool:
        return bool(inputs.get("overwrite", True))

    def name_of(self, call: Call) -> str:
        return str(call.inputs["sourceRaw"]["fileName"])

    def make(self, call: Call) -> Properties:
        if call.inputs["contentType"] == "import":
            raise Refused("500 a raw text is no image")
        size = len(call.inputs["sourceRaw"]["data"])
        name = self.name_of(call)
        return {**super().make(call), "fileName": name, "fileSize": size, "fileModificationDate": "", "fileTag": f"{size:x}"}


class Image(File):
    """The host loads it; an image to be imported says by its name what it is."""

    type = IMAGE
    untold: ClassVar = ("checksum", "checksumAlgorithm", "overwriteUnmanaged", "verify")

    def overwrites(self, inputs: Properties) -> bool:
        return bool(inputs.get("overwriteUnmanaged"))

    def name_of(self, call: Call) -> str:
        return str(call.inputs.get("fileName") or call.inputs["url"].rpartition("/")[2])

    def make(self, call: Call) -> Properties:
        name = self.name_of(call)
        if call.inputs["contentType"] == "import" and not name.endswith((".qcow2", ".raw", ".vmdk", ".ova")):
            raise Refused(f"400 Parameter verification failed: filename: wrong file extension: {name}")
        if "/latest/" in call.inputs["url"] and call.inputs.get("checksum"):
            raise Refused("500 checksum mismatch: what stands at an address that moves is another file by now")
        return {**super().make(call), "fileName": name, "size": 350_000_000}


TYPES = (FileLegacy, Image)
