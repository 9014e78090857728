"""The list of commands: in panels by what they are for, with no help text cut."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

DEPLOY, DAY_TWO, LOOK, DEVELOP = "Deploy", "Day two", "Look", "Develop"
PANELS = (DEPLOY, DAY_TWO, LOOK, DEVELOP)
"""In the order in which they are shown; a command names its own when it registers."""
WIDTH = 100
"""Columns of a help text at most; narrower on a narrower terminal."""


class Panels(TyperGroup):
    """A group whose help lists its commands by panel."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write every command with the first sentence of its help, wrapped instead of cut."""
        # Both are of Click's own classes, which newer versions of typer bring along: no name of theirs holds for all.
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        longest = max(len(name) for name, _ in commands)
        for panel in PANELS:
            rows = [
                (name.ljust(longest), first_sentence(command.help or ""))
                for name, command in commands
                if command and getattr(command, "rich_help_panel", None) == panel
            ]
            with formatter.section(panel):
                formatter.write_dl(rows)


def first_sentence(text: str) -> str:
    """Return the text up to the full stop that ends its first sentence, on one line."""
    sentence, _, _ = " ".join(text.split()).partition(". ")
    return sentence.removesuffix(".") + "."
