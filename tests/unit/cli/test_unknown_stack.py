"""A stack that is not there: every command says so, and how to make it, before it does anything."""

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from cli.__main__ import app
from stacks.settings import UnknownStackError

ARGUMENTS = {
    "drill": ["kill-leader", "nosuch"],
    "dump": ["nosuch", "/nowhere.tar.gz"],
    "handover": ["edge", "nosuch"],
    "hosts": ["check", "nosuch"],
    "export-secrets": ["/nowhere", "nosuch"],
    "logs": ["edge-1", "--stack", "nosuch"],
    "render": ["nosuch", "/nowhere"],
    "replace": ["edge-1", "--stack", "nosuch", "--yes"],
    "restore": ["nosuch", "--at", "2026-11-29 13:45:00+00"],
    "scale": ["app", "2", "nosuch"],
    "secrets": ["--stack", "nosuch"],
    "ssh": ["edge-1", "--stack", "nosuch"],
}
"""Where the stack is not the only argument."""
NO_STACK = {"doctor", "init", "prices", "pulumi", "schema", "test", "comment", "state", "bench"}
"""Of no stack, of the clouds, of a folder, or with commands of their own."""
THERE = set(vars(get_command(app))["commands"])


@pytest.mark.parametrize("command", sorted(THERE - NO_STACK))
def test_it_is_named_with_the_way_to_make_it(command: str) -> None:
    result = CliRunner().invoke(app, [command, *ARGUMENTS.get(command, ["nosuch"])])
    assert isinstance(result.exception, UnknownStackError), (result.exception, result.output)
    assert "no stack nosuch" in str(result.exception)
    assert "./webitel init nosuch" in str(result.exception)


def test_the_lists_are_of_commands_that_there_are() -> None:
    assert NO_STACK <= THERE and set(ARGUMENTS) <= THERE
