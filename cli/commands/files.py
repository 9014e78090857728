"""Commands about files: `schema` and `render`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.console import Failure, StackName, out
from cli.help import DEVELOP
from stacks.load import Deployment, load_deployment
from stacks.schema import schema_text


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(rich_help_panel=DEVELOP)(schema)
    app.command(rich_help_panel=DEVELOP)(render)


def schema() -> None:
    """Print the JSON Schema of a stack file: every setting with its description."""
    print(schema_text(), end="")


def render(
    stack: StackName,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder for the files; created if it is missing.")],
) -> None:
    """Write the files that every node would get. Placeholders stand for addresses and secrets."""
    count = render_stack(load_deployment(stack), directory)
    out.print(f"{count} files for {stack} in {directory}. Placeholders stand for addresses and secrets.")


def render_stack(deployment: Deployment, directory: Path) -> int:
    """Write every node's files below `directory/<node>`; returns how many. Files of an earlier run are replaced."""
    from cloud_init.compose import compose_configuration, compose_user_data
    from sandbox import build

    plan, settings = deployment.plan, deployment.settings
    texts: dict[Path, str] = {}
    for node in plan.nodes:
        home = Path(node.name)
        user_data = compose_user_data(plan, node, settings)
        configuration = compose_configuration(plan, node, settings, build)
        texts[home / "user-data"] = user_data.sent
        texts[home / "user-data.decoded"] = user_data.decoded
        texts[home / "units.json"] = json.dumps(configuration.units, indent=1) + "\n"
        texts[home / "attributes.json"] = json.dumps(configuration.attributes, indent=1, sort_keys=True) + "\n"
        texts |= {home / "files" / path.lstrip("/"): text for path, text in configuration.files.items()}
    try:
        for path, text in texts.items():
            target = directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    except OSError as error:
        raise Failure(
            f"{error.filename or directory} cannot be written: {error.strerror}; "
            f"name a folder of your own: ./webitel render {plan.stack} DIR"
        ) from error
    return len(texts)
