"""Our own provider where no machine stands behind a node: it records each node's configuration and answers healthy.

`Secrets` are made as ever. What belongs to the local machines is not simulated: it is tested on real ones.
"""

from __future__ import annotations

from typing import Any, ClassVar

from components.model.dropped_calls import REFUSED, find_dropped_calls
from provider.configuration import NodeConfiguration
from provider.health import Health, HealthInputs
from provider.node_inputs import NodeInputs
from provider.secrets import Secrets
from provider.server import Properties, Provider, Request
from tests.simulator.attached import Attached
from tests.simulator.call import ERRORS
from tests.simulator.faults import Faults
from tests.simulator.world import Refused, Thing, World


class Recorded:
    """What both simulated types share: the record of what a node or the deployment was given."""

    type: ClassVar[str]

    def __init__(self, world: World, faults: Faults) -> None:
        self.world = world
        self.faults = faults

    def record(self, request: Request, operation: str, id: str, inputs: Properties, outputs: Properties) -> Properties:
        """Puts the inputs into the world."""
        self.faults.before(request, operation, inputs, ERRORS)
        with self.world.change() as world:
            world.put(Thing(self.type, id, request.urn, inputs, outputs))
        self.faults.after(request, operation, inputs)
        return outputs

    def forget(self, request: Request, id: str) -> None:
        """Takes the record out of the world."""
        self.faults.before(request, "delete", {}, ERRORS)
        with self.world.change() as world:
            if thing := world.find(self.type, id):
                world.remove(thing)
        self.faults.after(request, "delete", {})


class SimulatedConfiguration(Recorded, NodeConfiguration):
    """A node's configuration: checked as ever, then written down. The machine it is meant for has to exist."""

    type = NodeConfiguration.type

    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        id = str(inputs["node"])
        return id, self.record(request, "create", id, inputs, self._answer(inputs))

    def read(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> Any:
        return (inputs, outputs) if self.world.find(self.type, id) else None

    def update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        same_machine = new["machine_id"] == outputs["machine_id"]
        if same_machine and not new.get("disruptive") and (dropped := find_dropped_calls(old, new)):
            raise Refused(f"{new['node']}: {REFUSED}{dropped}")
        return self.record(request, "update", id, new, self._answer(new))

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        self.forget(request, id)

    def _answer(self, inputs: Properties) -> Properties:
        wanted = NodeInputs.model_validate(inputs)
        machines = {wanted.machine_id: wanted.address, **{hop.machine_id: hop.address for hop in wanted.via}}
        for machine, address in machines.items():
            if not any(machine in thing.list_names() for thing in self.world.all()):
                raise Refused(f"{wanted.node}: there is no machine {machine}")
            if not address:
                raise Refused(f"{wanted.node}: no address to reach machine {machine} at")
        keys = {machine: f"ssh-ed25519 {machine}" for machine in machines}
        return {
            "digest": wanted.digest(),
            "machine_id": wanted.machine_id,
            "host_key": keys[wanted.machine_id],
            "host_keys": keys,
            "configured": True,
            "seconds": {},
        }


class SimulatedHealth(Recorded, Health):
    """Health of the deployment: every service healthy at once."""

    type = Health.type

    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        return "health", self.record(request, "create", "health", inputs, self._answer(inputs))

    def update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        return self.record(request, "update", id, new, self._answer(new))

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        self.forget(request, id)

    def _answer(self, inputs: Properties) -> Properties:
        services = HealthInputs.model_validate(inputs).services
        return {"healthy": True, "services": services, "seconds": 0}


def make_provider(world: World, faults: Faults) -> Provider:
    """The provider `webitel` without machines."""
    return Attached("webitel", "0.1.0", [Secrets(), SimulatedConfiguration(world, faults), SimulatedHealth(world, faults)])
