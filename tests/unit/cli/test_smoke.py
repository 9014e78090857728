"""The smoke test's own judgement: what is asked, how it ends, and what it says of it."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.commands import smoke as smoke_command
from cli.console import Failure
from cli.nodes.access import Access
from cli.show.smoke import show_smoke
from cli.smoke import world
from cli.smoke.check import LIMIT_SECONDS, Check, Finding, World, passed, run_checks
from cli.smoke.closed import list_doors
from tests.unit.cli.fakes import make_node
from tests.unit.cli.worlds import STRANGER, make_world


def run(*findings: Finding) -> list[Any]:
    return run_checks(make_world(), [Check("one", "asks", "do this", lambda _: findings)])


def test_a_row_has_the_remedy_of_its_check_where_it_has_none_of_its_own() -> None:
    rows = run(
        Finding("a", True, "fine"), Finding("b", False, "bad"), Finding("c", False, "bad", "do that"), Finding("d", None, "?")
    )
    assert [(row.state, row.remedy) for row in rows] == [("pass", ""), ("fail", "do this"), ("fail", "do that"), ("skipped", "")]


def test_it_passes_only_where_something_was_asked_and_nothing_failed() -> None:
    assert passed(run(Finding("a", True, ""), Finding("b", None, "")))
    assert not passed(run(Finding("b", None, "")))
    assert not passed(run(Finding("a", True, ""), Finding("b", False, "")))


def test_a_check_that_does_not_end_or_breaks_has_failed() -> None:
    ended = threading.Event()

    def hang(_: World) -> Iterable[Finding]:
        ended.wait(10)
        return []

    def breaks(_: World) -> Iterable[Finding]:
        raise OSError(113, "No route to host")

    begun = time.monotonic()
    rows = run_checks(make_world(), [Check("slow", "", "", hang), Check("broken", "", "", breaks)], seconds=0.2)
    ended.set()
    assert time.monotonic() - begun < 5
    assert [(row.check, row.state) for row in rows] == [("slow", "fail"), ("broken", "fail")]
    assert "No route to host" in rows[1].found


def test_the_program_does_not_wait_for_a_check_that_hangs() -> None:
    program = (
        "import time; from cli.smoke.check import Check, ask_many, run_checks; from tests.unit.cli.worlds import make_world;"
        "hang = lambda _: ask_many(time.sleep, [60.0]);"
        "assert run_checks(make_world(), [Check('slow', '', '', hang)], seconds=0.1)[0].state == 'fail'"
    )
    # An executor's threads are waited for at the end of the program, whatever was found by then.
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(Path.cwd())}, timeout=30, check=True)


@pytest.mark.parametrize(
    ("error", "said"),
    [(TimeoutError(), "no answer in time"), (Failure("why"), "why"), (KeyError("media"), "KeyError: 'media'")],
)
def test_whatever_one_check_breaks_by_the_others_are_shown(error: Exception, said: str) -> None:
    def breaks(_: World) -> Iterable[Finding]:
        raise error

    rows = run_checks(make_world(), [Check("broken", "", "", breaks), Check("whole", "", "", lambda _: [Finding("a", True, "")])])
    assert [(row.check, row.state, row.found) for row in rows] == [("broken", "fail", said), ("whole", "pass", "")]


def test_what_was_used_before_is_taken_from_the_time_of_the_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def find_seen_as(_: Access) -> str:
        time.sleep(0.3)
        return ""

    def run_checks(_: World, checks: object, seconds: float) -> list[Any]:
        given.append(seconds)
        return []

    monkeypatch.setattr("cli.engine.engine.open_engine", lambda _: nullcontext())
    monkeypatch.setattr("cli.nodes.access.read_access", lambda _: make_world().access)
    monkeypatch.setattr("cli.smoke.world.find_seen_as", find_seen_as)
    monkeypatch.setattr("cli.smoke.check.run_checks", run_checks)
    with pytest.raises(typer.Exit):
        smoke_command.smoke("local-single")
    assert 0 < given[0] <= LIMIT_SECONDS - 0.3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"call": "600"}, "--call 600 needs"),
        ({"load": 2}, "--load 2 needs a number .* --call 600"),
        ({"plot": Path("load.svg")}, "draws a load"),
        ({"plot": Path("/away/load.svg"), "load": 2, "call": "600"}, "--plot /away/load.svg"),
        ({"plot": Path("/"), "load": 2, "call": "600"}, "no file can be written"),
        ({"account": "1001:/away/password"}, "--account 1001:/away/password"),
        ({"seen_as": "here"}, "--from here is no IPv4 address"),
    ],
)
def test_wrong_options_are_told_before_anything_is_asked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(Failure, match=said):
        smoke_command.smoke("local-single", **options)


def test_the_table_names_what_failed_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    show_smoke(run(Finding("b", False, "bad"), Finding("a", True, "fine")), 3.2)
    said = capsys.readouterr().out
    assert "Next, one: do this." in said
    assert "1 of 2 questions passed in 3s." in said


def test_doors_follow_from_the_plan_and_this_machines_address() -> None:
    known = make_world()
    (node,) = known.plan.nodes
    doors, unknown = list_doors(known, node)
    ports = {(door.protocol, door.port) for door in doors}
    assert {("tcp", 22), ("udp", 5060), ("tcp", 5432), ("udp", 60000), ("tcp", 8000)} <= ports
    assert not {("tcp", 443), ("tcp", 80), ("udp", 10000), ("udp", 19999)} & ports
    assert not unknown
    operator = make_world(seen_as="10.77.0.1")
    assert ("tcp", 22) not in {(door.protocol, door.port) for door in list_doors(operator, node)[0]}


def test_what_hangs_on_an_address_that_is_not_known_is_not_judged() -> None:
    doors, unknown = list_doors(make_world(seen_as=""), make_world().plan.nodes[0])
    assert unknown == ["22/tcp ssh"]
    assert ("tcp", 22) not in {(door.protocol, door.port) for door in doors}


class Connection:
    """A node that says where a connection comes from."""

    def __init__(self, said: str) -> None:
        self.said = said

    async def __aenter__(self) -> "Connection":
        return self

    async def __aexit__(self, *error: object) -> None: ...

    async def run(self, command: str, *, seconds: float, root: bool) -> Any:
        assert not root
        return type("Result", (), {"output": self.said})


@pytest.mark.parametrize(("said", "found"), [("192.0.2.7 50000 10.0.0.1 22\n", STRANGER), ("\n", ""), ("::1 5 ::1 22", "")])
def test_this_machines_address_is_what_a_node_sees(said: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(access: Access, node: object) -> Connection:
        return Connection(said)

    monkeypatch.setattr(world, "connect", connect)
    assert world.find_seen_as(make_world().access) == found
    behind = Access({"a": make_node("a", ssh_via="jump")}, "", "")
    assert world.find_seen_as(behind) == ""
