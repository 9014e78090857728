"""What the commands that change a deployment share: `up` itself, and what it needs of this machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from cli.console import DEFAULT_STACK, Failure, format_count, is_terminal, progress
from cli.engine.images import begin_images
from cli.show.documents import print_document
from cli.show.plan import show_plan
from components.model.host import explain_shortage
from components.model.naming import bridge_name
from components.model.plan import Plan
from components.model.planning.planner import documentation_values, plan_to_json
from components.model.report import is_healthy
from stacks.edit import EditError, set_setting
from stacks.load import Deployment, load_deployment
from stacks.settings import RECOVERED, RECOVERED_NAMESPACE, stack_file

if TYPE_CHECKING:
    from cli.engine.dropped_calls import Effects
    from cli.engine.engine import Engine


def bring_up(
    stack: str,
    yes: bool,
    as_json: bool = False,
    disruptive: bool = False,
    arguments: Sequence[str] = (),
    again: str | Callable[[Engine], str] = "",
    repair: bool = False,
    ask: bool = True,
    before: Callable[[], None] = lambda: None,
    recovered: Mapping[str, str] | None = None,
) -> None:
    """Do all of `up`, with further arguments for the engine; `again` is the command that resumes, where it is another one, or
    says so by what the engine has come to. `ask`: the cloud, before the first machine is made. `before` is called when nothing
    is left to be refused and nothing changed yet. `recovered`: secrets of another deployment that this one takes over."""
    deployment = load_deployment(stack)
    settings, plan = deployment.settings, deployment.plan
    refuse_documentation_values(deployment)
    if not as_json:
        show_plan(deployment)
    if plan.facts.in_earnest and not yes and is_terminal():
        typer.confirm("Create or change it?", abort=True)
    if plan.facts.trial:
        refuse_taken_network(plan)
    prepare(plan)
    if plan.facts.trial:
        refuse_small_host(plan)
        begin_images(plan, settings)

    from cli.cloud.before import refuse_what_is_refused
    from cli.engine.dropped_calls import Effects
    from cli.engine.engine import asking_nodes, hand_over, open_engine, set_for_this_run
    from cli.engine.leftovers import clear_leftovers
    from cli.engine.power import explain_silence
    from cli.engine.reading import read_before
    from cli.engine.rollout import report_failure, run_engine, with_leave
    from cli.engine.standing import find_unwritten
    from cli.hosts.before import find_met, refuse_unfit_hosts
    from cli.nodes.access import read_access
    from cli.nodes.elsewhere import refuse_new_machines
    from cli.nodes.reports import ask_settled_status
    from cli.nodes.standby_first import change_standby_first
    from cli.show.end import show_end, show_records
    from cli.show.status import show_status
    from cli.show.times import measure_nodes, show_times

    def resumes() -> str:
        own = again if isinstance(again, str) else again(engine)
        return own or "./webitel up" + (f" {stack}" if stack != DEFAULT_STACK else "") + " --repair" * repair

    with open_engine(stack) as engine:
        start_stack(engine)
        clear_leftovers(engine)
        if unwritten := find_unwritten(engine, deployment):
            deployment = write_standing(deployment, unwritten)
            settings, plan = deployment.settings, deployment.plan
        if ask:
            refuse_what_is_refused(engine, plan)
            if plan.facts.given:
                refuse_unfit_hosts(plan, settings, find_met(engine.resources(), plan, settings))
        refuse_new_machines(engine, plan, replaces=bool(arguments))
        if disruptive:
            set_for_this_run(engine, "disruptive", "true")
        if recovered:
            hand_over(engine, f"{RECOVERED_NAMESPACE}:{RECOVERED}", json.dumps(dict(recovered)))
        asking = asking_nodes(engine) if repair else engine
        if repair:
            wake(engine, plan)
        read = read_before(asking, plan) if repair else []
        words = [*read, *arguments]
        allowed = disruptive or settings.disruptive
        effects = find_effects(asking, deployment, words, resumes) if plan.sip_address or not allowed else Effects()
        if not allowed:
            refuse_dropped_calls(effects.dropped, resumes)
        before()
        if effects.handed and change_standby_first(asking, plan, effects.handed, words, resumes, disruptive=allowed):
            # What else the arguments ask for has been done.
            words = read
        run = run_engine(asking, plan.nodes, "up", *words)
        report_failure(run, with_leave(resumes()) if disruptive else resumes(), plan)
        access = read_access(engine)
        reports = explain_silence(engine, plan, ask_settled_status(access))
    if as_json:
        print_document(
            {
                "plan": plan_to_json(plan),
                "changes": dict(run.rollout.changes),
                "url": access.url,
                "seconds": measure_nodes(run, plan),
                "healthy": is_healthy(reports),
                "status": {key: report.as_json() for key, report in reports.items()},
            }
        )
    else:
        show_times(run, plan)
        show_status(reports, plan)
    if not is_healthy(reports):
        raise Failure(f"Not everything is healthy. Next: ./webitel status {stack}")
    if not as_json:
        show_end(plan, access)
        show_records(access, settings.dns_zone)


def write_standing(deployment: Deployment, unwritten: Mapping[str, Any]) -> Deployment:
    """Write into the stack file what keeps everything where it stands, and return the deployment as it then is."""
    stack = deployment.plan.stack
    for name, value in unwritten.items():
        edit_setting(stack, name, value)
    names = " and ".join(f"webitel:{name}" for name in unwritten)
    progress(f"What is up stays where it is: {names} in stacks/{stack_file(stack).name}")
    return load_deployment(stack)


def find_effects(engine: Engine, deployment: Deployment, arguments: Sequence[str], again: Callable[[], str]) -> Effects:
    """Find what a run does to calls in progress. With arguments machines may be new ones, without calls, and nodes may have lost
    files: only a preview knows."""
    from cli.engine.dropped_calls import look_at_calls, preview_calls

    if arguments:
        return preview_calls(engine, deployment.plan, arguments, again)
    return look_at_calls(engine.resources(), deployment)


def refuse_dropped_calls(dropped: Mapping[str, str], again: Callable[[], str]) -> None:
    """Raise a Failure where calls in progress would suffer: before the first change, or others would count on what is refused."""
    from cli.engine.rollout import with_leave

    if dropped:
        lines = "\n".join(f"  {name}: {what}" for name, what in dropped.items())
        raise Failure(
            f"Calls in progress would suffer. Nothing was changed.\n{lines}\n"
            f"When few calls are in progress, run: {with_leave(again())}"
        )


def wake(engine: Engine, plan: Plan) -> None:
    """Start the machines that are off, and wait until their SSH answers, if `up` ever met a node: whoever is asked while it
    boots says nothing."""
    from cli.engine.power import start_machines
    from cli.nodes.access import list_met, read_access, wait_for_answers

    if (started := start_machines(engine, plan)) and list_met(engine.resources()):
        access = read_access(engine)
        asyncio.run(wait_for_answers(access, [node for key, node in access.nodes.items() if key in started]))


def prepare(plan: Plan) -> None:
    """Install what a deployment on this cloud needs on this machine: the cloud's SDK, or Incus for containers."""
    from tools.environment import ensure_extra

    cloud = plan.facts
    if cloud.package:
        ensure_extra(cloud.name)
    if cloud.trial:
        from tools.incus import ensure_incus

        ensure_incus(progress)


def refuse_taken_network(plan: Plan) -> None:
    """Raise a Failure where this host reaches the deployment's network by another way than its own bridge."""
    from tools.incus.network import find_network_problem, read_routes

    if problem := find_network_problem(bridge_name(plan.stack), plan.network, read_routes()):
        raise Failure(f"1 setting needs attention, nothing was created:\n  {problem}")


def refuse_small_host(plan: Plan) -> None:
    """Raise a Failure where this host has too little memory or disk for the nodes that do not run yet."""
    from tools.incus import api
    from tools.incus.room import read_free_disk, read_free_memory

    new = [node for node in plan.nodes if api.find(api.instance_path(node.name)) is None]
    if shortage := explain_shortage(new, read_free_memory(), read_free_disk()):
        raise Failure(f"Nothing was created: {shortage}. Use a smaller tier or count, or a larger machine.")


def start_stack(engine: Engine) -> None:
    """Make the stack in the backend where it is missing."""
    if not engine.exists():
        engine.create()


def refuse_documentation_values(deployment: Deployment) -> None:
    """Raise a Failure while values are missing or only documentation: nothing is created with them."""
    problems = documentation_values(deployment.settings, deployment.plan.facts)
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise Failure(f"{format_count(len(problems), 'setting')} must be set first. Nothing was created.\n{lines}")


def edit_setting(stack: str, name: str, value: Any) -> None:
    """Change one setting of the stack file, or say why not."""
    try:
        set_setting(stack_file(stack), name, value)
    except EditError as error:
        raise Failure(f"stacks/{stack_file(stack).name}: {error}") from error
