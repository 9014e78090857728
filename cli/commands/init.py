"""`init`: a stack file of one's own, asked for question by question, given by flags, or copied from another one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from cli.console import Failure, Yes, is_terminal, out
from cli.help import DEPLOY
from cli.show.plan import nodes_table, sum_tables
from cli.show.questions import QUESTIONS, Question, ask
from components.clouds.registry import CLOUDS
from components.model.naming import explain_name, node_name
from components.model.planning.planner import documentation_values
from components.model.problems import PlanError
from components.model.settings import TierName
from stacks import settings as stack_settings
from stacks.copying import leave_out_nodes, leave_out_secrets
from stacks.edit import set_setting
from stacks.load import Deployment, check, load_deployment
from stacks.problems import NAMESPACE, to_yaml

HEAD = "# yaml-language-server: $schema=schema.json\nconfig:\n"


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=DEPLOY)(init)


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new deployment's name; becomes part of host names.")],
    source: Annotated[str, typer.Option("--from", metavar="STACK", help="Copy this stack's file instead of asking.")] = "",
    cloud: Annotated[str, typer.Option(help=f"{', '.join(CLOUDS)}.")] = "",
    tier: Annotated[str, typer.Option(help=f"{', '.join(get_args(TierName))}.")] = "",
    region: Annotated[str, typer.Option(help="The cloud's region or location.")] = "",
    domain: Annotated[str, typer.Option(help="Public host name, such as voice.your-company.com.")] = "",
    operators: Annotated[list[str] | None, typer.Option(help="Network that may use SSH; may be repeated.")] = None,
    carriers: Annotated[list[str] | None, typer.Option(help="Network of SIP trunks; may be repeated.")] = None,
    yes: Yes = False,
) -> None:
    """Create a stack file: asks for what is yours to decide, and shows what it costs."""
    if why := explain_name(node_name(name, "storage", 1)):
        raise Failure(f"stack name {name}: {why}. Use one such as aws-basic.")
    path = stack_settings.stack_file(name)
    if path.exists():
        raise Failure(f"stacks/{path.name} already exists. Edit it, or use another name.")
    given: dict[str, Any] = {
        "cloud": cloud,
        "tier": tier,
        "region": region,
        "domain": domain,
        "operators": operators,
        "carriers": carriers,
    }
    given = {setting: value for setting, value in given.items() if value}
    if source:
        if given:
            raise Failure(f"--from copies a file as it is: leave out {', '.join(f'--{flag}' for flag in given)}, or --from")
        left_out = copy(name, source)
        deployment = load_deployment(name)
        out.print(f"stacks/{path.name} created from {source}.")
        if left_out:
            out.print(f"Left out, since only {source} can decrypt them:")
            for key in left_out:
                out.print(f"  ./webitel pulumi config set --secret {key} --stack {name}")
    else:
        values = complete(name, given)
        deployment = check(values, name, ())
        out.print(nodes_table(deployment.plan))
        for table in sum_tables(deployment.plan):
            out.print(table)
        if is_terminal() and not yes:
            typer.confirm(f"Write stacks/{path.name}?", default=True, abort=True)
        write(path, HEAD + "".join(write_setting(setting, value) for setting, value in values.items()))
        out.print(f"stacks/{path.name} created.")
    if deployment.plan.facts.priced:
        from cli.cloud.place import settle_place

        settle_place(name)
        deployment = load_deployment(name)
    for line in describe_edits(deployment):
        out.print(line)
    out.print(f"Next: ./webitel plan {name}")


def copy(name: str, source: str) -> list[str]:
    """Copy a stack's file, and return the keys that stay behind, since only the other stack can decrypt them.

    Where the file leaves the region to the cloud's default, the new one names the region that is best now."""
    deployment = load_deployment(source)
    text, left_out = leave_out_secrets(stack_settings.stack_file(source).read_text())
    path = stack_settings.stack_file(name)
    write(path, leave_out_nodes(text))
    facts = deployment.plan.facts
    if facts.real and not facts.is_one_place and not deployment.settings.region:
        set_setting(path, "region", facts.best_region)
    return left_out


def write(path: Path, text: str) -> None:
    """Write a new stack file; a Failure where the folder is another's."""
    try:
        path.write_text(text)
    except OSError as error:
        raise Failure(f"stacks/{path.name} cannot be written: {error.strerror}. Clone into a folder of your own.") from error


def complete(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a new stack file: those given, and the others as a person answers. Without one, a Failure names the
    flags that are missing, and what is not needed stays out."""
    values: dict[str, Any] = {}
    missing: list[Question] = []
    for question in QUESTIONS:
        facts = CLOUDS.get(values.get("cloud", ""))
        if facts is not None and not facts.real and question.real:
            continue
        if facts is not None and facts.is_one_place and question.setting == "region":
            continue
        if question.setting in given:
            values[question.setting] = given[question.setting]
            if problem := find_problem(values, name, question.setting):
                raise Failure(f"--{question.setting}: {problem}")
        elif is_terminal():
            if answer := ask(question, facts, partial(find_problem_of, values, name, question.setting)):
                values[question.setting] = answer
        elif question.setting == "region" and facts is not None:
            values["region"] = facts.best_region
        elif question.needed:
            missing.append(question)
    if missing:
        flags = " ".join(f"--{one.setting} {one.example}" for one in missing)
        raise Failure(f"There is no terminal to ask in: ./webitel init {name} {flags}, or --from with a stack to copy")
    return values


def find_problem_of(values: Mapping[str, Any], name: str, setting: str, wish: Any) -> str:
    """Return what is wrong with a value beside the others, "" = nothing."""
    return find_problem({**values, setting: wish}, name, setting)


def find_problem(values: Mapping[str, Any], name: str, setting: str) -> str:
    """Return what is wrong with one of the values, "" = nothing."""
    example = {"cloud": "local", "tier": "single", **values}
    try:
        deployment = check(example, name, ())
    except PlanError as error:
        problems = error.problems
    else:
        problems = documentation_values(deployment.settings, deployment.plan.facts)
    prefix = f"{NAMESPACE}:{setting}"
    return next((str(one) for one in problems if one.setting == prefix or one.setting.startswith(f"{prefix}.")), "")


def write_setting(setting: str, value: Any) -> str:
    """Return the lines of a setting, as in the stack files that there are."""
    if isinstance(value, str):
        return f"  {NAMESPACE}:{setting}: {to_yaml(value)}\n"
    return f"  {NAMESPACE}:{setting}:\n" + "".join(f"    - {to_yaml(item)}\n" for item in value)


def describe_edits(deployment: Deployment) -> list[str]:
    """Return what must be set before the new stack can go up, with the command that sets it."""
    lines = [f"  edit {problem}" for problem in documentation_values(deployment.settings, deployment.plan.facts)]
    return ["Set these before `up`:", *lines] if lines else ["It can be brought up as it is."]
