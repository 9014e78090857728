"""How output looks: panels of the help, its width, the ends of its lines."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from cli import console
from cli.__main__ import app
from cli.help import PANELS
from stacks.settings import list_stacks
from tests.plans import load_stack


def test_every_command_stands_in_a_panel_with_its_whole_first_sentence() -> None:
    text = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "100"}).stdout
    assert [text.index(f"\n{panel}:\n") for panel in PANELS] == sorted(text.index(f"\n{panel}:\n") for panel in PANELS)
    assert "..." not in text.partition("Options:")[2]
    assert max(map(len, text.splitlines())) <= 100
    words = " ".join(text.split())
    for name, command in vars(get_command(app))["commands"].items():
        sentence = " ".join((command.help or "").split()).partition(". ")[0].removesuffix(".")
        assert f" {name} {sentence}." in words, f"{name} has no panel of cli/help.py"


@pytest.mark.parametrize("stack", list_stacks())
@pytest.mark.parametrize("more", ["", "--all"])
def test_nothing_is_wider_than_110_columns_or_ends_with_blanks(stack: str, more: str) -> None:
    lines = CliRunner().invoke(app, ["plan", stack, *filter(None, [more])]).stdout.splitlines()
    assert len(lines) > 5
    assert max(map(len, lines)) <= console.COLUMNS
    assert [line for line in lines if line != line.rstrip()] == []


@pytest.mark.parametrize("stack", list_stacks())
def test_nothing_is_cut_in_80_columns(stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out, "width", 80)
    text = CliRunner().invoke(app, ["plan", stack]).stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert all(f" {node.key} " in text for node in load_stack(stack).plan.nodes)


def test_blanks_between_codes_of_colour_go_too() -> None:
    script = "from cli.console import Trimmed; Trimmed().write('a \\x1b[1mb  \\x1b[0m  \\n  c\\n')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "a \x1b[1mb\x1b[0m\n  c\n"
