"""What a node says of itself, as the host reads it."""

import json
from typing import Any, is_typeddict

import pytest
from pydantic import BaseModel

from cloud_init.node import report as wall
from components.model import report
from components.model.report import NodeReport, describe_all, describe_first, is_healthy, list_faults, read_report

CLOCK = {"name": "clock", "healthy": False, "why": "2500.0 ms fast", "seconds": 2.5}
SAID: dict[str, Any] = {
    "node": "s-data-1",
    "key": "data-1",
    "healthy": False,
    "uptime": 5.0,
    "machine": [],
    "disks": [{"purpose": "database", "healthy": False, "why": "disk database is not attached"}],
    "services": [
        {"name": "patroni", "title": "PostgreSQL", "units": {"patroni": "active"}, "healthy": True, "why": "", "log": []},
        {
            "name": "rabbitmq",
            "title": "RabbitMQ",
            "units": {"rabbitmq-server": "activating"},
            "healthy": False,
            "why": "no quorum yet\nat all",
            "log": ["one", "two", "three"],
            "probe": {"kind": "rabbitmq", "says": "x"},
        },
    ],
}


def read(said: object, errors: str = "", status: int = 1) -> NodeReport:
    return read_report("data-1", "s-data-1", said if isinstance(said, str) else json.dumps(said), errors, status)


@pytest.mark.parametrize(
    ("row", "model"),
    [
        (wall.Report, report.NodeReport),
        (wall.ServiceRow, report.ServiceRow),
        (wall.DiskRow, report.DiskRow),
        (wall.MachineRow, report.MachineRow),
    ],
)
def test_the_host_reads_everything_that_a_node_says(row: Any, model: type[BaseModel]) -> None:
    assert is_typeddict(row)
    assert row.__annotations__.keys() == model.model_fields.keys() - {"problem"}


def test_a_report_is_given_on_as_it_was_said() -> None:
    assert read(SAID).as_json() == SAID | {"problem": ""}


def test_a_program_of_another_version_may_say_less_or_more() -> None:
    row = {"name": "x", "healthy": True, "mood": "good"}
    said = {"node": "s", "key": "k", "healthy": True, "services": [row], "moon": "full"}
    assert is_healthy({"k": read(said, status=0)})


def test_every_fault_is_told_with_its_unit_and_its_last_lines() -> None:
    reports = {"data-1": read(SAID | {"machine": [CLOCK]})}
    assert [fault.part for fault in list_faults(reports["data-1"])] == ["disk database", "rabbitmq (rabbitmq-server)", "clock"]
    assert list(describe_all(reports, 2)) == [
        "data-1 disk database: disk database is not attached",
        "data-1 rabbitmq (rabbitmq-server): no quorum yet\nat all",
        "    two",
        "    three",
        "data-1 clock: 2500.0 ms fast",
    ]


def test_nodes_that_say_nothing_are_named_before_what_others_lack() -> None:
    silent = report.make_silent_report("app-1", "s-app-1", "no answer within 6 s")
    assert describe_first({"data-1": read(SAID), "app-1": silent}) == "app-1: no answer within 6 s"
    assert describe_first({"data-1": read(SAID | {"disks": []})}) == "data-1 rabbitmq (rabbitmq-server): no quorum yet"
    assert describe_first({}) == "" and not is_healthy({})


@pytest.mark.parametrize(
    ("output", "errors", "status", "said"),
    [
        ("", "Traceback:\npython3: can't open file\n", 2, "its node program failed with exit status 2: python3: can't open file"),
        ("", "", 127, "its node program failed with exit status 127: no output"),
        ("[]", "", 0, "its node program failed with exit status 0: its report: Input should be an object"),
        ('{"node": "s", "key": "k"}', "", 0, "its node program failed with exit status 0: healthy: Field required"),
        ('{"node": "s", "key": "k", "healthy": false}', "", 1, "not configured yet"),
    ],
)
def test_what_is_no_report_is_told(output: str, errors: str, status: int, said: str) -> None:
    found = read(output, errors, status)
    assert found.problem == said and not found.healthy


@pytest.mark.parametrize(("left", "faults"), [(False, ["it is leaving"]), (True, [])])
def test_a_node_on_its_way_out_has_a_configuration(left: bool, faults: list[str]) -> None:
    found = read({"node": "s", "key": "k", "healthy": left, "services": [], "disks": [], "machine": [], "left": left})
    assert [fault.why for fault in list_faults(found)] == faults and found.problem == ""
