"""What unit tests have in common."""

from typing import Any

import typer
from typer import testing
from typer.main import get_command

_made: dict[tuple[typer.Typer, int], Any] = {}


def make_once(app: typer.Typer) -> Any:
    """Make an application's commands once: to read all their signatures takes as long as what most tests have them do."""
    key = app, len(app.registered_commands)
    if key not in _made:
        _made[key] = get_command(app)
    return _made[key]


testing._get_command = make_once  # type: ignore[assignment, attr-defined]  # there is no other way in
