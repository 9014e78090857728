"""KVM by libvirt: the state of a domain, and its start, by `virsh`."""

from __future__ import annotations

from components.clouds.adoption import Setting
from components.clouds.libvirt.virsh import ask, read_uri
from components.clouds.power import Direct, Power


def tell(id: str, setting: Setting) -> str:
    """Return libvirt's word for the state of a machine."""
    return ask(read_uri(setting), "domstate", id).strip()


def start(id: str, state: str, setting: Setting) -> Direct:
    """Return the start of a machine."""
    return Direct(lambda: ask(read_uri(setting), "start", id))


POWER = Power(
    "",
    lambda id: {},
    lambda answer: "",
    frozenset({"shut off", "crashed", "in shutdown"}),
    start,
    frozenset({"in shutdown"}),
    tell,
)
