"""A deployment as the smoke test sees it."""

from cli.nodes.access import Access
from cli.smoke.check import World
from tests.plans import load_stack
from tests.unit.cli.fakes import make_node

STRANGER = "192.0.2.7"


def make_world(stack: str = "local-single", seen_as: str = STRANGER, records: tuple[str, ...] = ()) -> World:
    deployment = load_stack(stack)
    nodes = {node.key: make_node(node.key, stack) for node in deployment.plan.nodes}
    return World(deployment.plan, deployment.settings, Access(nodes, "", "", records=records), seen_as)
