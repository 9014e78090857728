"""KVM by libvirt: machines by the UUID that we give them, discs by their pool; a volume that is there is taken as it is."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from components.clouds.adoption import REPEATED, Setting, Values, Way
from components.clouds.libvirt.virsh import list_volumes, read_uri


def domain_id(name: str) -> str:
    """Return the UUID of a node's machine, always the same: libvirt takes a definition of the same UUID in place of the one
    that a failed start left behind, and refuses another one of that name."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.webitel.invalid"))


def list_discs(setting: Setting) -> Values:
    """List the volumes of every pool."""
    return {f"{pool}/{name}": path for (pool, name), path in list_volumes(read_uri(setting)).items()}


def find_disc(inputs: Values, answer: Values) -> list[str]:
    """Return the id of a disc: what is behind the semicolon its provider makes up."""
    path = answer.get(f"{inputs['pool']}/{inputs['name']}")
    return [f"{path};{uuid.uuid4()}"] if path else []


WAYS: Mapping[str, Way] = {
    "libvirt:index/cloudInitDisk:CloudInitDisk": Way(find_disc, ask=list_discs, unread=True),  # onprem.md 6.14
    "libvirt:index/domain:Domain": Way(lambda inputs, answer: [domain_id(inputs["name"])]),
    "libvirt:index/volume:Volume": REPEATED,
}
"""By type, for all that the adapter makes."""
