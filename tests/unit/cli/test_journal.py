"""Logs of many nodes: one order, one call."""

import re
import shlex
from collections.abc import Sequence

import pytest

from cli.console import Failure
from cli.nodes import journal
from cli.nodes.access import Access, Answer, NodeAccess
from cli.nodes.journal import Asked, find_beside, read_lines, read_since
from tests.unit.cli.fakes import make_node

ACCESS = Access({key: make_node(key) for key in ("edge-1", "app-1")}, "", "")
EVERY = Asked("", 100, "", "")
UUID = "0b0e7f6c-1c5e-4d3e-9d9a-3c5a6f1d2e3f"
JOURNALS = {
    "edge-1": "100.5 h opensips[1]: call a@b\n  of x\n103.0 h rtpengine[2]: [a@b] gone\n-- Boot 1 --\n",
    "app-1": f"101.25 h freeswitch[3]: a@b is {UUID}\n102.0 h flow_manager[4]: {UUID} failed\n",
}


def answering(monkeypatch: pytest.MonkeyPatch, **given: Answer) -> list[list[str]]:
    """Nodes that say what matches, as journalctl does; the commands that they were asked."""
    commands: list[list[str]] = []

    async def ask(access: Access, nodes: Sequence[NodeAccess], command: str, seconds: float) -> dict[str, Answer]:
        words = shlex.split(command)[2:]
        commands.append(words)
        pattern = next((word.removeprefix("--grep=") for word in words if word.startswith("--grep=")), "")

        def said(key: str) -> Answer:
            lines = [line for line in JOURNALS[key].splitlines() if re.search(pattern, line)]
            return given.get(key.replace("-", "_"), Answer(0 if lines else 1, "".join(f"{line}\n" for line in lines)))

        return {node.key: said(node.key) for node in nodes}

    monkeypatch.setattr(journal, "ask_nodes", ask)
    return commands


def test_all_nodes_lines_are_in_the_order_of_time(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answering(monkeypatch)
    assert journal.show_every(ACCESS, list(ACCESS.nodes.values()), EVERY) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in shown if not line.startswith(" ")] == ["edge-1", "app-1", "app-1", "edge-1"]
    assert shown[1] == "  of x"


def test_a_call_is_followed_by_what_else_it_is_called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = answering(monkeypatch)
    assert journal.show_call(ACCESS, list(ACCESS.nodes.values()), EVERY, "a@b") == 0
    shown = capsys.readouterr().out
    assert [word in shown for word in ("opensips", "rtpengine", "freeswitch", "flow_manager")] == [True] * 4
    assert len(commands) == 2
    assert journal.show_call(ACCESS, list(ACCESS.nodes.values()), EVERY, "nobody") == 1
    assert "./webitel trace" in capsys.readouterr().err


def test_a_node_that_cannot_be_asked_is_named_and_the_others_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, app_1=Answer(problem="no answer within 6 s"))
    assert journal.show_every(ACCESS, list(ACCESS.nodes.values()), EVERY) == 1
    shown = capsys.readouterr()
    assert "opensips" in shown.out
    assert "app-1: no answer within 6 s" in shown.err


def test_a_service_of_some_nodes_is_no_problem_of_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lacks = Answer(1, "", "no service opensips on this node; its services are x\n")
    answering(monkeypatch, app_1=lacks)
    asked = Asked("opensips", 100, "", "")
    assert journal.show_every(ACCESS, list(ACCESS.nodes.values()), asked) == 0
    answering(monkeypatch, app_1=lacks, edge_1=lacks)
    assert journal.show_every(ACCESS, list(ACCESS.nodes.values()), asked) == 1
    assert "no node has a service opensips" in capsys.readouterr().err


def test_an_older_program_says_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answering(monkeypatch, edge_1=Answer(2, "", "webitel-node: error: unrecognized arguments: --stamped\n"))
    assert journal.show_every(ACCESS, list(ACCESS.nodes.values()), EVERY) == 1
    assert "edge-1: its program is older than this option. Next: ./webitel up" in capsys.readouterr().err


@pytest.mark.parametrize(("given", "read"), [("", ""), ("10m", "-10m"), ("2026-01-31 12:00", "2026-01-31 12:00")])
def test_times(given: str, read: str) -> None:
    assert read_since(given) == read
    assert (f"--since={read}" in shlex.split(Asked("", 5, read, "").command())) == bool(read)


def test_a_time_that_journalctl_would_not_take_is_refused() -> None:
    with pytest.raises(Failure, match="such as --since 10m"):
        read_since("yesterday evening")


def test_identifiers_of_too_many_calls_are_not_followed() -> None:
    lines = list(read_lines("a", "".join(f"1.0 h x[1]: a@b {number:08x}-0000-0000-0000-000000000000\n" for number in range(30))))
    assert find_beside(lines, {"a@b"}) == set()
    assert len(find_beside(lines[:3], {"a@b"})) == 3
