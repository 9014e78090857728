"""The command line: `./webitel`. Every group of commands stands in a file of its own; this one only gathers them."""

from __future__ import annotations

import sys

try:
    import typer
except ModuleNotFoundError as missing:
    sys.exit(
        f"webitel: this Python environment ({sys.prefix}) lacks {missing.name}. Remove the checkout's .venv and "
        "webitel makes its own, or install what pyproject.toml lists."
    )

from cli.commands import (
    backup,
    bench,
    destroy,
    doctor,
    drift,
    drill,
    dump,
    files,
    handover,
    hosts,
    init,
    plan,
    preview,
    prices,
    reboot,
    replace,
    restore,
    scale,
    secrets,
    smoke,
    state,
    status,
    trace,
    up,
    upgrade,
)
from cli.commands import (
    nodes as nodes_commands,
)
from cli.commands import (
    pulumi as pulumi_command,
)
from cli.commands import (
    test as run_tests,
)
from cli.console import Failure, err, explain_file
from cli.help import WIDTH, Panels
from components.model.problems import PlanError
from stacks.edit import EditError
from stacks.settings import UnknownStackError
from tools.engine.get import EngineError
from tools.environment import SetupError

app = typer.Typer(
    name="webitel",
    cls=Panels,
    context_settings={"max_content_width": WIDTH},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Your own Webitel contact centre, on five clouds or on this machine.",
)
for module in (
    plan,
    up,
    scale,
    upgrade,
    replace,
    reboot,
    handover,
    backup,
    restore,
    preview,
    status,
    smoke,
    drift,
    nodes_commands,
    trace,
    dump,
    destroy,
    init,
    files,
    doctor,
    hosts,
    secrets,
    state,
    pulumi_command,
    run_tests,
    bench,
    prices,
    drill,
):
    module.register(app)


def main() -> None:
    """Run the command. What a user can mend is told without a traceback, exit status 1."""
    try:
        app(prog_name="webitel")
    except (Failure, PlanError, UnknownStackError, EditError, EngineError, SetupError) as problem:
        err.print(str(problem))
        sys.exit(1)
    except OSError as problem:
        err.print(explain_file(problem))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
