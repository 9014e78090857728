"""`up`: from the settings to healthy services, or to the reason why not."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.plan import refuse_documentation_values, show_plan
from cli.console import DEFAULT_STACK, Failure, StackName, format_duration, is_terminal, out, progress
from cli.engine.images import begin_images
from components.model.catalogue.service import PackageSource
from components.model.catalogue.services import CATALOGUE
from components.model.host import explain_shortage
from components.model.naming import bridge_name
from components.model.plan import Plan
from components.model.planning.planner import plan_to_json
from components.model.report import is_healthy
from stacks.load import load_deployment

if TYPE_CHECKING:
    from cli.engine.engine import Engine
    from cli.engine.events import Row
    from cli.engine.rollout import Run
    from cli.nodes.access import Access

STAGES = (
    ("boot", re.compile("")),
    ("packages", re.compile(r"package|install|unpack|download", re.IGNORECASE)),
    ("services", re.compile(r"^((start|restart|reload|refresh|drain) |waiting for (?!SSH|cloud-init|package))")),
)
"""What a node's steps are part of, in their order; a stage once reached is not left backwards."""
TOTAL = "total"
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(up)


def up(
    stack: StackName = DEFAULT_STACK,
    yes: Yes = False,
    as_json: Annotated[bool, typer.Option("--json", help="At the end one JSON document on standard output.")] = False,
    disruptive: Annotated[bool, typer.Option(help="Allow changes that drop calls in progress.")] = False,
    repair: Annotated[bool, typer.Option(
        "--repair", help="Look first what was changed behind our back (`drift` lists it), and bring it back.")] = False,
) -> None:
    """Create or change a deployment; ends when every service is healthy. Running it again resumes."""
    bring_up(stack, yes, as_json, disruptive, repair=repair)


def bring_up(stack: str, yes: bool, as_json: bool = False, disruptive: bool = False, arguments: Sequence[str] = (),
             again: str | Callable[[Engine], str] = "", repair: bool = False) -> None:
    """All of `up`, with further arguments for the engine; `again` is the command that resumes, where it is another one, or
    says so by what the engine has come to."""
    deployment = load_deployment(stack)
    settings, made = deployment.settings, deployment.plan
    refuse_documentation_values(deployment)
    if not as_json:
        show_plan(deployment)
    if made.facts.real and not yes and is_terminal():
        typer.confirm("Create or change it?", abort=True)
    if made.facts.trial:
        refuse_taken_network(made)
    prepare(made)
    if made.facts.trial:
        refuse_small_host(made)
        begin_images(made, settings)

    from cli.commands.drift import asking_nodes
    from cli.commands.status import ask_status, show_status
    from cli.engine.engine import open_engine, set_for_this_run
    from cli.engine.leftovers import clear_leftovers
    from cli.engine.rollout import report_failure, run_engine
    from cli.nodes.access import read_access

    with open_engine(stack) as engine:
        start_stack(engine)
        clear_leftovers(engine)
        if disruptive:
            set_for_this_run(engine, "disruptive", "true")
        asking = asking_nodes(engine) if repair else engine
        run = run_engine(asking, made.nodes, "up", *(["--refresh"] if repair else []), *arguments)
        resumes = again if isinstance(again, str) else again(engine)
        report_failure(run, resumes or "./webitel up" + (f" {stack}" if stack != DEFAULT_STACK else ""), made)
        access = read_access(engine)
    reports = ask_status(access)
    if as_json:
        print(json.dumps({"plan": plan_to_json(made), "changes": dict(run.rollout.changes), "url": access.url,
                          "seconds": measure_nodes(run, made), "healthy": is_healthy(reports),
                          "status": {key: report.as_json() for key, report in reports.items()}}, indent=2))
    else:
        show_times(run, made)
        show_status(reports, made)
    if not is_healthy(reports):
        raise Failure(f"Not everything is healthy. Next: ./webitel status {stack}")
    if not as_json:
        show_end(made, access)
        show_records(access, settings.dns_zone)


def prepare(made: Plan) -> None:
    """What a deployment on this cloud needs on this machine: the cloud's SDK, or Incus for containers."""
    from tools.environment import ensure_extra

    cloud = made.facts
    if cloud.package:
        ensure_extra(cloud.name)
    if cloud.trial:
        from tools.incus import ensure_incus

        ensure_incus(progress)


def refuse_taken_network(made: Plan) -> None:
    """A Failure where this host reaches the deployment's network by another way than its own bridge."""
    from tools.incus.network import find_network_problem, read_routes

    if problem := find_network_problem(bridge_name(made.stack), made.network, read_routes()):
        raise Failure(f"1 setting needs attention, nothing was created:\n  {problem}")


def refuse_small_host(made: Plan) -> None:
    """A Failure where this host has too little memory or disk for the nodes that do not run yet."""
    from tools.incus import api
    from tools.incus.room import read_free_disk, read_free_memory

    new = [node for node in made.nodes if api.find(api.instance_path(node.name)) is None]
    if shortage := explain_shortage(new, read_free_memory(), read_free_disk()):
        raise Failure(f"Nothing was created: {shortage}. Take a smaller tier or count, or a larger machine.")


def start_stack(engine: Engine) -> None:
    """Make the stack in the backend where it is missing."""
    if not engine.exists():
        engine.create()


def show_times(run: Run, made: Plan) -> None:
    """One line a node that was worked on, with the time it took by stage."""
    changed = {operation: count for operation, count in run.rollout.changes.items() if operation not in ("same", "read")}
    if not changed:
        out.print("Nothing to change.")
        return
    width = max(len(node.name) for node in made.nodes)
    measured = measure_nodes(run, made)
    for name, seconds in measured.items():
        stages = "  ".join(f"{stage} {format_duration(spent)}" for stage, spent in seconds.items() if stage != TOTAL)
        out.print(f" {name:<{width}}  healthy in {format_duration(seconds[TOTAL])}   {stages}")
    if step := find_slowest_step(run, made):
        out.print(f" slowest step: {step}")


def find_slowest_step(run: Run, made: Plan) -> str:
    """The step of a node that took longest, with node and time; steps that differ in figures only are one."""
    from cli.engine.events import is_same_step

    found: list[tuple[float, str, str]] = []
    for row in (run.rollout.rows[node.name] for node in made.nodes if node.name in run.rollout.rows):
        start, name = row.started, row.steps[0][1]
        for when, text in [*row.steps[1:], (row.ended or run.ended, "")]:
            if not is_same_step(name, text):
                found.append((when - start, row.name, name))
                start, name = when, text
    seconds, node, text = max(found, default=(0.0, "", ""))
    return f"{node} {text.splitlines()[0]}, {format_duration(seconds)}" if seconds >= 1 else ""


def measure_nodes(run: Run, made: Plan) -> dict[str, dict[str, float]]:
    """By name of a node that was worked on: the seconds in all until everything was healthy, and by stage."""
    rows = [run.rollout.rows[node.name] for node in made.nodes if node.name in run.rollout.rows]
    return {row.name: {TOTAL: run.ended - row.started, **dict(measure_stages(row, run.ended))} for row in rows}


def measure_stages(row: Row, ended: float) -> list[tuple[str, float]]:
    """The seconds a node spent in each stage, the ones it never reached left out."""
    seconds = [0.0] * len(STAGES)
    stage = 0
    ends = [*(when for when, _ in row.steps[1:]), ended]
    for (when, text), end in zip(row.steps, ends, strict=True):
        stage = max(index for index, (_, pattern) in enumerate(STAGES) if index <= stage or pattern.search(text))
        seconds[stage] += end - when
    return [(name, spent) for (name, _), spent in zip(STAGES, seconds, strict=True) if spent >= 0.5]


def read_licence(made: Plan, access: Access) -> str:
    """What the API gateway calls this installation (`/api/srvinfo`); empty where it does not say."""
    from cli.nodes.access import ask_nodes
    from cloud_init.node_command import node_command

    node = made.nodes_with("webitel-api")[0]
    port = CATALOGUE["webitel-api"].listener("http").port
    target = access.nodes[node.key]
    # Asked on the node: the domain may not lead there yet.
    answer = asyncio.run(ask_nodes(access, [target], node_command("fetch", str(port), "/srvinfo"), 10))[node.key]
    found = re.search(r'"(?:identifier|id|serial|server_id)"\s*:\s*"([^"]+)"', answer.output)
    return found[1] if found else ""


def show_records(access: Access, zone: str) -> None:
    """The domain's DNS records: made already, or to be copied."""
    if access.records:
        out.print(f"DNS records, made in {zone}:" if zone else "DNS records to be set where your domain is kept:")
    for line in access.records:
        out.print(f"  {line}")


def show_end(made: Plan, access: Access) -> None:
    """Where it answers, what it is made of, what comes next."""
    sip = [f"{access.nodes[node.key].address}:{CATALOGUE['opensips'].listener('sip').port}"
           for node in made.nodes_with("opensips") if node.key in access.nodes]
    out.print("   ".join([access.url, *(["SIP " + ", ".join(sip)] if sip else [])]))
    if made.package_source == PackageSource.SANDBOX:
        out.print("Sandbox: OpenSIPS, FreeSWITCH, Grafana and the Webitel services are stand-ins "
                  "(webitel:package_source is sandbox).")
    if licence := read_licence(made, access):
        out.print(f"Licence identifier {licence}: send it to Webitel, who answers with the licence of this installation.")
    # There is no account before the first: the vendor's sign-in page registers it, with the licence (its public sources,
    # web-client-auth, components/auth/register, and api/auth: POST /signup).
    if made.package_source == PackageSource.SANDBOX:
        out.print("First log-in: none in the sandbox; with the vendor's packages the sign-in page makes the first account.")
    else:
        out.print(f"First log-in: {access.url} > Create account: your domain, a user name and a password of your choice, "
                  "then the licence. No account exists before that one.")
    given = f" --stack {made.stack}" if made.stack != DEFAULT_STACK else ""
    out.print(f"Reports: {access.url}grafana/, user admin, password: ./webitel secrets grafana_password{given}")
    stack = f" {made.stack}" if made.stack != DEFAULT_STACK else ""
    node = f" {made.nodes[-1].name}" if len(made.nodes) > 1 or stack else ""
    out.print(f"Next: ./webitel status{stack}   ./webitel ssh{node}   ./webitel destroy{stack}")
