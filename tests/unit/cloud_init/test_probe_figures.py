"""Every probe of the catalogue makes a figure of its own for Prometheus."""

from dataclasses import replace

import pytest

from cloud_init.context import Context
from cloud_init.manifest import describe_service
from cloud_init.node.health import figures
from components.model.catalogue.services import CATALOGUE
from tests.plans import compose_configuration, load_stack


@pytest.mark.parametrize("stack", ["local-single", "aws-basic", "aws-extended"])
def test_no_two_probes_make_one_figure(stack: str) -> None:
    deployment = load_stack(stack)
    seen = 0
    for node in deployment.plan.nodes:
        for service in compose_configuration(deployment.plan, node, deployment.settings).manifest["services"]:
            labels = [tuple(figures.describe(probe).items()) for probe in service["probes"]]
            assert len(set(labels)) == len(labels), service["name"]
            seen += len(labels)
    assert seen > 40


def test_two_that_would_are_refused() -> None:
    deployment = load_stack("local-single")
    context = Context(deployment.plan, deployment.plan.nodes[0], deployment.settings)
    service = CATALOGUE["nginx"]
    first = service.probes[0]
    twice = replace(service, probes=(first, replace(first, arguments={**first.arguments, "listener": "https"})))
    with pytest.raises(ValueError, match="nginx: two probes make one figure"):
        describe_service(context, twice)
