"""VMware vSphere: `runtime.powerState` of a machine, and its start, by vCenter's own interface (`PowerOnVM_Task`)."""

from __future__ import annotations

from components.clouds.adoption import Setting
from components.clouds.power import Direct, Power
from components.clouds.vsphere.interface import open_session, value_of

STATE = "runtime.powerState"


def tell(id: str, setting: Setting) -> str:
    """Return vCenter's word for a machine, wherever it is."""
    with open_session(setting) as session:
        return value_of(session.read(session.find_machine(id), STATE), STATE)


def start(id: str, state: str, setting: Setting) -> Direct:
    """Return the start of a machine."""

    def run() -> None:
        with open_session(setting) as session:
            session.call("PowerOnVM_Task", session.find_machine(id))

    return Direct(run)


POWER = Power("", lambda id: {}, lambda answer: "", frozenset({"poweredOff", "suspended"}), start, tell=tell)
