"""A template that fails, for the last node only: nothing is created, and the error names the template and the node."""

import pytest

from tests.clouds.conformance.conftest import Start
from tests.clouds.conformance.engine import EngineError

pytestmark = pytest.mark.clouds

BROKEN = """
from cloud_init import compose

render = compose.render_template


def fail(name, context, **more):
    if name == {template!r} and context.node.key == "app-1":
        raise ValueError(f"cloud_init template {{name}} for {{context.node.name}}: 'nothing' is undefined")
    return render(name, context, **more)


compose.render_template = fail
"""
"""What stands before our program: a value of a template is missing."""


@pytest.mark.parametrize("template", ["base.yaml.j2", "haproxy/haproxy.cfg"])
def test_a_template_that_fails_creates_nothing(start: Start, template: str) -> None:
    live = start("hetzner-basic")
    program = live.deployment.folder / "__main__.py"
    program.write_text(BROKEN.format(template=template) + program.read_text())
    with pytest.raises(EngineError, match=f"cloud_init template {template} for hetzner-basic-app-1: 'nothing' is undefined"):
        live.deployment.up()
    assert live.world.all() == []
    assert {urn.rpartition("::")[2] for urn in live.deployment.known()} <= {"webitel-hetzner-basic"}, "the stack itself"
