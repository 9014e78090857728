"""Two nodes for SIP on a simulated cloud: one that was there first, and one more."""

from tests.clouds.conformance.conftest import Live, Standing, Start
from tests.clouds.conformance.engine import replaced
from tests.simulator.world import Thing

PAIR = {"counts": {"edge": 2}, "disruptive": True}


def grow(start: Start, standing: Standing, stack: str) -> Live:
    """A deployment with one node for SIP that got a second one: nothing is made anew for it."""
    live = start(stack, standing(stack))
    live.deployment.configure(PAIR)
    assert replaced(live.deployment.up()) == []
    return live


def find(live: Live, type: str, name: str) -> Thing:
    """The one thing of a type that the program calls so."""
    (found,) = [one for one in live.world.all(type) if one.urn.endswith(f"::{name}")]
    return found
