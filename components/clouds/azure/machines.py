"""What a machine of Azure's is made of: its image, its disk controller, its data disks' names (`facts/real-clouds.md` B1)."""

from pulumi import RunError
from pulumi_azure_native import compute

from components.model.machine import MachineType

IMAGE = "Debian:debian-12:12-gen2:latest"

FIRST_WITH_NVME = 6
"""The version of a machine type, as in `_v6`, since which there is no SCSI."""


def has_nvme(machine: MachineType) -> bool:
    """Whether a machine type has its disks on an NVMe controller; the others have theirs on a SCSI one, and none has both."""
    return int(machine.name.rpartition("_v")[2]) >= FIRST_WITH_NVME


def name_controller(machine: MachineType) -> str:
    """Azure's word for that controller."""
    return "NVMe" if has_nvme(machine) else "SCSI"


def name_device(machine: MachineType, lun: int) -> str:
    """Return a data disk's stable path; for NVMe a rule of ours in the user data makes it, Debian 12 has SCSI's only."""
    return f"/dev/disk/azure/{'data/by-lun/' if has_nvme(machine) else 'scsi1/lun'}{lun}"


def refer_to_image(image: str) -> compute.ImageReferenceArgs:
    """Find an image by its id, or by `publisher:offer:sku:version`."""
    if image.startswith("/"):
        return compute.ImageReferenceArgs(id=image)
    parts = image.split(":")
    if len(parts) != 4:
        raise RunError(f"webitel:image = {image}: on Azure use an image's id, /subscriptions/..., or a name such as {IMAGE}")
    publisher, offer, sku, version = parts
    return compute.ImageReferenceArgs(publisher=publisher, offer=offer, sku=sku, version=version)
