"""Which failed creations may have made something after all."""

from __future__ import annotations

import importlib

import pytest

from cli.engine.events import Rollout
from cli.engine.lost import as_begun, list_lost, list_unsure
from components.clouds.registry import CLOUDS
from tests.simulator.case import load_case

URN = "urn:pulumi:aws-basic::webitel::webitel:index:Node$aws:ec2/instance:Instance::app-1"
MADE = {"urn": URN, "type": "aws:ec2/instance:Instance", "custom": True, "inputs": {"subnetId": "subnet-1"}}
REAL = [cloud for cloud in CLOUDS if CLOUDS[cloud].real]


def failed(text: str, op: str = "create", type: str = "aws:ec2/instance:Instance") -> Rollout:
    """A run in which one creation failed with this."""
    rollout, urn = Rollout([]), URN.replace("aws:ec2/instance:Instance", type)
    rollout.feed({"diagnosticEvent": {"urn": urn, "severity": "error", "message": text}})
    rollout.feed({"resOpFailedEvent": {"metadata": {"op": op, "urn": urn, "new": {**MADE, "urn": urn, "type": type}}}})
    return rollout


@pytest.mark.parametrize(
    "text",
    [
        "read tcp 10.0.0.2:51234->213.239.246.73:443: read: connection reset by peer",
        'Post "https://api.digitalocean.com/v2/droplets": EOF',
        "net/http: request canceled (Client.Timeout exceeded while awaiting headers)",
        "context deadline exceeded",
        "googleapi: Error 502: Bad Gateway",
        "googleapi: got HTTP response code 504 with body",
        "http2: server sent GOAWAY and closed the connection",
        "write: broken pipe",
    ],
)
def test_a_broken_connection_leaves_it_open(text: str) -> None:
    assert list_lost(failed(text)) and list_lost(failed(text, "create-replacement"))


@pytest.mark.parametrize("cloud", REAL)
def test_an_internal_error_leaves_it_open(cloud: str) -> None:
    errors = importlib.import_module(f"tests.simulator.{cloud}.resources").ERRORS
    assert list_lost(failed(errors["error"], type=load_case(cloud).types.machine))


@pytest.mark.parametrize("cloud", REAL)
def test_what_a_cloud_refuses_was_not_made(cloud: str) -> None:
    type = load_case(cloud).types.machine
    assert [text for text in load_case(cloud).refusals.values() if list_lost(failed(text, type=type))] == []


@pytest.mark.parametrize(
    "text",
    [
        "SSH key not unique (uniqueness_error)",
        "googleapi: Error 409: The resource 'network' already exists, alreadyExists",
        "InvalidGroup.Duplicate: the group already exists, after connection reset by peer",
        "quota of 500 reached",
    ],
)
def test_what_another_has_is_never_adopted(text: str) -> None:
    assert list_lost(failed(text)) == []


def test_only_creations_of_a_clouds_things_are_looked_up() -> None:
    assert list_lost(failed("EOF", "update")) == []
    assert list_lost(failed("EOF", type="webitel:index:Secrets")) == []


@pytest.mark.parametrize("op", ["delete", "delete-replaced"])
def test_a_deletion_whose_answer_was_lost_may_have_happened(op: str) -> None:
    machine = URN
    assert list_unsure(failed("connection reset by peer", op)) == [machine]
    assert list_lost(failed("connection reset by peer", op)) == []
    for text in ("DependencyViolation: it is in use", "UnauthorizedOperation: you are not authorized"):
        assert list_unsure(failed(text, op)) == []
    assert list_unsure(failed("EOF", op, type="webitel:index:Secrets")) == []
    assert list_unsure(failed("EOF", "create")) == []


def test_it_stands_in_the_state_behind_what_it_refers_to() -> None:
    links = {
        "subnetId": "subnet-1",
        "disks": [{"source": "https://x/v1/projects/p/disks/a"}],
        "group": 10000001,
        "on": True,
    }
    others = [{"urn": name, "id": id} for name, id in (("s", "subnet-1"), ("d", "projects/p/disks/a"), ("g", "10000001"))]
    begun = as_begun({**MADE, "inputs": links}, [*others, {"urn": "n"}, {"urn": "other", "id": "1"}])
    assert begun["dependencies"] == ["s", "d", "g"] and "id" not in begun
