"""`secrets` and `export-secrets`: the generated secrets, for the people who need them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from cli.console import DEFAULT_STACK, Failure, StackName, Yes, format_count, is_terminal, make_table, out
from cli.help import DAY_TWO
from cli.recovery_file import DECRYPT, PASSPHRASE, compose
from components.model import resource_types
from components.model.backup import read_bucket
from components.model.secret_specs import SECRETS
from stacks.load import load_deployment


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(rich_help_panel=DAY_TWO)(secrets)
    app.command("export-secrets", rich_help_panel=DAY_TWO)(export_secrets)


def secrets(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Show this one; without it, only the names.")] = "",
    stack: Annotated[str, typer.Option("--stack", "-s", help="The deployment.")] = DEFAULT_STACK,
    yes: Yes = False,
) -> None:
    """List the deployment's secrets, or show one."""
    values = read_secrets(stack)
    if not name:
        table = make_table("name", "use", header=False)
        for known in values:
            table.add_row(known, SECRETS[known].use if known in SECRETS else "")
        out.print(table)
        out.print(f"Next: ./webitel secrets NAME --stack {stack}")
        return
    if name not in values:
        raise Failure(f"{stack} has no secret {name}; its secrets are {', '.join(values)}")
    if not yes:
        if not is_terminal():
            raise Failure(f"this would show {name} as plain text; confirm with --yes")
        typer.confirm(f"Show {name} of {stack} on this screen?", abort=True)
    print(values[name])


def export_secrets(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The recovery file to write; must not exist.")],
    stack: StackName = DEFAULT_STACK,
) -> None:
    """Write all secrets into an encrypted recovery file. Keep it where the deployment is not."""
    values = read_secrets(stack)
    passphrase = os.environ.get(PASSPHRASE) or typer.prompt(
        "Passphrase of the recovery file", hide_input=True, confirmation_prompt=True
    )
    if len(passphrase) < 12:
        raise Failure("the passphrase must have at least 12 characters")
    deployment = load_deployment(stack)
    bucket, authority = read_bucket(deployment.settings, deployment.plan.facts), deployment.settings.backup.authority
    known = {"url": bucket.url, "region": bucket.region, "authority": authority} if bucket else {}
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Failure(f"{file} already exists; use another name") from error
    with os.fdopen(descriptor, "wb") as target:
        target.write(compose(stack, values, known, passphrase))
    out.print(f"{format_count(len(values), 'secret')} of {stack} in {file}. Without the passphrase nobody can read it:")
    out.print(f"  {DECRYPT} {file}")


def read_secrets(stack: str) -> dict[str, str]:
    """Return the secrets' values by name, from the state."""
    from cli.engine.engine import open_engine, require_existing

    load_deployment(stack)
    with open_engine(stack) as engine:
        require_existing(engine)
        resources = engine.open_resources()
    for resource in resources:
        if resource["type"] == resource_types.SECRETS:
            values: dict[str, str] = resource["outputs"]["values"]
            return values
    raise Failure(f"{stack} has no secrets yet. Next: ./webitel up {stack}")
