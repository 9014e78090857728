"""The stand-ins' table of behaviour against the facts of release 25.08, and how settings are read."""

from pathlib import Path
from typing import Any

import pytest

from sandbox.standin.arguments import ArgumentError, known_names, read_settings
from sandbox.standin.behaviour import BEHAVIOURS
from sandbox.standin.words import Behaviour, Failure
from sandbox.webitel.packages import PACKAGES, WEB
from sandbox.webitel.units import COMMANDS
from tests.unit.cloud_init.test_webitel_fragments import FACTS, SERVICES, flatten

SEEN = [name for name, facts in SERVICES.items() if facts.get("seen", True)]
SCHEMA = Path(__file__).resolve().parents[2] / "sandbox" / "webitel" / "schema"


def failure_of(row: Behaviour, what: str) -> Failure | None:
    return next((step.failure for step in row.steps if step.what == what), None)


def exit_of(row: Behaviour, cause: str) -> Any:
    """What the table says about a cause in the words of the facts: a status, `stays`, or status and seconds."""
    subject, _, kind = cause.partition(" ")
    if cause == "unknown flag":
        return row.unknown_flag
    if subject == "key":
        assert row.key is not None
        return row.key[kind]
    if cause == "exchange missing":
        return "stays" if row.topology.missing is None else row.topology.missing
    step = {"refused": subject, "database": "tables", "missing": subject, "taken": f"listen {subject}"}[kind]
    failure = failure_of(row, step)
    if failure is None or failure.exit is None:
        return "stays"
    return failure.exit if failure.tries == 1 else [failure.exit, (failure.tries - 1) * failure.pause]


@pytest.mark.parametrize(("name", "cause"), [(name, cause) for name in SEEN for cause in SERVICES[name]["exits"]])
def test_exit_statuses_and_retries(name: str, cause: str) -> None:
    expected, told = SERVICES[name]["exits"][cause], exit_of(BEHAVIOURS[name], cause)
    if isinstance(expected, list):
        assert told[0] == expected[0]
        assert told[1] == pytest.approx(expected[1], rel=0.03)
    else:
        assert told == expected


@pytest.mark.parametrize("name", SERVICES)
def test_names(name: str) -> None:
    facts, row = SERVICES[name], BEHAVIOURS[name]
    assert (row.package, row.unit) == (facts["package"], facts["unit"])
    assert " ".join(filter(None, [row.binary, row.command])) == facts["program"]
    assert row.assumed == (not facts.get("seen", True))
    assert row.registration is not None and row.registration.name == facts["consul"]["name"]
    assert sorted(set(known_names(row)) - {"WEB_ROOT", *row.flags}) == sorted(
        set(flatten(facts["environment"])) | ({"MICRO_API_ADDRESS"} if row.assumed else set())
    )
    assert f"/usr/local/bin/{row.binary}" in next(package for package in PACKAGES if package.name == row.package).files
    assert COMMANDS[row.unit].startswith(facts["program"])


@pytest.mark.parametrize("name", SEEN)
def test_consul_and_broker(name: str) -> None:
    facts, row = SERVICES[name], BEHAVIOURS[name]
    registration, topology = row.registration, row.topology
    assert registration is not None
    prefix = "cases-" if name == "cases" else ""
    numbers = dict.fromkeys(("ID", "SERVICE_ID", "CONSUL_ID"), f"{prefix}7")

    def fill(text: str) -> str:
        return text.replace("{id}", "7").replace("{uuid}", "u")

    assert registration.identifier.format(**numbers, UUID="u") == fill(facts["consul"]["id"])
    assert registration.deregister == facts["consul"]["deregister"]
    if "tags" in facts["consul"]:
        assert [tag.format(**numbers) for tag in registration.tags] == [fill(tag) for tag in facts["consul"]["tags"]]
    assert len(registration.tags) == facts["consul"].get("tag_count", len(registration.tags))
    assert dict(topology.declares) == facts["exchanges"]
    assert list(topology.needs) == facts.get("needs", [])
    assert row.pool._asdict() == facts["pool"]
    assert row.stops_with_broker == facts.get("stops_with_broker", False)
    bindings = {
        tuple(text.format(**numbers) for text in (binding.exchange, binding.queue, binding.key)) for binding in topology.bindings
    }
    assert bindings == {(source, fill(queue), fill(key)) for source, queue, key in facts["bindings"]}
    if "queue_count" in facts:
        assert [queue.name for queue in topology.queues] == [""] * facts["queue_count"]
        assert all(queue.auto_delete and not queue.durable for queue in topology.queues)
        return
    declared = {
        queue.name.format(**numbers): {
            **({"type": queue.kind} if queue.kind else {}),
            **({"expires": queue.expires} if queue.expires else {}),
            **({"exclusive": True} if queue.exclusive else {}),
            **({} if queue.durable else {"durable": False}),
            **({"auto_delete": True} if queue.auto_delete else {}),
        }
        for queue in topology.queues
    }
    assert declared == {fill(queue): kind for queue, kind in facts["queues"].items()}


def test_environment_beats_flag_except_in_cases() -> None:
    engine, cases = BEHAVIOURS["engine"], BEHAVIOURS["cases"]
    assert read_settings(engine, ["-grpc_port", "1"], {"GRPC_PORT": "2"})["GRPC_PORT"] == "2"
    assert read_settings(engine, ["-grpc_port=1"], {})["GRPC_PORT"] == "1"
    assert read_settings(cases, ["--grpc_addr", "a:1"], {"GRPC_ADDR": "b:2"})["GRPC_ADDR"] == "a:1"
    with pytest.raises(ArgumentError):
        read_settings(cases, ["-grpc_addr", "a:1"], {})


def test_help_ends_with_zero_except_in_cases() -> None:
    for name, status in (("engine", 0), ("storage", 0), ("messages-srv", 0), ("cases", 2)):
        with pytest.raises(ArgumentError) as problem:
            read_settings(BEHAVIOURS[name], ["--help"], {})
        assert problem.value.status == status


def test_an_unknown_environment_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ArgumentError, match=r"flow_manager does not read the environment name ESL_PORT; it reads .*ELSE_PORT"):
        read_settings(BEHAVIOURS["flow_manager"], [], {"ESL_PORT": "10030"})
    with pytest.raises(ArgumentError, match="storage does not read the environment name AMQP"):
        read_settings(BEHAVIOURS["storage"], [], {"AMQP": "amqp://x"})
    systemd = {"PATH": "/bin", "INVOCATION_ID": "1", "JOURNAL_STREAM": "8:1", "SYSTEMD_EXEC_PID": "1", "LANG": "C.UTF-8"}
    assert read_settings(BEHAVIOURS["storage"], [], systemd)["PUBLIC_ADDRESS"] == ":10023"


def test_a_vendors_unit_is_read_as_it_is() -> None:
    for unit, command in COMMANDS.items():
        row = next(row for row in BEHAVIOURS.values() if row.unit == unit)
        words = command.format(broker="amqp://b", database="postgres://d").split()[2 if row.command else 1 :]
        read_settings(row, words, {})


def test_packages_say_what_they_are() -> None:
    names = {package.name for package in PACKAGES}
    assert set(WEB) == set(FACTS["packages"]["webitel-web"])
    assert names >= {*WEB, *FACTS["packages"]["grafana"], FACTS["schema"]["package"]}
    assert names >= {facts["package"] for facts in SERVICES.values()}
    for package in PACKAGES:
        assert "+sandbox" in package.version and "stand-in" in package.control(1)


def test_the_schema_has_the_table_versions_opensips_asks_for() -> None:
    assert sorted(path.name for path in SCHEMA.iterdir()) == sorted(FACTS["schema"]["files"])
    data = (SCHEMA / "webitel-db-data.sql").read_text()
    for table, version in FACTS["table_versions"].items():
        assert f"('{table}', {version})" in data
    schema = (SCHEMA / "webitel-db-schema.sql").read_text()
    for row in BEHAVIOURS.values():
        for relation in (*row.relations, *(listener.needs for listener in row.listeners if listener.needs)):
            assert relation.rpartition(".")[2] in schema
